/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One byte stream to a server: TCP, or TLS over it, behind the same calls. All
 * on the connection's loop; a result never comes inside the call that asked.
 *
 *	conn_init(c, loop, on_closed);
 *	conn_connect(c, addr, addr_len, fn);	fn(c, 0 or -errno)
 *	conn_start_tls(c, ctx, name, session, fn);
 *	conn_send(c, buf, len, fn);		true: sent; else fn(c, len or -errno)
 *	conn_recv(c, buf, len, fn);		fn(c, bytes, 0 at the end, or -errno)
 *	conn_close(c);				in any state
 *
 * One operation at a time. Plain bytes are received by the loop straight into
 * `buf`; over TLS SSL_read decrypts into it whatever has arrived. After
 * conn_close returns no buffer is touched any more and no fn is called; closed()
 * comes when the kernel has let go of the last operation, maybe at once.
 * -ECANCELED means that the loop is stopping. There are no timers here: who
 * waits sets his own and closes.
 */
#ifndef S3_CONN_H
#define S3_CONN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "loop/loop.h"

struct conn;
typedef void (*conn_fn)(struct conn *c, int res);

enum conn_state {
	CONN_NEW,
	CONN_CONNECTING,
	CONN_HANDSHAKE,
	CONN_READY, /* nothing asked */
	CONN_SENDING,
	CONN_RECEIVING,
	CONN_CLOSED, /* conn_close was called */
};

struct conn {
	/* set at creation */
	struct loop *loop;
	void (*closed)(struct conn *c); /* may free it */

	/* owner loop only */
	enum conn_state state;
	int fd;
	bool busy;	  /* op or task belongs to the loop */
	bool dispatching; /* inside the TLS read loop: closing is put off to its end */
	bool drained;	  /* TLS: the last read emptied the socket */
	SSL *ssl;	  /* NULL: plain */
	conn_fn fn;
	char *buf; /* what is being sent or received */
	size_t len, done;
	struct iovec iov;
	struct msghdr msg;
	struct loop_op op;
	struct loop_task task; /* bytes wait inside the TLS library */
	struct sockaddr_storage addr;
	char why[128]; /* text for the last error, "" when errno says all */
};

void conn_init(struct conn *c, struct loop *l, void (*closed)(struct conn *c));
void conn_connect(struct conn *c, const struct sockaddr *addr, socklen_t len, conn_fn fn);
/* `name` is what the certificate must be for; `session` (or NULL) is resumed. */
void conn_start_tls(struct conn *c, SSL_CTX *ctx, const char *name, SSL_SESSION *session,
		    conn_fn fn);
bool conn_send(struct conn *c, const char *buf, size_t len, conn_fn fn);
void conn_recv(struct conn *c, void *buf, size_t len, conn_fn fn);
/* False when the server closed an unused connection or sent what nobody asked for. */
bool conn_is_fresh(struct conn *c);
void conn_close(struct conn *c);

/* For conn_tls.c only. */
void conn_fail_later(struct conn *c, int err);
void conn_finish_op(struct conn *c, int res);
void conn_wait_fd(struct conn *c, uint32_t events, void (*done)(struct loop_op *op, int res));
void conn_release(struct conn *c);
void conn_tls_send(struct conn *c);
void conn_tls_recv(struct conn *c);
bool conn_tls_is_fresh(struct conn *c);

#endif
