/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of raw.h: one thread, one epoll set, N connections.
 *
 * States of a connection: CLOSED (connects at its next request), IDLE, SENDING
 * (head, then body), HEAD (collecting the response's head), BODY (receiving).
 * When a body is complete the connection takes the job's next request at once.
 * A broken connection costs its request (counted as an error) and is opened
 * again; more than ERRORS_MAX of them end the run.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raw.h"

enum { HEAD_MAX = 16384, ERRORS_MAX = 100, EVENTS_MAX = 64, WAIT_MS = 60000 };

enum conn_state { CONN_CLOSED, CONN_IDLE, CONN_SENDING, CONN_HEAD, CONN_BODY };

struct conn {
	enum conn_state state;
	int fd;
	bool busy; /* has a request that is not answered */
	uint64_t id;
	uint64_t start_ns;
	struct raw_request req;
	char head[HEAD_MAX]; /* of the request, then of the response */
	size_t head_len;
	size_t sent;
	struct raw_response resp;
	uint64_t left; /* bytes of the body still to come */
	bool chunked;
	size_t text_len;
	char text[RAW_TEXT_MAX];
	char *buf;
};

struct engine {
	const struct raw_config *c;
	const struct raw_job *job;
	struct tally *tally;
	int epoll;
	unsigned busy;
	bool dry; /* the job has no more requests */
	struct conn *conns;
};

static int conn_open(struct engine *e, struct conn *k)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = k};
	int one = 1, r;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	r = connect(fd, (const struct sockaddr *)&e->c->addr, sizeof(e->c->addr));
	if ((r < 0 && errno != EINPROGRESS) || epoll_ctl(e->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	k->fd = fd;
	return 0;
}

static void conn_watch(struct engine *e, struct conn *k, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = k};

	(void)epoll_ctl(e->epoll, EPOLL_CTL_MOD, k->fd, &ev);
}

static int write_head(struct engine *e, struct conn *k)
{
	const struct raw_request *q = &k->req;
	size_t n = 0, room = sizeof(k->head);
	int r;

	n += (size_t)snprintf(k->head, room, "%s %s HTTP/1.1\r\nHost: %s\r\n", q->method, q->target,
			      e->c->host);
	if (q->range_len)
		n += (size_t)snprintf(k->head + n, room - n, "Range: bytes=%llu-%llu\r\n",
				      (unsigned long long)q->range_start,
				      (unsigned long long)(q->range_start + q->range_len - 1));
	if (q->method[0] == 'P')
		n += (size_t)snprintf(k->head + n, room - n, "Content-Length: %zu\r\n",
				      q->body_len);
	if (e->c->access_key) {
		r = sigv4_headers(e->c, q, k->head + n, room - n);
		if (r < 0)
			return r;
		n += (size_t)r;
	}
	if (n + 3 > room)
		return -E2BIG;
	memcpy(k->head + n, "\r\n", 2);
	k->head_len = n + 2;
	k->sent = 0;
	return 0;
}

static void conn_close(struct engine *e, struct conn *k, int error)
{
	if (k->fd >= 0)
		(void)close(k->fd);
	k->fd = -1;
	k->state = CONN_CLOSED;
	if (k->busy) {
		k->busy = false;
		e->busy--;
		tally_error(e->tally, error);
	}
}

/* Take the next request of the job, if there is one. */
static int conn_begin(struct engine *e, struct conn *k)
{
	int r;

	k->req.range_len = 0;
	k->req.body_len = 0;
	if (e->dry || !e->job->next(e->job->ctx, &k->req, &k->id)) {
		e->dry = true;
		return 0;
	}
	r = write_head(e, k);
	if (r < 0)
		return r;
	k->busy = true;
	e->busy++;
	k->start_ns = now_ns();
	k->state = CONN_SENDING;
	if (k->fd >= 0)
		conn_watch(e, k, EPOLLIN | EPOLLOUT);
	else
		r = conn_open(e, k);
	return r;
}

static int conn_send(struct engine *e, struct conn *k)
{
	while (k->sent < k->head_len + k->req.body_len) {
		bool head = k->sent < k->head_len;
		size_t done = head ? k->sent : k->sent - k->head_len;
		const char *from = head ? k->head : k->req.body;
		size_t len = (head ? k->head_len : k->req.body_len) - done;
		int flags = MSG_NOSIGNAL | (head && k->req.body_len ? MSG_MORE : 0);
		ssize_t n = send(k->fd, from + done, len, flags);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		k->sent += (size_t)n;
	}
	k->state = CONN_HEAD;
	k->head_len = 0;
	k->text_len = 0;
	k->resp = (struct raw_response){0};
	conn_watch(e, k, EPOLLIN);
	return 0;
}

static void parse_header(struct conn *k, const char *line, size_t len)
{
	static const char length[] = "Content-Length:", etag[] = "ETag:";
	static const char coding[] = "Transfer-Encoding:";
	const char *end = line + len, *p;

	if (len > sizeof(length) && strncasecmp(line, length, sizeof(length) - 1) == 0) {
		for (p = line + sizeof(length) - 1; p < end && *p == ' ';)
			p++;
		for (k->resp.length = 0; p < end && *p >= '0' && *p <= '9'; p++)
			k->resp.length = k->resp.length * 10 + (uint64_t)(*p - '0');
	} else if (len > sizeof(etag) && strncasecmp(line, etag, sizeof(etag) - 1) == 0) {
		for (p = line + sizeof(etag) - 1; p < end && *p == ' ';)
			p++;
		(void)snprintf(k->resp.etag, sizeof(k->resp.etag), "%.*s", (int)(end - p), p);
	} else if (len > sizeof(coding) && strncasecmp(line, coding, sizeof(coding) - 1) == 0) {
		k->chunked = true;
	}
}

