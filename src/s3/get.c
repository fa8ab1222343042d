/* SPDX-License-Identifier: Apache-2.0 */

/*
 * s3_get: an operation over its attempts.
 *
 * Every attempt asks for what is still missing, under the same If-Match. The
 * deadline bounds the time without progress: each GET_CREDIT bytes renew it and
 * start the backoff afresh; the number of attempts is never renewed.
 *
 * An operation ends in `finish`, always from the loop, or in s3_cancel. Its
 * memory is kept for the next one.
 */
#include "s3/get.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define IDLE_OPS_MAX 64

void get_op_free(struct get_op *op)
{
	for (unsigned i = 0; i < GET_LEGS; i++) {
		s3_request_fini(&op->leg[i].request);
		buf_fini(&op->leg[i].out);
		buf_fini(&op->leg[i].error_body);
	}
	free(op);
}

/* Gives the memory back, unless somebody up the stack or the loop still needs it. */
static void op_recycle(struct get_op *op)
{
	struct get_loop *g = op->engine;

	if (op->calling || op->posted)
		return;
	list_del(&op->node);
	if (g->nidle >= IDLE_OPS_MAX) {
		get_op_free(op);
		return;
	}
	list_push(&g->idle, &op->node);
	g->nidle++;
}

/* Detaches the operation from caller, connections and timer. */
static struct s3_get_call *op_detach(struct get_op *op)
{
	struct s3_get_call *call = op->call;

	for (unsigned i = 0; i < GET_LEGS; i++)
		get_leg_stop(&op->leg[i]);
	loop_timer_cancel(op->engine->loop, &op->timer);
	op->call = NULL;
	call->call.op = NULL;
	call->call.error.attempts = op->retry.attempts;
	op_recycle(op);
	return call;
}

static void finish(struct get_op *op)
{
	struct s3_get_call *call = op_detach(op);

	call->call.done(&call->call);
}

void get_op_finish(struct get_op *op, int err, const char *why)
{
	s3_error_reset(&op->call->call.error);
	s3_error_transport(&op->call->call.error, err, why);
	finish(op);
}

static void op_cancel(struct s3_op *o)
{
	(void)op_detach(container_of(o, struct get_op, op));
}

/*
 * When the bytes that somebody waits for are so late that another connection is
 * asked: beside the first while it has not answered, instead of it in a body.
 */
static uint64_t hedge_due(const struct get_op *op)
{
	const struct get_leg *leg = &op->leg[0];

	if (!op->call->demand || op->hedge_denied)
		return NO_DEADLINE;
	if (leg->state == LEG_HEAD && op->leg[1].state == LEG_OFF) {
		uint64_t delay = get_hedge_delay(&op->engine->hedge);
		return delay == NO_DEADLINE ? delay : leg->since + delay;
	}
	if (op->leg[1].state != LEG_OFF)
		leg = &op->leg[1];
	return leg->state == LEG_BODY ? leg->since + HEDGE_STALL_NS : NO_DEADLINE;
}

void get_op_arm(struct get_op *op)
{
	uint64_t at = min_u64(op->deadline, op->retry_at ? op->retry_at : NO_DEADLINE);

	at = min_u64(at, hedge_due(op));
	for (unsigned i = 0; i < GET_LEGS; i++)
		at = min_u64(at, get_leg_due(&op->leg[i]));
	/* One that fires early looks again; one that would fire late is moved. */
	if (op->timer.slot && op->timer_at <= at)
		return;
	op->timer_at = at;
	if (loop_timer_set(op->engine->loop, &op->timer, at) == 0 || op->posted)
		return;
	/* Nothing may run without a deadline. */
	op->no_timer = op->posted = true;
	loop_post(op->engine->loop, &op->task);
}

static void count_request(struct get_op *op)
{
	atomic_fetch_add_explicit(&op->engine->client->requests, 1, memory_order_relaxed);
	get_hedge_request(&op->engine->hedge);
}

static void attempt(struct get_op *op)
{
	struct s3_client *c = op->engine->client;

	if (clock_now() >= op->deadline) {
		get_op_finish(op, -ETIMEDOUT, "no time left");
		return;
	}
	op->retry_at = 0;
	op->hedge_denied = false;
	if (op->retry.attempts++ > 0)
		atomic_fetch_add_explicit(&c->retries, 1, memory_order_relaxed);
	count_request(op);
	int r = get_leg_start(&op->leg[0]);
	if (r < 0)
		get_op_finish(op, r, strerror(-r));
	else
		get_op_arm(op);
}

