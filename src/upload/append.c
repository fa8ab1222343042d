/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An upload that appends (directory buckets). Parts have one size and are sent
 * strictly one after another, each as a PutObject at the offset where the object
 * ends, under the condition that the object is still as the one before has left
 * it. So the object grows while it is written, and what has arrived stays there
 * whatever happens later.
 *
 *   nothing there yet, or to be replaced   PutObject, which makes the object
 *   object there, empty                    PutObject, if it is still that object
 *   object there                           PutObject with offset, if it still is
 *
 * A commit, as the end, sends the part that is being filled, however full; and an
 * empty object where there is none. When another client has changed the object the
 * upload fails for good with -EIO: what was accepted and not sent is lost, and
 * whoever waits, or comes later, is told.
 *
 * The sum that goes along is of the kind that the object has.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "upload/state.h"

struct append {
	/* under the upload's lock; `object` and `sum` do not change while a request runs */
	uint64_t base;		/* where the writing began */
	bool exists;		/* the object is there, as `object` says */
	struct s3_body_sum sum; /* of the object, as far as it is known */
	struct s3_put_attrs attrs;
};

/* Somebody else's doing, whatever the condition was that did not hold. */
static int append_errno(int err)
{
	switch (err) {
	case -ESTALE:
	case -EEXIST:
	case -ENOENT:
		return -EIO;
	default:
		return err;
	}
}

static void report(const struct upload *u, const struct s3_error *e)
{
	char text[512];

	s3_error_format(e, text, sizeof(text));
	log_err(LOG_UPLOAD, "append to %s at %llu failed: %s", u->key,
		(unsigned long long)u->object.size, text);
}

/* The server's object is ours up to here. */
static void appended_locked(struct upload *u, const struct s3_put_call *c)
{
	u->object = c->object;
	u->append->sum = c->whole;
	u->append->exists = true;
	u->attrs.if_none_match = false;
}

static void on_put(struct s3_call *c)
{
	struct upload_part *p = container_of(c, struct upload_part, call.put.call);
	struct upload *u = p->upload;
	struct after a;

	after_init(&a);
	if (c->error.err < 0)
		report(u, &c->error);
	lock_take(&u->lock);
	u->requesting = false;
	if (c->error.err < 0)
		upload_fail_locked(u, append_errno(c->error.err), &a);
	else
		appended_locked(u, &p->call.put);
	upload_drop_part_locked(u, p, &a);
	upload_request_over(u, &a);
}

static void send_put(struct loop_task *t)
{
	struct upload_part *p = container_of(t, struct upload_part, task);
	struct upload *u = p->upload;
	struct append *x = u->append;
	struct s3_put_call *c = &p->call.put;
	unsigned n = 0;
	int r = upload_part_seal(p, &n);

	/* What an object is like is said once, when it is made. */
	x->attrs = u->object.size == 0
			   ? u->attrs
			   : (struct s3_put_attrs){.sse = u->attrs.sse,
						   .sse_kms_key_id = u->attrs.sse_kms_key_id};
	*c = (struct s3_put_call){.call = {.done = on_put},
				  .key = u->key,
				  .attrs = &x->attrs,
				  .body = p->iov,
				  .nbody = n,
				  .sum = &p->sum,
				  .if_match = x->exists ? u->object.etag : NULL,
				  .write_offset = u->object.size,
				  .before = &x->sum};
	if (r < 0) {
		c->call.error.err = r;
		on_put(&c->call);
		return;
	}
	s3_put(u->all->config.client, loop_current(), c);
}

static void put_locked(struct upload *u, struct upload_part *p)
{
	assert(!u->requesting);
	u->requesting = true;
	(void)upload_ref(u);
	p->task.run = send_put;
	loop_post(u->home, &p->task);
}

/* Nothing was written to a file that is not there: it becomes an empty one. */
static void put_empty_locked(struct upload *u, struct after *a)
{
	struct upload_part *p;
	int r = upload_part_new(u, 0, 0, &p);

	if (r < 0) {
		upload_fail_locked(u, r, a);
		return;
	}
	u->buffered++;
	put_locked(u, p);
}

static void answer_committers_locked(struct upload *u, struct after *a)
{
	struct list *n, *tmp;

	list_for_each_safe (n, tmp, &u->committers) {
		struct upload_finish *f = list_entry(n, struct upload_finish, node);

		if (f->mark > u->object.size)
			break; /* the later ones have asked for no less */
		f->err = 0;
		f->object = u->object;
		list_del(n);
		list_append(&a->finishers, n);
	}
}

static void pump_locked(struct upload *u, struct after *a)
{
	bool ending = u->state == FINISHING && !u->writing;
	struct list *full;

	if (u->requesting || u->state == DONE || u->state == FAILED)
		return;
	if (u->append->exists)
		answer_committers_locked(u, a);
	if (!u->writing && u->filling && u->filling->used > 0 &&
	    (ending || !list_empty(&u->committers)))
		list_append(&u->queue, &take_ptr(&u->filling)->node);
	full = list_pop(&u->queue);
	if (full) {
		put_locked(u, list_entry(full, struct upload_part, node));
	} else if (!u->append->exists && (ending || !list_empty(&u->committers))) {
		put_empty_locked(u, a);
	} else if (ending) {
		const struct s3_object object = u->object;

		upload_done_locked(u, &object, a);
	}
}

const struct upload_kind upload_appending = {
	.pump_locked = pump_locked,
	.parts_max = UINT_MAX, /* S3 counts them, over all who ever appended */
};

int upload_append_new(struct uploads *all, const char *key, const struct upload_base *base,
		      struct upload **ret)
{
	struct append *x = calloc(1, sizeof(*x));
	struct upload *u;
	int r = x ? upload_alloc(all, key, &upload_appending, &u) : -ENOMEM;

	if (r < 0) {
		free(x);
		return r;
	}
	u->append = x;
	u->max_part = u->first_part;
	u->attrs.storage_class = NULL;
	if (base) {
		x->exists = true;
		x->base = base->object.size;
		x->sum = base->sum;
		u->object = base->object;
		u->size = base->object.size;
		u->attrs.if_none_match = false;
	}
	/* An empty object takes any. */
	if (base && base->object.size > 0)
		u->whole.kind = base->sum.kind;
	*ret = u;
	return 0;
}

uint64_t upload_written(struct upload *u)
{
	return upload_size(u) - (u->append ? u->append->base : 0);
}

bool upload_appends(const struct upload *u)
{
	return u->append;
}
