/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One request on one connection.
 *
 *	OFF -> WAIT -> HEAD -> BODY -> OFF (done)
 *	   |             |      ^---> PAUSED -> BODY
 *	   \-> SESSION -> OFF (begins again, or failed)
 *	                 \---> ERROR -> OFF (failed)
 *	any -> OFF (failed, stopped)
 *
 * In BODY the loop receives into the caller's memory; only what came in one piece
 * with the head, and chunked bodies, are copied.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "s3/get.h"

#define USER_AGENT "mount-s3/" MOUNT_S3_VERSION
/* First receive of an answer: a head is below 1 KiB, what follows is to be copied. */
#define HEAD_READ (4 * KIB)
/* Bodies up to this size come along with the head. */
#define SMALL_BODY  (12 * KIB)
#define INTERIM_MAX 8

static void on_conn(struct conn_pool_wait *w, struct conn_pool_conn *pc, int err, const char *why);
static void on_head_bytes(struct conn *c, int res);
static void recv_body(struct get_leg *leg);

void get_leg_release(struct get_leg *leg, bool reusable)
{
	if (leg->pc)
		conn_pool_put(leg->pc, reusable);
	leg->pc = NULL;
	leg->state = LEG_OFF;
}

void get_leg_stop(struct get_leg *leg)
{
	if (leg->state == LEG_SESSION)
		s3_session_cancel(leg->op->engine->client, &leg->session);
	if (leg->state == LEG_WAIT)
		conn_pool_cancel(leg->op->engine->pool, &leg->wait);
	get_leg_release(leg, /* reusable= */ false);
}

uint64_t get_leg_due(const struct get_leg *leg)
{
	switch (leg->state) {
	case LEG_HEAD:
		return leg->since + leg->op->engine->limits.first_byte;
	case LEG_PAUSED:
		return leg->since + GET_PAUSE_MAX;
	case LEG_BODY:
	case LEG_ERROR:
		return leg->since + leg->op->engine->limits.stall;
	case LEG_OFF:
	case LEG_SESSION:
	case LEG_WAIT:
		break;
	}
	return NO_DEADLINE;
}

static void fail_transport(struct get_leg *leg, int err, const char *why)
{
	struct get_op *op = leg->op;

	get_leg_stop(leg);
	s3_error_reset(&op->call->call.error);
	s3_error_transport(&op->call->call.error, err, why);
	get_op_failed(op, leg);
}

static void fail_protocol(struct get_leg *leg, int err, const char *why)
{
	struct get_op *op = leg->op;
	struct s3_error *e = &op->call->call.error;

	get_leg_stop(leg);
	s3_error_reset(e);
	s3_error_set(e, S3_PROTOCOL, -EIO, why);
	e->status = leg->status;
	if (err == -ESTALE) {
		/* A server that does not look at If-Match: as if it had. */
		(void)snprintf(e->code, sizeof(e->code), "PreconditionFailed");
		s3_error_classify(e, 412);
	}
	get_op_failed(op, leg);
}

/* A proxy that gets the request in the clear wants the absolute URL, and who we are. */
static int write_head(struct get_leg *leg, const struct proxy *proxy)
{
	const struct s3_request *r = &leg->request;
	_cleanup_(buf_fini) struct buf plain = BUF_INIT(2 * S3_REQUEST_MAX);
	const size_t verb = sizeof("GET ") - 1, end = sizeof("\r\n") - 1;

	buf_reset(&leg->out);
	if (!proxy->used || r->target->endpoint.tls)
		return s3_request_head(r, USER_AGENT, &leg->out);
	int x = s3_request_head(r, USER_AGENT, &plain);
	if (x < 0)
		return x;
	buf_append(&leg->out, plain.data, verb);
	buf_puts(&leg->out, r->target->endpoint.origin);
	buf_append(&leg->out, plain.data + verb, plain.len - verb - end);
	buf_puts(&leg->out, proxy->auth);
	buf_puts(&leg->out, "\r\n");
	return buf_error(&leg->out);
}