static bool give_up_on_protocol(struct get_op *op)
{
	return op->call->call.error.cls == S3_PROTOCOL &&
	       ++op->protocol_errors >= GET_PROTOCOL_TRIES;
}

void get_op_failed(struct get_op *op, struct get_leg *leg)
{
	struct s3_error *e = &op->call->call.error;
	uint64_t wait = 0;

	e->attempts = op->retry.attempts;
	if (e->cls == S3_THROTTLED)
		get_hedge_throttled(&op->engine->hedge, clock_now());
	for (unsigned i = 0; i < GET_LEGS; i++) {
		if (op->leg[i].state == LEG_OFF)
			continue;
		get_op_arm(op); /* the other one may still bring it */
		return;
	}
	if (conn_pool_is_stopping(op->engine->pool)) {
		get_op_finish(op, -ECANCELED, "");
		return;
	}
	if (give_up_on_protocol(op) ||
	    s3_retry_next(op->engine->client, &op->retry, e, &leg->request, op->deadline, &wait) ==
		    S3_GIVE_UP) {
		finish(op);
		return;
	}
	log_debug(LOG_S3, "GET %s from %llu: %s, retry in %llu ms", op->call->key,
		  (unsigned long long)op->pos, e->message[0] ? e->message : e->code,
		  (unsigned long long)(wait / NSEC_PER_MSEC));
	if (wait == 0) {
		attempt(op);
		return;
	}
	op->retry_at = clock_now() + wait;
	get_op_arm(op);
}

/* One leg was too slow: it fails, the operation goes on as after any failure. */
static void leg_timeout(struct get_op *op, struct get_leg *leg)
{
	const char *why = leg->state == LEG_HEAD ? "no answer in time" : "the answer stalled";

	get_leg_stop(leg);
	s3_error_reset(&op->call->call.error);
	s3_error_transport(&op->call->call.error, -ETIMEDOUT, why);
	get_op_failed(op, leg);
}

static void hedge(struct get_op *op, uint64_t now)
{
	op->hedge_denied = !get_hedge_take(&op->engine->hedge, now);
	if (!op->hedge_denied) {
		log_debug(LOG_S3, "GET %s from %llu: late, asked again", op->call->key,
			  (unsigned long long)op->pos);
		if (op->leg[0].state != LEG_HEAD) {
			for (unsigned i = 0; i < GET_LEGS; i++)
				get_leg_stop(&op->leg[i]);
			attempt(op);
			return;
		}
		count_request(op);
		op->hedge_denied = get_leg_start(&op->leg[1]) < 0;
	}
	get_op_arm(op);
}

static void on_timer(struct loop_timer *t)
{
	struct get_op *op = container_of(t, struct get_op, timer);
	uint64_t now = clock_now();

	if (now >= op->deadline) {
		/* What the last attempt met says more than the clock, if there is such a thing. */
		if (op->retry_at)
			finish(op);
		else
			get_op_finish(op, -ETIMEDOUT, "no progress before the deadline");
		return;
	}
	if (op->retry_at && now >= op->retry_at) {
		attempt(op);
		return;
	}
	for (unsigned i = 0; i < GET_LEGS; i++) {
		if (now < get_leg_due(&op->leg[i]))
			continue;
		if (op->leg[i].state != LEG_PAUSED) {
			leg_timeout(op, &op->leg[i]);
			return;
		}
		op->unpaced = true;
		get_leg_resume(&op->leg[i]);
		if (op->call)
			get_op_arm(op);
		return;
	}
	if (now >= hedge_due(op))
		hedge(op, now);
	else
		get_op_arm(op);
}

bool get_op_headed(struct get_op *op, struct get_leg *leg, const struct s3_object *object)
{
	struct s3_get_call *call = op->call;
	bool first = op->size == GET_SIZE_UNKNOWN;

	for (unsigned i = 0; i < GET_LEGS; i++)
		if (&op->leg[i] != leg)
			get_leg_stop(&op->leg[i]);
	op->size = object->size;
	if (call->demand)
		get_op_arm(op); /* a stall is noticed sooner than a late head */
	if (!first)
		return true;
	call->object = *object;
	if (!call->on_head)
		return true;
	op->calling = true;
	call->on_head(call);
	op->calling = false;
	if (!op->call)
		op_recycle(op);
	return op->call != NULL;
}

