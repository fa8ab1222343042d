/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Listing pages. One is requested on the loop that wants it, and from its
 * arrival until it expires it answers lookups in its directory.
 *
 *   new -> in flight (in dir->pages) -> ready, answering (also in fs->pages)
 *       -> expired, evicted or mute: only its holders still read it
 *
 * A page that lookups asked for and that then answered hardly any (random names
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

#define UNKNOWN_MAX  1024 /* names a page may not speak for, before it is mute */
#define SKIP_FIRST   8
#define SKIP_MAX     512
#define SLOW_LIST    (8 * NSEC_PER_MSEC)
#define SLOW_SAMPLES 3 /* before we say so */
#define SLOW_WHILE   (4 * NSEC_PER_SEC)
#define WORK_ENTRY   (NSEC_PER_MSEC / 100) /* of server and parser, generously */

static void page_free(struct page *p)
{
	for (unsigned i = 0; i < p->nunknown; i++)
		free(p->unknown[i]);
	free(p->unknown);
	if (p->s3)
		s3_page_free(p->s3);
	free(p->order);
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
	p->keys = LISTING_PAGE_KEYS;
	p->requested = clock_now();
	p->mute = fs->directory && token;
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
	if (!p->refresh || p->keys < LISTING_PAGE_KEYS)
		return;
	d->useful = p->answers >= LISTING_ANSWERS_ENOUGH;
	if (d->useful) {
		d->skip_next = 0;
		return;
	}
	if (p->dir->parent && p->dir->parent->dir)
		p->dir->parent->dir->below = false;
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

static int by_key(const void *pa, const void *pb, void *arg)
{
	const struct page *p = arg;
	const struct s3_entry *a = &p->s3->entries[*(const uint32_t *)pa];
	const struct s3_entry *b = &p->s3->entries[*(const uint32_t *)pb];

	return name_cmp(a->key, a->key_len, b->key, b->key_len);
}

/* All of a directory in no order: lookups need one. Without memory they ask otherwise. */
static void make_order(struct page *p)
{
	if (!p->s3->unordered || p->s3->truncated || p->token || p->lo[0])
		return;
	p->order = calloc(p->s3->count + 1, sizeof(*p->order));
	if (!p->order)
		return;
	for (uint32_t i = 0; i < p->s3->count; i++)
		p->order[i] = i;
	qsort_r(p->order, p->s3->count, sizeof(*p->order), by_key, p);
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
	if (p->err < 0 || !s3 || (s3->unordered && !p->order) || (s3->truncated && s3->count == 0))
		p->mute = true;
	p->dir->dir->unordered = s3 && s3->unordered;
	if (s3 && p->keys == LISTING_PAGE_KEYS)
		p->dir->dir->big = s3->truncated || p->lo[0] || p->token;
	if (s3 && s3->count > 0)
		itable_confirm(p->dir, p->expires);
	if (!p->mute) {
		list_append(&fs->pages, &page_ref(p)->lru);
		fs->npages++;
		fs->page_keys += s3->count;
		if (!p->refresh) {
			p->dir->dir->listed = now;
			p->dir->dir->skip = p->dir->dir->skip_next = 0;
		}
	}
	listing_sweep_locked(fs, now, dead);
	list_splice(waiters, &p->waiters);
}

bool listing_is_slow_locked(const struct fs *fs)
{
	return fs->lists_done >= SLOW_SAMPLES && least_of(&fs->list) >= SLOW_LIST;
}

void listing_took_locked(struct fs *fs, uint64_t ns, size_t entries)
{
	uint64_t work = min_u64(ns, entries * WORK_ENTRY);

	least_note(&fs->list, ns - work, clock_now(), SLOW_WHILE);
	if (fs->lists_done < SLOW_SAMPLES)
		fs->lists_done++;
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
	if (p->err == 0) {
		/* also where a page happens to be sorted: the next need not come behind it */
		p->s3->unordered |= fs->directory;
		make_order(p);
	}
	if (p->err < 0) {
		char why[512];

		s3_error_format(&c->error, why, sizeof(why));
		log_warn(LOG_FUSE, "listing of %s failed: %s", p->prefix, why);
	}
	{
		WITH_LOCK(&fs->lock);
		listing_took_locked(fs, clock_now() - p->requested, p->s3 ? p->s3->count : 0);
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
		.max_keys = p->keys,
	};
	s3_list(p->fs->config.client, loop_current(), &page_ref(p)->call);
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

static void forget_in(struct page *p, const char *name, size_t len)
{
	char **more, *copy;

	if (!page_speaks_locked(p, name, len))
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