/* Not when it goes on where another attempt stopped. */
static bool get_is_whole(const struct get_op *op)
{
	return op->call->whole && op->pos == 0;
}

static int prepare(struct get_leg *leg, struct conn_pool_host **ret_host)
{
	struct get_op *op = leg->op;
	struct s3_request *r = &leg->request;

	s3_request_start(r, "GET", op->call->key);
	if (get_is_whole(op)) {
		s3_request_header(r, "x-amz-checksum-mode", "ENABLED");
	} else if (op->end > 0) {
		(void)snprintf(leg->range, sizeof(leg->range), "bytes=%" PRIu64 "-%" PRIu64,
			       op->pos, op->end - 1);
		s3_request_header(r, "range", leg->range);
	}
	s3_request_header(r, "if-match", op->call->if_match);
	int x = s3_request_sign(r, op->engine->client);
	if (x < 0)
		return x;
	x = conn_pool_host_get(op->engine->pool, r->target, ret_host);
	return x < 0 ? x : write_head(leg, conn_pool_host_proxy(*ret_host));
}

static void on_sent(struct conn *c, int res);

static void send_request(struct get_leg *leg, struct conn_pool_conn *pc)
{
	leg->state = LEG_HEAD;
	leg->since = clock_now();
	leg->pc = pc;
	leg->scan = 0;
	leg->interim = 0;
	leg->status = 0;
	pc->user = leg;
	pc->len = 0;
	if (conn_send(&pc->conn, leg->out.data, leg->out.len, on_sent))
		on_sent(&pc->conn, (int)leg->out.len);
}

static void ask_conn(struct get_leg *leg, struct conn_pool_host *host)
{
	leg->state = LEG_WAIT;
	leg->wait.demand = leg->op->call->demand;
	leg->wait.fn = on_conn;
	struct conn_pool_conn *pc = conn_pool_get(leg->op->engine->pool, host, &leg->wait);
	if (pc)
		send_request(leg, pc);
}

static void on_session(struct s3_session_wait *w, const struct s3_error *error)
{
	struct get_leg *leg = container_of(w, struct get_leg, session);
	struct get_op *op = leg->op;
	int r = 0;

	leg->state = LEG_OFF;
	if (!error)
		r = get_leg_start(leg);
	if (r < 0) {
		get_op_finish(op, r, strerror(-r));
	} else if (error) {
		op->call->call.error = *error;
		get_op_failed(op, leg);
	} else {
		get_op_arm(op);
	}
}

int get_leg_start(struct get_leg *leg)
{
	struct get_op *op = leg->op;
	struct conn_pool_host *host;
	int r = prepare(leg, &host);

	if (r == -EAGAIN) {
		leg->state = LEG_SESSION;
		leg->session.done = on_session;
		s3_session_wait(op->engine->client, op->engine->loop, op->deadline, &leg->session);
		return 0;
	}
	if (r < 0)
		return r;
	leg->resent = false;
	leg->wait.fresh = false;
	ask_conn(leg, host);
	return 0;
}

static void on_conn(struct conn_pool_wait *w, struct conn_pool_conn *pc, int err, const char *why)
{
	struct get_leg *leg = container_of(w, struct get_leg, wait);

	if (!pc) {
		leg->state = LEG_OFF;
		fail_transport(leg, err, why);
		return;
	}
	send_request(leg, pc);
	get_op_arm(leg->op);
}

/*
 * A connection that had served before and dies without a byte of an answer was
 * closed by the server while it idled: the request goes out again, once.
 */
static bool resend(struct get_leg *leg, int res)
{
	struct conn_pool_conn *pc = leg->pc;
	struct conn_pool_host *host = pc->host;

	if (!pc->reused || pc->len > 0 || leg->interim || leg->resent)
		return false;
	if (res != 0 && res != -ECONNRESET && res != -EPIPE)
		return false;
	get_leg_release(leg, /* reusable= */ false);
	leg->resent = true;
	leg->wait.fresh = true;
	ask_conn(leg, host);
	get_op_arm(leg->op);
	return true;
}

