/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One pass over a directory: pages of the listing merged with what exists only
 * here, at positions that stay the same for as long as the pass lives.
 *
 * A position is page number and place in the page. Where each page starts is
 * remembered (its token and what it took over from the page before), so that an
 * earlier position can be read again after its page was dropped; a few pages
 * around the reader are kept, and the next ones are asked for ahead.
 */
#ifndef FUSE_DIRSTREAM_H
#define FUSE_DIRSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/macro.h"
#include "fuse/dirmerge.h"
#include "fuse/listing.h"

#define DIRSTREAM_SLOTS 4 /* pages kept */

struct dirstream;
struct fs;
struct inode;

/* One loaded page. Valid as long as fs->lock is held. */
struct dirpage {
	uint64_t index;
	struct page *page;
	struct merge_out merge;
	bool last;
};

struct dirstream_wait {
	/* Look again (err 0), or the listing failed. No lock held. */
	void (*done)(struct dirstream_wait *w, int err);
	struct list node;
};

/* With fs->lock held: what exists only here now is what the pass will show. */
int dirstream_new_locked(struct fs *fs, struct inode *dir, struct dirstream **ret) must_check;
struct dirstream *dirstream_ref(struct dirstream *s);
void dirstream_unref(struct dirstream *s); /* no lock held */

/*
 * The page, or NULL: beyond the end when *ret_end, else not loaded. Asking also
 * tells where the reader is. With fs->lock held.
 */
const struct dirpage *dirstream_page_locked(struct dirstream *s, uint64_t index, bool *ret_end);
/* `w` is told when the page last asked for is there. With fs->lock held. */
void dirstream_wait_locked(struct dirstream *s, struct dirstream_wait *w);
/* Requests what the reader needs or will need next. On a loop thread, no lock held. */
void dirstream_run(struct dirstream *s);

#endif
