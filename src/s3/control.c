/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The loop of attempts of a control call.
 *
 *	state	event				then
 *	-	start				NET, or POSTED if that failed
 *	NET	good answer			end, or NET with the next step
 *	NET	failure, retry after a wait	WAIT
 *	NET	failure, retry at once		NET
 *	NET	failure, no retry		end
 *	WAIT	timer				NET
 *	NET	no session to sign with		SESSION
 *	SESSION	there is one			NET
 *	SESSION	there is none			as after a failed attempt
 *	POSTED	task				end
 *	any	s3_cancel			end without `done`
 *
 * Every wait has an end: the attempt by net.h's timeouts and the deadline, the
 * backoff by its cap. Owner loop only.
 */
#include "s3/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define ERROR_BODY_MAX (64 * KIB)
#define ANSWER_MAX     (32 * MIB)	   /* of bytes that nobody wants: the peer has gone mad */
#define ANSWER_WHILE   (10 * NSEC_PER_SEC) /* in which an idle moment shows the distance */
#define SLOW_FACTOR    3 /* first-byte timeouts grow with the attempts up to this */

static void attempt(struct control *c);

static void answer_reset(struct control *c)
{
	s3_error_reset(&c->error);
	c->head = (struct s3_object_head){0};
	c->retry.date = 0;
	s3_xml_free(c->xml);
	c->xml = NULL;
	c->result = NULL;
	c->xml_error = 0;
	buf_reset(&c->body);
}

static void control_free(struct control *c)
{
	if (c->type->end)
		c->type->end(c);
	s3_xml_free(c->xml);
	s3_request_fini(&c->request);
	buf_fini(&c->body);
	buf_fini(&c->send);
	free(c);
}

/* Takes the operation out of loop and call; c is gone afterwards. */
static void detach(struct control *c)
{
	if (c->sender)
		send_cancel(take_ptr(&c->sender));
	net_cancel(&c->net);
	loop_timer_cancel(c->loop, &c->timer);
	if (c->state == CONTROL_SESSION)
		s3_session_cancel(c->client, &c->session);
	if (c->state == CONTROL_POSTED)
		(void)loop_unpost(c->loop, &c->call->task);
	c->call->op = NULL;
	control_free(c);
}

static void on_cancel(struct s3_op *op)
{
	struct control *c = container_of(op, struct control, op);

	s3_error_set(&c->error, S3_LOCAL, -ECANCELED, "cancelled");
	detach(c);
}

static void end(struct control *c)
{
	struct s3_call *call = c->call;

	c->error.attempts = c->attempts;
	if (c->error.cls == S3_OK)
		c->error.err = 0;
	call->error = c->error;
	detach(c);
	call->done(call);
}

static void on_task(struct loop_task *t)
{
	struct s3_call *call = container_of(t, struct s3_call, task);

	end(container_of(call->op, struct control, op));
}

/* Ends the call later, from the loop: we may be inside the starting function. */
static void end_later(struct control *c)
{
	c->state = CONTROL_POSTED;
	c->call->task.run = on_task;
	loop_post(c->loop, &c->call->task);
}

static void on_timer(struct loop_timer *t)
{
	struct control *c = container_of(t, struct control, timer);

	if (c->state != CONTROL_SESSION) {
		attempt(c);
		return;
	}
	/* No session in time; before its time the timer fires when the loop ends. */
	if (clock_now() < c->deadline)
		s3_error_set(&c->error, S3_LOCAL, -ECANCELED, "stopped");
	else
		s3_error_transport(&c->error, -ETIMEDOUT, "no session in time");
	end(c);
}

static void next_step(struct control *c)
{
	c->retry = (struct s3_retry){0};
	attempt(c);
}

static void wait_or_go(struct control *c, uint64_t wait)
{
	if (wait == 0) {
		attempt(c);
		return;
	}
	c->state = CONTROL_WAIT;
	if (loop_timer_set(c->loop, &c->timer, clock_now() + wait) < 0)
		attempt(c); /* no memory to wait: the budget bounds the haste */
}

