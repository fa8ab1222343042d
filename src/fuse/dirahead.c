/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Guessed pages; see dirahead.h. As many are asked for as the pass has read, so
 * that a short directory costs few requests beyond its end, and only where a
 * request takes long (listing_is_slow_locked): else one page after the other is as
 * fast. A page that begins behind the end of the last one stays for later; the
 * pass then asks for what is between by its token.
 */
#include "fuse/dirahead.h"

#include <stdlib.h>
#include <string.h>

#include "fuse/guess.h"
#include "fuse/name.h"
#include "fuse/state.h"

#define MISSES_MAX 2

struct load {
	struct page_wait wait;
	struct dirahead *ahead;
	struct list node;
	struct page *page; /* counted */
	bool ready;	   /* under fs->lock */
	char start[];
};

static struct load *load_of(struct list *n)
{
	return list_entry(n, struct load, node);
}

void dirahead_init(struct dirahead *a, struct fs *fs, struct inode *dir,
		   void (*arrived)(struct dirahead *a))
{
	*a = (struct dirahead){.fs = fs, .dir = dir, .arrived = arrived};
	list_init(&a->loads);
}

static void load_free(struct load *l)
{
	page_unref(l->page);
	free(l);
}

void dirahead_drop(struct list *dead)
{
	struct list *n;

	while ((n = list_pop(dead)))
		load_free(load_of(n));
}

void dirahead_fini(struct dirahead *a)
{
	dirahead_drop(&a->loads);
}

static void on_page(struct page_wait *w, struct page *p)
{
	struct load *l = container_of(w, struct load, wait);
	struct dirahead *a = l->ahead;
	struct fs *fs = a->fs;

	{
		WITH_LOCK(&fs->lock);
		l->ready = true;
		a->nloading--;
		if (p->err < 0)
			a->misses = MISSES_MAX;
		else if (!p->s3->truncated)
			a->ended = true;
	}
	a->arrived(a);
}

/* The page behind `from`, which is a name of this pass or an earlier guess. */
static bool ask_locked(struct dirahead *a, const struct guess_page *g, const char *from,
		       size_t from_len, struct list *starts)
{
	char start[NAME_LEN_MAX + 1];
	struct load *l;
	size_t len;

	if (g->last_len > NAME_LEN_MAX || !guess_next(g, from, from_len, start))
		return false;
	len = strlen(start);
	l = calloc(1, sizeof(*l) + len + 1);
	if (!l)
		return false;
	if (page_new_locked(a->fs, a->dir, start, NULL, /* refresh= */ false, &l->page) < 0) {
		free(l);
		return false;
	}
	l->ahead = a;
	memcpy(l->start, start, len + 1);
	l->wait.done = on_page;
	list_append(&l->page->waiters, &l->wait.node);
	list_append(&a->loads, &l->node);
	a->nloads++;
	a->nloading++;
	list_append(starts, &page_ref(l->page)->lru);
	return true;
}

unsigned dirahead_ask_locked(struct dirahead *a, const struct page *p, uint64_t read,
			     struct list *starts)
{
	const struct s3_page *s3 = p->s3;
	const struct s3_entry *first, *last;
	struct guess_page g;
	unsigned asked = 0;
	uint64_t most;

	if (a->ended || a->misses >= MISSES_MAX || s3->unordered || !s3->truncated ||
	    s3->count < LISTING_PAGE_KEYS || !listing_is_slow_locked(a->fs))
		return 0;
	first = &s3->entries[0];
	last = &s3->entries[s3->count - 1];
	g = (struct guess_page){
		.first = first->key + p->prefix_len,
		.first_len = first->key_len - p->prefix_len,
		.last = last->key + p->prefix_len,
		.last_len = last->key_len - p->prefix_len,
		.count = s3->count,
	};
	most = min_u64(read + 2 + a->nloads - a->nloading, DIRAHEAD_LOADING_MAX);
	while (a->nloading < most && a->nloads < DIRAHEAD_PAGES_MAX) {
		const char *from = g.last;
		size_t from_len = g.last_len;

		if (!list_empty(&a->loads)) {
			from = load_of(a->loads.prev)->start;
			from_len = strlen(from);
		}
		if (!ask_locked(a, &g, from, from_len, starts))
			break;
		asked++;
	}
	return asked;
}

void dirahead_start(struct list *starts)
{
	struct list *n;

	while ((n = list_pop(starts))) {
		struct page *p = list_entry(n, struct page, lru);

		page_start(p);
		page_unref(p);
	}
}

/* Whether a page that came, and begins before `hi`, also goes beyond it. */
static bool goes_on(const struct page *p, const char *hi, size_t hi_len)
{
	const struct s3_entry *last;

	if (p->err < 0 || !p->s3 || p->s3->unordered)
		return false;
	if (!p->s3->truncated)
		return true;
	if (p->s3->count == 0)
		return false;
	last = &p->s3->entries[p->s3->count - 1];
	return name_cmp(last->key + p->prefix_len, last->key_len - p->prefix_len, hi, hi_len) > 0;
}

static void remove_locked(struct dirahead *a, struct load *l)
{
	list_del(&l->node);
	a->nloads--;
}

enum dirahead_take dirahead_take_locked(struct dirahead *a, const char *hi, size_t hi_len,
					struct page **ret, char **ret_start, struct list *dead)
{
	while (!list_empty(&a->loads)) {
		struct load *l = load_of(a->loads.next);

		if (name_cmp(l->start, strlen(l->start), hi, hi_len) > 0)
			break;
		if (!l->ready)
			return DIRAHEAD_WAIT;
		remove_locked(a, l);
		list_append(dead, &l->node);
		if (!goes_on(l->page, hi, hi_len)) {
			a->misses++;
			continue;
		}
		*ret_start = strdup(l->start);
		if (!*ret_start)
			return DIRAHEAD_NONE;
		*ret = page_ref(l->page);
		return DIRAHEAD_READY;
	}
	if (a->nloads > 0)
		a->misses++; /* there is a gap before them */
	return DIRAHEAD_NONE;
}
