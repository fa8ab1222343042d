/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Fetching what will probably be read. Takes memory only where it is free, or
 * from cells that nobody is likely to want; waits for nothing. Any thread, no
 * lock held.
 */
#include "prefetch/ahead.h"

#include "prefetch/engine.h"
#include "prefetch/fetch.h"

/* Fetches what is missing of one predicted extent, by parts, as far as memory goes. */
void fetch_ahead(struct pf_stream *s, const struct cursor_plan *plan, const struct extent *x)
{
	struct object *o = s->object;
	struct pf *pf = o->pf;
	struct run run = cells_of(x->begin, x->end - x->begin);
	bool reclaimed = false;

	while (run.first < run.end) {
		struct fetch *f = NULL;
		uint64_t n;

		{
			WITH_LOCK(&o->lock);
			while (run.first < run.end &&
			       object_state_locked(o, run.first) != CELL_EMPTY)
				run.first++;
			n = object_empty_run_locked(
				o, run.first, min_u64(run.end, run.first + plan->part / PF_CELL));
			if (n == 0 || o->stale || s->closed)
				return;
			if (budget_try(pf->config.budget, (unsigned)n, BUDGET_SPECULATIVE) &&
			    fetch_new_locked(o, run.first, n, /* demand= */ false, &f) < 0)
				budget_unreserve(pf->config.budget, (unsigned)n);
			if (!f && reclaimed && plan->sequential)
				cursor_stopped(&s->cursors, plan->cursor, run.first * PF_CELL);
		}
		if (f) {
			lane_launch(pf, f);
			run.first += n;
		} else if (!reclaimed) {
			reclaimed = true;
			(void)lru_reclaim_cold(pf, (unsigned)n);
		} else {
			return;
		}
	}
}
