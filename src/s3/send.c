/* SPDX-License-Identifier: Apache-2.0 */

/*
 *	WAIT -> SENDING -> ANSWER -> BODY -> gone (on_done)
 *	any -> gone (failed, cancelled)
 *
 * SENDING writes the head and a first piece of the body, then the rest in pieces,
 * each after all else that the loop has to do: who waits for a name waits for one
 * piece, however many bodies are going out. An answer that comes before the body is
 * out ends the sending, and the connection with it; so does a server that closes:
 * then what it said is read if it can be. A kept connection that dies before the
 * whole body was out cannot have had an effect: once, another one is taken.
 *
 * Clocks as in net.h: stalls while sending and receiving, the first byte from the
 * end of the body, the deadline all the time. A look every TICK compares progress.
 */
#include "s3/send.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "s3/get.h"

#define USER_AGENT  "mount-s3/" MOUNT_S3_VERSION
#define PIECE	    (256 * KIB)
#define TICK	    (250 * NSEC_PER_MSEC)
#define INTERIM_MAX 8

enum state { WAIT, SENDING, ANSWER, BODY };

struct send {
	/* set at creation */
	struct net_call *call; /* NULL: cancelled inside a callback */
	struct get_loop *engine;
	struct conn_pool_host *host;
	struct buf head;

	/* owner loop only */
	enum state state;
	bool calling;
	struct conn_pool_wait wait;
	struct conn_pool_conn *pc;
	struct loop_timer timer;
	struct loop_task task;
	bool posted;
	bool resent, early, keep_alive, chunked;
	bool head_out;
	unsigned iov; /* what goes out next */
	size_t off, piece;
	uint64_t sent;
	uint64_t last, seen; /* when progress was seen, and how much */
	size_t scan;
	unsigned interim;
	int status;
	uint64_t left; /* of the answer's body, UINT64_MAX: until the end */
	struct http_chunks chunks;
};

static void recv_answer(struct send *s);
static void send_head(struct send *s);
static void go_on(struct send *s);

static struct send *send_of(struct conn *c)
{
	return container_of(c, struct conn_pool_conn, conn)->user;
}

static void release(struct send *s, bool reusable)
{
	if (s->state == WAIT)
		conn_pool_cancel(s->engine->pool, &s->wait);
	if (s->posted)
		(void)loop_unpost(s->engine->loop, &s->task);
	s->posted = false;
	if (s->pc)
		conn_pool_put(s->pc, reusable);
	s->pc = NULL;
}

static void destroy(struct send *s)
{
	loop_timer_cancel(s->engine->loop, &s->timer);
	buf_fini(&s->head);
	free(s);
}

static void finish(struct send *s, int err, const char *why)
{
	struct net_call *call = s->call;
	int status = s->status;
	char text[128];

	(void)snprintf(text, sizeof(text), "%s", why);
	release(s, err == 0 && s->keep_alive && !s->early);
	destroy(s);
	call->on_done(call, err, err ? 0 : status, text);
}

void send_cancel(struct send *s)
{
	release(s, /* reusable= */ false);
	s->call = NULL;
	if (!s->calling)
		destroy(s);
}

/* Around a callback of the caller. False: it cancelled, s is gone. */
static bool alive(struct send *s)
{
	s->calling = false;
	if (s->call)
		return true;
	destroy(s);
	return false;
}

/* --- connection --- */

static void on_conn(struct conn_pool_wait *w, struct conn_pool_conn *pc, int err, const char *why);

static void begin(struct send *s, struct conn_pool_conn *pc)
{
	s->state = SENDING;
	s->pc = pc;
	pc->user = s;
	pc->len = 0;
	s->head_out = false;
	s->iov = 0;
	s->off = 0;
	s->sent = 0;
	s->last = clock_now();
	send_head(s);
}

static void ask_conn(struct send *s)
{
	struct conn_pool_conn *pc;

	s->state = WAIT;
	s->wait.fn = on_conn;
	pc = conn_pool_get(s->engine->pool, s->host, &s->wait);
	if (pc)
		begin(s, pc);
}

static void on_conn(struct conn_pool_wait *w, struct conn_pool_conn *pc, int err, const char *why)
{
	struct send *s = container_of(w, struct send, wait);

	if (pc) {
		begin(s, pc);
		return;
	}
	s->state = SENDING; /* nothing waits any more */
	finish(s, err, why);
}

static void broken(struct send *s, int res)
{
	char why[sizeof(s->pc->conn.why)];

	if (s->state == SENDING && s->pc->reused && !s->resent && res != -ECANCELED) {
		conn_pool_put(s->pc, /* reusable= */ false);
		s->pc = NULL;
		s->resent = s->wait.fresh = true;
		ask_conn(s);
		return;
	}
	if (res == 0)
		(void)snprintf(why, sizeof(why), "connection closed before the end of the answer");
	else
		(void)snprintf(why, sizeof(why), "%s",
			       s->pc->conn.why[0] ? s->pc->conn.why : strerror(-res));
	if (res == -EPIPE || res == 0)
		res = -ECONNRESET;
	finish(s, res, why);
}

