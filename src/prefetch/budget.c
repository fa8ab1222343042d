/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One limit for the memory of reads and uploads, counted in 128 KiB cells.
 *
 * Two classes, reads and uploads, each with a line (first come, first served)
 * and a share: while one class uses or waits for memory, the other may hold at
 * most three quarters. When both wait they are served in turn, and the one
 * whose turn it is keeps its place until enough is free, so a large request is
 * not passed for ever by small ones. Nobody in line holds anything while it
 * waits, apart from what it had when it came; reads come with nothing pinned.
 *
 * Granting happens in one thread at a time (`draining`) in a loop, because what
 * a granted callback does may free memory again: the chain stays flat.
 * Any thread. Callbacks run with no lock held.
 */
#include "prefetch/budget.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/lock.h"
#include "prefetch/pool.h"

/* What is only likely to be read leaves so many cells, or an eighth of all. */
#define ROOM_MAX (32 * MIB / PF_CELL)

enum { READS, UPLOADS, NCLASSES };

struct budget {
	/* set at creation */
	struct pool *pool;
	unsigned limit; /* cells */
	unsigned kept;	/* cells beyond it, of budget_keep */
	budget_reclaim_fn reclaim;
	void *reclaim_arg;

	struct lock lock;
	/* under lock */
	unsigned used[NCLASSES];
	struct list line[NCLASSES];
	int turn;
	bool draining;

	/* atomic: the lines are not empty */
	_Atomic bool tight;
};

int budget_new(uint64_t limit, struct budget **ret)
{
	struct budget *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	r = pool_new((unsigned)min_u64(limit / PF_CELL, UINT32_MAX / 16), &b->pool);
	if (r < 0) {
		free(b);
		return r;
	}
	lock_init(&b->lock, RANK_BUDGET);
	b->limit = pool_limit(b->pool);
	for (int i = 0; i < NCLASSES; i++)
		list_init(&b->line[i]);
	*ret = b;
	return 0;
}

void budget_free(struct budget *b)
{
	if (!b)
		return;
	assert(b->used[READS] + b->used[UPLOADS] == 0);
	pool_free(b->pool);
	lock_fini(&b->lock);
	free(b);
}

void budget_set_reclaim(struct budget *b, budget_reclaim_fn fn, void *arg)
{
	b->reclaim = fn;
	b->reclaim_arg = arg;
}

unsigned budget_cells(const struct budget *b)
{
	return b->limit;
}

uint64_t budget_limit(const struct budget *b)
{
	return b->limit * PF_CELL;
}

uint64_t budget_used(struct budget *b)
{
	WITH_LOCK(&b->lock);
	return (b->used[READS] + b->used[UPLOADS]) * PF_CELL;
}

static uint64_t without_kept(const struct budget *b, unsigned cells)
{
	return cells > b->kept ? (cells - b->kept) * PF_CELL : 0;
}

uint64_t budget_resident(struct budget *b)
{
	return without_kept(b, pool_resident(b->pool));
}

uint64_t budget_peak(struct budget *b)
{
	return without_kept(b, pool_peak(b->pool));
}

bool budget_tight(struct budget *b)
{
	return atomic_load_explicit(&b->tight, memory_order_seq_cst);
}

/* What the class may hold at most at this moment. */
static unsigned cap_locked(const struct budget *b, int cls)
{
	int other = !cls;

	if (b->used[other] > 0 || !list_empty(&b->line[other]))
		return b->limit - b->limit / 4;
	return b->limit;
}

static bool fits_locked(const struct budget *b, int cls, unsigned cells)
{
	return b->used[READS] + b->used[UPLOADS] + cells <= b->limit &&
	       b->used[cls] + cells <= cap_locked(b, cls);
}

static bool nobody_waits_locked(const struct budget *b)
{
	return list_empty(&b->line[READS]) && list_empty(&b->line[UPLOADS]);
}

static void note_line_locked(struct budget *b)
{
	atomic_store_explicit(&b->tight, !nobody_waits_locked(b), memory_order_seq_cst);
}

