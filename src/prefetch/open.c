/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Opening a version. With `revalidate` a GET with If-Match starts here, and its
 * response head ends the open: the version is still the one at the server. The
 * GET brings the first cells of the object, all of them when it is small, so
 * that the first read finds them on their way. It asks for one byte only when
 * they are here already, when the kernel has the pages, or when no memory is
 * free: an open never waits for memory and never fails for lack of it.
 *
 * Where the server is far and objects are read through (habit.h), what a first
 * window has comes along, which saves a round trip.
 *
 * A GET that was sent before this open began proves nothing about now, so that
 * an open never joins one.
 */
#include <assert.h>
#include <errno.h>

#include "prefetch/ahead.h"
#include "prefetch/engine.h"
#include "prefetch/fetch.h"
#include "prefetch/stream.h"
#include "prefetch/verify.h"

/* Of an object too large to be fetched whole at open. */
#define FIRST_CELLS 2

static void stream_register(struct pf_stream *s)
{
	struct object *o = s->object;

	WITH_LOCK(&o->lock);
	list_append(&o->streams, &s->node);
	o->nstreams++;
}

/* What an open may say. */
static int open_errno(int err)
{
	switch (err) {
	case 0:
	case -ESTALE:
	case -ENOENT:
	case -EACCES:
	case -ENOMEM:
		return err;
	default:
		return -EIO;
	}
}

/* Notes one answer; the first error counts. False: another one is still to come. */
static bool is_last(struct pf_open *o, const struct pf_stream *s, int err)
{
	WITH_LOCK(&s->object->lock);
	if (!o->err)
		o->err = open_errno(err);
	return --o->pending == 0;
}

void open_finish(struct pf_open *o, int err)
{
	struct pf_stream *s = o->impl;

	if (!is_last(o, s, err))
		return;
	if (o->err)
		pf_close(s);
	else
		o->stream = s;
	o->done(o);
}

/* Cells that an open fetches. */
static uint64_t first_of(const struct object *o)
{
	return o->size <= PF_SLAB ? o->cells : FIRST_CELLS;
}

/* A GET of the first `n` cells, if none of them is here and memory is free. */
static struct fetch *first_cells(struct object *o, uint64_t n, bool demand)
{
	struct budget *b = o->pf->config.budget;
	struct fetch *f;

	if (n == 0)
		return NULL;
	WITH_LOCK(&o->lock);
	for (uint64_t i = 0; i < n; i++)
		if (object_state_locked(o, i) != CELL_EMPTY)
			return NULL;
	if (!budget_try(b, (unsigned)n, BUDGET_SPECULATIVE))
		return NULL;
	if (fetch_new_locked(o, 0, n, demand, &f) < 0) {
		budget_unreserve(b, (unsigned)n);
		return NULL;
	}
	return f;
}

/* But for what is on its way. */
static void fetch_usual(struct pf_stream *s)
{
	struct object *o = s->object;
	struct pf *pf = o->pf;
	struct window w = {.size = habit_start(&pf->habit)};
	struct cursor_plan plan = {0};
	struct extent x = {0};

	if (w.size <= WINDOW_MIN || pf->config.verify || pf_far_delay(pf) == 0)
		return;
	w.size = min_u64(w.size, pf_window_cap(pf));
	plan.part = window_part(&w, pf_far_gets(pf), pf->config.part_size);
	x.end = min_u64(w.size, o->size);
	if (w.size <= WINDOW_MIN)
		return;
	{
		WITH_LOCK(&o->lock);
		s->expects = true;
	}
	fetch_ahead(s, &plan, &x);
}

void pf_open(struct pf *pf, struct pf_open *open)
{
	struct pf_stream *s = NULL;
	struct object *o;
	struct fetch *f = NULL;
	int r;

	open->stream = NULL;
	r = object_get(pf, open->key, open->etag, open->size, &o);
	if (r == 0) {
		r = stream_new(o, &s);
		object_unref(o);
	}
	if (r < 0 || !s) {
		open->err = r;
		open->done(open);
		return;
	}
	stream_register(s);
	open->impl = s;
	open->err = 0;
	open->pending = 1;
	list_init(&open->node);
	r = verify_open(o, open);
	if (r < 0 || !open->revalidate) {
		if (r == 0 && !open->data_cached)
			fetch_usual(s);
		open_finish(open, r);
		return;
	}
	if (!open->data_cached)
		f = first_cells(o, first_of(o), /* demand= */ true);
	if (f) {
		f->open = open;
		fetch_usual(s); /* before the open can end */
	} else {
		r = fetch_new_check(o, open, &f);
	}
	if (r < 0)
		open_finish(open, r);
	else
		lane_launch(pf, f);
}

void pf_prefetch(struct pf *pf, const char *key, const char *etag, uint64_t size)
{
	struct object *o;
	struct fetch *f;

	/* an open has to begin what is verified */
	if (pf->config.verify || size == 0 || size > PF_SLAB ||
	    object_get(pf, key, etag, size, &o) < 0)
		return;
	f = first_cells(o, first_of(o), /* demand= */ false);
	if (f) {
		f->early = true;
		lane_launch(pf, f);
	}
	object_unref(o);
}

void pf_seed(struct pf *pf, const char *key, const char *etag, uint64_t size, const void *data,
	     uint64_t len)
{
	struct object *o;
	struct fetch *f = NULL;
	uint64_t n;

	if (pf->config.verify || object_get(pf, key, etag, size, &o) < 0)
		return;
	n = len >= size ? o->cells : len / PF_CELL;
	if (n > 0)
		f = first_cells(o, n, /* demand= */ false);
	if (f)
		fetch_fill(f, data);
	object_unref(o);
}

uint64_t pf_seed_worth(struct pf *pf)
{
	return pf->config.verify ? 0 : pf_far_delay(pf);
}
