/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A waiter is in one of: pool.demand or pool.bulk (no connection may be opened
 * yet), conn_pool_host.resolving (no address yet), `opening` (a connection is under
 * way), pool.failed (its error is delivered by the next task). The pump moves
 * waiters on whenever a place or an idle connection has come free; it runs as a
 * posted task, so that nobody's callback runs inside somebody else's call.
 *
 * `open` counts connections from creation to conn_close; `closing` those whose
 * descriptor still belongs to an operation of the loop.
 *
 * An operation that never ends by itself tells of the loop's stop.
 */
#include "s3/conn_pool.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "s3/client.h"
#include "s3/conn_pool_open.h"

struct conn_pool {
	/* set at creation */
	struct conn_pool_config config;
	int stop_fd; /* never readable */

	/* owner loop only */
	struct list hosts;
	struct list demand, bulk, failed;
	unsigned open, closing;
	bool pump_posted, stopping, watching;
	struct loop_task pump;
	struct loop_op watch;
	struct loop_timer reaper;
};

static void post_pump(struct conn_pool *p)
{
	if (p->pump_posted || p->stopping)
		return;
	p->pump_posted = true;
	loop_post(p->config.loop, &p->pump);
}

static void on_closed(struct conn *c)
{
	struct conn_pool_conn *pc = container_of(c, struct conn_pool_conn, conn);

	pc->host->pool->closing--;
	free(pc);
}

void conn_pool_conn_close(struct conn_pool_conn *pc)
{
	struct conn_pool *p = pc->host->pool;

	loop_timer_cancel(p->config.loop, &pc->timer);
	list_del(&pc->node);
	if (pc->addr)
		dns_put(&pc->host->dns, pc->addr);
	pc->addr = NULL;
	p->open--;
	p->closing++;
	conn_close(&pc->conn);
	post_pump(p);
}

int conn_pool_conn_new(struct conn_pool_host *h, struct conn_pool_wait *w,
		       struct conn_pool_conn **ret)
{
	struct conn_pool_conn *pc = malloc(sizeof(*pc)); /* buf stays as it is */

	if (!pc)
		return -ENOMEM;
	memset(pc, 0, offsetof(struct conn_pool_conn, buf));
	conn_init(&pc->conn, h->pool->config.loop, on_closed);
	list_init(&pc->node);
	pc->host = h;
	pc->wait = w;
	w->opening = pc;
	h->pool->open++;
	*ret = pc;
	return 0;
}

uint64_t conn_pool_connect_limit(const struct conn_pool_host *h)
{
	return h->pool->config.limits.connect;
}

int conn_pool_tls(struct conn_pool_host *h, SSL_CTX **ret, const char **why)
{
	const struct conn_pool_config *c = &h->pool->config;

	return c->tls(c->user, ret, why);
}

/* Delivered later: may be called from anywhere. */
void conn_pool_wait_fail(struct conn_pool_wait *w, int err, const char *why)
{
	struct conn_pool *p = w->host->pool;

	w->err = err;
	w->why = why;
	list_del(&w->node);
	list_append(&p->failed, &w->node);
	post_pump(p);
}

/* Back into the queue: there is an address now. */
void conn_pool_requeue(struct conn_pool_wait *w)
{
	struct conn_pool *p = w->host->pool;

	list_del(&w->node);
	list_append(w->demand ? &p->demand : &p->bulk, &w->node);
	post_pump(p);
}

/* Over the limit: a connection that idles for another server gives way. */
static bool make_room(struct conn_pool *p)
{
	struct list *n;

	if (p->open < p->config.limits.connections)
		return true;
	list_for_each (n, &p->hosts) {
		struct conn_pool_host *h = list_entry(n, struct conn_pool_host, node);
		if (!list_empty(&h->idle)) {
			conn_pool_conn_close(list_entry(h->idle.prev, struct conn_pool_conn, node));
			return true;
		}
	}
	return false;
}

static struct conn_pool_conn *take_idle(struct conn_pool_host *h)
{
	struct list *n;

	while ((n = list_pop(&h->idle)) != NULL) {
		struct conn_pool_conn *pc = list_entry(n, struct conn_pool_conn, node);
		if (conn_is_fresh(&pc->conn))
			return pc;
		conn_pool_conn_close(pc);
	}
	return NULL;
}

static struct conn_pool_wait *next_waiter(struct conn_pool *p)
{
	struct list *head = list_empty(&p->demand) ? &p->bulk : &p->demand;

	return list_empty(head) ? NULL : list_entry(head->next, struct conn_pool_wait, node);
}

static void pump(struct loop_task *t)
{
	struct conn_pool *p = container_of(t, struct conn_pool, pump);
	struct conn_pool_wait *w;
	struct list *n;

	p->pump_posted = false;
	while (!p->stopping && (n = list_pop(&p->failed)) != NULL) {
		w = list_entry(n, struct conn_pool_wait, node);
		w->queued = false;
		w->fn(w, NULL, w->err, w->why);
	}
	while (!p->stopping && (w = next_waiter(p)) != NULL) {
		struct conn_pool_conn *pc = w->fresh ? NULL : take_idle(w->host);
		if (!pc && !make_room(p))
			return;
		list_del(&w->node);
		if (!pc) {
			conn_pool_open(w);
			continue;
		}
		w->queued = false;
		w->fn(w, pc, 0, "");
	}
}

