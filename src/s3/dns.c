/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A query is shared by the loop and the helper thread:
 *
 *	running		both know it; the thread works on its own copy of the name
 *	posted		the thread has put its task into the loop's inbox and is gone
 *	dropped		the host went away: whoever comes last frees it
 *
 * The lock is only held to move between these.
 */
#include "s3/dns.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/lock.h"

struct dns_query {
	/* set at creation */
	struct loop *loop;
	char name[DNS_NAME_MAX];
	char port[8];
	struct loop_task task;

	struct lock lock; /* RANK_CLIENT */
	/* under lock */
	struct dns_host *host; /* NULL: dropped */
	bool posted;

	/* the thread's until posted */
	int error; /* EAI_... */
	struct addrinfo *found;
};

static void query_free(struct dns_query *q)
{
	if (q->found)
		freeaddrinfo(q->found);
	lock_fini(&q->lock);
	free(q);
}

DEFINE_CLEANUP(struct dns_query, query_free)

static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

static struct dns_addr *addr_find(struct dns_host *h, const struct addrinfo *ai)
{
	struct list *n;

	list_for_each (n, &h->addrs) {
		struct dns_addr *a = list_entry(n, struct dns_addr, node);
		if (a->len == ai->ai_addrlen && memcmp(&a->sa, ai->ai_addr, a->len) == 0)
			return a;
	}
	return NULL;
}

static void addr_unlist(struct dns_host *h, struct dns_addr *a)
{
	list_del(&a->node);
	a->listed = false;
	h->naddrs--;
	if (a->users == 0)
		free(a);
}

static int addr_add(struct dns_host *h, const struct addrinfo *ai)
{
	struct dns_addr *a = addr_find(h, ai);

	if (a) {
		a->seen = true;
		return 0;
	}
	if (ai->ai_addrlen > sizeof(a->sa) || h->naddrs == DNS_ADDRS_MAX)
		return 0;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->len = ai->ai_addrlen;
	memcpy(&a->sa, ai->ai_addr, a->len);
	a->listed = a->seen = true;
	list_append(&h->addrs, &a->node);
	h->naddrs++;
	return 0;
}

/* The table becomes what the answer says; known addresses keep what was learned of them. */
static int take_answer(struct dns_host *h, const struct addrinfo *found)
{
	struct list *n, *tmp;
	int r = 0;

	list_for_each (n, &h->addrs) {
		list_entry(n, struct dns_addr, node)->seen = false;
	}
	for (const struct addrinfo *ai = found; ai && r == 0; ai = ai->ai_next)
		r = addr_add(h, ai);
	list_for_each_safe (n, tmp, &h->addrs) {
		struct dns_addr *a = list_entry(n, struct dns_addr, node);
		if (!a->seen)
			addr_unlist(h, a);
	}
	return h->naddrs ? 0 : r ? r : -EHOSTUNREACH;
}

static void on_answer(struct loop_task *t)
{
	struct dns_query *q = container_of(t, struct dns_query, task);
	struct dns_host *h;
	const char *why = "";
	int r = -EHOSTUNREACH;

	{
		WITH_LOCK(&q->lock); /* the thread may not have left it yet */
		h = q->host;
	}

	if (h) {
		h->query = NULL;
		if (q->error == 0)
			r = take_answer(h, q->found);
		else
			why = gai_strerror(q->error);
		/* After a failure the old addresses serve on; not to be asked at every call. */
		h->fresh_until = clock_now() + (r == 0 ? DNS_FRESH_NS : DNS_FRESH_NS / 10);
	}
	query_free(q);
	if (h)
		h->resolved(h, h->naddrs ? 0 : r, why);
}

static void *lookup_thread(void *arg)
{
	struct dns_query *q = arg;
	bool dropped;

	q->error = getaddrinfo(q->name, q->port, &hints, &q->found);
	if (q->error)
		q->found = NULL;
	{
		WITH_LOCK(&q->lock);
		dropped = !q->host;
		q->posted = !dropped;
		if (q->posted)
			loop_post(q->loop, &q->task);
	}
	if (dropped)
		query_free(q);
	return NULL;
}

static int start_thread(struct dns_query *q)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r = pthread_attr_init(&attr);

	if (r != 0)
		return -r;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, lookup_thread, q);
	(void)pthread_attr_destroy(&attr);
	return -r;
}

static int start_lookup(struct dns_host *h)
{
	_cleanup_(query_freep) struct dns_query *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->loop = h->loop;
	q->host = h;
	q->task.run = on_answer;
	lock_init(&q->lock, RANK_CLIENT);
	(void)snprintf(q->name, sizeof(q->name), "%s", h->name);
	(void)snprintf(q->port, sizeof(q->port), "%u", h->port);
	int r = start_thread(q);
	if (r < 0)
		return r;
	h->query = take_ptr(&q);
	return 0;
}

/* An address literal is its own answer, for ever. */
static bool take_literal(struct dns_host *h)
{
	struct addrinfo want = hints, *found = NULL;
	char port[8];

	want.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	(void)snprintf(port, sizeof(port), "%u", h->port);
	if (getaddrinfo(h->name, port, &want, &found) != 0)
		return false;
	int r = take_answer(h, found);
	freeaddrinfo(found);
	h->fresh_until = NO_DEADLINE;
	return r == 0;
}

void dns_init(struct dns_host *h, struct loop *l, const char *name, uint16_t port,
	      void (*resolved)(struct dns_host *h, int err, const char *why))
{
	memset(h, 0, sizeof(*h));
	h->loop = l;
	h->port = port;
	h->resolved = resolved;
	list_init(&h->addrs);
	(void)snprintf(h->name, sizeof(h->name), "%s", name);
}

void dns_fini(struct dns_host *h)
{
	struct list *n, *tmp;
	struct dns_query *q = h->query;

	h->query = NULL;
	if (q) {
		WITH_LOCK(&q->lock);
		q->host = NULL;
	}
	list_for_each_safe (n, tmp, &h->addrs) {
		addr_unlist(h, list_entry(n, struct dns_addr, node));
	}
}

/* Fewest connections first; a bad one only when all are. */
static struct dns_addr *pick(struct dns_host *h, uint64_t now)
{
	struct dns_addr *best = NULL;
	struct list *n;

	list_for_each (n, &h->addrs) {
		struct dns_addr *a = list_entry(n, struct dns_addr, node);
		bool bad = a->bad_until > now;
		bool best_bad = best && best->bad_until > now;

		if (!best || (best_bad && !bad) || (best_bad == bad && a->users < best->users))
			best = a;
	}
	return best;
}

int dns_get(struct dns_host *h, struct dns_addr **ret)
{
	uint64_t now = clock_now();
	int r = 0;

	bool due = now >= h->fresh_until || !h->naddrs;
	if (due && !h->query && !take_literal(h))
		r = start_lookup(h);
	struct dns_addr *a = pick(h, now);
	if (!a)
		return r < 0 ? r : -EAGAIN;
	list_del(&a->node);
	list_append(&h->addrs, &a->node);
	a->users++;
	*ret = a;
	return 0;
}

void dns_put(struct dns_host *h, struct dns_addr *a)
{
	assert(a->users > 0);
	a->users--;
	if (a->users == 0 && !a->listed)
		free(a);
}

void dns_mark(struct dns_host *h, struct dns_addr *a, bool good)
{
	a->bad_until = good ? 0 : clock_now() + DNS_BAD_NS;
}
