/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Opening a connection for a waiter, private to the pool: address, TCP, proxy
 * tunnel, TLS, each step started by the end of the one before. Loop thread only.
 */
#ifndef S3_CONN_POOL_OPEN_H
#define S3_CONN_POOL_OPEN_H

#include "s3/conn_pool.h"

struct conn_pool_host {
	/* set at creation */
	struct list node; /* pool.hosts */
	struct conn_pool *pool;
	struct loop *loop;
	const struct s3_target *target;
	struct proxy proxy;
	int proxy_error; /* the environment names one that we cannot use */

	/* owner loop only */
	struct dns_host dns;	   /* of the proxy, if there is one */
	struct list idle;	   /* most recent first */
	struct list resolving;	   /* waiters without an address */
	struct loop_timer timeout; /* of the lookup */
	SSL_SESSION *session;	   /* newest ticket, NULL: none */
};

int conn_pool_host_new(struct conn_pool *p, struct loop *l, const struct s3_target *target,
		       struct conn_pool_host **ret) must_check;
void conn_pool_host_free(struct conn_pool_host *h);
void conn_pool_open(struct conn_pool_wait *w);
void conn_pool_open_stop(struct conn_pool_host *h);

/* Of pool.c. */
int conn_pool_conn_new(struct conn_pool_host *h, struct conn_pool_wait *w,
		       struct conn_pool_conn **ret) must_check;
void conn_pool_conn_close(struct conn_pool_conn *pc);
int conn_pool_tls(struct conn_pool_host *h, SSL_CTX **ret, const char **why) must_check;
uint64_t conn_pool_connect_limit(const struct conn_pool_host *h);
void conn_pool_wait_fail(struct conn_pool_wait *w, int err, const char *why);
void conn_pool_requeue(struct conn_pool_wait *w);

#endif
