/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Listing pages. One is requested on the loop that wants it, and from its
 * arrival until it expires it answers lookups in its directory.
 *
 *   new -> in flight (in dir->pages) -> ready, answering (also in fs->pages)
 *       -> expired, evicted or mute: only its holders still read it
 *
 * When lookups come thick in one directory, a page of 1,000 names is cheaper
 * than asking for each; a page that then answers hardly any lookup (random names
 * in a huge directory) makes the next ones rarer (`skip`).
 */
#include "fuse/listing.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "fuse/name.h"
#include "fuse/resolve.h"
#include "fuse/state.h"
#include "fuse/sweep.h"

#define UNKNOWN_MAX    1024 /* names a page may not speak for, before it is mute */
#define MISSES_ENOUGH  3    /* within MISS_WINDOW */
#define MISS_WINDOW    NSEC_PER_SEC
#define LISTED_RECENT  (60 * NSEC_PER_SEC)
#define ANSWERS_ENOUGH 3 /* what a refresh must answer to have been worth it */
#define SKIP_FIRST     8
#define SKIP_MAX       512
#define LOADING_MAX    2
#define CHAIN_MAX      4 /* pages of a directory that follow each other before we jump */

static void page_free(struct page *p)
{
	for (unsigned i = 0; i < p->nunknown; i++)
		free(p->unknown[i]);
	free(p->unknown);
	if (p->s3)
		s3_page_free(p->s3);
	free(p->prefix);
	free(p->lo);
	free(p->token);
	free(p->start_after);
	free(p);
}

int page_new_locked(struct fs *fs, struct inode *dir, const char *lo, const char *token,
		    bool refresh, struct page **ret)
{
	struct page *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->fs = fs;
	p->prefix = fs_key_locked(fs, dir);
	p->lo = strdup(lo);
	p->token = token ? strdup(token) : NULL;
	if (!p->prefix || !p->lo || (token && !p->token)) {
		page_free(p);
		return -ENOMEM;
	}
	p->prefix_len = strlen(p->prefix);
	if (p->prefix_len + strlen(lo) > S3_KEY_MAX) {
		page_free(p);
		return -ENAMETOOLONG;
	}
	if (!token && lo[0] && asprintf(&p->start_after, "%s%s", p->prefix, lo) < 0) {
		p->start_after = NULL;
		page_free(p);
		return -ENOMEM;
	}
	p->dir = inode_ref(dir);
	p->refresh = refresh;
	p->requested = clock_now();
	p->refs = 1;
	list_init(&p->lru);
	list_init(&p->waiters);
	list_append(&dir->dir->pages, &p->dir_node);
	*ret = p;
	return 0;
}

