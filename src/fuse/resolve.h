/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Asking the server for one name: HeadObject of the key and ListObjectsV2 of
 * "key/" with one entry, at the same time; one such lookup in flight per name,
 * however many ask.
 */
#ifndef FUSE_RESOLVE_H
#define FUSE_RESOLVE_H

#include <stddef.h>

#include "base/list.h"
#include "base/macro.h"

struct fs;
struct inode;
struct resolve;

struct resolve_wait {
	/* 0 with an inode referenced for the callee, or -errno; no lock held. */
	void (*done)(struct resolve_wait *w, int err, struct inode *i);
	struct list node;
};

/*
 * Joins the lookup in flight or makes a new one (*ret_start, to be handed to
 * resolve_start after the lock was dropped; NULL when joined). With fs->lock.
 */
int resolve_join_locked(struct fs *fs, struct inode *dir, const char *name, struct resolve_wait *w,
			struct resolve **ret_start) must_check;
void resolve_start(struct resolve *v); /* on a loop thread */
/* A lookup in flight for the name asks again when it is done. With fs->lock. */
void resolve_changed_locked(struct fs *fs, const struct inode *dir, const char *name, size_t len);
/* -errno of an S3 call as a lookup may show it: only a true 404 is ENOENT. */
int resolve_errno(int err);

#endif
