/* SPDX-License-Identifier: Apache-2.0 */

/*
 * struct fs: what the files of this folder share. `lock` (RANK_FS) protects the
 * inode table and all that hangs on it: names, directory state, listing pages,
 * lookups in flight, which handle reads or writes which inode. It is held for
 * table work only, never over a call into s3/, prefetch/, upload or a reply.
 */
#ifndef FUSE_STATE_H
#define FUSE_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/least.h"
#include "base/list.h"
#include "base/lock.h"
#include "fuse/fs.h"
#include "fuse/inode.h"
#include "fuse/peek.h"
#include "fuse/session.h"
#include "fuse/sweep.h"
#include "fuse/watch.h"
#include "upload/upload.h"

struct fs {
	/* set at creation */
	struct fs_config config; /* strings are ours */
	char *bucket, *prefix;
	struct uploads *uploads;
	uid_t owner;	  /* who mounted */
	uint64_t ttl;	  /* of names and attributes, nanoseconds */
	bool revalidate;  /* every open asks the server */
	bool directory;	  /* the bucket is a directory bucket */
	bool appends;	  /* files may be appended to */
	bool check_owner; /* requests of other users are refused here; set by fs_mount */

	_Atomic bool no_rename; /* the server has said so */
	struct peeks peeks;

	struct session session;
	struct watch watch;
	struct sweep sweep;

	struct lock lock;
	/* under lock */
	struct itable table;
	struct hash resolves;  /* lookups in flight: resolve.by_name */
	struct hash negatives; /* true misses: negative.c */
	struct list negative_lru;
	struct list pages; /* all listing pages that may answer, oldest first: page.lru */
	unsigned npages;
	struct list page_starts; /* made under the lock, to be requested: listing_start */
	size_t page_keys;	 /* entries of all of them */
	struct least list;	 /* ns that a LIST took: listing.c */
	unsigned lists_done;
	struct list handles; /* every open file handle: handle.node */
	unsigned uploading;  /* write handles whose upload has not ended */
	unsigned uploads_lost;
	bool draining;
	struct list dirhandles; /* every open directory handle: readdir.c */
	_Atomic bool ending;	/* the loops are about to stop: no timer is armed again */
	int drain_fd;		/* poke.h: `uploading` fell, or the streams were closed */
};

/* now + the metadata TTL, EXPIRES_NEVER when indefinite */
uint64_t fs_expiry(const struct fs *fs);
/* Whole key of an inode; NULL when out of memory or longer than S3 allows. Takes fs->lock. */
char *fs_key(struct fs *fs, const struct inode *i) must_check;
char *fs_key_locked(struct fs *fs, const struct inode *i) must_check;
/* The same for a name in a directory; *ret is the heap string. 0, -ENAMETOOLONG, -ENOMEM. */
int fs_child_key_locked(struct fs *fs, const struct inode *dir, const char *name,
			char **ret) must_check;
void fs_unref(struct fs *fs, struct inode *i); /* takes fs->lock */
/* `uploading` fell. Any thread. */
void fs_poke(struct fs *fs);

#endif
