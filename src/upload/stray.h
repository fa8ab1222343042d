/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CreateMultipartUpload calls whose answer got lost may have left an upload of
 * which nobody knows the id. Such a one is looked for and aborted. Private to
 * upload/; one per mount.
 */
#ifndef UPLOAD_STRAY_H
#define UPLOAD_STRAY_H

#include <stdint.h>

#include "base/macro.h"

struct loop;
struct s3_client;
struct upload_journal;
struct upload_orphans;
struct upload_strays;

/* All are borrowed; `journal` may be NULL. */
int upload_strays_new(struct s3_client *client, struct loop *loop, struct upload_orphans *orphans,
		      struct upload_journal *journal, struct upload_strays **ret) must_check;
/* After the loops have stopped; NULL is fine. */
void upload_strays_free(struct upload_strays *s);
#define UPLOAD_INTENT_MAX 48
/* For the journal, before a Create is sent: should we die, the next mount knows where to look. */
void upload_intent(char ret[UPLOAD_INTENT_MAX]);
/*
 * The calls ran from `since` until now (base/clock.h). The intent leaves the journal
 * when this is settled. Any thread, no lock held; NULL: not done.
 */
void upload_strays_add(struct upload_strays *s, const char *key, uint64_t since,
		       const char *intent);
/* The same for what the journal of a dead process says. */
void upload_strays_left(struct upload_strays *s, const char *key, const char *intent);

#endif