struct page *page_ref(struct page *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void page_unref(struct page *p)
{
	struct fs *fs = p->fs;

	if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	{
		WITH_LOCK(&fs->lock);
		list_del(&p->dir_node);
		itable_unref(&fs->table, p->dir);
	}
	page_free(p);
}

/* Takes it out of those that answer; its reference goes to `dead`. */
static void retire_locked(struct fs *fs, struct page *p, struct list *dead)
{
	struct dir *d = p->dir->dir;

	p->mute = true;
	list_del(&p->lru);
	list_append(dead, &p->lru);
	fs->npages--;
	fs->page_keys -= p->s3->count;
	if (!p->refresh)
		return;
	d->useful = p->answers >= ANSWERS_ENOUGH;
	if (d->useful) {
		d->skip_next = 0;
		return;
	}
	d->skip_next = d->skip_next ? d->skip_next * 2 : SKIP_FIRST;
	if (d->skip_next > SKIP_MAX)
		d->skip_next = SKIP_MAX;
	d->skip = d->skip_next;
}

void listing_sweep_locked(struct fs *fs, uint64_t now, struct list *dead)
{
	struct list *n, *tmp;

	list_for_each_safe (n, tmp, &fs->pages) {
		struct page *p = list_entry(n, struct page, lru);

		if (p->expires <= now || p->mute)
			retire_locked(fs, p, dead);
	}
	while (fs->npages > LISTING_PAGES_MAX || fs->page_keys > LISTING_KEYS_MAX)
		retire_locked(fs, list_entry(fs->pages.next, struct page, lru), dead);
}

void listing_free_dead(struct list *dead)
{
	struct list *n;

	while ((n = list_pop(dead)))
		page_unref(list_entry(n, struct page, lru));
}

const char *page_name(const struct page *p, const struct s3_entry *e, size_t *ret_len)
{
	*ret_len = e->key_len - p->prefix_len - (e->is_prefix ? 1 : 0);
	return e->key + p->prefix_len;
}

/* An entry that is not below the prefix we asked for: a server that cannot be believed. */
static int check_page(const struct page *p)
{
	for (size_t i = 0; i < p->s3->count; i++) {
		const struct s3_entry *e = &p->s3->entries[i];

		if (e->key_len < p->prefix_len + (e->is_prefix ? 1 : 0) ||
		    memcmp(e->key, p->prefix, p->prefix_len) != 0)
			return -EIO;
	}
	return 0;
}

static void ready_locked(struct fs *fs, struct page *p, struct list *waiters, struct list *dead)
{
	uint64_t now = clock_now();
	struct s3_page *s3 = p->s3;

	p->ready = true;
	p->expires = fs_expiry(fs);
	if (s3 && s3->truncated && s3->count > 0) {
		p->hi = s3->entries[s3->count - 1].key + p->prefix_len;
		p->hi_len = s3->entries[s3->count - 1].key_len - p->prefix_len;
	}
	/* a truncated page without entries says nothing about where it ends */
	if (p->err < 0 || !s3 || s3->unordered || (s3->truncated && s3->count == 0))
		p->mute = true;
	if (s3 && s3->count > 0)
		itable_confirm(p->dir, p->expires);
	if (!p->mute) {
		list_append(&fs->pages, &page_ref(p)->lru);
		fs->npages++;
		fs->page_keys += s3->count;
		p->dir->dir->big = p->hi || p->lo[0] || p->token;
		if (!p->refresh) {
			p->dir->dir->listed = now;
			p->dir->dir->skip = p->dir->dir->skip_next = 0;
		}
	}
	listing_sweep_locked(fs, now, dead);
	list_splice(waiters, &p->waiters);
}

static void on_list(struct s3_call *c)
{
	struct page *p = container_of(c, struct page, call.call);
	struct fs *fs = p->fs;
	struct list waiters = LIST_INIT(waiters), dead = LIST_INIT(dead);
	struct list *n;

	p->err = resolve_errno(c->error.err == -ENOENT ? -EIO : c->error.err);
	p->s3 = p->call.page;
	if (p->err == 0)
		p->err = check_page(p);
	if (p->err < 0) {
		char why[512];

		s3_error_format(&c->error, why, sizeof(why));
		log_warn(LOG_FUSE, "listing of %s failed: %s", p->prefix, why);
	}
	{
		WITH_LOCK(&fs->lock);
		ready_locked(fs, p, &waiters, &dead);
	}
	sweep_later(fs);
	while ((n = list_pop(&waiters))) {
		struct page_wait *w = list_entry(n, struct page_wait, node);

		w->done(w, p);
	}
	listing_free_dead(&dead);
	page_unref(p);
}

void page_start(struct page *p)
{
	p->call = (struct s3_list_call){
		.call.done = on_list,
		.prefix = p->prefix,
		.delimiter = true,
		.token = p->token,
		.start_after = p->start_after,
		.max_keys = LISTING_PAGE_KEYS,
	};
	s3_list(p->fs->config.client, loop_current(), &page_ref(p)->call);
}

/* First entry whose key is not below `name` followed by `tail` ("" or "/"). */
static const struct s3_entry *search(const struct page *p, const char *name, size_t len,
				     bool as_dir)
{
	const struct s3_page *s3 = p->s3;
	size_t lo = 0, hi = s3->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct s3_entry *e = &s3->entries[mid];
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

bool page_speaks_locked(const struct page *p, const char *name, size_t len)
{
	if (p->spoiled)
		return false;
	for (unsigned i = 0; i < p->nunknown; i++) {
		if (strlen(p->unknown[i]) == len && memcmp(p->unknown[i], name, len) == 0)
			return false;
	}
	return true;
}

static bool covers(const struct page *p, const char *name, size_t len)
{
	if (p->lo[0] && name_cmp(name, len, p->lo, strlen(p->lo)) <= 0)
		return false;
	if (p->hi && name_cmp_as_dir(name, len, p->hi, p->hi_len) > 0)
		return false;
	return page_speaks_locked(p, name, len);
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
	if (p->renewed || p->answers < ANSWERS_ENOUGH || p->expires == EXPIRES_NEVER ||
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
	struct list *n;

	/* newest first */
	for (n = dir->dir->pages.prev; n != &dir->dir->pages; n = n->prev) {
		struct page *p = list_entry(n, struct page, dir_node);
		const struct s3_entry *e;

		if (!p->ready || p->mute || p->expires <= now || !covers(p, name, len))
			continue;
		*ret = (struct found){.expires = p->expires};
		*ret_told = p->requested;
		if (search(p, name, len, /* as_dir= */ true)) {
			ret->kind = FOUND_DIR;
			used_locked(fs, p, now);
			return true;
		}
		e = search(p, name, len, /* as_dir= */ false);
		if (e && !e->is_prefix) {
			ret->kind = FOUND_FILE;
			ret->object = &e->object;
			used_locked(fs, p, now);
		}
		return true;
	}
	return false;
}

struct page *listing_loading_locked(struct inode *dir, const char *name, size_t len)
{
	struct list *n;

	list_for_each (n, &dir->dir->pages) {
		struct page *p = list_entry(n, struct page, dir_node);

		if (!p->ready && !p->mute &&
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

bool listing_wanted_locked(struct inode *dir, const char *name, size_t len, bool known,
			   uint64_t now, char *ret_lo)
{
	struct dir *d = dir->dir;

	if (now - d->miss_since > MISS_WINDOW) {
		d->miss_since = now;
		d->misses = 0;
	}
	d->misses++;
	if (d->skip > 0) {
		d->skip--;
		return false;
	}
	if (loading(d) >= LOADING_MAX)
		return false;
	if (d->misses < MISSES_ENOUGH && !d->useful &&
	    !(known && d->listed != 0 && now - d->listed < LISTED_RECENT))
		return false;
	choose_lo(d, name, len, now, ret_lo);
	return true;
}

static void forget_in(struct page *p, const char *name, size_t len)
{
	char **more, *copy;

	if (p->spoiled)
		return;
	if (p->nunknown == UNKNOWN_MAX) {
		p->mute = p->spoiled = true;
		return;
	}
	copy = strndup(name, len);
	more = copy ? realloc(p->unknown, (p->nunknown + 1) * sizeof(*more)) : NULL;
	if (!more) {
		free(copy);
		p->mute = p->spoiled = true;
		return;
	}
	p->unknown = more;
	p->unknown[p->nunknown++] = copy;
}

void listing_forget_locked(struct inode *dir, const char *name, size_t len)
{
	struct list *n;

	list_for_each (n, &dir->dir->pages)
		forget_in(list_entry(n, struct page, dir_node), name, len);
}