bool budget_try(struct budget *b, unsigned cells, enum budget_kind kind)
{
	bool speculative = kind == BUDGET_SPECULATIVE;
	unsigned room = speculative ? (unsigned)min_u64(b->limit / 8, ROOM_MAX) : 0;

	WITH_LOCK(&b->lock);
	if (!list_empty(&b->line[READS]) || (room && !nobody_waits_locked(b)))
		return false;
	if (!fits_locked(b, READS, cells + room))
		return false;
	b->used[READS] += cells;
	return true;
}

void budget_unreserve(struct budget *b, unsigned cells)
{
	WITH_LOCK(&b->lock);
	assert(b->used[READS] >= cells);
	b->used[READS] -= cells;
}

static unsigned head_need_locked(const struct budget *b, int cls)
{
	struct list *n = b->line[cls].next;

	if (cls == READS)
		return list_entry(n, struct budget_claim, node)->cells;
	return list_entry(n, struct budget_wait, node)->slabs * POOL_SLAB_CELLS;
}

/* Memory for an upload whose cells are reserved. */
static bool take_slabs_locked(struct budget *b, struct budget_wait *w)
{
	for (unsigned i = 0; i < w->slabs; i++) {
		w->mem[i] = pool_take_slab(b->pool);
		if (!w->mem[i]) {
			while (i-- > 0)
				pool_put(b->pool, w->mem[i], POOL_SLAB_CELLS);
			return false;
		}
	}
	return true;
}

/* Takes the head of one line into `granted`; false: it must stay. */
static bool grant_head_locked(struct budget *b, int cls, struct list *granted)
{
	struct list *n = b->line[cls].next;
	unsigned need = head_need_locked(b, cls);

	if (!fits_locked(b, cls, need))
		return false;
	if (cls == UPLOADS && !take_slabs_locked(b, list_entry(n, struct budget_wait, node)))
		return false;
	b->used[cls] += need;
	if (cls == UPLOADS)
		list_entry(n, struct budget_wait, node)->queued = false;
	else
		list_entry(n, struct budget_claim, node)->queued = false;
	list_del(n);
	list_append(&granted[cls], n);
	b->turn = !cls;
	return true;
}

/* The class to serve now, or -1. */
static int whose_turn_locked(const struct budget *b)
{
	int t = b->turn;

	if (nobody_waits_locked(b))
		return -1;
	if (list_empty(&b->line[t]))
		return !t;
	/* A class at its share waits for its own memory; the other need not. */
	if (b->used[t] + head_need_locked(b, t) > cap_locked(b, t) && !list_empty(&b->line[!t]))
		return !t;
	return t;
}

static bool grant_some_locked(struct budget *b, struct list *granted)
{
	bool any = false;
	int cls = whose_turn_locked(b);

	while (cls >= 0 && grant_head_locked(b, cls, granted)) {
		any = true;
		cls = whose_turn_locked(b);
	}
	if (any)
		note_line_locked(b);
	return any;
}

static void call_granted(struct list *granted)
{
	struct list *n;

	while ((n = list_pop(&granted[READS]))) {
		struct budget_claim *c = list_entry(n, struct budget_claim, node);

		c->granted(c);
	}
	while ((n = list_pop(&granted[UPLOADS]))) {
		struct budget_wait *w = list_entry(n, struct budget_wait, node);

		w->granted(w);
	}
}

void budget_wake(struct budget *b)
{
	struct list granted[NCLASSES];

	if (!budget_tight(b))
		return;
	list_init(&granted[READS]);
	list_init(&granted[UPLOADS]);
	for (;;) {
		{
			WITH_LOCK(&b->lock);
			if (b->draining)
				return;
			if (!grant_some_locked(b, granted))
				return;
			b->draining = true;
		}
		call_granted(granted);
		{
			WITH_LOCK(&b->lock);
			b->draining = false;
		}
	}
}

bool budget_claim(struct budget *b, struct budget_claim *c)
{
	{
		WITH_LOCK(&b->lock);
		if (list_empty(&b->line[READS]) && fits_locked(b, READS, c->cells)) {
			b->used[READS] += c->cells;
			return true;
		}
		c->queued = true;
		list_append(&b->line[READS], &c->node);
		note_line_locked(b);
	}
	return false;
}