static bool may_have_worked(const struct s3_error *e)
{
	switch (e->cls) {
	case S3_SERVER:
	case S3_THROTTLED:
	case S3_PROTOCOL:
		return true;
	case S3_NETWORK:
		return strcmp(e->code, "ConnectionRefused") != 0 &&
		       strcmp(e->code, "HostNotFound") != 0 &&
		       strcmp(e->code, "TLSVerification") != 0;
	case S3_OK:
	case S3_NOT_FOUND:
	case S3_NO_BUCKET:
	case S3_FORBIDDEN:
	case S3_EXPIRED:
	case S3_PRECONDITION:
	case S3_WRONG_REGION:
	case S3_INVALID:
	case S3_UNSUPPORTED:
	case S3_LOCAL:
		break;
	}
	return false;
}

static void log_attempt(const struct control *c, enum s3_next next, uint64_t wait)
{
	char text[512];

	if (!log_on(LOG_S3, LOG_DEBUG))
		return;
	s3_error_format(&c->error, text, sizeof(text));
	log_debug(LOG_S3, "%s \"%s\": %s; attempt %u, %s in %llu ms", c->type->name,
		  c->key ? c->key : "", text, c->retry.attempts,
		  next == S3_GIVE_UP ? "given up" : "again",
		  (unsigned long long)(wait / NSEC_PER_MSEC));
}

/* True when the operation's own view of the failure settled it. */
static bool failure_settled(struct control *c, bool last)
{
	if (!c->type->failure || c->error.cls == S3_LOCAL)
		return false;
	switch (c->type->failure(c, last)) {
	case CONTROL_DONE:
		end(c);
		return true;
	case CONTROL_STEP:
		next_step(c);
		return true;
	case CONTROL_SAME:
	case CONTROL_FAIL:
		break;
	}
	return false;
}

static void retry_or_end(struct control *c)
{
	enum s3_next next;
	uint64_t wait;

	if (failure_settled(c, /* last= */ false))
		return;
	next = s3_retry_next(c->client, &c->retry, &c->error, &c->request, c->deadline, &wait);
	log_attempt(c, next, wait);
	if (next != S3_GIVE_UP) {
		wait_or_go(c, wait);
		return;
	}
	if (!failure_settled(c, /* last= */ true))
		end(c);
}

static void on_failure(struct control *c)
{
	c->unclear = c->unclear || may_have_worked(&c->error);
	retry_or_end(c);
}

/* There is a session to sign with, or the error says why not; nothing was sent. */
static void on_session(struct s3_session_wait *w, const struct s3_error *error)
{
	struct control *c = container_of(w, struct control, session);

	loop_timer_cancel(c->loop, &c->timer);
	c->state = CONTROL_NET;
	if (!error) {
		c->retry.attempts--;
		c->attempts--;
		attempt(c);
		return;
	}
	c->error = *error;
	retry_or_end(c);
}

static void wait_for_session(struct control *c)
{
	c->state = CONTROL_SESSION;
	c->session.done = on_session;
	s3_session_wait(c->client, c->loop, c->deadline, &c->session);
	if (loop_timer_set(c->loop, &c->timer, c->deadline) < 0)
		log_warn(LOG_S3, "no memory for a timer: a session is waited for without limit");
}

static void on_success(struct control *c)
{
	s3_retry_done(c->client, &c->retry);
	switch (c->type->success(c)) {
	case CONTROL_DONE:
		end(c);
		break;
	case CONTROL_STEP:
		next_step(c);
		break;
	case CONTROL_SAME:
		attempt(c);
		break;
	case CONTROL_FAIL:
		on_failure(c);
		break;
	}
}

