/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A write handle's upload from open to its end, and what the end means for the
 * inode. Private to fuse/; bytes go through fuse/upload.h.
 */
#ifndef FUSE_WRITER_H
#define FUSE_WRITER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/macro.h"

struct fs;
struct handle;
struct inode;

struct writer_wait {
	/* The upload has ended: 0 or its error. No lock held. */
	void (*done)(struct writer_wait *w, int err);
	struct list node;
};

/*
 * Makes the inode a file being written with a new handle; `tid` is the opener.
 * The checks were made by the caller. With fs->lock held.
 */
int writer_open_locked(struct fs *fs, struct inode *i, pid_t tid, struct handle **ret) must_check;
/* Before the handle is used: notes the opener's process, makes the upload. No lock held. */
int writer_start(struct handle *h) must_check;
/* Ends the upload if nobody did; `w` (may be NULL) is told. No lock held. */
void writer_finish(struct handle *h, struct writer_wait *w);
/* The upload failed, or must not be finished: aborted, the inode forgets it. */
void writer_fail(struct handle *h, int err);
/* A user closed it without ending the upload. */
void writer_pending(struct handle *h);
/* Snapshot: true and *ret_err when the upload has ended. */
bool writer_done(struct handle *h, int *ret_err);
/* Whether the thread belongs to the process that opened the file. */
bool writer_is_owner(const struct handle *h, pid_t tid);

#endif
