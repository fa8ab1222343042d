/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Connections of the GET engine on one loop: what is idle, what is being opened,
 * and who waits. Loop thread only.
 *
 *	pc = conn_pool_get(p, host, &wait);	an idle one at once, or NULL and wait.fn later
 *	conn_pool_put(pc, reusable);		gives it back
 *	conn_pool_cancel(&wait);		no longer wanted; wait.fn is not called
 *
 * Idle connections are reused last in, first out, and closed after limits.idle.
 * At most limits.connections are open; then calls wait, those of `demand` first.
 * A connection is opened for one waiter: name, address, TCP, proxy tunnel, TLS,
 * each address within limits.connect; the next address is tried when one fails.
 */
#ifndef S3_CONN_POOL_H
#define S3_CONN_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "s3/conn.h"
#include "s3/dns.h"
#include "s3/http_head.h"
#include "s3/proxy.h"

#define POOL_TRIES 3 /* addresses for one waiter */

/* Of the GET engine; times in ns. */
struct get_limits {
	uint64_t connect;    /* one address, handshakes included */
	uint64_t first_byte; /* request sent to whole head */
	uint64_t stall;	     /* no byte of a body */
	uint64_t idle;	     /* S3 closes idle connections after about 5 s */
	unsigned connections;
};
#define GET_LIMITS_DEFAULT                                                              \
	{                                                                               \
		.connect = 3 * NSEC_PER_SEC, .first_byte = 10 * NSEC_PER_SEC,           \
		.stall = 10 * NSEC_PER_SEC, .idle = 4 * NSEC_PER_SEC, .connections = 32 \
	}

struct conn_pool;
struct conn_pool_host;
struct s3_target;

/* A connection and its buffer for response heads, error bodies and proxy answers. */
struct conn_pool_conn {
	struct conn conn;
	struct list node; /* conn_pool_host.idle */
	struct conn_pool_host *host;
	struct dns_addr *addr;
	struct conn_pool_wait *wait; /* while it is being opened */
	struct loop_timer timer;
	uint64_t idle_since;
	bool reused; /* has carried a response before: may die unannounced */
	void *user;  /* its holder's */
	size_t len;  /* bytes in buf */
	char buf[HTTP_HEAD_MAX];
};

struct conn_pool_wait {
	/* set by the caller */
	bool demand;
	bool fresh; /* no idle one */
	/* `pc`, or NULL with an error. Never inside conn_pool_get. */
	void (*fn)(struct conn_pool_wait *w, struct conn_pool_conn *pc, int err, const char *why);
	/* private */
	struct list node;
	struct conn_pool_host *host;
	struct conn_pool_conn *opening;
	bool queued;
	unsigned tries;
	int err;
	const char *why; /* static */
};

struct conn_pool_config {
	struct loop *loop;
	struct get_limits limits;
	/* The TLS settings, made when first asked for; -errno with a text. */
	int (*tls)(void *user, SSL_CTX **ret, const char **why);
	void *user;
	/* The loop is stopping; every idle connection is closed already. */
	void (*stopping)(void *user);
};

int conn_pool_new(const struct conn_pool_config *config, struct conn_pool **ret) must_check;
/* On the loop when nothing is out, or after the loop has ended. */
void conn_pool_free(struct conn_pool *p);
bool conn_pool_is_stopping(const struct conn_pool *p);
/* No connection is open or closing. */
bool conn_pool_is_empty(const struct conn_pool *p);

/* The host of a target; kept until the pool goes. */
int conn_pool_host_get(struct conn_pool *p, const struct s3_target *target,
		       struct conn_pool_host **ret) must_check;
/* To be called once on the TLS settings: sessions are resumed. */
void conn_pool_remember_tickets(SSL_CTX *ctx);
/* How its requests must be written. */
const struct proxy *conn_pool_host_proxy(const struct conn_pool_host *h);

struct conn_pool_conn *conn_pool_get(struct conn_pool *p, struct conn_pool_host *h,
				     struct conn_pool_wait *w);
void conn_pool_put(struct conn_pool_conn *pc, bool reusable);
void conn_pool_cancel(struct conn_pool *p, struct conn_pool_wait *w);

#endif
