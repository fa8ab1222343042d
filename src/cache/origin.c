/* SPDX-License-Identifier: Apache-2.0 */

/*
 * S3 as a block source: hands each fetch to s3_get and translates between the
 * two structs. No state of its own; runs on the fetch's loop.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "cache/cache.h"
#include "loop/loop.h"
#include "s3/s3.h"

struct origin {
	struct block_source source;
	struct s3_client *client;
};

struct origin_fetch {
	struct s3_get_call get;
	struct source_fetch *fetch; /* the caller's */
};

static struct origin_fetch *of_get(struct s3_get_call *g)
{
	return container_of(g, struct origin_fetch, get);
}

static void on_head(struct s3_get_call *g)
{
	struct source_fetch *f = of_get(g)->fetch;

	f->checksum = g->checksum;
	if (f->on_head)
		f->on_head(f);
}

static struct iovec on_space(struct s3_get_call *g, uint64_t pos)
{
	struct source_fetch *f = of_get(g)->fetch;

	return f->on_space(f, pos);
}

static void on_data(struct s3_get_call *g, uint64_t pos, size_t len)
{
	struct source_fetch *f = of_get(g)->fetch;

	f->on_data(f, pos, len);
}

static bool on_pause(struct s3_get_call *g, uint64_t pos)
{
	struct source_fetch *f = of_get(g)->fetch;

	return f->on_pause(f, pos);
}

/* Readers hear no more than an errno. That a version is gone tells itself. */
static void explain(const struct s3_get_call *g)
{
	int err = g->call.error.err;
	char why[512];

	if (err == 0 || err == -ENOENT || err == -ESTALE || err == -ECANCELED)
		return;
	s3_error_format(&g->call.error, why, sizeof(why));
	log_warn(LOG_CACHE, "GET %s from %llu failed: %s", g->key, (unsigned long long)g->offset,
		 why);
}

static void on_done(struct s3_call *c)
{
	struct origin_fetch *of = of_get(container_of(c, struct s3_get_call, call));
	struct source_fetch *f = of->fetch;
	int err = c->error.err;

	explain(&of->get);
	f->impl = NULL;
	free(of);
	f->done(f, err);
}

/* No memory for the call: `done` comes all the same, and not from inside fetch(). */
static void on_refused(struct loop_task *t)
{
	struct source_fetch *f = container_of(t, struct source_fetch, task);

	f->done(f, -ENOMEM);
}

static void origin_fetch(struct block_source *s, struct loop *l, struct source_fetch *f)
{
	struct origin *o = container_of(s, struct origin, source);
	struct origin_fetch *of = calloc(1, sizeof(*of));

	f->impl = of;
	if (!of) {
		f->task.run = on_refused;
		loop_post(l, &f->task);
		return;
	}
	of->fetch = f;
	of->get = (struct s3_get_call){
		.call = {.done = on_done, .deadline = f->deadline},
		.key = f->key,
		.if_match = f->etag,
		.offset = f->offset,
		.length = f->length,
		.demand = f->demand,
		.whole = f->whole,
		.on_head = on_head,
		.on_space = on_space,
		.on_data = on_data,
		.on_pause = f->on_pause ? on_pause : NULL,
	};
	s3_get(o->client, l, &of->get);
}

static void origin_resume(struct block_source *s, struct source_fetch *f)
{
	struct origin_fetch *of = f->impl;

	(void)s;
	if (of)
		s3_get_resume(&of->get);
}

static void origin_cancel(struct block_source *s, struct source_fetch *f)
{
	struct origin_fetch *of = f->impl;

	if (!of)
		return;
	s3_cancel(&of->get.call);
	f->impl = NULL;
	free(of);
}

/* --- describe: a HEAD; two more, of the first and last part, where the parts matter --- */

static struct source_describe *of_head(struct s3_head_call *h)
{
	return container_of(h, struct source_describe, head);
}

static void on_attempt(struct s3_head_call *h)
{
	if (of_head(h)->part == 0)
		of_head(h)->checksum = (struct s3_checksum){0};
}

static void on_header(struct s3_head_call *h, const char *name, size_t name_len, const char *value,
		      size_t value_len)
{
	if (of_head(h)->part == 0)
		s3_checksum_header(&of_head(h)->checksum, name, name_len, value, value_len);
}

static void on_described(struct s3_call *c);

static void ask(struct origin *o, struct source_describe *d)
{
	(void)snprintf(d->part_text, sizeof(d->part_text), "%u", d->part);
	d->head = (struct s3_head_call){
		.call = {.done = on_described},
		.key = d->key,
		.if_match = d->etag,
		.checksum = d->part == 0,
		.part = d->part ? d->part_text : NULL,
		.on_attempt = on_attempt,
		.on_header = on_header,
	};
	s3_head(o->client, d->loop, &d->head);
}

static void on_described(struct s3_call *c)
{
	struct source_describe *d = of_head(container_of(c, struct s3_head_call, call));
	int err = c->error.err;

	if (d->part && c->error.cls == S3_INVALID) {
		/* There is no such part, or it is empty: its size is of no use. */
		d->done(d, 0);
		return;
	}
	if (d->part == 1)
		d->first_part = d->head.object.size;
	else if (d->part > 1)
		d->last_part = d->head.object.size;
	if (err == 0 && d->checksum.parts > 1 && d->part < d->checksum.parts) {
		d->part = d->part ? d->checksum.parts : 1;
		ask(container_of(d->source, struct origin, source), d);
		return;
	}
	d->done(d, err);
}

static void origin_describe(struct block_source *s, struct loop *l, struct source_describe *d)
{
	d->source = s;
	d->loop = l;
	d->part = 0;
	d->first_part = d->last_part = 0;
	ask(container_of(s, struct origin, source), d);
}

static void origin_free(struct block_source *s)
{
	free(container_of(s, struct origin, source));
}

static const struct block_source_ops origin_ops = {
	.fetch = origin_fetch,
	.resume = origin_resume,
	.cancel = origin_cancel,
	.describe = origin_describe,
	.free = origin_free,
};

int origin_new(struct s3_client *client, struct block_source **ret)
{
	struct origin *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->source.ops = &origin_ops;
	o->client = client;
	*ret = &o->source;
	return 0;
}
