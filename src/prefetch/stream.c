/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One open file: answering its reads, ending them early, closing. How a read
 * gets its cells is in read.c.
 *
 * An answer goes out on the thread that made the read complete, with its cells
 * pinned and no lock held; afterwards it is decided what becomes of the cells.
 * The kernel's page cache has what was answered, so that little is kept here:
 * what a known follower will need, and for a short while what may be read again.
 */
#include "prefetch/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "prefetch/engine.h"
#include "prefetch/fetch.h"
#include "prefetch/verify.h"

/* Behind a reader by less than this, another one is taken to follow. */
#define FOLLOW (64 * MIB)
/* With more streams than this nobody looks for followers: cells are kept a while. */
#define MANY_STREAMS 32

int stream_new(struct object *o, struct pf_stream **ret)
{
	struct pf_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->object = object_ref(o);
	atomic_init(&s->refs, 1);
	list_init(&s->node);
	*ret = s;
	return 0;
}

void stream_unref(struct pf_stream *s)
{
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
		return;
	object_unref(s->object);
	cursor_fini(&s->cursors);
	free(s);
}

void read_fill_locked(struct object *o, struct pf_read *r)
{
	uint64_t pos = r->offset, end = r->offset + r->len;

	r->niov = 0;
	r->state = READ_DONE;
	while (pos < end) {
		struct cell *c = object_cell_locked(o, pos / PF_CELL);
		uint64_t stop = min_u64(end, round_down(pos, PF_CELL) + PF_CELL);
		char *at = c->mem + pos % PF_CELL;
		struct iovec *last = r->niov ? &r->iov[r->niov - 1] : NULL;

		assert(c->state == CELL_READY && c->pins > 0);
		if (last && (char *)last->iov_base + last->iov_len == at)
			last->iov_len += stop - pos;
		else
			r->iov[r->niov++] = (struct iovec){at, stop - pos};
		pos = stop;
	}
}

/* A read that ends without its bytes: the cells keep their worth. */
void read_unpark_locked(struct object *o, struct pf_read *r)
{
	struct run run = cells_of(r->offset, r->len);

	list_del(&r->node);
	r->state = READ_DONE;
	for (uint64_t i = run.first; i < run.end; i++)
		cell_unpin_locked(object_cell_locked(o, i), CELL_KEEP);
}

void read_take_all_locked(struct object *o, struct list *taken)
{
	while (!list_empty(&o->parked)) {
		struct pf_read *r = list_entry(o->parked.next, struct pf_read, node);

		read_unpark_locked(o, r);
		list_append(taken, &r->node);
	}
}

static bool follows(const struct cursor *c, uint64_t pos)
{
	return c->kind == CURSOR_SEQUENTIAL && c->next <= pos && pos - c->next < FOLLOW;
}

/* Somebody else will read from `pos` on soon, as far as one can tell. */
static bool has_follower_locked(struct object *o, const struct pf_stream *self, uint64_t pos)
{
	const struct cursor *c;
	struct list *n;

	if (o->nstreams > MANY_STREAMS)
		return true;
	list_for_each (n, &o->streams) {
		struct pf_stream *s = list_entry(n, struct pf_stream, node);

		if (s == self)
			continue;
		if (s->cursors.tick == 0 && pos < FOLLOW)
			return true;
		for (unsigned i = 0; (c = cursor_at(&s->cursors, i)); i++)
			if (follows(c, pos))
				return true;
	}
	return false;
}

/*
 * After a read was answered from its cells. A whole cell that a lone read has
 * taken is kept for long only where the kernel does not keep it (`uncached`).
 */
