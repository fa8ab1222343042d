/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pages of one pass over a directory that are asked for before it is known where
 * they begin: their start is guessed (guess.h) and given as start-after, several
 * at a time. The pass takes such a page when it begins at or before the place
 * where the last one ended and goes beyond; what both have is dropped there.
 *
 *   loading   came                    ready: taken, or dropped when of no use
 *   loading   failed, or of no use    dropped; after MISSES_MAX no more guesses
 */
#ifndef FUSE_DIRAHEAD_H
#define FUSE_DIRAHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/macro.h"
#include "fuse/listing.h"

#define DIRAHEAD_LOADING_MAX 6 /* besides the page that is asked for by its token */
#define DIRAHEAD_PAGES_MAX   8 /* loading or waiting to be taken */

struct dirahead {
	/* set at creation */
	struct fs *fs;
	struct inode *dir;		     /* the stream's */
	void (*arrived)(struct dirahead *a); /* a page came; with no lock held */

	/* under fs->lock */
	struct list loads; /* by their start */
	unsigned nloads, nloading;
	bool ended;	 /* one of them had the end of the directory */
	unsigned misses; /* failed or useless pages, and gaps */
};

void dirahead_init(struct dirahead *a, struct fs *fs, struct inode *dir,
		   void (*arrived)(struct dirahead *a));
void dirahead_fini(struct dirahead *a); /* nothing is loading; no lock held */

/*
 * Asks for pages behind `p`, the newest of the `read` pages of the pass: they go to
 * `starts`, to be started with dirahead_start. `arrived` is called once for each;
 * their number is returned.
 */
unsigned dirahead_ask_locked(struct dirahead *a, const struct page *p, uint64_t read,
			     struct list *starts);
void dirahead_start(struct list *starts); /* on a loop thread, no lock */

enum dirahead_take { DIRAHEAD_NONE, DIRAHEAD_WAIT, DIRAHEAD_READY };
/*
 * The page that goes on behind the key `hi`. READY: *ret (a reference for the
 * caller) and *ret_start, the guess it was asked for with, for the caller to free.
 * What has become useless goes to `dead`, for dirahead_drop.
 */
enum dirahead_take dirahead_take_locked(struct dirahead *a, const char *hi, size_t hi_len,
					struct page **ret, char **ret_start, struct list *dead);
void dirahead_drop(struct list *dead); /* no lock held */

#endif
