/* SPDX-License-Identifier: Apache-2.0 */

/*
 *	conn_pool_open -> (resolving ->) TCP -> [CONNECT head ->] [TLS ->] waiter
 *
 * A failure before the waiter has the connection tries the next address, as long
 * as there are others and it is not the certificate that is wrong.
 */
#include "s3/conn_pool_open.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/client.h"

/* Of a lookup; the resolver's own limit is 5 s and more for each server it asks. */
#define RESOLVE_NS (6 * NSEC_PER_SEC)

static void deliver(struct conn_pool_wait *w, struct conn_pool_conn *pc, int err, const char *why)
{
	w->queued = false;
	w->opening = NULL;
	w->fn(w, pc, err, why);
}

static void fail_resolving(struct conn_pool_host *h, int err, const char *why)
{
	struct list batch, *n;

	list_init(&batch);
	list_splice(&batch, &h->resolving);
	while ((n = list_pop(&batch)) != NULL)
		deliver(list_entry(n, struct conn_pool_wait, node), NULL, err, why);
}

static void on_resolved(struct dns_host *d, int err, const char *why)
{
	struct conn_pool_host *h = container_of(d, struct conn_pool_host, dns);
	struct list *n;

	loop_timer_cancel(h->loop, &h->timeout);
	if (err < 0) {
		fail_resolving(h, err, why);
		return;
	}
	while ((n = list_pop(&h->resolving)) != NULL)
		conn_pool_requeue(list_entry(n, struct conn_pool_wait, node));
}

static void on_resolve_timeout(struct loop_timer *t)
{
	fail_resolving(container_of(t, struct conn_pool_host, timeout), -ETIMEDOUT,
		       "name not resolved in time");
}

static void open_failed(struct conn_pool_conn *pc, int err, const char *text)
{
	struct conn_pool_host *h = pc->host;
	struct conn_pool_wait *w = pc->wait;
	bool final = err == -EKEYREJECTED || err == -ECANCELED;
	char why[sizeof(pc->conn.why)];

	(void)snprintf(why, sizeof(why), "%s", text);
	if (err != -ECANCELED)
		dns_mark(&h->dns, pc->addr, /* good= */ false);
	w->opening = NULL;
	pc->wait = NULL;
	conn_pool_conn_close(pc);
	if (!final && ++w->tries < min_u64(POOL_TRIES, h->dns.naddrs))
		conn_pool_open(w);
	else
		deliver(w, NULL, err, why);
}

static void on_timeout(struct loop_timer *t)
{
	open_failed(container_of(t, struct conn_pool_conn, timer), -ETIMEDOUT,
		    "connection not established in time");
}

static void opened(struct conn_pool_conn *pc)
{
	struct conn_pool_wait *w = pc->wait;

	dns_mark(&pc->host->dns, pc->addr, /* good= */ true);
	loop_timer_cancel(pc->host->loop, &pc->timer);
	pc->wait = NULL;
	deliver(w, pc, 0, "");
}

static void on_secured(struct conn *c, int res)
{
	struct conn_pool_conn *pc = container_of(c, struct conn_pool_conn, conn);

	if (res < 0)
		open_failed(pc, res, c->why);
	else
		opened(pc);
}

/* Runs on the loop of the connection that the ticket came on. */
static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct conn *c = SSL_get_app_data(ssl);
	struct conn_pool_host *h = container_of(c, struct conn_pool_conn, conn)->host;

	SSL_SESSION_free(h->session);
	h->session = session;
	return 1;
}

static void start_tls(struct conn_pool_conn *pc)
{
	struct conn_pool_host *h = pc->host;
	const char *why = "";
	SSL_CTX *ctx;
	int r = conn_pool_tls(h, &ctx, &why);

	if (r < 0) {
		open_failed(pc, r, why);
		return;
	}
	conn_start_tls(&pc->conn, ctx, h->target->endpoint.host, h->session, on_secured);
}

static void on_tunnel_bytes(struct conn *c, int res)
{
	struct conn_pool_conn *pc = container_of(c, struct conn_pool_conn, conn);
	struct http_head head;
	size_t scan = 0;
	char why[64];

	if (res <= 0) {
		open_failed(pc, res ? res : -ECONNRESET, "proxy closed the connection");
		return;
	}
	pc->len += (size_t)res;
	ssize_t n = http_head_parse(pc->buf, pc->len, &scan, &head);
	if (n == 0) {
		conn_recv(c, pc->buf + pc->len, sizeof(pc->buf) - pc->len, on_tunnel_bytes);
		return;
	}
	if (n > 0 && head.status / 100 == 2 && (size_t)n == pc->len) {
		start_tls(pc);
		return;
	}
	(void)snprintf(why, sizeof(why), "proxy answered %d to CONNECT", n > 0 ? head.status : 0);
	open_failed(pc, -ECONNREFUSED, why);
}