void get_leg_broken(struct get_leg *leg, int res)
{
	char why[sizeof(leg->pc->conn.why)];

	if (leg->state == LEG_HEAD && resend(leg, res))
		return;
	if (res == 0)
		(void)snprintf(why, sizeof(why), "connection closed before the end of the answer");
	else
		(void)snprintf(why, sizeof(why), "%s",
			       leg->pc->conn.why[0] ? leg->pc->conn.why : strerror(-res));
	fail_transport(leg, res ? res : -ECONNRESET, why);
}

static void recv_head(struct get_leg *leg)
{
	struct conn_pool_conn *pc = leg->pc;
	size_t want = leg->op->end - leg->op->pos <= SMALL_BODY ? sizeof(pc->buf) : HEAD_READ;

	if (pc->len >= want)
		want = sizeof(pc->buf);
	conn_recv(&pc->conn, pc->buf + pc->len, want - pc->len, on_head_bytes);
}

static void on_sent(struct conn *c, int res)
{
	struct get_leg *leg = get_leg_of(c);

	if (res < 0)
		get_leg_broken(leg, res);
	else
		recv_head(leg);
}

/* --- bodies --- */

static void finish_body(struct get_leg *leg)
{
	struct get_op *op = leg->op;

	get_leg_release(leg, leg->keep_alive);
	get_op_done(op);
}

/* Copies what came with the head or in a chunk. False: the caller cancelled. */
static bool copy_body(struct get_op *op, const char *p, size_t len)
{
	while (len > 0) {
		struct iovec to = get_op_space(op);
		if (!op->call)
			return false;
		size_t n = min_u64(to.iov_len, len);

		memcpy(to.iov_base, p, n);
		if (!get_op_placed(op, n))
			return false;
		p += n;
		len -= n;
	}
	return true;
}

/* Decodes `len` bytes of pc->buf from `at` and asks for more. */
static void on_chunked(struct get_leg *leg, size_t at, size_t len)
{
	struct get_op *op = leg->op;
	const char *p = leg->pc->buf + at, *end = p + len;

	while (p < end && !leg->chunks.done) {
		const char *data;
		size_t n;
		ssize_t used = http_chunks_next(&leg->chunks, p, (size_t)(end - p), &data, &n);

		if (used < 0 || n > op->end - op->pos) {
			fail_protocol(leg, -EPROTO, "chunked body that does not fit");
			return;
		}
		p += used;
		if (data && !copy_body(op, data, n))
			return;
	}
	if (!leg->chunks.done) {
		recv_body(leg);
		return;
	}
	leg->keep_alive = leg->keep_alive && p == end;
	if (op->pos == op->end)
		finish_body(leg);
	else
		fail_transport(leg, -EPROTO, "chunked body ended early");
}

static void on_chunked_bytes(struct conn *c, int res)
{
	struct get_leg *leg = get_leg_of(c);

	if (res <= 0) {
		get_leg_broken(leg, res);
		return;
	}
	leg->since = clock_now();
	on_chunked(leg, 0, (size_t)res);
}

static void on_body_bytes(struct conn *c, int res)
{
	struct get_leg *leg = get_leg_of(c);
	struct get_op *op = leg->op;

	if (res <= 0) {
		get_leg_broken(leg, res);
		return;
	}
	leg->since = clock_now();
	if (!get_op_placed(op, (size_t)res))
		return;
	if (op->pos < op->end)
		recv_body(leg);
	else
		finish_body(leg);
}

static bool must_pause(const struct get_op *op)
{
	struct s3_get_call *call = op->call;

	return call->on_pause && !op->unpaced && call->on_pause(call, op->pos);
}

static void recv_body(struct get_leg *leg)
{
	struct get_op *op = leg->op;

	if (leg->chunked) {
		conn_recv(&leg->pc->conn, leg->pc->buf, sizeof(leg->pc->buf), on_chunked_bytes);
		return;
	}
	if (must_pause(op)) {
		leg->state = LEG_PAUSED;
		leg->since = clock_now();
		get_op_arm(op);
		return;
	}
	struct iovec to = get_op_space(op);
	if (op->call)
		conn_recv(&leg->pc->conn, to.iov_base, to.iov_len, on_body_bytes);
}

