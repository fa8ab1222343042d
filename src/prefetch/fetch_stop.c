/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Ending fetches that nobody wants any more: a file was closed in the middle.
 * Those in line end when their turn comes; those that run are told by a task on
 * their loop. A GET that has little left is not ended: its connection can be
 * used again only if all of it was received.
 *
 *   stopping   `done` came   the task has run      freed by
 *   no         -             -                     `done`
 *   yes        before it     finds it ended        the task
 *   yes        -             ends it               the task
 *   yes        -             lets it run, clears   `done`
 *
 * Where the task that resumes is on its way as well, the last of them frees it.
 */
#include <stdlib.h>

#include "prefetch/engine.h"
#include "prefetch/fetch.h"

/* With less to come than this it may as well come. */
#define LITTLE MIB

static bool is_wanted_locked(const struct fetch *f)
{
	const struct object *o = f->object;

	return o->nstreams > 0 || !list_empty(&o->parked) || f->open || f->early;
}

bool fetch_given_up(struct fetch *f)
{
	struct object *o = f->object;
	struct pf *pf = o->pf;

	{
		WITH_LOCK(&o->lock);
		f->running = is_wanted_locked(f);
		if (f->running)
			return false;
		list_del(&f->in_object);
		fetch_drop_rest_locked(f);
	}
	lane_ended(f->lane, f);
	fetch_free(f);
	budget_relieve(pf->config.budget);
	return true;
}

/* Memory of cells that were given up while the source may still write to it. */
struct left_over {
	char **mem;
	uint64_t count;
};

static void take_rest_locked(struct fetch *f, struct left_over *l)
{
	l->count = fetch_rest_count(f);
	for (uint64_t i = 0; i < l->count; i++)
		l->mem[i] = cell_abandon_locked(fetch_rest_cell(f, i));
	list_del(&f->in_object);
	f->ended = true;
}

static void put_rest(struct budget *b, const struct left_over *l)
{
	for (uint64_t i = 0; i < l->count; i++)
		if (l->mem[i])
			budget_mem_put(b, l->mem[i], 1);
	budget_unreserve(b, (unsigned)l->count);
}

/*
 * Ends it unless somebody wants it again. The cells are EMPTY before the GET is
 * ended: a reader that comes now asks anew.
 */
static void try_end(struct fetch *f)
{
	struct object *o = f->object;
	struct block_source *source = o->pf->config.source;
	struct left_over rest = {.mem = calloc(f->ncells, sizeof(*rest.mem))};

	if (!rest.mem)
		return;
	{
		WITH_LOCK(&o->lock);
		if (is_wanted_locked(f) ||
		    f->source.offset + f->source.length - f->filled <= LITTLE) {
			free(rest.mem);
			return;
		}
		take_rest_locked(f, &rest);
	}
	source->ops->cancel(source, &f->source);
	put_rest(o->pf->config.budget, &rest);
	free(rest.mem);
	lane_ended(f->lane, f);
}

static void on_stop(struct loop_task *t)
{
	struct fetch *f = container_of(t, struct fetch, stop);
	struct object *o = f->object;
	struct pf *pf = o->pf;
	bool ended;

	{
		WITH_LOCK(&o->lock);
		ended = f->ended;
	}
	if (!ended)
		try_end(f);
	fetch_task_ended(f, &f->stopping);
	budget_relieve(pf->config.budget);
}

void fetch_stop_ahead_locked(struct object *o)
{
	struct list *n;

	list_for_each (n, &o->fetches) {
		struct fetch *f = list_entry(n, struct fetch, in_object);

		if (!f->running || f->stopping)
			continue;
		f->stopping = true;
		f->stop.run = on_stop;
		loop_post(f->lane->loop, &f->stop);
	}
}
