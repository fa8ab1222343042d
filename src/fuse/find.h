/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From (directory, name) to inode: from memory, from a fresh listing page, or
 * from the server. Every caller that needs a name goes through here.
 */
#ifndef FUSE_FIND_H
#define FUSE_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/macro.h"
#include "fuse/listing.h"
#include "fuse/resolve.h"

struct fs;
struct inode;

struct find {
	/* set by the caller, valid until done */
	struct fs *fs;
	struct inode *dir; /* referenced by the caller */
	const char *name;  /* a valid name */
	void (*done)(struct find *f);
	/* result: 0, -ENOENT, -EACCES, -EIO, -ENOMEM, -ENAMETOOLONG */
	int err;
	struct inode *inode; /* referenced, the callee's to drop */
	/* private */
	unsigned pages; /* listing pages waited for */
	uint64_t since;
	struct resolve_wait rwait;
	struct page_wait pwait;
};

/*
 * What memory says now: 0 and *ret (not referenced), -ENOENT, or -EAGAIN: the
 * server has to be asked. That a name is missing is believed of what was learnt
 * after `since`, or within the negative TTL. With fs->lock held.
 */
int find_cached_locked(struct fs *fs, struct inode *dir, const char *name, uint64_t since,
		       struct inode **ret) must_check;
/*
 * It was missing within the last second, in a directory in which files are being made:
 * enough for who would make it now. With fs->lock held.
 */
bool find_told_missing_locked(struct fs *fs, struct inode *dir, const char *name);
/* On a loop thread; `done` once, possibly inside the call, with no lock held. */
void find_start(struct find *f);

/*
 * The name changed by our own doing (upload done, unlink, version found stale):
 * listings and lookups in flight no longer speak for it. With fs->lock held.
 */
void find_changed_locked(struct fs *fs, struct inode *dir, const char *name, size_t len);
/*
 * The server has another version than the one known for `i`: what we know of the
 * name is void, so that the next lookup asks. Takes fs->lock.
 */
void find_stale(struct fs *fs, struct inode *i);

#endif
