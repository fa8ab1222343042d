/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How a read gets its cells.
 *
 *   state     event                             becomes
 *   IDLE      all cells READY                   DONE (answered inside the call)
 *   IDLE      missing cells reserved            PARKED, its cells pinned
 *   IDLE      no memory                         IN_LINE, holds nothing
 *   IN_LINE   memory granted                    PARKED or DONE
 *   PARKED    last missing cell READY           DONE, on the thread of the bytes
 *   PARKED    fetch failed, cancel, close       DONE with an error
 *
 * A read that is parked has everything it lacks reserved and in flight, and one
 * that is in line holds nothing: so memory always comes back, and no two reads
 * can wait for each other. Any thread; states under the object's lock.
 */
#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "prefetch/ahead.h"
#include "prefetch/engine.h"
#include "prefetch/fetch.h"
#include "prefetch/pace.h"
#include "prefetch/stream.h"
#include "prefetch/verify.h"

static void pin_locked(struct object *o, struct run run)
{
	for (uint64_t i = run.first; i < run.end; i++)
		cell_pin_locked(object_cell_locked(o, i));
}

static void launch_all(struct pf *pf, struct list *fetches)
{
	struct list *n;

	while ((n = list_pop(fetches)))
		lane_launch(pf, list_entry(n, struct fetch, node));
}

/*
 * GETs for the missing cells of `run`, which are reserved. The last one goes on
 * to cell `beyond` as far as the *spare cells that are reserved besides, or
 * free memory, allow: one GET instead of two.
 */
static int fetch_missing_locked(struct object *o, struct run run, uint64_t beyond, unsigned *spare,
				struct list *fetches)
{
	struct budget *b = o->pf->config.budget;
	struct fetch *f;
	int r;

	for (uint64_t i = run.first; i < run.end;) {
		uint64_t n = object_empty_run_locked(o, i, run.end), more = 0;

		if (n == 0) {
			i++;
			continue;
		}
		if (i + n == run.end) {
			more = object_empty_run_locked(o, run.end, beyond);
			if (*spare) {
				more = min_u64(more, *spare);
				*spare -= (unsigned)more;
			} else if (more && !budget_try(b, (unsigned)more, BUDGET_DEMAND)) {
				more = 0;
			}
		}
		r = fetch_new_locked(o, i, n + more, /* demand= */ true, &f);
		if (r < 0) {
			budget_unreserve(b, (unsigned)more);
			return r;
		}
		list_append(fetches, &f->node);
		i += n;
	}
	return 0;
}

static unsigned count_locked(struct object *o, struct run run, enum cell_state state)
{
	unsigned n = 0;

	for (uint64_t i = run.first; i < run.end; i++)
		n += object_state_locked(o, i) == state;
	return n;
}

/* Lets the run begin where its block begins, if that is free to have. */
static struct run round_front_locked(struct object *o, struct run run, uint64_t first)
{
	uint64_t n = run.first > first ? run.first - first : 0;

	if (n && object_empty_run_locked(o, first, run.first + 1) == n + 1 &&
	    budget_try(o->pf->config.budget, (unsigned)n, BUDGET_SPECULATIVE))
		run.first = first;
	return run;
}

/* The GETs for all that is missing. Uses up what is reserved, or gives it back. */
static int fetch_reserved_locked(struct object *o, struct run run, struct run need, unsigned spare,
				 struct list *fetches)
{
	struct budget *b = o->pf->config.budget;
	int err = 0;

	if (count_locked(o, run, CELL_EMPTY)) {
		run = round_front_locked(o, run, need.first);
		err = fetch_missing_locked(o, run, need.end, &spare, fetches);
		if (err)
			budget_unreserve(b, count_locked(o, run, CELL_EMPTY));
	}
	budget_unreserve(b, spare);
	return err;
}

/*
 * Tries to give the read all that it lacks; `need` is what to fetch with it.
 * `reserved`: cells that it got in line, all of which are used or given back
 * here. 0: parked, or READ_DONE with its bytes noted. -EAGAIN: no memory now.
 */
static int admit_locked(struct pf_read *r, struct run need, unsigned reserved, struct list *fetches)
{
	struct object *o = r->stream->object;
	struct budget *b = o->pf->config.budget;
	struct run run = cells_of(r->offset, r->len);
	unsigned missing = count_locked(o, run, CELL_EMPTY);
	unsigned ready = count_locked(o, run, CELL_READY);
	int err = o->stale;

	if (!err && ready < run.end - run.first && r->cancelled)
		err = -EINTR;
	if (!err && missing > reserved && !budget_try(b, missing - reserved, BUDGET_DEMAND))
		err = -EAGAIN;
	if (err) {
		budget_unreserve(b, reserved);
		return err;
	}
	err = fetch_reserved_locked(o, run, need, reserved > missing ? reserved - missing : 0,
				    fetches);
	if (err)
		return err;
	pin_locked(o, run);
	pace_reader_locked(o, r->offset, r->offset + r->len);
	r->missing = (unsigned)(run.end - run.first) - ready;
	if (r->missing == 0) {
		read_fill_locked(o, r);
	} else {
		r->state = READ_PARKED;
		list_append(&o->parked, &r->node);
	}
	return 0;
}

/*
 * Launches what was decided under the lock and answers the read if it is done.
 * A read that is parked or in line is not ours any more: another thread may have
 * answered it already.
 */
