/* SPDX-License-Identifier: Apache-2.0 */

/* Ready cells that nobody holds, oldest first; private to prefetch/. */
#ifndef PREFETCH_LRU_H
#define PREFETCH_LRU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/lock.h"

struct cell;
struct object;
struct pf;

/* In the order in which they are given up. */
enum lru_class {
	LRU_PASSED, /* read to its end: the kernel has it */
	LRU_USED,   /* read in part */
	LRU_SHARED, /* read, and another reader follows */
	LRU_FRESH,  /* fetched ahead, not read yet */
	LRU_CLASSES,
};

struct lru {
	struct lock lock; /* RANK_BUDGET */
	/* under lock */
	struct list head[LRU_CLASSES];
	unsigned count[LRU_CLASSES];
	/* set at creation */
	unsigned cap[LRU_CLASSES];
	unsigned spared; /* fresh cells that nobody in line may take */
};

/* `cells`: the budget. */
void lru_init(struct lru *l, unsigned cells);
void lru_fini(struct lru *l);

/* Under the object's lock. True: the class is over its cap, call lru_shrink. */
bool lru_add(struct lru *l, struct cell *c, enum lru_class cls);
void lru_del(struct lru *l, struct cell *c);

/* With no lock held; the caller calls budget_relieve afterwards. */
/* Frees up to `cells` cells for somebody who waits. Returns how many. The newest
 * ones fetched ahead are spared: to fetch them twice would serve nobody. */
unsigned lru_reclaim(struct pf *pf, unsigned cells);
/* The same for fetching ahead: spares what was fetched ahead in the last seconds. */
unsigned lru_reclaim_cold(struct pf *pf, unsigned cells);
/* Brings the classes back under their caps. */
void lru_shrink(struct pf *pf);
/* Frees what has rested for that long: what was read to its end; the rest of it. */
void lru_expire(struct pf *pf, uint32_t passed_ms, uint32_t useful_ms);

#endif
