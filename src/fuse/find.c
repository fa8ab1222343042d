/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Finding a name, cheapest first:
 *
 *   1. an inode that is still valid
 *   2. a fresh listing page of the directory, for names present and absent
 *   3. a fresh negative entry
 *   4. a page in flight, or a new one when lookups come thick (listing.c)
 *   5. HEAD and LIST of that one name (resolve.c)
 *
 * A page that was waited for and does not cover the name is followed by another
 * try, at most PAGES_TRIED times, then by step 5.
 */
#include "fuse/find.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "fuse/making.h"
#include "fuse/name.h"
#include "fuse/negative.h"
#include "fuse/state.h"

#define PAGES_TRIED 2

static void find_step(struct find *f);

/* Another client may have made the name since: only so old a "missing" counts. */
static bool missing_counts(const struct fs *fs, const struct dir *d, uint64_t told, uint64_t since,
			   uint64_t now)
{
	uint64_t ttl = fs->config.negative_ttl;

	if (ttl == FS_TTL_MINIMAL)
		ttl = making_is_ours(d, now) ? MAKING_TRUST : 0;
	return told >= since || now - told < ttl;
}

int find_cached_locked(struct fs *fs, struct inode *dir, const char *name, uint64_t since,
		       struct inode **ret)
{
	size_t len = strlen(name);
	uint64_t now = clock_now(), told;
	struct inode *i = itable_child(&fs->table, dir, name, len);
	struct found found;

	if (i && i->expires > now) {
		*ret = i;
		return 0;
	}
	if (listing_find_locked(fs, dir, name, len, now, &found, &told) &&
	    (found.kind != FOUND_NONE || missing_counts(fs, dir->dir, told, since, now))) {
		if (found.kind != FOUND_NONE)
			negative_remove_locked(fs, dir, name, len);
		return reconcile(&fs->table, dir, name, len, &found, ret);
	}
	if (!i && negative_find_locked(fs, dir, name, len, now))
		return -ENOENT;
	return -EAGAIN;
}

bool find_told_missing_locked(struct fs *fs, struct inode *dir, const char *name)
{
	uint64_t now = clock_now();
	struct inode *i;

	return fs->config.negative_ttl == FS_TTL_MINIMAL && making_goes_on(dir->dir, now) &&
	       find_cached_locked(fs, dir, name, now - MAKING_TRUST, &i) == -ENOENT;
}

void find_changed_locked(struct fs *fs, struct inode *dir, const char *name, size_t len)
{
	listing_forget_locked(dir, name, len);
	resolve_changed_locked(fs, dir, name, len);
	negative_remove_locked(fs, dir, name, len);
}

void find_stale(struct fs *fs, struct inode *i)
{
	WITH_LOCK(&fs->lock);
	if (i->state != INODE_REMOTE)
		return;
	i->expires = 0;
	if (i->parent && i->attached)
		find_changed_locked(fs, i->parent, i->name, i->name_len);
}

static void finish(struct find *f, int err, struct inode *i)
{
	f->err = err;
	f->inode = i;
	f->done(f);
}

static void on_resolved(struct resolve_wait *w, int err, struct inode *i)
{
	finish(container_of(w, struct find, rwait), err, i);
}

static void on_page(struct page_wait *w, struct page *p)
{
	struct find *f = container_of(w, struct find, pwait);

	if (p->err < 0)
		f->pages = PAGES_TRIED; /* the name itself may still be answered */
	find_step(f);
}

/* Waits for a page where that is the way; *ret_start is to be started by the caller. */
static bool wait_for_page_locked(struct find *f, uint64_t now, struct page **ret_start)
{
	char lo[NAME_LEN_MAX + 4];
	size_t len = strlen(f->name);
	unsigned keys;
	bool known = itable_child(&f->fs->table, f->dir, f->name, len) != NULL;
	struct page *p;

	if (f->pages >= PAGES_TRIED)
		return false;
	p = listing_loading_locked(f->dir, f->name, len);
	if (!p) {
		if (!listing_wanted_locked(f->fs, f->dir, f->name, len, known, now, lo, &keys) ||
		    page_new_locked(f->fs, f->dir, lo, NULL, /* refresh= */ true, &p) < 0)
			return false;
		p->keys = keys;
		*ret_start = p;
	}
	f->pages++;
	list_append(&p->waiters, &f->pwait.node);
	return true;
}

static void find_step(struct find *f)
{
	struct fs *fs = f->fs;
	struct page *page = NULL;
	struct resolve *resolve = NULL;
	struct inode *i = NULL;
	uint64_t now = clock_now();
	int r;

	{
		WITH_LOCK(&fs->lock);
		r = find_cached_locked(fs, f->dir, f->name, f->since, &i);
		if (r != -EAGAIN)
			listing_note_locked(f->dir, r == 0);
		if (r == 0)
			inode_ref(i);
		if (r == -EAGAIN && !wait_for_page_locked(f, now, &page)) {
			int joined = resolve_join_locked(fs, f->dir, f->name, &f->rwait, &resolve);

			if (joined < 0)
				r = joined;
		}
	}
	listing_start(fs);
	if (r != -EAGAIN) {
		finish(f, r, i);
		return;
	}
	if (page) {
		page_start(page);
		page_unref(page);
	}
	if (resolve)
		resolve_start(resolve);
}

void find_start(struct find *f)
{
	f->rwait.done = on_resolved;
	f->pwait.done = on_page;
	f->pages = 0;
	f->since = clock_now();
	list_init(&f->rwait.node);
	list_init(&f->pwait.node);
	find_step(f);
}
