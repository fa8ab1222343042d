/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The multipart uploads of this process, in memory and in a small file, so that
 * a later mount of the same bucket can abort what a crash left. Private to upload/.
 *
 *	upload_journal_new(&j);
 *	upload_journal_open(j, NULL, scope, on_left, arg);
 *	upload_journal_add(j, key, intent);	(about to be created: UPLOAD_INTENT and a text)
 *	upload_journal_add(j, key, id);		(created)
 *	upload_journal_remove(j, id);		(complete, or gone at the server)
 *	upload_journal_close(j);
 *
 * Any thread; NULL for `j` does nothing. The file survives the process, not the
 * machine: it is not synced.
 */
#ifndef UPLOAD_JOURNAL_H
#define UPLOAD_JOURNAL_H

#include <stdbool.h>

#include "base/macro.h"

/* What an id begins with that is none yet: of an upload whose Create is under way. */
#define UPLOAD_INTENT '?'

struct upload_journal;

/* In memory only. */
int upload_journal_new(struct upload_journal **ret) must_check;
/*
 * Gives it a file, before the first entry. `dir` NULL: mount-s3/ in $XDG_STATE_HOME, ~/.local/state
 * or, for root without a home, /run. `scope` says which server and bucket. What dead processes left
 * in that scope is taken over, and `left` is called for each. Without a place for the file
 * (read-only system) it lives in memory, and one line of the log says so.
 */
void upload_journal_open(struct upload_journal *j, const char *dir, const char *scope,
			 void (*left)(void *arg, const char *key, const char *id), void *arg);
void upload_journal_add(struct upload_journal *j, const char *key, const char *id);
void upload_journal_remove(struct upload_journal *j, const char *id);
/* Uploads; intents do not count. */
unsigned upload_journal_count(struct upload_journal *j);
bool upload_journal_has(struct upload_journal *j, const char *id);
/* The file goes if nothing is left in it. */
void upload_journal_close(struct upload_journal *j);

#endif
