/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A write handle's upload from open to its end, and what the end means for the
 * inode. Private to fuse/; bytes go through upload/upload.h.
 */
#ifndef FUSE_WRITER_H
#define FUSE_WRITER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/macro.h"

#include "upload/upload.h"

struct fs;
struct handle;
struct inode;

struct writer_wait {
	/* The upload has ended, or is as far as was asked: 0 or its error. No lock held. */
	void (*done)(struct writer_wait *w, int err);
	/* private */
	struct list node;
	struct upload_finish commit;
	struct handle *handle;
};

/*
 * Makes the inode a file being written with a new handle; `tid` is the opener.
 * `goes_on`: from the object's end, else from 0. The checks were made by the
 * caller. With fs->lock held.
 */
int writer_open_locked(struct fs *fs, struct inode *i, pid_t tid, bool goes_on,
		       struct handle **ret) must_check;
/*
 * Before the handle is used: notes the opener's process, makes the upload, which
 * goes on with `base` (NULL: from 0). No lock held.
 */
int writer_start(struct handle *h, const struct upload_base *base) must_check;
/* Ends the upload if nobody did; `w` (may be NULL) is told. No lock held. */
void writer_finish(struct handle *h, struct writer_wait *w);
/*
 * Of a file that is appended to: what was written is on the server when `w` is told,
 * and writing may go on. Else the same as writer_finish. No lock held.
 */
void writer_commit(struct handle *h, struct writer_wait *w);
/* The upload failed, or must not be finished: aborted, the inode forgets it. */
void writer_fail(struct handle *h, int err);
/* A user closed it without ending the upload. */
void writer_pending(struct handle *h);
/* Snapshot: true and *ret_err when the upload has ended. */
bool writer_done(struct handle *h, int *ret_err);
/* Whether the thread belongs to the process that opened the file. */
bool writer_is_owner(const struct handle *h, pid_t tid);

#endif
