/* SPDX-License-Identifier: Apache-2.0 */

/* What the uploads of one mount share. Private to upload/. */
#ifndef UPLOAD_UPLOADS_H
#define UPLOAD_UPLOADS_H

#include <stdatomic.h>

#include "upload/upload.h"

struct mime;
struct upload_journal;
struct upload_orphans;
struct upload_strays;

struct uploads {
	/* set at creation */
	struct upload_config config;
	struct upload_journal *journal; /* ids of ours */
	struct upload_orphans *orphans; /* could not be aborted */
	struct upload_strays *strays;	/* were lost */
	struct mime *mime;		/* content types by name; NULL: none are sent */
	/* atomic */
	_Atomic uint64_t overcommit_at; /* when a part last went beyond the budget */
	_Atomic unsigned sending;	/* parts and Creates under way */
	_Atomic unsigned senders;	/* uploads that have some */
	_Atomic bool equal_parts;	/* the server turned out to want them */
};

#endif
