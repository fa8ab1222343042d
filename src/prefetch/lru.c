/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Ready cells that no read holds. Lists by class, oldest first, given up in the
 * order of the classes. What was read to its end is capped low, because the kernel's
 * page cache has those bytes as well. Of a cell that was read in part it has the
 * least: such cells, which lone reads leave, may fill most of the budget, so that
 * the next lone read finds its bytes; whoever needs the memory takes it from them.
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

/* Below this many cells nothing can be spared. */
#define SPARE_FROM (16 * MIB / PF_CELL)
#define PASSED_MAX (16 * MIB / PF_CELL)
/* What lone reads leave may fill all but this, or three quarters if that is more. */
#define OTHERS (64 * MIB / PF_CELL)

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
	l->cap[LRU_USED] = (unsigned)max_u64(cells / 4 * 3, cells - min_u64(cells, OTHERS));
	l->cap[LRU_SHARED] = cells / 4;
	l->cap[LRU_FRESH] = cells;
	l->spared = cells >= SPARE_FROM ? cells / 2 : 0;
}

void lru_fini(struct lru *l)
{
	for (int i = 0; i < LRU_CLASSES; i++)
		assert(list_empty(&l->head[i]));
	lock_fini(&l->lock);
}

bool lru_add(struct lru *l, struct cell *c, enum lru_class cls)
{
	uint32_t now = now_ms();

	WITH_LOCK(&l->lock);
	assert(!c->in_lru);
	c->in_lru = true;
	c->lru_class = (uint8_t)cls;
	c->idle_ms = now;
	list_append(&l->head[cls], &c->lru);
	return ++l->count[cls] > l->cap[cls];
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

/* What may be taken from a class. */
struct rule {
	uint32_t now, age; /* ms: only what has rested this long */
	unsigned spared;   /* as many must stay */
};

/* The oldest cell of a class. */
static bool pick(struct lru *l, enum lru_class cls, const struct rule *rule, struct victim *ret)
{
	struct cell *c;

	WITH_LOCK(&l->lock);
	if (l->count[cls] <= rule->spared)
		return false;
	c = list_entry(l->head[cls].next, struct cell, lru);
	if (rule->now - c->idle_ms < rule->age)
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

static unsigned reclaim_class(struct pf *pf, enum lru_class cls, uint32_t age, unsigned spared,
			      unsigned cells)
{
	const struct rule rule = {.now = now_ms(), .age = age, .spared = spared};
	unsigned freed = 0;
	struct victim v;

	while (freed < cells && pick(&pf->lru, cls, &rule, &v))
		freed += evict(&v);
	return freed;
}

unsigned lru_reclaim(struct pf *pf, unsigned cells)
{
	unsigned freed = 0;

	for (int cls = 0; cls < LRU_CLASSES && freed < cells; cls++)
		freed += reclaim_class(pf, (enum lru_class)cls, 0,
				       cls == LRU_FRESH ? pf->lru.spared : 0, cells - freed);
	return freed;
}

unsigned lru_reclaim_cold(struct pf *pf, unsigned cells)
{
	unsigned freed = 0;

	for (int cls = 0; cls < LRU_CLASSES && freed < cells; cls++)
		freed += reclaim_class(pf, (enum lru_class)cls, cls == LRU_FRESH ? FRESH_MS : 0, 0,
				       cells - freed);
	return freed;
}

static unsigned excess(struct lru *l, enum lru_class cls)
{
	WITH_LOCK(&l->lock);
	return l->count[cls] > l->cap[cls] ? l->count[cls] - l->cap[cls] : 0;
}

void lru_shrink(struct pf *pf)
{
	for (int cls = 0; cls < LRU_CLASSES; cls++) {
		unsigned n = excess(&pf->lru, (enum lru_class)cls);

		if (n)
			(void)reclaim_class(pf, (enum lru_class)cls, 0, 0, n);
	}
}

void lru_expire(struct pf *pf, uint32_t passed_ms, uint32_t useful_ms)
{
	for (int cls = 0; cls < LRU_CLASSES; cls++) {
		bool passed = cls == LRU_PASSED || cls == LRU_SHARED;

		(void)reclaim_class(pf, (enum lru_class)cls, passed ? passed_ms : useful_ms, 0,
				    UINT32_MAX);
	}
}
