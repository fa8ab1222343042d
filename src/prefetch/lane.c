/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where GETs run. A read that waits is fetched on the loop that it arrived on,
 * which saves a wake-up; what is fetched ahead goes to the loop with the least
 * to receive, so that one sequential reader uses all of them. Each loop has two
 * limits of GETs in flight, so that neither kind starves the other: a read may
 * well wait for what somebody began to fetch ahead.
 *
 * Lists and counters: owner loop only.
 */
#include "prefetch/lane.h"

#include "loop/loop.h"
#include "prefetch/engine.h"
#include "prefetch/fetch.h"

/* GETs in flight on one loop. */
#define MAX_DEMAND 64
#define MAX_AHEAD  16

void lane_init(struct lane *l, struct loop *loop)
{
	l->loop = loop;
	list_init(&l->demand);
	list_init(&l->ahead);
	atomic_init(&l->load, 0);
}

static struct fetch *lane_next(struct lane *l)
{
	struct list *n = NULL;

	if (l->running_demand < MAX_DEMAND)
		n = list_pop(&l->demand);
	if (!n && l->running_ahead < MAX_AHEAD)
		n = list_pop(&l->ahead);
	return n ? list_entry(n, struct fetch, node) : NULL;
}

static void lane_pump(struct lane *l)
{
	struct fetch *f;

	while ((f = lane_next(l))) {
		if (fetch_given_up(f))
			continue;
		if (f->source.demand)
			l->running_demand++;
		else
			l->running_ahead++;
		f->started = true;
		fetch_start(f);
	}
}

static void lane_take(struct loop_task *t)
{
	struct fetch *f = container_of(t, struct fetch, task);
	struct lane *l = f->lane;

	list_append(f->source.demand ? &l->demand : &l->ahead, &f->node);
	lane_pump(l);
}

static struct lane *choose(struct pf *pf, bool demand)
{
	struct loop *here = loop_current();
	unsigned n = pf->config.nloops, first;
	struct lane *best = NULL;
	uint64_t best_load = UINT64_MAX;

	if (demand && here)
		for (unsigned i = 0; i < n; i++)
			if (pf->lanes[i].loop == here)
				return &pf->lanes[i];
	first = atomic_fetch_add_explicit(&pf->next_lane, 1, memory_order_relaxed);
	for (unsigned i = 0; i < n; i++) {
		struct lane *l = &pf->lanes[(first + i) % n];
		uint64_t load = atomic_load_explicit(&l->load, memory_order_relaxed);

		if (load < best_load) {
			best = l;
			best_load = load;
		}
	}
	return best;
}

struct loop *lane_loop(struct pf *pf)
{
	return choose(pf, /* demand= */ true)->loop;
}

void lane_launch(struct pf *pf, struct fetch *f)
{
	struct lane *l = choose(pf, f->source.demand);

	f->lane = l;
	atomic_fetch_add_explicit(&l->load, f->source.length, memory_order_relaxed);
	f->task.run = lane_take;
	list_init(&f->node);
	if (loop_current() == l->loop)
		lane_take(&f->task);
	else
		loop_post(l->loop, &f->task);
}

void lane_ended(struct lane *l, struct fetch *f)
{
	atomic_fetch_sub_explicit(&l->load, f->source.length, memory_order_relaxed);
	if (!f->started)
		return;
	if (f->source.demand)
		l->running_demand--;
	else
		l->running_ahead--;
	lane_pump(l);
}