static int parse_head(struct conn *k, const char *end)
{
	const char *p = k->head;

	if (strncmp(p, "HTTP/1.1 ", 9) != 0)
		return -EPROTO;
	for (p += 9; *p >= '0' && *p <= '9'; p++)
		k->resp.status = k->resp.status * 10 + (*p - '0');
	k->chunked = false;
	while (p < end) {
		const char *eol = memmem(p, (size_t)(end - p) + 2, "\r\n", 2);

		parse_header(k, p, (size_t)(eol - p));
		p = eol + 2;
	}
	return 0;
}

static void keep_text(const struct engine *e, struct conn *k, const char *data, size_t len)
{
	size_t room = sizeof(k->text) - 1 - k->text_len;

	if (!e->job->want_text && k->resp.status < 300)
		return;
	if (len > room)
		len = room;
	memcpy(k->text + k->text_len, data, len);
	k->text_len += len;
}

static int conn_finish(struct engine *e, struct conn *k)
{
	int r = 0;

	k->text[k->text_len] = '\0';
	k->resp.text = k->text;
	if (k->resp.status < 200 || k->resp.status >= 300) {
		if (e->tally->errors == 0)
			fprintf(stderr, "raw: %s %s: status %d\n%s\n", k->req.method, k->req.target,
				k->resp.status, k->text);
		r = -EIO;
	}
	if (r == 0)
		r = e->job->done(e->job->ctx, k->id, &k->resp);
	tally_op(e->tally, k->start_ns,
		 r < 0 ? r : (ssize_t)(k->req.body_len ? k->req.body_len : k->resp.length));
	k->busy = false;
	k->state = CONN_IDLE;
	e->busy--;
	return conn_begin(e, k);
}

/* `len` bytes of the body are at `data`. A chunked one is only looked at for its end. */
static int body_bytes(struct engine *e, struct conn *k, const char *data, size_t len)
{
	keep_text(e, k, data, len);
	if (k->chunked)
		return k->text_len >= 5 && memcmp(k->text + k->text_len - 5, "0\r\n\r\n", 5) == 0
			       ? conn_finish(e, k)
			       : 0;
	if (len > k->left)
		return -EPROTO;
	k->left -= len;
	return k->left == 0 ? conn_finish(e, k) : 0;
}

static int conn_recv_head(struct engine *e, struct conn *k)
{
	ssize_t n = recv(k->fd, k->head + k->head_len, sizeof(k->head) - 1 - k->head_len, 0);
	const char *end;
	size_t extra;
	int r;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	k->head_len += (size_t)n;
	end = memmem(k->head, k->head_len, "\r\n\r\n", 4);
	if (!end)
		return k->head_len < sizeof(k->head) - 1 ? 0 : -E2BIG;
	r = parse_head(k, end);
	if (r < 0)
		return r;
	k->state = CONN_BODY;
	k->left = k->resp.length;
	extra = k->head_len - (size_t)(end + 4 - k->head);
	if (k->left == 0 && !k->chunked)
		return extra == 0 ? conn_finish(e, k) : -EPROTO;
	return extra ? body_bytes(e, k, end + 4, extra) : 0;
}

static int conn_recv_body(struct engine *e, struct conn *k)
{
	size_t want = k->chunked || k->left > e->c->buffer ? e->c->buffer : k->left;
	ssize_t n = recv(k->fd, k->buf, want, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	return body_bytes(e, k, k->buf, (size_t)n);
}

static int conn_event(struct engine *e, struct conn *k)
{
	switch (k->state) {
	case CONN_SENDING:
		return conn_send(e, k);
	case CONN_HEAD:
		return conn_recv_head(e, k);
	case CONN_BODY:
		return conn_recv_body(e, k);
	case CONN_IDLE:
		return -ECONNRESET; /* only a close can arrive now */
	case CONN_CLOSED:
	default:
		return 0;
	}
}

static int engine_init(struct engine *e)
{
	e->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (e->epoll < 0)
		return -errno;
	e->conns = calloc(e->c->connections, sizeof(*e->conns));
	if (!e->conns)
		return -ENOMEM;
	for (unsigned i = 0; i < e->c->connections; i++)
		e->conns[i].fd = -1;
	for (unsigned i = 0; i < e->c->connections; i++) {
		e->conns[i].buf = malloc(e->c->buffer);
		if (!e->conns[i].buf)
			return -ENOMEM;
	}
	return 0;
}

static void engine_fini(struct engine *e)
{
	for (unsigned i = 0; e->conns && i < e->c->connections; i++) {
		if (e->conns[i].fd >= 0)
			(void)close(e->conns[i].fd);
		free(e->conns[i].buf);
	}
	free(e->conns);
	if (e->epoll >= 0)
		(void)close(e->epoll);
}

static int engine_loop(struct engine *e)
{
	struct epoll_event events[EVENTS_MAX];

	while (e->busy > 0) {
		int n = epoll_wait(e->epoll, events, EVENTS_MAX, WAIT_MS);

		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct conn *k = events[i].data.ptr;
			int r = conn_event(e, k);

			if (r == 0)
				continue;
			conn_close(e, k, -r);
			if (e->tally->errors > ERRORS_MAX)
				return r;
			r = conn_begin(e, k);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int raw_run(const struct raw_config *c, const struct raw_job *job, struct tally *tally)
{
	struct engine e = {.c = c, .job = job, .tally = tally, .epoll = -1};
	int r = engine_init(&e);

	for (unsigned i = 0; r == 0 && i < c->connections; i++)
		r = conn_begin(&e, &e.conns[i]);
	if (r == 0)
		r = engine_loop(&e);
	engine_fini(&e);
	return r;
}