static void conclude(struct pf *pf, struct pf_read *r, enum read_state state, int err,
		     struct list *fetches)
{
	launch_all(pf, fetches);
	if (err)
		read_fail(r, err);
	else if (state == READ_DONE)
		read_answer(r);
}

/* From the line: everything that the read may lack is reserved. */
static void on_granted(struct budget_claim *c)
{
	struct pf_read *r = container_of(c, struct pf_read, claim);
	struct object *o = r->stream->object;
	struct pf *pf = o->pf;
	struct list fetches = LIST_INIT(fetches);
	enum read_state state;
	struct run need = cells_of(r->offset, r->len);
	int err;

	need.end = r->beyond;
	{
		WITH_LOCK(&o->lock);
		list_del(&r->node);
		r->state = READ_IDLE;
		err = admit_locked(r, need, c->cells, &fetches);
		state = (enum read_state)r->state;
	}
	conclude(pf, r, state, err, &fetches);
}

/* Idle cells are given up for it, else it waits in line. */
static int get_memory(struct pf_read *r, struct run need, struct list *fetches,
		      enum read_state *ret_state)
{
	struct object *o = r->stream->object;
	struct pf *pf = o->pf;
	struct run run = cells_of(r->offset, r->len);
	int err;

	(void)lru_reclaim(pf, (unsigned)(run.end - run.first));
	WITH_LOCK(&o->lock);
	err = admit_locked(r, need, 0, fetches);
	if (err == -EAGAIN) {
		/* It holds nothing while it waits, so it may ask for a whole slab. */
		run.end = max_u64(run.end, min_u64(need.end, run.first + POOL_SLAB_CELLS));
		r->beyond = run.end;
		r->claim = (struct budget_claim){
			.cells = (unsigned)(run.end - run.first),
			.granted = on_granted,
		};
		err = 0;
		if (budget_claim(pf->config.budget, &r->claim)) {
			err = admit_locked(r, run, r->claim.cells, fetches);
		} else {
			r->state = READ_IN_LINE;
			list_append(&o->in_line, &r->node);
		}
	}
	*ret_state = (enum read_state)r->state;
	return err;
}

/* What to fetch along with the read: on to the end of the first part, if that is next. */
static struct run need_of(const struct cursor_plan *p)
{
	struct run need = cells_of(p->need.begin, p->need.end - p->need.begin);

	if (p->sequential && p->nahead && p->ahead[0].begin <= p->need.end)
		need.end = min_u64((p->ahead[0].end + PF_CELL - 1) / PF_CELL,
				   need.end + p->part / PF_CELL);
	return need;
}

static void plan_locked(struct pf_stream *s, struct pf_read *r, struct cursor_plan *ret)
{
	struct object *o = s->object;
	struct pf *pf = o->pf;
	struct run run = cells_of(r->offset, r->len);
	bool waited = count_locked(o, run, CELL_READY) != run.end - run.first;
	struct cursor_limits limits = {
		.size = o->size,
		.cap = pf_window_cap(pf),
		.part_max = pf->config.part_size,
		.random_size = pf->config.random_size,
		.now = clock_now(),
		.delay = pf_far_delay(pf),
		.gets = pf_far_gets(pf),
		.start = habit_start(&pf->habit),
	};

	if (limits.delay == 0) {
		limits.part_max = width_part(&pf->width, limits.part_max);
		limits.gets = width_gets(&pf->width);
	}
	cursor_read(&s->cursors, r->offset, r->len, waited, &limits, ret);
	if (ret->sequential) {
		pf_count_reader(pf, &cursor_at(&s->cursors, ret->cursor)->active);
		if (limits.delay == 0)
			width_read(&pf->width, r->len, waited, limits.now, pf_readers(pf),
				   pf->config.part_size);
	}
	r->passed = ret->sequential;
}

static void read_start(struct pf_stream *s, struct pf_read *r)
{
	struct object *o = s->object;
	struct pf *pf = o->pf;
	struct list fetches = LIST_INIT(fetches), failed = LIST_INIT(failed);
	struct cursor_plan plan;
	enum read_state state;
	struct run need;
	bool right;
	int err;

	{
		WITH_LOCK(&o->lock);
		right = r->offset > 0 || verify_begin_locked(o, /* advance= */ true);
		if (!right)
			verify_refuse_locked(o, &failed);
		plan_locked(s, r, &plan);
		need = need_of(&plan);
		err = admit_locked(r, need, 0, &fetches);
		state = (enum read_state)r->state;
	}
	if (!right)
		verify_refused(o, &failed);
	if (err == -EAGAIN)
		err = get_memory(r, need, &fetches, &state);
	conclude(pf, r, state, err, &fetches);
	for (unsigned i = 0; i < plan.nahead; i++)
		fetch_ahead(s, &plan, &plan.ahead[i]);
	budget_relieve(pf->config.budget);
}

void pf_read(struct pf_stream *s, struct pf_read *r)
{
	struct object *o = s->object;

	assert(r->len <= PF_READ_MAX);
	r->stream = s;
	r->niov = 0;
	r->err = 0;
	list_init(&r->node);
	if (r->offset >= o->size)
		r->len = 0;
	else
		r->len = min_u64(r->len, o->size - r->offset);
	if (r->len == 0) {
		r->done(r);
		return;
	}
	/* One for the read, one for us: answering may let the owner close. */
	atomic_fetch_add_explicit(&s->refs, 2, memory_order_relaxed);
	read_start(s, r);
	stream_unref(s);
}
