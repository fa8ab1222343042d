/* SPDX-License-Identifier: Apache-2.0 */

/*
 * See fileahead.h. A directory remembers where in which listing page the last open
 * was (struct dir, `ahead_*`). Opens that stay near that place make a streak; from
 * STREAK on, what follows the open is fetched, up to AHEAD_FILES and AHEAD_BYTES
 * beyond it, each file once; fewer for a slow reader, since what is not read within
 * seconds is dropped (prefetch/lru.c). The place may be a little behind, so that
 * several programs can share the work (`xargs -P`); a shuffled order makes no streaks.
 * Where one directory was read in order, the next one beside it needs no streak.
 */
#include "fuse/fileahead.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fuse/listing.h"
#include "fuse/state.h"
#include "prefetch/prefetch.h"

#define STREAK	    3
#define NEAR	    16
#define AHEAD_FILES 32
#define AHEAD_BYTES (8 * MIB)
#define AHEAD_NS    (3 * NSEC_PER_SEC)

struct wish {
	struct list node;
	uint64_t size;
	char *etag; /* behind the key */
	char key[];
};

static void wish_for(const struct s3_entry *e, struct list *fetches)
{
	size_t etag_len = strlen(e->object.etag) + 1;
	struct wish *w = malloc(sizeof(*w) + e->key_len + 1 + etag_len);

	if (!w)
		return;
	w->size = e->object.size;
	w->etag = w->key + e->key_len + 1;
	memcpy(w->key, e->key, e->key_len + 1);
	memcpy(w->etag, e->object.etag, etag_len);
	list_append(fetches, &w->node);
}

static bool is_small(const struct s3_entry *e)
{
	return !e->is_prefix && e->object.size > 0 && e->object.size <= PF_SLAB &&
	       e->object.storage != S3_ARCHIVED;
}

/* The kernel has nothing of it, as far as we know. */
static bool is_wanted_locked(struct fs *fs, struct inode *dir, const struct page *p,
			     const struct s3_entry *e)
{
	const struct inode *i;
	const char *name;
	size_t len;

	name = page_name(p, e, &len);
	if (!page_speaks_locked(p, name, len))
		return false;
	i = itable_child(&fs->table, dir, name, len);
	return !i || (i->state == INODE_REMOTE && !i->data_seen);
}

/* Whether the open at `index` goes on with a streak that is long enough. */
static bool goes_on(struct dir *d, struct dir *parent, const struct page *p, size_t index,
		    uint64_t now)
{
	bool near =
		p == d->ahead_page && index + NEAR > d->ahead_last && index <= d->ahead_last + NEAR;

	if (!near) {
		d->ahead_page = p;
		d->ahead_streak = parent && parent->ahead_below && index == 0 ? STREAK : 0;
		d->ahead_until = 0;
		d->ahead_gap = 0;
	} else {
		d->ahead_gap = (d->ahead_gap * 3 + (now - d->ahead_at)) / 4;
		if (d->ahead_streak < STREAK)
			d->ahead_streak++;
	}
	d->ahead_at = now;
	d->ahead_last = near && index < d->ahead_last ? d->ahead_last : index;
	if (d->ahead_streak < STREAK)
		return false;
	if (parent)
		parent->ahead_below = true;
	return true;
}

void fileahead_opened_locked(struct fs *fs, struct inode *i, struct list *fetches)
{
	struct inode *dir = i->parent;
	uint64_t bytes = 0, now = clock_now();
	struct page *p;
	struct dir *d;
	size_t index, end;

	if (!i->attached || !dir || i->size > PF_SLAB ||
	    !listing_place_locked(dir, i->name, i->name_len, now, &p, &index))
		return;
	d = dir->dir;
	if (!goes_on(d, dir->parent ? dir->parent->dir : NULL, p, index, now))
		return;
	index = d->ahead_last + 1;
	end = index + min_u64(AHEAD_FILES, AHEAD_NS / (d->ahead_gap + 1));
	end = min_u64(end, p->s3->count);
	for (; index < end && bytes < AHEAD_BYTES; index++) {
		const struct s3_entry *e = &p->s3->entries[index];

		if (is_small(e))
			bytes += e->object.size;
		if (index < d->ahead_until)
			continue;
		d->ahead_until = index + 1;
		if (is_small(e) && is_wanted_locked(fs, dir, p, e))
			wish_for(e, fetches);
	}
}

void fileahead_start(struct fs *fs, struct list *fetches)
{
	struct list *n;

	while ((n = list_pop(fetches))) {
		struct wish *w = list_entry(n, struct wish, node);

		pf_prefetch(fs->config.pf, w->key, w->etag, w->size);
		free(w);
	}
}
