/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Connections of the GET engine on one loop: what is idle, what is being opened,
 * and who waits. Loop thread only.
 *
 *	pc = pool_get(p, host, &wait);	an idle one at once, or NULL and wait.fn later
 *	pool_put(pc, reusable);		gives it back
 *	pool_cancel(&wait);		no longer wanted; wait.fn is not called
 *
 * Idle connections are reused last in, first out, and closed after limits.idle.
 * At most limits.connections are open; then calls wait, those of `demand` first.
 * A connection is opened for one waiter: name, address, TCP, proxy tunnel, TLS,
 * each address within limits.connect; the next address is tried when one fails.
 */
#ifndef S3_POOL_H
#define S3_POOL_H

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

struct pool;
struct pool_host;
struct s3_target;

/* A connection and its buffer for response heads, error bodies and proxy answers. */
struct pool_conn {
	struct conn conn;
	struct list node; /* pool_host.idle */
	struct pool_host *host;
	struct dns_addr *addr;
	struct pool_wait *wait; /* while it is being opened */
	struct loop_timer timer;
	uint64_t idle_since;
	bool reused; /* has carried a response before: may die unannounced */
	void *user;  /* its holder's */
	size_t len;  /* bytes in buf */
	char buf[HTTP_HEAD_MAX];
};

struct pool_wait {
	/* set by the caller */
	bool demand;
	bool fresh; /* no idle one */
	/* `pc`, or NULL with an error. Never inside pool_get. */
	void (*fn)(struct pool_wait *w, struct pool_conn *pc, int err, const char *why);
	/* private */
	struct list node;
	struct pool_host *host;
	struct pool_conn *opening;
	bool queued;
	unsigned tries;
	int err;
};

struct pool_config {
	struct loop *loop;
	struct get_limits limits;
	/* The TLS settings, made when first asked for; -errno with a text. */
	int (*tls)(void *user, SSL_CTX **ret, const char **why);
	void *user;
	/* The loop is stopping; every idle connection is closed already. */
	void (*stopping)(void *user);
};

int pool_new(const struct pool_config *config, struct pool **ret) must_check;
/* On the loop when nothing is out, or after the loop has ended. */
void pool_free(struct pool *p);
bool pool_is_stopping(const struct pool *p);
/* No connection is open or closing. */
bool pool_is_empty(const struct pool *p);

/* The host of a target; kept until the pool goes. */
int pool_host_get(struct pool *p, const struct s3_target *target,
		  struct pool_host **ret) must_check;
/* To be called once on the TLS settings: sessions are resumed. */
void pool_remember_tickets(SSL_CTX *ctx);
/* How its requests must be written. */
const struct proxy *pool_host_proxy(const struct pool_host *h);

struct pool_conn *pool_get(struct pool *p, struct pool_host *h, struct pool_wait *w);
void pool_put(struct pool_conn *pc, bool reusable);
void pool_cancel(struct pool *p, struct pool_wait *w);

#endif
