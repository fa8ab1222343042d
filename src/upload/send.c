/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The requests of an upload: PutObject, or CreateMultipartUpload, UploadPart,
 * CompleteMultipartUpload, AbortMultipartUpload. Parts go to all loops in turn,
 * the others to the upload's home loop. A failure is logged here, once, with
 * key and upload id; the state machine in upload.c decides what follows.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "upload/journal.h"
#include "upload/orphan.h"
#include "upload/state.h"
#include "upload/stray.h"

/* The one line that says why there is no object: what fails after it is no news. */
static void fail_locked(struct upload *u, const char *what, const struct s3_error *e,
			struct after *a)
{
	char text[512];

	if (u->state != FAILED && u->state != DONE) {
		s3_error_format(e, text, sizeof(text));
		log_err(LOG_UPLOAD,
			"upload of %s failed at %s: %s (upload id %s, %llu bytes written)", u->key,
			what, text, u->upload_id ? u->upload_id : "none",
			(unsigned long long)u->size);
	}
	upload_fail_locked(u, e->err, a);
}

/* While this is not 0 there is memory that comes back, whatever the server does. */
static void count_sending(struct uploads *all, int n)
{
	(void)atomic_fetch_add(&all->sending, (unsigned)n);
}

static void note_sending(struct upload_part *p)
{
	p->sending = true;
	count_sending(p->upload->all, 1);
}

void upload_request_over(struct upload *u, struct after *a)
{
	if (u->waiting == TURN)
		upload_wake_writer_locked(u, a);
	upload_pump_locked(u, a);
	lock_drop(&u->lock);
	after_run(u, a);
	upload_unref(u);
}

static int store_part_locked(struct upload *u, unsigned number, const struct s3_part *part)
{
	if (number > u->parts_cap) {
		unsigned cap = u->parts_cap ? u->parts_cap * 2 : 16;
		struct s3_part *p;

		while (cap < number)
			cap *= 2;
		p = realloc(u->parts, cap * sizeof(*p));
		if (!p)
			return -ENOMEM;
		memset(p + u->parts_cap, 0, (cap - u->parts_cap) * sizeof(*p));
		u->parts = p;
		u->parts_cap = cap;
	}
	u->parts[number - 1] = *part;
	return 0;
}

/*
 * All together have no more than one has alone: what the others leave, and no more
 * than an equal share, or those that came first would be done long before the last.
 */
static unsigned flight_most_locked(const struct upload *u)
{
	unsigned most = u->all->config.parts_in_flight_max;
	unsigned sending = atomic_load(&u->all->sending);
	unsigned others = sending > u->in_flight ? sending - u->in_flight : 0;
	unsigned rest = most > others ? most - others : 0;

	return min_u64(rest, most / atomic_load(&u->all->senders)); /* this is one of them */
}

static void count_in_flight_locked(struct upload *u, int n)
{
	unsigned before = u->in_flight;

	u->in_flight += (unsigned)n;
	if (!before != !u->in_flight)
		(void)atomic_fetch_add(&u->all->senders, before ? -1U : 1U);
}

static void on_part_sent(struct s3_call *c)
{
	struct upload_part *p = container_of(c, struct upload_part, call.send.call);
	struct upload *u = p->upload;
	struct after a;

	after_init(&a);
	lock_take(&u->lock);
	if (c->error.err == 0)
		c->error.err = store_part_locked(u, p->number, &p->call.send.part);
	if (c->error.err < 0)
		fail_locked(u, "UploadPart", &c->error, &a);
	flight_sent(&u->flight, p->used, clock_now(), flight_most_locked(u));
	count_in_flight_locked(u, -1);
	upload_drop_part_locked(u, p, &a);
	upload_request_over(u, &a);
}

