/* SPDX-License-Identifier: Apache-2.0 */

/*
 * TLS side of a connection: OpenSSL on the non-blocking socket, readiness from
 * the loop. Nothing is read ahead of a demand except what OpenSSL buffers, so
 * that a cancelled receive leaves no one writing into the caller's memory.
 *
 * Receiving is a small loop instead of recursion: records are decrypted into the
 * caller's buffer until it is full or the socket is empty, the caller is told and
 * mostly asks again from within. It ends when the caller asks for nothing, the
 * socket has nothing, or a turn's share is used up; then a posted task goes on.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>

#include "s3/conn.h"
#include "s3/tls.h"

/* Bytes that one connection may decrypt before the loop's others have their turn. */
#define TLS_TURN (2 * MIB)

static void on_poll(struct loop_op *op, int res);

/* What an SSL call that did not succeed means: 0 at the end of the stream, -EAGAIN, -errno. */
static int tls_result(struct conn *c, int r, uint32_t *ret_events)
{
	int saved = errno;

	switch (SSL_get_error(c->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		*ret_events = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*ret_events = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return saved ? -saved : -ECONNRESET;
	default:
		break;
	}
	if (c->state == CONN_HANDSHAKE && SSL_get_verify_result(c->ssl) != X509_V_OK) {
		ERR_clear_error();
		(void)snprintf(c->why, sizeof(c->why), "certificate: %s",
			       X509_verify_cert_error_string(SSL_get_verify_result(c->ssl)));
		return -EKEYREJECTED;
	}
	tls_error_text("TLS failure", c->why, sizeof(c->why));
	return -EPROTO;
}

static void handshake_step(struct conn *c)
{
	uint32_t events = 0;

	ERR_clear_error();
	int r = SSL_do_handshake(c->ssl);
	if (r == 1) {
		conn_finish_op(c, 0);
		return;
	}
	r = tls_result(c, r, &events);
	if (r == -EAGAIN)
		conn_wait_fd(c, events, on_poll);
	else
		conn_finish_op(c, r ? r : -ECONNRESET);
}

/* True when all is sent, false when `fn` will be told. */
static bool send_step(struct conn *c)
{
	uint32_t events = 0;

	ERR_clear_error();
	while (c->done < c->len) {
		int r = SSL_write(c->ssl, c->buf + c->done, (int)(c->len - c->done));
		if (r > 0) {
			c->done += (size_t)r;
			continue;
		}
		r = tls_result(c, r, &events);
		if (r == -EAGAIN)
			conn_wait_fd(c, events, on_poll);
		else
			conn_fail_later(c, r ? r : -EPIPE);
		return false;
	}
	return true;
}

/* Decrypts what there is. Bytes, 0 at the end, -EAGAIN when there was nothing, -errno. */
static int read_records(struct conn *c, uint32_t *ret_events)
{
	size_t room = c->len < INT_MAX ? c->len : INT_MAX;
	size_t got = 0;

	ERR_clear_error();
	c->drained = false;
	while (got < room) {
		int r = SSL_read(c->ssl, c->buf + got, (int)(room - got));
		if (r <= 0) {
			r = tls_result(c, r, ret_events);
			c->drained = r == -EAGAIN;
			return got ? (int)got : r;
		}
		got += (size_t)r;
	}
	return (int)got;
}

static void on_task(struct loop_task *t);

static void recv_wait(struct conn *c, uint32_t events)
{
	if (c->drained || !SSL_has_pending(c->ssl)) {
		conn_wait_fd(c, events, on_poll);
		return;
	}
	c->busy = true;
	c->task.run = on_task;
	loop_post(c->loop, &c->task);
}

static void recv_loop(struct conn *c)
{
	size_t turn = 0;
	uint32_t events = POLLIN;

	c->dispatching = true;
	do {
		int r = read_records(c, &events);
		if (r == -EAGAIN)
			break;
		turn += r > 0 ? (size_t)r : 0;
		conn_finish_op(c, r);
	} while (c->state == CONN_RECEIVING && !c->drained && turn < TLS_TURN);
	c->dispatching = false;
	if (c->state == CONN_CLOSED && !c->busy)
		conn_release(c);
	else if (c->state == CONN_RECEIVING)
		recv_wait(c, events);
}

static void go_on(struct conn *c, int res)
{
	c->busy = false;
	c->op.done = NULL;
	if (c->state == CONN_CLOSED)
		conn_release(c);
	else if (res < 0)
		conn_finish_op(c, res);
	else if (c->state == CONN_HANDSHAKE)
		handshake_step(c);
	else if (c->state == CONN_RECEIVING)
		recv_loop(c);
	else if (send_step(c))
		conn_finish_op(c, (int)c->len);
}

static void on_poll(struct loop_op *op, int res)
{
	go_on(container_of(op, struct conn, op), res);
}

static void on_task(struct loop_task *t)
{
	go_on(container_of(t, struct conn, task), 0);
}

void conn_start_tls(struct conn *c, SSL_CTX *ctx, const char *name, SSL_SESSION *session,
		    conn_fn fn)
{
	assert(c->state == CONN_READY && !c->ssl && !c->busy);
	c->state = CONN_HANDSHAKE;
	c->fn = fn;
	int r = tls_session_new(ctx, c->fd, name, session, &c->ssl);
	if (r < 0) {
		conn_fail_later(c, r);
		return;
	}
	(void)SSL_set_app_data(c->ssl, c);
	conn_wait_fd(c, POLLOUT, on_poll);
}

void conn_tls_send(struct conn *c)
{
	if (send_step(c))
		c->state = CONN_READY;
}

void conn_tls_recv(struct conn *c)
{
	/* From within recv_loop: it sees the new state and goes on by itself. */
	if (c->dispatching)
		return;
	c->drained = false;
	recv_wait(c, POLLIN);
}

/* Tickets that came behind the last answer are taken in; anything else is unasked for. */
bool conn_tls_is_fresh(struct conn *c)
{
	char byte;

	ERR_clear_error();
	int r = SSL_peek(c->ssl, &byte, 1);
	bool fresh = r <= 0 && SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ;

	ERR_clear_error();
	return fresh;
}