static void on_tunnel_sent(struct conn *c, int res)
{
	struct conn_pool_conn *pc = container_of(c, struct conn_pool_conn, conn);

	pc->len = 0;
	if (res < 0)
		open_failed(pc, res, "proxy closed the connection");
	else
		conn_recv(c, pc->buf, sizeof(pc->buf), on_tunnel_bytes);
}

static void start_tunnel(struct conn_pool_conn *pc)
{
	const struct s3_endpoint *e = &pc->host->target->endpoint;
	int n = proxy_connect_head(&pc->host->proxy, e->host, e->port, pc->buf, sizeof(pc->buf));

	if (n < 0)
		open_failed(pc, n, "");
	else if (conn_send(&pc->conn, pc->buf, (size_t)n, on_tunnel_sent))
		on_tunnel_sent(&pc->conn, n);
}

static void on_connected(struct conn *c, int res)
{
	struct conn_pool_conn *pc = container_of(c, struct conn_pool_conn, conn);
	struct conn_pool_host *h = pc->host;

	if (res < 0)
		open_failed(pc, res, "");
	else if (!h->target->endpoint.tls)
		opened(pc);
	else if (h->proxy.used)
		start_tunnel(pc);
	else
		start_tls(pc);
}

static void wait_for_address(struct conn_pool_host *h, struct conn_pool_wait *w)
{
	list_append(&h->resolving, &w->node);
	if (h->timeout.slot == 0 &&
	    loop_timer_set(h->loop, &h->timeout, clock_now() + RESOLVE_NS) < 0)
		conn_pool_wait_fail(w, -ENOMEM, "");
}

void conn_pool_open(struct conn_pool_wait *w)
{
	struct conn_pool_host *h = w->host;
	struct dns_addr *a;
	struct conn_pool_conn *pc;

	list_init(&w->node);
	if (h->proxy_error < 0) {
		conn_pool_wait_fail(w, h->proxy_error,
				    "the proxy of the environment is not http://");
		return;
	}
	int r = dns_get(&h->dns, &a);
	if (r == -EAGAIN) {
		wait_for_address(h, w);
		return;
	}
	if (r < 0) {
		conn_pool_wait_fail(w, r, "");
		return;
	}
	r = conn_pool_conn_new(h, w, &pc);
	if (r < 0) {
		dns_put(&h->dns, a);
		conn_pool_wait_fail(w, r, "");
		return;
	}
	pc->addr = a;
	pc->timer.fire = on_timeout;
	r = loop_timer_set(h->loop, &pc->timer, clock_now() + conn_pool_connect_limit(h));
	if (r < 0) {
		w->opening = NULL;
		conn_pool_conn_close(pc);
		conn_pool_wait_fail(w, r, "");
		return;
	}
	conn_connect(&pc->conn, (struct sockaddr *)&a->sa, a->len, on_connected);
}

/* The loop stops: no lookup may come back later, no ticket is of use. */
void conn_pool_open_stop(struct conn_pool_host *h)
{
	loop_timer_cancel(h->loop, &h->timeout);
	dns_fini(&h->dns);
}

int conn_pool_host_new(struct conn_pool *p, struct loop *l, const struct s3_target *target,
		       struct conn_pool_host **ret)
{
	const struct s3_endpoint *e = &target->endpoint;
	struct conn_pool_host *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->pool = p;
	h->loop = l;
	h->target = target;
	h->timeout.fire = on_resolve_timeout;
	list_init(&h->idle);
	list_init(&h->resolving);
	h->proxy_error = proxy_find(e->tls, e->host, &h->proxy);
	dns_init(&h->dns, l, h->proxy.used ? h->proxy.host : e->host,
		 h->proxy.used ? h->proxy.port : e->port, on_resolved);
	*ret = h;
	return 0;
}

void conn_pool_host_free(struct conn_pool_host *h)
{
	dns_fini(&h->dns);
	SSL_SESSION_free(h->session);
	free(h);
}

void conn_pool_remember_tickets(SSL_CTX *ctx)
{
	SSL_CTX_sess_set_new_cb(ctx, on_ticket);
}
