/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What listing pages say of a name, and when a lookup had better ask for a page
 * than for its one name: when lookups come thick in one directory, 1,000 names
 * cost little more than one. A page in use is renewed before it expires, so that
 * lookups do not wait for it each second. All under fs->lock but listing_start.
 */
#include "fuse/listing.h"

#include <string.h>

#include "base/clock.h"
#include "fuse/making.h"
#include "fuse/name.h"
#include "fuse/state.h"

#define MISSES_ENOUGH 3 /* within MISS_WINDOW */
#define MISS_WINDOW   NSEC_PER_SEC
#define ABSENT_ENOUGH 2
#define LISTED_RECENT (60 * NSEC_PER_SEC)
#define LOADING_MAX   2
#define CHAIN_MAX     4 /* pages of a directory that follow each other before we jump */

/* First entry whose key is not below `name` followed by `tail` ("" or "/"). */
static const struct s3_entry *search(const struct page *p, const char *name, size_t len,
				     bool as_dir)
{
	const struct s3_page *s3 = p->s3;
	size_t lo = 0, hi = s3->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct s3_entry *e = &s3->entries[p->order ? p->order[mid] : mid];
		const char *key = e->key + p->prefix_len;
		size_t key_len = e->key_len - p->prefix_len;
		int c = as_dir ? name_cmp_as_dir(name, len, key, key_len)
			       : name_cmp(name, len, key, key_len);

		if (c == 0)
			return e;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/* Whether the key `name`, or "name/", would be on the page if it existed. */
static bool covers(const struct page *p, const char *name, size_t len, bool as_dir)
{
	int (*cmp)(const char *, size_t, const char *, size_t) =
		as_dir ? name_cmp_as_dir : name_cmp;

	if (p->lo[0] && cmp(name, len, p->lo, strlen(p->lo)) <= 0)
		return false;
	if (p->hi && cmp(name, len, p->hi, p->hi_len) > 0)
		return false;
	return page_speaks_locked(p, name, len);
}

/* The newest fresh page that covers it, or NULL. */
static struct page *covering(const struct dir *d, const char *name, size_t len, bool as_dir,
			     uint64_t now)
{
	const struct list *n;

	for (n = d->pages.prev; n != &d->pages; n = n->prev) {
		struct page *p = list_entry(n, struct page, dir_node);

		if (p->ready && !p->mute && p->expires > now && covers(p, name, len, as_dir))
			return p;
	}
	return NULL;
}

static unsigned loading(const struct dir *d)
{
	const struct list *n;
	unsigned count = 0;

	list_for_each (n, &d->pages)
		count += !list_entry(n, struct page, dir_node)->ready;
	return count;
}

/* A page in use is replaced before it expires, so that nobody has to wait for it. */
static void used_locked(struct fs *fs, struct page *p, uint64_t now)
{
	uint64_t life = p->expires - p->requested;
	struct page *fresh;

	p->answers++;
	if (p->answers == LISTING_ANSWERS_ENOUGH && p->dir->parent && p->dir->parent->dir)
		p->dir->parent->dir->below = true;
	if (p->renewed || p->answers < LISTING_ANSWERS_ENOUGH || p->expires == EXPIRES_NEVER ||
	    now - p->requested < life - life / 4 || loading(p->dir->dir) >= LOADING_MAX)
		return;
	p->renewed = true;
	if (page_new_locked(fs, p->dir, p->lo, NULL, /* refresh= */ true, &fresh) == 0)
		list_append(&fs->page_starts, &fresh->lru);
}

void listing_start(struct fs *fs)
{
	struct list starts = LIST_INIT(starts);
	struct list *n;

	{
		WITH_LOCK(&fs->lock);
		list_splice(&starts, &fs->page_starts);
	}
	while ((n = list_pop(&starts))) {
		struct page *p = list_entry(n, struct page, lru);

		page_start(p);
		page_unref(p);
	}
}

bool listing_find_locked(struct fs *fs, struct inode *dir, const char *name, size_t len,
			 uint64_t now, struct found *ret, uint64_t *ret_told)
{
	struct page *of_dir = covering(dir->dir, name, len, /* as_dir= */ true, now);
	struct page *of_file;
	const struct s3_entry *e;

	if (!of_dir)
		return false;
	if (search(of_dir, name, len, /* as_dir= */ true)) {
		*ret = (struct found){.kind = FOUND_DIR, .expires = of_dir->expires};
		*ret_told = of_dir->requested;
		used_locked(fs, of_dir, now);
		return true;
	}
	/* mostly the same page; the last object of a page is on the one before */
	of_file = covers(of_dir, name, len, /* as_dir= */ false)
			  ? of_dir
			  : covering(dir->dir, name, len, /* as_dir= */ false, now);
	if (!of_file)
		return false;
	*ret = (struct found){.expires = min_u64(of_dir->expires, of_file->expires)};
	*ret_told = min_u64(of_dir->requested, of_file->requested);
	e = search(of_file, name, len, /* as_dir= */ false);
	if (e && !e->is_prefix) {
		ret->kind = FOUND_FILE;
		ret->object = &e->object;
		used_locked(fs, of_file, now);
	}
	return true;
}

bool listing_place_locked(struct inode *dir, const char *name, size_t len, uint64_t now,
			  struct page **ret, size_t *ret_index)
{
	struct page *p = covering(dir->dir, name, len, /* as_dir= */ false, now);
	const struct s3_entry *e =
		p && !p->order ? search(p, name, len, /* as_dir= */ false) : NULL;

	if (!e || e->is_prefix)
		return false;
	*ret = p;
	*ret_index = (size_t)(e - p->s3->entries);
	return true;
}

struct page *listing_loading_locked(struct inode *dir, const char *name, size_t len)
{
	struct list *n;

	list_for_each (n, &dir->dir->pages) {
		struct page *p = list_entry(n, struct page, dir_node);

		if (!p->ready && !p->mute && p->keys == LISTING_PAGE_KEYS &&
		    (!p->lo[0] || name_cmp(name, len, p->lo, strlen(p->lo)) > 0))
			return p;
	}
	return NULL;
}

/*
 * Where a page for `name` begins: in a small directory at its start, then where
 * the pages we have end, and in a large one just before the name.
 */
static void choose_lo(const struct dir *d, const char *name, size_t len, uint64_t now, char *ret_lo)
{
	const struct list *n;
	const struct page *before = NULL;
	unsigned fresh = 0;

	ret_lo[0] = '\0';
	if (!d->big)
		return;
	list_for_each (n, &d->pages) {
		const struct page *p = list_entry(n, struct page, dir_node);

		if (!p->ready || p->mute || p->expires <= now)
			continue;
		fresh++;
		if (p->hi && name_cmp(name, len, p->hi, p->hi_len) > 0 &&
		    (!before || name_cmp(p->hi, p->hi_len, before->hi, before->hi_len) > 0))
			before = p;
	}
	if (before && fresh < CHAIN_MAX && before->hi_len <= NAME_LEN_MAX) {
		memcpy(ret_lo, before->hi, before->hi_len);
		ret_lo[before->hi_len] = '\0';
	} else {
		name_before(name, len, ret_lo);
	}
}

bool listing_likely_locked(const struct inode *dir)
{
	return dir->parent && dir->parent->dir && dir->parent->dir->below && dir->dir->skip == 0;
}

void listing_note_locked(struct inode *dir, bool found)
{
	if (found) {
		dir->dir->absent = 0;
		return;
	}
	if (dir->dir->absent < ABSENT_ENOUGH)
		dir->dir->absent++;
	making_missed(dir->dir);
}

/* Who makes files asks for names that are not there, each anew: a page answers one of them. */
static bool names_are_new(const struct fs *fs, const struct dir *d)
{
	return fs->config.negative_ttl == FS_TTL_MINIMAL && d->absent >= ABSENT_ENOUGH;
}

bool listing_wanted_locked(const struct fs *fs, struct inode *dir, const char *name, size_t len,
			   bool known, uint64_t now, char *ret_lo, unsigned *ret_keys)
{
	struct dir *d = dir->dir;

	if (now - d->miss_since > MISS_WINDOW) {
		d->miss_since = now;
		d->misses = 0;
	}
	d->misses++;
	*ret_keys = LISTING_PAGE_KEYS;
	if (!known && !d->unordered && fs->config.negative_ttl == FS_TTL_MINIMAL &&
	    making_goes_on(d, now)) {
		name_before(name, len, ret_lo);
		*ret_keys = making_page_keys(d, now);
		return loading(d) < LOADING_MAX;
	}
	if (d->skip > 0) {
		d->skip--;
		return false;
	}
	if (loading(d) >= LOADING_MAX || (d->big && d->unordered) ||
	    (!known && names_are_new(fs, d)))
		return false;
	if (d->misses < MISSES_ENOUGH && !d->useful && !listing_likely_locked(dir) &&
	    !(known && d->listed != 0 && now - d->listed < LISTED_RECENT))
		return false;
	choose_lo(d, name, len, now, ret_lo);
	return true;
}
