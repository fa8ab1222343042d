/* SPDX-License-Identifier: Apache-2.0 */

/*
 * --verify-checksums. What is compared is what arrived from the server, once per
 * download, however many read it.
 *
 * A small object comes in one GET that tells the checksum too; its cells become
 * READY when they have been compared, so that a wrong byte is seen by nobody.
 *
 * Of a larger object the checksum is asked for while it is opened, and passes
 * (verify_pass.c) compute what it should be. The cell with which the last one is
 * reached is given to nobody before the comparison; so who reads in order can have
 * everything before that cell, but never the end of a wrong object.
 *
 * Checksums of parts ("-N") are compared when the parts have one size. The sizes of
 * the first and the last tell: with N they make the object's size, unless others
 * differ and yet add up as if they did not.
 */
#include "prefetch/verify.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "prefetch/engine.h"
#include "prefetch/stream.h"
#include "prefetch/verify_pass.h"

struct question {
	struct source_describe describe;
	struct loop_task task;
	struct object *object; /* reference */
	struct loop *loop;
};

void verify_refuse_locked(struct object *o, struct list *failed)
{
	o->stale = -EBADMSG;
	read_take_all_locked(o, failed);
	object_drop_idle_locked(o);
}

void verify_refused(struct object *o, struct list *failed)
{
	object_retire(o);
	read_fail_all(failed, -EBADMSG);
	budget_relieve(o->pf->config.budget);
}

/* --- what the server has --- */

/* Said once; there may be a million of them. */
static void say_unverified(struct pf *pf, const char *key, const char *why)
{
	if (!atomic_exchange_explicit(&pf->told_unverified, true, memory_order_relaxed))
		log_warn(LOG_PREFETCH,
			 "%s: not verified: %s; further such objects are told with --debug only",
			 key, why);
	else
		log_debug(LOG_PREFETCH, "%s: not verified: %s", key, why);
}

/* Cells of a part, if all but the last are of one size; 0: they are not, or not whole cells. */
static uint64_t part_cells(const struct object *o, const struct source_describe *d)
{
	uint64_t n = d->checksum.parts, part = d->first_part;

	if (n == 1)
		return o->cells;
	if (part == 0 || d->last_part == 0 || part % PF_CELL != 0 || part > o->size ||
	    d->last_part > part || (o->size - d->last_part) / part != n - 1 ||
	    (o->size - d->last_part) % part != 0)
		return 0;
	return part / PF_CELL;
}

/* NULL: `want` and `part_cells` are set. Else why it cannot be compared. */
static const char *learn(struct verify *v, const struct object *o, const struct source_describe *d)
{
	if (d->checksum.kind == S3_DIGEST_NONE || (d->checksum.by_parts && !d->checksum.parts))
		return "the server has no checksum of it";
	v->part_cells = d->checksum.parts ? part_cells(o, d) : 0;
	if (d->checksum.parts && !v->part_cells)
		return "its checksum is one of parts of different sizes";
	v->want = d->checksum;
	return NULL;
}

static void on_described(struct source_describe *d, int err)
{
	struct question *q = container_of(d, struct question, describe);
	struct object *o = q->object;
	struct list waiting = LIST_INIT(waiting), failed = LIST_INIT(failed), *n;
	const char *why = NULL;
	bool right;

	{
		WITH_LOCK(&o->lock);
		struct verify *v = o->verify;

		while ((n = list_pop(&v->waiting)))
			list_append(&waiting, n);
		v->asking = false;
		if (err)
			verify_free(take_ptr(&o->verify)); /* the next open asks again */
		else
			why = learn(v, o, d);
		right = verify_begin_locked(o, /* advance= */ true);
		if (!right)
			verify_refuse_locked(o, &failed);
	}
	if (why)
		say_unverified(o->pf, o->key, why);
	if (!right)
		verify_refused(o, &failed);
	while ((n = list_pop(&waiting)))
		open_finish(list_entry(n, struct pf_open, node), err);
	object_unref(o);
	free(q);
}

static void ask(struct loop_task *t)
{
	struct question *q = container_of(t, struct question, task);
	struct block_source *s = q->object->pf->config.source;

	s->ops->describe(s, q->loop, &q->describe);
}

static struct question *question_new(struct object *o)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->object = object_ref(o);
	q->describe =
		(struct source_describe){.key = o->key, .etag = o->etag, .done = on_described};
	q->task.run = ask;
	q->loop = lane_loop(o->pf);
	return q;
}

static struct verify *verify_new(void)
{
	struct verify *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	list_init(&v->waiting);
	list_init(&v->passes);
	v->asking = true;
	return v;
}

int verify_open(struct object *o, struct pf_open *open)
{
	struct question *q = NULL;

	if (!o->pf->config.verify || o->size <= VERIFY_WHOLE_MAX)
		return 0;
	{
		WITH_LOCK(&o->lock);
		if (!o->verify) {
			o->verify = verify_new();
			q = o->verify ? question_new(o) : NULL;
			if (!q) {
				verify_free(take_ptr(&o->verify));
				return -ENOMEM;
			}
		}
		if (o->verify->asking) {
			open->pending++;
			list_append(&o->verify->waiting, &open->node);
		} else if (!verify_begin_locked(o, /* advance= */ false)) {
			return -EBADMSG;
		}
	}
	if (q)
		loop_post(q->loop, &q->task);
	return 0;
}

/* --- small objects --- */

bool verify_whole(const struct fetch *f)
{
	const struct object *o = f->object;
	struct source_describe d = {.checksum = f->source.checksum};
	struct verify v = {.npasses = 0};
	struct pass p = {.next = 0};
	const char *why = learn(&v, o, &d);
	bool right = true;

	if (!why && pass_init(&v, &p) < 0)
		why = "out of memory";
	while (!why && p.next < o->cells)
		if (!pass_take(o, &v, &p, fetch_cell(f, p.next)))
			why = "out of memory";
	if (why)
		say_unverified(o->pf, o->key, why);
	else
		right = pass_is_right(o, &v, &p);
	pass_fini(&p);
	return right;
}
