/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Ready cells that no read holds. Lists by class, oldest first, given up in the
 * order of the classes. All that was read is capped, because the kernel's page
 * cache has those bytes as well, and what is kept here is memory of the process.
 *
 * A cell is in a list exactly while it is READY and has no pins, except for the
 * moment in which it has been picked here and its object is not locked yet. A
 * picked cell is remembered by object and number, never by pointer: it may go
 * in that moment. Lists: under the LRU's lock, which comes after the object's.
 */
#include "prefetch/lru.h"

#include <assert.h>

#include "base/clock.h"
#include "prefetch/engine.h"
#include "prefetch/object.h"

#define PASSED_MAX (16 * MIB / PF_CELL)
#define USED_MAX   (32 * MIB / PF_CELL)

/* Fetched ahead this recently: its reader is probably on the way. */
#define FRESH_MS 2000

struct victim {
	struct object *object; /* reference */
	uint64_t index;
};

static uint32_t now_ms(void)
{
	return (uint32_t)(clock_now() / NSEC_PER_MSEC);
}

void lru_init(struct lru *l, unsigned cells)
{
	lock_init(&l->lock, RANK_BUDGET);
	for (int i = 0; i < LRU_CLASSES; i++) {
		list_init(&l->head[i]);
		l->count[i] = 0;
	}
	l->cap[LRU_PASSED] = (unsigned)min_u64(cells / 8, PASSED_MAX);
	l->cap[LRU_USED] = (unsigned)min_u64(cells / 8, USED_MAX);
	l->cap[LRU_SHARED] = cells / 4;
	l->cap[LRU_FRESH] = cells;
}

void lru_fini(struct lru *l)
{
	for (int i = 0; i < LRU_CLASSES; i++)
		assert(list_empty(&l->head[i]));
	lock_fini(&l->lock);
}

bool lru_add(struct lru *l, struct cell *c, enum lru_class class)
{
	uint32_t now = now_ms();

	WITH_LOCK(&l->lock);
	assert(!c->in_lru);
	c->in_lru = true;
	c->lru_class = (uint8_t) class;
	c->idle_ms = now;
	list_append(&l->head[class], &c->lru);
	return ++l->count[class] > l->cap[class];
}

static void take_out_locked(struct lru *l, struct cell *c)
{
	list_del(&c->lru);
	l->count[c->lru_class]--;
	c->in_lru = false;
}

void lru_del(struct lru *l, struct cell *c)
{
	WITH_LOCK(&l->lock);
	if (c->in_lru)
		take_out_locked(l, c);
}

/* The oldest cell of a class that has rested for `age` ms. */
static bool pick(struct lru *l, enum lru_class class, uint32_t now, uint32_t age,
		 struct victim *ret)
{
	struct cell *c;

	WITH_LOCK(&l->lock);
	if (list_empty(&l->head[class]))
		return false;
	c = list_entry(l->head[class].next, struct cell, lru);
	if (now - c->idle_ms < age)
		return false;
	take_out_locked(l, c);
	ret->object = object_ref(cell_slot(c)->object);
	ret->index = cell_index(c);
	return true;
}

/* Frees the cell if it is still idle. */
static bool evict(const struct victim *v)
{
	struct object *o = v->object;
	struct cell *c;
	bool idle;

	{
		WITH_LOCK(&o->lock);
		c = object_cell_locked(o, v->index);
		idle = c && c->state == CELL_READY && c->pins == 0;
		if (idle)
			cell_drop_locked(c);
	}
	object_unref(o);
	return idle;
}

static unsigned reclaim_class(struct pf *pf, enum lru_class class, uint32_t age, unsigned cells)
{
	uint32_t now = now_ms();
	unsigned freed = 0;
	struct victim v;

	while (freed < cells && pick(&pf->lru, class, now, age, &v))
		freed += evict(&v);
	return freed;
}

unsigned lru_reclaim(struct pf *pf, unsigned cells)
{
	unsigned freed = 0;

	for (int class = 0; class < LRU_CLASSES && freed < cells; class ++)
		freed += reclaim_class(pf, (enum lru_class) class, 0, cells - freed);
	return freed;
}

unsigned lru_reclaim_cold(struct pf *pf, unsigned cells)
{
	unsigned freed = 0;

	for (int class = 0; class < LRU_CLASSES && freed < cells; class ++)
		freed += reclaim_class(pf, (enum lru_class) class,
				       class == LRU_FRESH ? FRESH_MS : 0, cells - freed);
	return freed;
}

static unsigned excess(struct lru *l, enum lru_class class)
{
	WITH_LOCK(&l->lock);
	return l->count[class] > l->cap[class] ? l->count[class] - l->cap[class] : 0;
}

void lru_shrink(struct pf *pf)
{
	for (int class = 0; class < LRU_CLASSES; class ++) {
		unsigned n = excess(&pf->lru, (enum lru_class) class);

		if (n)
			(void)reclaim_class(pf, (enum lru_class) class, 0, n);
	}
}

void lru_expire(struct pf *pf, uint64_t age_ms)
{
	for (int class = 0; class < LRU_CLASSES; class ++)
		(void)reclaim_class(pf, (enum lru_class) class, (uint32_t)age_ms, UINT32_MAX);
}