static void send_part(struct loop_task *t)
{
	struct upload_part *p = container_of(t, struct upload_part, task);
	struct s3_upload_part_call *c = &p->call.send;
	unsigned n = 0;
	int r = upload_part_seal(p, &n);

	*c = (struct s3_upload_part_call){.call = {.done = on_part_sent},
					  .key = p->upload->key,
					  .upload_id = p->upload->upload_id,
					  .number = p->number,
					  .body = p->iov,
					  .nbody = n,
					  .sum = &p->sum};
	if (r < 0) {
		c->call.error.err = r;
		on_part_sent(&c->call);
		return;
	}
	s3_upload_part(p->upload->all->config.client, loop_current(), c);
}

static void on_put(struct s3_call *c)
{
	struct upload_part *p = container_of(c, struct upload_part, call.put.call);
	struct upload *u = p->upload;
	struct after a;

	after_init(&a);
	lock_take(&u->lock);
	u->requesting = false;
	if (c->error.err < 0)
		fail_locked(u, "PutObject", &c->error, &a);
	else
		upload_done_locked(u, &p->call.put.object, &a);
	upload_drop_part_locked(u, p, &a);
	upload_request_over(u, &a);
}

static void send_put(struct loop_task *t)
{
	struct upload_part *p = container_of(t, struct upload_part, task);
	struct s3_put_call *c = &p->call.put;
	unsigned n = 0;
	int r = upload_part_seal(p, &n);

	*c = (struct s3_put_call){.call = {.done = on_put},
				  .key = p->upload->key,
				  .attrs = &p->upload->attrs,
				  .body = p->iov,
				  .nbody = n,
				  .sum = &p->sum};
	if (r < 0) {
		c->call.error.err = r;
		on_put(&c->call);
		return;
	}
	s3_put(p->upload->all->config.client, loop_current(), c);
}

static void on_created(struct s3_call *c)
{
	struct upload *u = container_of(c, struct upload, call.create.call);
	struct uploads *all = u->all;
	struct after a;

	after_init(&a);
	if (u->call.create.upload_id)
		upload_journal_add(all->journal, u->key, u->call.create.upload_id);
	if (u->call.create.unclear)
		upload_strays_add(all->strays, u->key, u->creating, u->intent);
	else
		upload_journal_remove(all->journal, u->intent);
	lock_take(&u->lock);
	u->requesting = false;
	flight_begin(&u->flight, s3_client_delay(all->config.client), flight_most_locked(u));
	u->upload_id = take_ptr(&u->call.create.upload_id);
	if (c->error.err < 0)
		fail_locked(u, "CreateMultipartUpload", &c->error, &a);
	count_in_flight_locked(u, -1);
	upload_request_over(u, &a);
	count_sending(all, -1); /* the parts that it held up are counted now */
}

static void send_create(struct loop_task *t)
{
	struct upload *u = container_of(t, struct upload, task);

	u->creating = clock_now();
	upload_intent(u->intent);
	upload_journal_add(u->all->journal, u->key, u->intent);
	u->call.create = (struct s3_create_upload_call){.call = {.done = on_created},
							.key = u->key,
							.attrs = &u->attrs,
							.sum = u->whole.kind};
	s3_create_upload(u->all->config.client, u->home, &u->call.create);
}

/* Too late for this upload, in time for the next ones. */
static void learn_of_refusal(struct upload *u, const struct s3_error *e)
{
	if (strcmp(e->code, "InvalidPart") != 0 || u->last_number < 3 ||
	    u->parts[0].size == u->parts[u->last_number - 2].size ||
	    atomic_exchange(&u->all->equal_parts, true))
		return;
	log_warn(LOG_UPLOAD,
		 "the server seems to want parts of one size: from now on they do not grow, as "
		 "with --fixed-part-size, and files reach %llu GiB; a larger --write-part-size "
		 "takes them further",
		 (unsigned long long)(u->first_part * S3_PARTS_MAX / GIB));
}