/* The document into c->result, or what it says into c->error. */
static void read_document(struct control *c, int status)
{
	int r = c->xml_error;

	if (c->object_bytes && status < 300)
		return;
	if (!c->xml) {
		s3_error_document(&c->error, c->body.data, c->body.len);
		return;
	}
	if (r == 0)
		r = s3_xml_finish(c->xml, &c->result);
	if (r == 0 && c->result->is_error)
		s3_error_from_xml(&c->error, c->result);
	c->xml_error = r;
}

static void on_header(struct net_call *net, const char *name, size_t name_len, const char *value,
		      size_t value_len)
{
	struct control *c = container_of(net, struct control, net);

	s3_error_header(&c->error, name, name_len, value, value_len);
	s3_retry_header(&c->retry, name, name_len, value, value_len);
	s3_object_header(&c->head, name, name_len, value, value_len);
	if (c->type->header)
		c->type->header(c, name, name_len, value, value_len);
}

static int on_body(struct net_call *net, const void *data, size_t len)
{
	struct control *c = container_of(net, struct control, net);

	if (c->xml && c->xml_error == 0)
		c->xml_error = s3_xml_feed(c->xml, data, len);
	if (!c->xml && c->body.len + len <= c->body.max)
		buf_append(&c->body, data, len);
	c->received += len;
	return c->received > (c->object_bytes ? c->body.max : ANSWER_MAX) ? -EPROTO : 0;
}

static void note_answer(struct control *c)
{
	uint64_t now = clock_now();

	least_note(&c->client->answer, now - c->asked, now, ANSWER_WHILE);
}

static void on_done(struct net_call *net, int err, int status, const char *detail)
{
	struct control *c = container_of(net, struct control, net);

	c->sender = NULL;
	if (err < 0) {
		s3_error_transport(&c->error, err, detail);
		on_failure(c);
		return;
	}
	if (c->net.nbody == 0)
		note_answer(c);
	read_document(c, status);
	s3_error_classify(&c->error, status);
	s3_object_done(&c->head);
	if (c->error.cls == S3_OK && c->xml_error < 0)
		s3_error_set(&c->error, S3_PROTOCOL, c->xml_error == -ENOMEM ? -ENOMEM : -EIO,
			     c->xml_error == -EMSGSIZE ? "the answer is too long"
						       : "the answer cannot be understood");
	if (c->error.cls == S3_OK)
		on_success(c);
	else
		on_failure(c);
}

/* First-byte timeouts grow: a server that is only slow must get through in the end. */
static unsigned slower(const struct control *c, unsigned ms)
{
	return ms * (unsigned)min_u64(c->retry.attempts, SLOW_FACTOR);
}

/* Large bodies go out of the caller's memory, the rest through curl. */
static int start_net(struct control *c)
{
	uint64_t len = 0;
	char length[24];
	int r;

	for (unsigned i = 0; i < c->net.nbody; i++)
		len += c->net.body[i].iov_len;
	if (len < SEND_MIN)
		return net_start(c->loop, &c->net);
	(void)snprintf(length, sizeof(length), "%llu", (unsigned long long)len);
	r = send_start(c->client, c->loop, &c->request, length, &c->net, &c->sender);
	return r == -ENOTSUP ? net_start(c->loop, &c->net) : r;
}