struct iovec get_op_space(struct get_op *op)
{
	struct s3_get_call *call = op->call;

	op->calling = true;
	struct iovec to = call->on_space(call, op->pos);
	op->calling = false;
	if (!op->call) {
		op_recycle(op);
		return (struct iovec){0};
	}
	assert(to.iov_base && to.iov_len > 0);
	to.iov_len = min_u64(to.iov_len, op->end - op->pos);
	return to;
}

bool get_op_placed(struct get_op *op, size_t len)
{
	struct s3_get_call *call = op->call;
	uint64_t pos = op->pos;

	op->pos += len;
	if (op->pos - op->credit >= GET_CREDIT) {
		op->credit = op->pos;
		if (op->deadline != NO_DEADLINE)
			op->deadline = clock_now() + op->budget;
		op->retry.retries = 0;
	}
	op->calling = true;
	call->on_data(call, pos, len);
	op->calling = false;
	if (!op->call)
		op_recycle(op);
	return op->call != NULL;
}

void get_op_done(struct get_op *op)
{
	struct s3_error *e = &op->call->call.error;

	s3_retry_done(op->engine->client, &op->retry);
	s3_error_reset(e);
	e->cls = S3_OK;
	finish(op);
}

static void on_task(struct loop_task *t)
{
	struct get_op *op = container_of(t, struct get_op, task);

	op->posted = false;
	if (!op->call)
		op_recycle(op);
	else if (conn_pool_is_stopping(op->engine->pool))
		get_op_finish(op, -ECANCELED, "");
	else if (op->no_timer)
		get_op_finish(op, -ENOMEM, "");
	else
		attempt(op);
}

static struct get_op *op_new(struct get_loop *g)
{
	struct list *n = list_pop(&g->idle);
	struct get_op *op;

	if (n) {
		g->nidle--;
		op = list_entry(n, struct get_op, node);
	} else {
		op = calloc(1, sizeof(*op));
		if (!op)
			return NULL;
		for (unsigned i = 0; i < GET_LEGS; i++) {
			op->leg[i].op = op;
			op->leg[i].request = (struct s3_request)S3_REQUEST_INIT;
			buf_init(&op->leg[i].out, 2 * S3_REQUEST_MAX);
			buf_init(&op->leg[i].error_body, GET_ERROR_BODY_MAX);
		}
	}
	list_append(&g->ops, &op->node);
	return op;
}

static void op_init(struct get_op *op, struct get_loop *g, struct s3_get_call *call)
{
	uint64_t now = clock_now();
	uint64_t deadline = call->call.deadline;

	op->op.cancel = op_cancel;
	op->engine = g;
	op->call = call;
	op->pos = op->credit = call->offset;
	op->end = call->offset + call->length;
	op->size = GET_SIZE_UNKNOWN;
	op->budget = !deadline ? g->client->timeout : deadline > now ? deadline - now : 0;
	op->deadline = deadline == NO_DEADLINE ? deadline : now + op->budget;
	op->retry_at = 0;
	op->protocol_errors = 0;
	op->no_timer = op->unpaced = false;
	op->retry = (struct s3_retry){0};
	op->timer = (struct loop_timer){.fire = on_timer};
	op->task.run = on_task;
	call->call.op = &op->op;
	call->call.error = (struct s3_error){0};
}

void s3_get_resume(struct s3_get_call *call)
{
	struct get_op *op = container_of(call->call.op, struct get_op, op);

	loop_assert_owner(op->engine->loop);
	for (unsigned i = 0; i < GET_LEGS; i++)
		get_leg_resume(&op->leg[i]);
}

void s3_get(struct s3_client *c, struct loop *l, struct s3_get_call *call)
{
	struct get_loop *g;
	struct get_op *op = NULL;

	loop_assert_owner(l);
	assert(call->if_match && (call->length > 0 || call->offset == 0));
	int r = get_loop_of(c, l, &g);
	if (r == 0)
		op = op_new(g);
	if (!op) {
		s3_call_fail(l, &call->call, r < 0 ? r : -ENOMEM, "cannot start");
		return;
	}
	op_init(op, g, call);
	op->posted = true;
	loop_post(l, &op->task);
}