static void on_completed(struct s3_call *c)
{
	struct upload *u = container_of(c, struct upload, call.complete.call);
	struct after a;

	after_init(&a);
	if (c->error.err < 0)
		learn_of_refusal(u, &c->error);
	else
		upload_journal_remove(u->all->journal, u->upload_id);
	lock_take(&u->lock);
	u->requesting = false;
	if (c->error.err < 0)
		fail_locked(u, "CompleteMultipartUpload", &c->error, &a);
	else
		upload_done_locked(u, &u->call.complete.object, &a);
	upload_request_over(u, &a);
}

/* Whether what the server has, part by part, is what write(2) brought. */
static bool parts_are_whole(const struct upload *u)
{
	uint64_t size = 0, sum = 0;

	for (unsigned i = 0; i < u->last_number; i++) {
		const struct s3_part *p = i < u->parts_cap ? &u->parts[i] : NULL;

		if (!p || !p->etag[0] || (i > 0 && p->size == 0))
			return false;
		sum = s3_sum_join(u->whole.kind, sum, p->sum, p->size);
		size += p->size;
	}
	return size == u->size && sum == u->whole.value;
}

static void send_complete(struct loop_task *t)
{
	struct upload *u = container_of(t, struct upload, task);

	if (!parts_are_whole(u)) {
		struct s3_error *e = &u->call.complete.call.error;

		*e = (struct s3_error){.cls = S3_LOCAL, .err = -EIO};
		(void)snprintf(e->message, sizeof(e->message),
			       "the %u parts are not the %llu bytes that were written",
			       u->last_number, (unsigned long long)u->size);
		on_completed(&u->call.complete.call);
		return;
	}

	u->call.complete = (struct s3_complete_call){.call = {.done = on_completed},
						     .key = u->key,
						     .upload_id = u->upload_id,
						     .parts = u->parts,
						     .nparts = u->last_number,
						     .sum = &u->whole,
						     .if_none_match = u->attrs.if_none_match};
	s3_complete(u->all->config.client, u->home, &u->call.complete);
}

static void on_aborted(struct s3_call *c)
{
	struct upload *u = container_of(c, struct upload, call.abort.call);
	struct after a;

	after_init(&a);
	if (c->error.err < 0) {
		char text[512];

		s3_error_format(&c->error, text, sizeof(text));
		log_warn(LOG_UPLOAD, "upload %s of %s is not aborted yet: %s", u->upload_id, u->key,
			 text);
		upload_orphans_add(u->all->orphans, u->key, u->upload_id);
	} else {
		upload_journal_remove(u->all->journal, u->upload_id);
	}
	lock_take(&u->lock);
	u->requesting = false;
	free(take_ptr(&u->upload_id));
	upload_request_over(u, &a);
}

static void send_abort(struct loop_task *t)
{
	struct upload *u = container_of(t, struct upload, task);

	u->call.abort = (struct s3_abort_call){
		.call = {.done = on_aborted}, .key = u->key, .upload_id = u->upload_id};
	s3_abort(u->all->config.client, u->home, &u->call.abort);
}

static void request_locked(struct upload *u, void (*send)(struct loop_task *t))
{
	assert(!u->requesting);
	u->requesting = true;
	(void)upload_ref(u);
	u->task.run = send;
	loop_post(u->home, &u->task);
}

void upload_create_locked(struct upload *u)
{
	count_sending(u->all, 1);
	count_in_flight_locked(u, 1);
	request_locked(u, send_create);
}

void upload_complete_locked(struct upload *u)
{
	request_locked(u, send_complete);
}

void upload_send_abort_locked(struct upload *u)
{
	request_locked(u, send_abort);
}

void upload_put_locked(struct upload *u, struct upload_part *p)
{
	assert(!u->requesting);
	u->requesting = true;
	(void)upload_ref(u);
	note_sending(p);
	p->task.run = send_put;
	loop_post(u->home, &p->task);
}

void upload_send_part_locked(struct upload *u, struct upload_part *p)
{
	count_in_flight_locked(u, 1);
	(void)upload_ref(u);
	note_sending(p);
	p->task.run = send_part;
	loop_post(u->all->config.loops[u->next_loop++ % u->all->config.nloops], &p->task);
}