void get_leg_resume(struct get_leg *leg)
{
	if (leg->state != LEG_PAUSED)
		return;
	leg->state = LEG_BODY;
	leg->since = clock_now();
	recv_body(leg);
}

static void start_body(struct get_leg *leg, const struct s3_object *object, size_t at)
{
	struct get_op *op = leg->op;
	struct conn_pool_conn *pc = leg->pc;
	size_t rest = pc->len - at;

	uint64_t now = clock_now();

	get_hedge_sample(&op->engine->hedge, now - leg->since);
	leg->state = LEG_BODY;
	leg->since = now;
	if (!get_op_headed(op, leg, object))
		return;
	if (leg->chunked) {
		leg->chunks = (struct http_chunks){0};
		on_chunked(leg, at, rest);
		return;
	}
	if (rest > op->end - op->pos) {
		leg->keep_alive = false;
		rest = op->end - op->pos;
	}
	if (!copy_body(op, pc->buf + at, rest))
		return;
	if (op->pos < op->end)
		recv_body(leg);
	else
		finish_body(leg);
}

static void note(struct get_leg *leg, const struct http_head *h)
{
	struct get_op *op = leg->op;
	struct s3_error *e = &op->call->call.error;

	s3_error_reset(e);
	if (h->request_id.p)
		s3_error_header(e, "x-amz-request-id", 16, h->request_id.p, h->request_id.len);
	if (h->bucket_region.p)
		s3_error_header(e, "x-amz-bucket-region", 19, h->bucket_region.p,
				h->bucket_region.len);
	if (h->date.p)
		s3_retry_header(&op->retry, "date", 4, h->date.p, h->date.len);
}

/* --- heads --- */

static void note_checksum(struct s3_checksum *c, const struct http_head *h)
{
	*c = (struct s3_checksum){0};
	if (h->checksum_type.p)
		s3_checksum_header(c, "x-amz-checksum-type", 19, h->checksum_type.p,
				   h->checksum_type.len);
	if (h->checksum.p)
		s3_checksum_header(c, h->checksum_name.p, h->checksum_name.len, h->checksum.p,
				   h->checksum.len);
}

static void on_head(struct get_leg *leg, const struct http_head *h, size_t at)
{
	struct get_op *op = leg->op;
	const struct get_expect expect = {.first = op->pos,
					  .end = op->end,
					  .size = op->size,
					  .whole = get_is_whole(op),
					  .if_match = op->call->if_match};
	struct s3_object object;
	const char *why;

	leg->status = h->status;
	leg->chunked = h->chunked;
	leg->keep_alive = h->keep_alive;
	note(leg, h);
	if (h->status / 100 != 2) {
		get_leg_error(leg, h, at);
		return;
	}
	int r = get_check(h, &expect, &object, &why);
	if (r < 0) {
		fail_protocol(leg, r, why);
		return;
	}
	if (expect.whole)
		note_checksum(&op->call->checksum, h);
	start_body(leg, &object, at);
}

static void on_head_bytes(struct conn *c, int res)
{
	struct get_leg *leg = get_leg_of(c);
	struct conn_pool_conn *pc = leg->pc;

	if (res <= 0) {
		get_leg_broken(leg, res);
		return;
	}
	pc->len += (size_t)res;
	for (;;) {
		struct http_head h;
		ssize_t n = http_head_parse(pc->buf, pc->len, &leg->scan, &h);

		if (n == 0) {
			recv_head(leg);
			return;
		}
		if (n > 0 && h.status >= 200) {
			on_head(leg, &h, (size_t)n);
			return;
		}
		if (n < 0 || h.status == 101 || ++leg->interim > INTERIM_MAX) {
			fail_protocol(leg, -EPROTO, "not a response head of HTTP/1.1");
			return;
		}
		pc->len -= (size_t)n;
		memmove(pc->buf, pc->buf + n, pc->len);
		leg->scan = 0;
	}
}
