/* SPDX-License-Identifier: Apache-2.0 */

/*
 * TCP side of a connection, and what both kinds share.
 *
 *	NEW -> CONNECTING -> READY [-> HANDSHAKE -> READY]
 *	READY -> SENDING -> READY, READY -> RECEIVING -> READY
 *	any -> CLOSED
 *
 * Invariant: at most one of op and task is with the loop, and `busy` says so;
 * the descriptor is closed only when none is.
 */
#include "s3/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"

void conn_init(struct conn *c, struct loop *l, void (*closed)(struct conn *c))
{
	memset(c, 0, sizeof(*c));
	c->loop = l;
	c->closed = closed;
	c->fd = -1;
}

/* Last step of closing: nobody but us knows the descriptor any more. */
void conn_release(struct conn *c)
{
	/* Without this OpenSSL holds the session for broken and does not resume it. */
	if (c->ssl)
		SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c->ssl);
	c->ssl = NULL;
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	c->closed(c);
}

void conn_close(struct conn *c)
{
	assert(c->state != CONN_CLOSED);
	/* The kernel works on the caller's memory. */
	bool lent = (c->state == CONN_RECEIVING || c->state == CONN_SENDING) && !c->ssl;

	c->state = CONN_CLOSED;
	if (c->busy) {
		if (lent && c->op.done)
			loop_cancel_sync(c->loop, &c->op);
		else if (c->op.done)
			loop_cancel(c->loop, &c->op);
		return;
	}
	if (!c->dispatching)
		conn_release(c);
}

/* Common start of every completion: true when the connection was closed meanwhile. */
static bool op_came_late(struct conn *c)
{
	c->busy = false;
	c->op.done = NULL;
	if (c->state != CONN_CLOSED)
		return false;
	if (!c->dispatching)
		conn_release(c);
	return true;
}

void conn_finish_op(struct conn *c, int res)
{
	c->state = CONN_READY;
	c->fn(c, res);
}

void conn_wait_fd(struct conn *c, uint32_t events, void (*done)(struct loop_op *op, int res))
{
	assert(!c->busy);
	c->busy = true;
	c->op.done = done;
	loop_poll(c->loop, &c->op, c->fd, events);
}

static void on_connected(struct loop_op *op, int res)
{
	struct conn *c = container_of(op, struct conn, op);

	if (!op_came_late(c))
		conn_finish_op(c, res);
}

/* Reports a failure that was known at once; comes from the loop like any other result. */
static void on_failed_task(struct loop_task *t)
{
	struct conn *c = container_of(t, struct conn, task);

	if (!op_came_late(c))
		conn_finish_op(c, (int)c->done);
}

void conn_fail_later(struct conn *c, int err)
{
	c->done = (size_t)err;
	c->busy = true;
	c->task.run = on_failed_task;
	loop_post(c->loop, &c->task);
}

void conn_connect(struct conn *c, const struct sockaddr *addr, socklen_t len, conn_fn fn)
{
	const int one = 1;

	assert(c->state == CONN_NEW && len <= sizeof(c->addr));
	c->state = CONN_CONNECTING;
	c->fn = fn;
	c->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0) {
		conn_fail_later(c, -errno);
		return;
	}
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	memcpy(&c->addr, addr, len);
	c->busy = true;
	c->op.done = on_connected;
	loop_connect(c->loop, &c->op, c->fd, (struct sockaddr *)&c->addr, len);
}

static void send_rest(struct conn *c);

static void on_sent(struct loop_op *op, int res)
{
	struct conn *c = container_of(op, struct conn, op);

	if (op_came_late(c))
		return;
	if (res <= 0) {
		conn_finish_op(c, res ? res : -EPIPE);
		return;
	}
	c->done += (size_t)res;
	if (c->done < c->len)
		send_rest(c);
	else
		conn_finish_op(c, (int)c->len);
}

static void send_rest(struct conn *c)
{
	c->iov = (struct iovec){c->buf + c->done, c->len - c->done};
	c->msg = (struct msghdr){.msg_iov = &c->iov, .msg_iovlen = 1};
	c->busy = true;
	c->op.done = on_sent;
	loop_sendmsg(c->loop, &c->op, c->fd, &c->msg);
}

static void plain_send(struct conn *c)
{
	ssize_t n = send(c->fd, c->buf, c->len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		conn_fail_later(c, -errno);
		return;
	}
	c->done = n > 0 ? (size_t)n : 0;
	if (c->done < c->len)
		send_rest(c);
	else
		c->state = CONN_READY;
}

bool conn_send(struct conn *c, const char *buf, size_t len, conn_fn fn)
{
	assert(c->state == CONN_READY && !c->busy && len > 0);
	c->state = CONN_SENDING;
	c->fn = fn;
	c->buf = (char *)(uintptr_t)buf;
	c->len = len;
	c->done = 0;
	if (c->ssl)
		conn_tls_send(c);
	else
		plain_send(c);
	return c->state == CONN_READY;
}

static void on_received(struct loop_op *op, int res)
{
	struct conn *c = container_of(op, struct conn, op);

	if (!op_came_late(c))
		conn_finish_op(c, res);
}

void conn_recv(struct conn *c, void *buf, size_t len, conn_fn fn)
{
	assert(c->state == CONN_READY && !c->busy && len > 0);
	c->state = CONN_RECEIVING;
	c->fn = fn;
	c->buf = buf;
	c->len = len;
	c->done = 0;
	if (c->ssl) {
		conn_tls_recv(c);
		return;
	}
	c->busy = true;
	c->op.done = on_received;
	loop_recv(c->loop, &c->op, c->fd, buf, len);
}

bool conn_is_fresh(struct conn *c)
{
	char byte;

	assert(c->state == CONN_READY);
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		return false;
	return c->ssl ? conn_tls_is_fresh(c) : n < 0;
}