struct conn_pool_conn *conn_pool_get(struct conn_pool *p, struct conn_pool_host *h,
				     struct conn_pool_wait *w)
{
	assert(!w->queued);
	if (!w->fresh && !next_waiter(p)) {
		struct conn_pool_conn *pc = take_idle(h);
		if (pc)
			return pc;
	}
	w->host = h;
	w->opening = NULL;
	w->tries = 0;
	w->queued = true;
	list_init(&w->node);
	if (!next_waiter(p) && make_room(p))
		conn_pool_open(w);
	else
		list_append(w->demand ? &p->demand : &p->bulk, &w->node);
	return NULL;
}

static void arm_reaper(struct conn_pool *p, uint64_t at)
{
	if (p->stopping || p->reaper.slot)
		return;
	/* Without memory for a timer the server's end closes them. */
	int r = loop_timer_set(p->config.loop, &p->reaper, at);
	(void)r;
}

void conn_pool_put(struct conn_pool_conn *pc, bool reusable)
{
	struct conn_pool_host *h = pc->host;
	struct conn_pool *p = h->pool;

	pc->user = NULL;
	if (!reusable || p->stopping || pc->conn.state != CONN_READY) {
		conn_pool_conn_close(pc);
		return;
	}
	pc->reused = true;
	pc->idle_since = clock_now();
	list_push(&h->idle, &pc->node);
	arm_reaper(p, pc->idle_since + p->config.limits.idle);
	if (next_waiter(p))
		post_pump(p);
}

void conn_pool_cancel(struct conn_pool *p, struct conn_pool_wait *w)
{
	if (!w->queued)
		return;
	w->queued = false;
	list_del(&w->node);
	if (w->opening)
		conn_pool_conn_close(w->opening);
	w->opening = NULL;
	(void)p;
}

/* The longest idle are at the end of each list. */
static void reap(struct loop_timer *t)
{
	struct conn_pool *p = container_of(t, struct conn_pool, reaper);
	uint64_t now = clock_now(), next = NO_DEADLINE;
	struct list *n;

	list_for_each (n, &p->hosts) {
		struct conn_pool_host *h = list_entry(n, struct conn_pool_host, node);
		while (!list_empty(&h->idle)) {
			struct conn_pool_conn *pc =
				list_entry(h->idle.prev, struct conn_pool_conn, node);
			if (pc->idle_since + p->config.limits.idle > now) {
				next = min_u64(next, pc->idle_since + p->config.limits.idle);
				break;
			}
			conn_pool_conn_close(pc);
		}
	}
	if (next != NO_DEADLINE)
		arm_reaper(p, next);
}

static void on_stop(struct loop_op *op, int res)
{
	struct conn_pool *p = container_of(op, struct conn_pool, watch);
	struct list *n;

	p->watching = false;
	p->stopping = true;
	loop_timer_cancel(p->config.loop, &p->reaper);
	list_for_each (n, &p->hosts) {
		struct conn_pool_host *h = list_entry(n, struct conn_pool_host, node);
		while (!list_empty(&h->idle))
			conn_pool_conn_close(list_entry(h->idle.prev, struct conn_pool_conn, node));
		conn_pool_open_stop(h);
	}
	p->config.stopping(p->config.user);
}

bool conn_pool_is_stopping(const struct conn_pool *p)
{
	return p->stopping;
}

bool conn_pool_is_empty(const struct conn_pool *p)
{
	return p->open == 0 && p->closing == 0 && !p->pump_posted && !p->watching;
}

int conn_pool_new(const struct conn_pool_config *config, struct conn_pool **ret)
{
	struct conn_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->config = *config;
	list_init(&p->hosts);
	list_init(&p->demand);
	list_init(&p->bulk);
	list_init(&p->failed);
	p->pump.run = pump;
	p->reaper.fire = reap;
	p->watch.done = on_stop;
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->stop_fd < 0) {
		int r = -errno;
		free(p);
		return r;
	}
	p->watching = true;
	loop_poll(config->loop, &p->watch, p->stop_fd, POLLIN);
	*ret = p;
	return 0;
}

void conn_pool_free(struct conn_pool *p)
{
	struct list *n;

	if (!p)
		return;
	while ((n = list_pop(&p->hosts)) != NULL)
		conn_pool_host_free(list_entry(n, struct conn_pool_host, node));
	(void)close(p->stop_fd);
	free(p);
}

int conn_pool_host_get(struct conn_pool *p, const struct s3_target *target,
		       struct conn_pool_host **ret)
{
	struct list *n;

	list_for_each (n, &p->hosts) {
		struct conn_pool_host *h = list_entry(n, struct conn_pool_host, node);
		if (h->target == target) {
			*ret = h;
			return 0;
		}
	}
	struct conn_pool_host *h;
	int r = conn_pool_host_new(p, p->config.loop, target, &h);
	if (r < 0)
		return r;
	list_push(&p->hosts, &h->node);
	*ret = h;
	return 0;
}

const struct proxy *conn_pool_host_proxy(const struct conn_pool_host *h)
{
	return &h->proxy;
}