static void unpin_locked(struct pf_stream *s, uint64_t offset, uint64_t len, bool passed,
			 bool uncached)
{
	struct object *o = s->object;
	struct run run = cells_of(offset, len);
	bool follower = has_follower_locked(o, s, offset);

	for (uint64_t i = run.first; i < run.end; i++) {
		struct cell *c = object_cell_locked(o, i);
		bool to_end = min_u64((i + 1) * PF_CELL, o->size) <= offset + len;
		bool whole = to_end && i * PF_CELL >= offset;
		enum cell_fate fate = CELL_KEEP;

		c->was_read = true;
		if (o->stale || (whole && passed && !follower))
			fate = CELL_RELEASE;
		else if (follower)
			fate = CELL_SHARE;
		else if (passed ? to_end : whole && !uncached)
			fate = CELL_KEEP_SHORT;
		if (fate == CELL_RELEASE && o->verify && verify_needs_locked(o, i))
			fate = CELL_KEEP_SHORT;
		cell_unpin_locked(c, fate);
	}
}

void read_answer(struct pf_read *r)
{
	struct pf_stream *s = r->stream;
	struct pf *pf = s->object->pf;
	uint64_t offset = r->offset, len = r->len;
	bool passed = r->passed, uncached = r->uncached;

	r->err = 0;
	r->done(r);
	{
		WITH_LOCK(&s->object->lock);
		unpin_locked(s, offset, len, passed, uncached);
	}
	stream_unref(s);
	lru_shrink(pf);
	budget_relieve(pf->config.budget);
}

void read_fail(struct pf_read *r, int err)
{
	struct pf_stream *s = r->stream;

	r->state = READ_DONE;
	r->niov = 0;
	r->err = err;
	r->done(r);
	stream_unref(s);
}

void read_answer_all(struct list *reads)
{
	struct list *n;

	while ((n = list_pop(reads)))
		read_answer(list_entry(n, struct pf_read, node));
}

void read_fail_all(struct list *reads, int err)
{
	struct list *n;

	while ((n = list_pop(reads)))
		read_fail(list_entry(n, struct pf_read, node), err);
}

void pf_cancel(struct pf_stream *s, struct pf_read *r)
{
	struct object *o = s->object;

	{
		WITH_LOCK(&o->lock);
		r->cancelled = true;
		if (r->state == READ_PARKED) {
			read_unpark_locked(o, r);
		} else if (r->state == READ_IN_LINE &&
			   budget_unclaim(o->pf->config.budget, &r->claim)) {
			list_del(&r->node);
			r->state = READ_DONE;
		} else {
			return; /* ended, or about to see that it is cancelled */
		}
	}
	read_fail(r, -EINTR);
}

/* Takes all reads of `s` that still wait out of a list. */
static void take_own_locked(struct pf_stream *s, struct list *from, struct list *taken)
{
	struct object *o = s->object;
	struct list *n, *tmp;

	list_for_each_safe (n, tmp, from) {
		struct pf_read *r = list_entry(n, struct pf_read, node);

		if (r->stream != s)
			continue;
		r->cancelled = true;
		if (r->state == READ_PARKED)
			read_unpark_locked(o, r);
		else if (budget_unclaim(o->pf->config.budget, &r->claim))
			list_del(&r->node);
		else
			continue;
		list_append(taken, &r->node);
	}
}

void pf_close(struct pf_stream *s)
{
	struct object *o = s->object;
	struct pf *pf = o->pf;
	struct list taken = LIST_INIT(taken);
	const struct cursor *c;
	uint64_t run = 0;

	{
		WITH_LOCK(&o->lock);
		for (unsigned i = 0; (c = cursor_at(&s->cursors, i)); i++) {
			pf_uncount_reader(pf, &c->active);
			if (c->kind == CURSOR_SEQUENTIAL && c->begin == 0)
				run = c->next;
		}
		if (s->cursors.tick || s->expects)
			habit_note(&pf->habit, o->size, run);
		s->closed = true;
		list_del(&s->node);
		o->nstreams--;
		take_own_locked(s, &o->parked, &taken);
		take_own_locked(s, &o->in_line, &taken);
		if (o->nstreams == 0) {
			object_cool_locked(o);
			fetch_stop_ahead_locked(o);
		}
	}
	read_fail_all(&taken, -EINTR);
	stream_unref(s);
	lru_shrink(pf);
	budget_relieve(pf->config.budget);
}
