/* SPDX-License-Identifier: Apache-2.0 */

/* What the parts of the read engine share; private to prefetch/. */
#ifndef PREFETCH_ENGINE_H
#define PREFETCH_ENGINE_H

#include <stdatomic.h>

#include "base/hash.h"
#include "base/least.h"
#include "base/lock.h"
#include "cache/cache.h"
#include "prefetch/budget.h"
#include "prefetch/cursor.h"
#include "prefetch/habit.h"
#include "prefetch/lane.h"
#include "prefetch/lru.h"
#include "prefetch/prefetch.h"
#include "prefetch/width.h"

struct pf {
	/* set at creation */
	struct pf_config config;
	struct lane *lanes; /* one per loop */
	struct lru lru;
	struct width width;

	struct lock lock; /* RANK_OBJMAP */
	/* under lock */
	struct hash objects;

	/* atomic: sequential readers counted in the current and the last second */
	_Atomic uint32_t epoch, active_now, active_before;
	struct least head; /* ns from request to response head */
	_Atomic unsigned next_lane;
	struct habit habit;
	/* atomic: an object that cannot be verified was told of in the log */
	_Atomic bool told_unverified;
};

/* Readers that were active in this or the last second, at least one. */
unsigned pf_readers(struct pf *pf);
/* Far, all readers together have so many GETs at a time, but for the next one of each. */
unsigned pf_far_gets(struct pf *pf);
/* Most bytes that one of the sequential readers now active may have ahead. */
uint64_t pf_window_cap(struct pf *pf);
/* Counts a reader once a second. */
void pf_count_reader(struct pf *pf, struct active_mark *mark);
/* It reads no more: others may have its share at once. */
void pf_uncount_reader(struct pf *pf, const struct active_mark *mark);
/* The time of one response, from its request to its head. */
void pf_note_head(struct pf *pf, uint64_t ns);
/* ns until a server that is far answers; 0: it is near. */
uint64_t pf_far_delay(struct pf *pf);

#endif
