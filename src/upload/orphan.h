/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Multipart uploads that are nobody's any more but still at the server: their
 * abort failed. They are aborted again, later and later, until the server says
 * that they are gone. One per mount; private to upload/.
 */
#ifndef UPLOAD_ORPHAN_H
#define UPLOAD_ORPHAN_H

#include "base/macro.h"

struct loop;
struct s3_client;
struct upload_journal;
struct upload_orphans;

/* All are borrowed; `journal` (may be NULL) forgets what is gone. */
int upload_orphans_new(struct s3_client *client, struct loop *loop, struct upload_journal *journal,
		       struct upload_orphans **ret) must_check;
/* After the loops have stopped; NULL is fine. */
void upload_orphans_free(struct upload_orphans *o);
/* Any thread, no lock held. NULL `o`: not done. */
void upload_orphans_add(struct upload_orphans *o, const char *key, const char *upload_id);

#endif