/* --- request --- */

static void piece_out(struct send *s)
{
	if (!s->head_out) {
		s->head_out = true;
		return;
	}
	s->sent += s->piece;
	s->off += s->piece;
	if (s->off == s->call->body[s->iov].iov_len) {
		s->iov++;
		s->off = 0;
	}
}

static void on_sent(struct conn *c, int res)
{
	struct send *s = send_of(c);

	if ((res == -EPIPE || res == -ECONNRESET) && !c->ssl && !s->pc->reused) {
		s->early = true; /* it may have said why */
		recv_answer(s);
		return;
	}
	if (res < 0) {
		broken(s, res);
		return;
	}
	piece_out(s);
	go_on(s);
}

static void send_piece(struct send *s)
{
	const struct iovec *v = &s->call->body[s->iov];

	s->piece = min_u64(v->iov_len - s->off, PIECE);
	if (!conn_send(&s->pc->conn, (char *)v->iov_base + s->off, s->piece, on_sent))
		return;
	piece_out(s);
	go_on(s);
}

static void on_task(struct loop_task *t)
{
	struct send *s = container_of(t, struct send, task);

	s->posted = false;
	if (!conn_is_fresh(&s->pc->conn)) {
		s->early = true;
		recv_answer(s);
		return;
	}
	send_piece(s);
}

static bool has_more(struct send *s)
{
	while (s->iov < s->call->nbody && s->call->body[s->iov].iov_len == 0)
		s->iov++;
	return s->iov < s->call->nbody;
}

/* What is left to send waits for its turn. */
static void go_on(struct send *s)
{
	if (!has_more(s)) {
		recv_answer(s);
		return;
	}
	s->posted = true;
	s->task.run = on_task;
	loop_post_piece(s->engine->loop, &s->task);
}

static void send_head(struct send *s)
{
	if (!conn_send(&s->pc->conn, s->head.data, s->head.len, on_sent))
		return;
	piece_out(s);
	if (has_more(s))
		send_piece(s);
	else
		recv_answer(s);
}

/* --- answer --- */

static void on_answer_bytes(struct conn *c, int res);

static void recv_answer(struct send *s)
{
	struct conn_pool_conn *pc = s->pc;

	if (s->state == SENDING)
		s->last = clock_now();
	if (s->state != BODY)
		s->state = ANSWER;
	else
		pc->len = 0;
	conn_recv(&pc->conn, pc->buf + pc->len, sizeof(pc->buf) - pc->len, on_answer_bytes);
}

/* Body bytes to the caller. False: s is gone. */
static bool give(struct send *s, const char *p, size_t len)
{
	int r;

	if (!len || !s->call->on_body)
		return true;
	s->calling = true;
	r = s->call->on_body(s->call, p, len);
	if (!alive(s))
		return false;
	if (r < 0) {
		finish(s, r, "");
		return false;
	}
	return true;
}

static void on_body_bytes(struct send *s, const char *p, size_t len)
{
	const char *end = p + len;

	while (s->chunked && p < end && !s->chunks.done) {
		const char *data;
		size_t n;
		ssize_t used = http_chunks_next(&s->chunks, p, (size_t)(end - p), &data, &n);

		if (used < 0) {
			finish(s, -EPROTO, "chunked body that makes no sense");
			return;
		}
		p += used;
		if (data && !give(s, data, n))
			return;
	}
	if (!s->chunked) {
		size_t n = min_u64(s->left, len);

		if (!give(s, p, n))
			return;
		p += n;
		s->left -= s->left == UINT64_MAX ? 0 : n;
	}
	if (s->chunked ? s->chunks.done : s->left == 0) {
		s->keep_alive = s->keep_alive && p == end;
		finish(s, 0, "");
		return;
	}
	recv_answer(s);
}

/* Each "Name: value" line of a head that the parser has accepted. False: s is gone. */
static bool give_headers(struct send *s, const char *head, size_t len)
{
	const char *end = head + len, *line = memchr(head, '\n', len);

	while (line && ++line < end) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));
		const char *colon = eol ? memchr(line, ':', (size_t)(eol - line)) : NULL;
		const char *v = colon ? colon + 1 : NULL, *v_end = eol;

		while (v && v < v_end && (*v == ' ' || *v == '\t'))
			v++;
		while (v && v_end > v && strchr(" \t\r", v_end[-1]))
			v_end--;
		if (v && s->call->on_header) {
			s->calling = true;
			s->call->on_header(s->call, line, (size_t)(colon - line), v,
					   (size_t)(v_end - v));
			if (!alive(s))
				return false;
		}
		line = eol;
	}
	return true;
}

