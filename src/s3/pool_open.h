/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Opening a connection for a waiter, private to the pool: address, TCP, proxy
 * tunnel, TLS, each step started by the end of the one before. Loop thread only.
 */
#ifndef S3_POOL_OPEN_H
#define S3_POOL_OPEN_H

#include "s3/pool.h"

struct pool_host {
	/* set at creation */
	struct list node; /* pool.hosts */
	struct pool *pool;
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

int pool_host_new(struct pool *p, struct loop *l, const struct s3_target *target,
		  struct pool_host **ret) must_check;
void pool_host_free(struct pool_host *h);
void pool_open(struct pool_wait *w);
void pool_open_stop(struct pool_host *h);

/* Of pool.c. */
int pool_conn_new(struct pool_host *h, struct pool_wait *w, struct pool_conn **ret) must_check;
void pool_conn_close(struct pool_conn *pc);
int pool_tls(struct pool_host *h, SSL_CTX **ret, const char **why) must_check;
uint64_t pool_connect_limit(const struct pool_host *h);
void pool_wait_fail(struct pool_wait *w, int err);
void pool_requeue(struct pool_wait *w);

#endif