bool budget_unclaim(struct budget *b, struct budget_claim *c)
{
	WITH_LOCK(&b->lock);
	if (!c->queued)
		return false;
	c->queued = false;
	list_del(&c->node);
	note_line_locked(b);
	return true;
}

/* Cells that are lacking for the first in line. */
static unsigned lack(struct budget *b)
{
	unsigned all, own, need;
	int cls;

	WITH_LOCK(&b->lock);
	cls = whose_turn_locked(b);
	if (cls < 0)
		return 0;
	need = head_need_locked(b, cls);
	all = b->used[READS] + b->used[UPLOADS] + need;
	own = b->used[cls] + need;
	all = all > b->limit ? all - b->limit : 0;
	own = own > cap_locked(b, cls) ? own - cap_locked(b, cls) : 0;
	return all > own ? all : own;
}

void budget_relieve(struct budget *b)
{
	while (budget_tight(b)) {
		unsigned need;

		budget_wake(b);
		need = lack(b);
		if (need == 0 || !b->reclaim || b->reclaim(b->reclaim_arg, need) == 0)
			break;
	}
}

static bool get_now(struct budget *b, struct budget_wait *w, bool queue)
{
	unsigned cells = w->slabs * POOL_SLAB_CELLS;

	WITH_LOCK(&b->lock);
	if (list_empty(&b->line[UPLOADS]) && fits_locked(b, UPLOADS, cells) &&
	    take_slabs_locked(b, w)) {
		b->used[UPLOADS] += cells;
		return true;
	}
	if (queue) {
		w->queued = true;
		list_append(&b->line[UPLOADS], &w->node);
		note_line_locked(b);
	}
	return false;
}

bool budget_try_get(struct budget *b, struct budget_wait *w)
{
	assert(w->slabs >= 1 && w->slabs * POOL_SLAB_CELLS <= b->limit / 2);
	if (get_now(b, w, /* queue= */ false))
		return true;
	if (b->reclaim)
		(void)b->reclaim(b->reclaim_arg, w->slabs * POOL_SLAB_CELLS);
	return get_now(b, w, /* queue= */ false);
}

bool budget_get(struct budget *b, struct budget_wait *w)
{
	if (budget_try_get(b, w) || get_now(b, w, /* queue= */ true))
		return true;
	/* Cells that became idle before the line was seen. */
	budget_relieve(b);
	return false;
}

bool budget_cancel(struct budget *b, struct budget_wait *w)
{
	{
		WITH_LOCK(&b->lock);
		if (!w->queued)
			return false;
		w->queued = false;
		list_del(&w->node);
		note_line_locked(b);
	}
	budget_wake(b); /* those behind it may be smaller */
	return true;
}

void budget_put(struct budget *b, void **mem, unsigned slabs)
{
	for (unsigned i = 0; i < slabs; i++)
		pool_put(b->pool, mem[i], POOL_SLAB_CELLS);
	{
		WITH_LOCK(&b->lock);
		assert(b->used[UPLOADS] >= slabs * POOL_SLAB_CELLS);
		b->used[UPLOADS] -= slabs * POOL_SLAB_CELLS;
	}
	budget_wake(b);
}

bool budget_keep(struct budget *b, void **mem, unsigned slabs)
{
	bool kept = pool_keep(b->pool, mem, slabs);

	b->kept = pool_limit(b->pool) - b->limit;
	return kept;
}

void budget_release(struct budget *b, void **mem, unsigned slabs)
{
	pool_release(b->pool, mem, slabs);
	b->kept = 0;
}

void *budget_mem(struct budget *b, unsigned want, unsigned *ret_got)
{
	return pool_take(b->pool, want, ret_got);
}

void budget_mem_put(struct budget *b, void *mem, unsigned cells)
{
	pool_put(b->pool, mem, cells);
}

void budget_trim(struct budget *b)
{
	pool_trim(b->pool);
}