static void on_head(struct send *s, const struct http_head *h, size_t n)
{
	struct conn_pool_conn *pc = s->pc;

	s->status = h->status;
	s->chunked = h->chunked;
	s->keep_alive = h->keep_alive && (h->chunked || h->has_length || h->status == 204);
	s->left = h->status == 204 ? 0 : h->has_length ? h->length : UINT64_MAX;
	s->chunks = (struct http_chunks){0};
	s->last = clock_now();
	if (!give_headers(s, pc->buf, n))
		return;
	s->state = BODY;
	on_body_bytes(s, pc->buf + n, pc->len - n);
}

static void on_answer_bytes(struct conn *c, int res)
{
	struct send *s = send_of(c);
	struct conn_pool_conn *pc = s->pc;

	if (s->state == BODY && res == 0 && s->left == UINT64_MAX && !s->chunked) {
		finish(s, 0, "");
		return;
	}
	if (res <= 0) {
		broken(s, res);
		return;
	}
	s->last = clock_now();
	pc->len += (size_t)res;
	if (s->state == BODY) {
		on_body_bytes(s, pc->buf, (size_t)res);
		return;
	}
	for (;;) {
		struct http_head h;
		ssize_t n = http_head_parse(pc->buf, pc->len, &s->scan, &h);

		if (n > 0 && h.status >= 200) {
			on_head(s, &h, (size_t)n);
			return;
		}
		if (n == 0 && pc->len < sizeof(pc->buf)) {
			recv_answer(s);
			return;
		}
		if (n <= 0 || h.status == 101 || ++s->interim > INTERIM_MAX) {
			finish(s, -EPROTO, "not a response head of HTTP/1.1");
			return;
		}
		pc->len -= (size_t)n;
		memmove(pc->buf, pc->buf + n, pc->len);
		s->scan = 0;
	}
}

/* --- clocks --- */

static uint64_t limit_of(const struct send *s)
{
	unsigned ms =
		s->state == ANSWER ? s->call->first_byte_timeout_ms : s->call->stall_timeout_ms;

	return s->state == WAIT ? 0 : ms * NSEC_PER_MSEC;
}

/* Armed all the time; one that fires before its time says that the loop stops. */
static void on_timer(struct loop_timer *t)
{
	struct send *s = container_of(t, struct send, timer);
	uint64_t now = clock_now(), limit = limit_of(s), progress = s->sent;
	char text[64];

	if (now < t->deadline) {
		finish(s, -ECANCELED, "");
		return;
	}
	if (s->state == SENDING)
		progress += s->pc->conn.done;
	if (progress != s->seen) {
		s->seen = progress;
		s->last = now;
	}
	if (now >= s->call->deadline) {
		finish(s, -ETIMEDOUT, "past the deadline");
		return;
	}
	if (limit && now - s->last >= limit) {
		(void)snprintf(text, sizeof(text), "%s for %llu ms",
			       s->state == ANSWER ? "no response head" : "no byte moved",
			       (unsigned long long)(limit / NSEC_PER_MSEC));
		finish(s, -ETIMEDOUT, text);
		return;
	}
	if (loop_timer_set(s->engine->loop, t, min_u64(now + TICK, s->call->deadline)) < 0)
		finish(s, -ENOMEM, "no memory for a timer");
}

int send_start(struct s3_client *c, struct loop *l, const struct s3_request *request,
	       const char *content_length, struct net_call *call, struct send **ret)
{
	struct conn_pool_host *host = NULL;
	struct get_loop *g;
	struct send *s;
	int r = get_loop_of(c, l, &g);

	if (r == 0 && conn_pool_is_stopping(g->pool))
		r = -ECANCELED;
	if (r == 0)
		r = conn_pool_host_get(g->pool, request->target, &host);
	if (r < 0 || !host)
		return r;
	if (conn_pool_host_proxy(host)->used && !request->target->endpoint.tls)
		return -ENOTSUP;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->call = call;
	s->engine = g;
	s->host = host;
	s->timer.fire = on_timer;
	buf_init(&s->head, S3_REQUEST_MAX);
	r = s3_request_head(request, USER_AGENT, &s->head);
	if (r == 0) {
		s->head.len -= 2; /* the empty line comes after one more */
		buf_printf(&s->head, "content-length: %s\r\n\r\n", content_length);
		r = buf_error(&s->head);
	}
	if (r == 0)
		r = loop_timer_set(l, &s->timer, min_u64(clock_now() + TICK, call->deadline));
	if (r < 0) {
		destroy(s);
		return r;
	}
	*ret = s;
	ask_conn(s);
	return 0;
}