static int try_attempt(struct control *c)
{
	int r;

	answer_reset(c);
	c->received = 0;
	c->asked = clock_now();
	c->retry.attempts++;
	c->retry.optional = NULL;
	c->attempts++;
	c->xml_kind = CONTROL_NO_XML;
	c->net = (struct net_call){
		.connect_timeout_ms = S3_CONNECT_TIMEOUT_MS,
		.first_byte_timeout_ms = S3_FIRST_BYTE_TIMEOUT_MS,
		.stall_timeout_ms = S3_STALL_TIMEOUT_MS,
		.deadline = c->deadline,
		.on_header = on_header,
		.on_body = on_body,
		.on_done = on_done,
	};
	c->type->prepare(c);
	c->net.first_byte_timeout_ms = slower(c, c->net.first_byte_timeout_ms);
	c->net.method = c->request.method;
	if (c->xml_kind != CONTROL_NO_XML) {
		r = s3_xml_new((enum s3_xml_kind)c->xml_kind, &c->xml);
		if (r < 0)
			return r;
	}
	r = s3_request_sign(&c->request, c->client);
	if (r == 0)
		r = s3_request_lines(&c->request);
	if (r < 0)
		return r;
	c->net.url = c->request.url.data;
	c->net.headers = c->request.line;
	(void)atomic_fetch_add_explicit(&c->client->requests, 1, memory_order_relaxed);
	if (c->retry.attempts > 1)
		(void)atomic_fetch_add_explicit(&c->client->retries, 1, memory_order_relaxed);
	return start_net(c);
}

static void attempt(struct control *c)
{
	int r = try_attempt(c);

	c->state = CONTROL_NET;
	if (r == 0)
		return;
	if (r == -EAGAIN) {
		wait_for_session(c);
		return;
	}
	s3_error_set(&c->error, S3_LOCAL, r,
		     r == -ENOMEM      ? "out of memory"
		     : r == -ECANCELED ? "stopped"
				       : "the request cannot be written");
	if (r != -ENOMEM && r != -ECANCELED)
		c->error.err = -EIO;
	end_later(c);
}

static uint64_t deadline_of(const struct control *c, uint64_t body_len)
{
	if (c->call->deadline)
		return c->call->deadline;
	return clock_now() + c->client->timeout + body_len / MIB * NSEC_PER_SEC;
}

void control_start(struct s3_client *client, struct loop *l, struct s3_call *call, const char *key,
		   const struct control_type *type, uint64_t body_len,
		   int (*setup)(struct control *c))
{
	struct control *c;
	int r;

	loop_assert_owner(l);
	if (key && (key[0] == '\0' || strlen(key) > S3_KEY_MAX)) {
		s3_call_fail(l, call, -EIO, "the key is empty or longer than 1024 bytes");
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		s3_call_fail(l, call, -ENOMEM, "out of memory");
		return;
	}
	c->op.cancel = on_cancel;
	c->client = client;
	c->loop = l;
	c->call = call;
	c->type = type;
	c->key = key;
	c->timer.fire = on_timer;
	c->request = (struct s3_request)S3_REQUEST_INIT;
	buf_init(&c->body, ERROR_BODY_MAX);
	buf_init(&c->send, 4 * MIB);
	call->op = &c->op;
	call->loop = l;
	call->error = (struct s3_error){0};
	c->deadline = deadline_of(c, body_len);
	r = setup ? setup(c) : 0;
	if (r == 0) {
		attempt(c);
		return;
	}
	s3_error_set(&c->error, S3_LOCAL, r == -ENOMEM ? r : -EIO,
		     r == -ENOMEM ? "out of memory" : "bad arguments");
	end_later(c);
}

void control_optional(struct control *c, atomic_bool *unknown, const char *name, const char *value)
{
	if (!value[0] || atomic_load_explicit(unknown, memory_order_relaxed))
		return;
	c->retry.optional = unknown;
	if (!c->retry.plain)
		s3_request_header(&c->request, name, value);
}

bool control_optional_sent(const struct control *c)
{
	return c->retry.optional && !c->retry.plain;
}

bool control_checksum_matches(struct control *c)
{
	const char *got = c->sum == S3_SUM_OFF ? "" : c->head.checksum[c->sum];

	if (!control_optional_sent(c) || !got[0] || strcmp(got, c->checksum) == 0)
		return true;
	s3_error_set(&c->error, S3_PROTOCOL, -EIO, "the server has other data than were sent");
	(void)snprintf(c->error.code, sizeof(c->error.code), "ChecksumMismatch");
	return false;
}
