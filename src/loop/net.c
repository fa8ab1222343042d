/* SPDX-License-Identifier: Apache-2.0 */

/*
 * curl's multi handle on a loop: sockets are watched with one-shot polls, its
 * timer is a loop timer. Owner loop only.
 *
 * curl must not be entered from its own callbacks. `in_curl` marks that time:
 * a call started then waits on `queued`, a cancelled one on `ended`, and settle()
 * does both as soon as curl has returned. on_done is called from settle() and
 * from our timers, never from inside curl, and may start and cancel calls.
 *
 *	list		a transfer there
 *	queued		was started inside curl, is not in the multi handle
 *	running		in the multi handle
 *	ended		cancelled inside curl, still in the multi handle
 *	finished	has its result, on_done is about to be called
 *	idle		unused, at most IDLE_MAX
 *
 * A watch is one poll on one socket. When curl drops the socket or wants other
 * events while the poll is out, the watch is left behind (`want` 0) and a new
 * one takes its place: its late result cannot reach a reused descriptor.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/net_priv.h"
#include "loop/net_transfer.h"

#define IDLE_MAX	32
#define CONNECTIONS_MIN 16 /* kept open at least, over all hosts */

struct net {
	/* set at creation */
	struct loop *loop;
	CURLM *multi;
	char *ca_bundle, *user_agent;

	/* owner loop only */
	struct loop_timer timer;
	struct list queued, running, ended, finished, idle;
	unsigned nidle;
	struct list idle_watches;
	bool in_curl;
};

struct watch {
	struct loop_op op;
	struct net *net;
	struct list node; /* on idle_watches */
	int fd;
	uint32_t want;	/* poll events; 0: left behind */
	uint32_t armed; /* events of the poll that is out; 0: none is */
	bool busy;	/* curl is being told of its events */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready = CURLE_FAILED_INIT;

static void init_curl(void)
{
	curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* --- transfers ---------------------------------------------------------------- */

/* Only what ended well is used again: a failed handle may keep a buffer and refuse options. */
static void recycle(struct net *n, struct net_transfer *t)
{
	list_del(&t->node);
	if (n->nidle >= IDLE_MAX || t->result != CURLE_OK) {
		net_transfer_free(t);
		return;
	}
	net_transfer_reset(t);
	list_push(&n->idle, &t->node);
	n->nidle++;
}

static struct net_transfer *get_transfer(struct net *n)
{
	struct list *node = list_pop(&n->idle);

	if (!node)
		return net_transfer_new(n);
	n->nidle--;
	return list_entry(node, struct net_transfer, node);
}

static void leave_multi(struct net *n, struct net_transfer *t)
{
	CURLMcode code;

	if (!t->in_multi)
		return;
	t->in_multi = false;
	code = curl_multi_remove_handle(n->multi, t->easy);
	assert(code == CURLM_OK);
	(void)code;
}

/* Tells the caller; the handle is out of curl already. */
static void deliver(struct net *n, struct net_transfer *t, int err)
{
	struct net_call *c = t->call;

	assert(!t->in_multi);
	list_del(&t->node);
	loop_timer_cancel(n->loop, &t->timer);
	if (c) {
		t->call = NULL;
		c->transfer = NULL;
		c->on_done(c, err, net_transfer_status(t), err ? t->detail : "");
	}
	recycle(n, t);
}

static void on_transfer_timer(struct loop_timer *timer)
{
	struct net_transfer *t = list_entry(timer, struct net_transfer, timer);
	struct net *n = t->net;
	uint64_t next;
	int r;

	r = net_transfer_check(t, clock_now(), &next);
	if (r == 0)
		r = loop_timer_set(n->loop, timer, next);
	if (r == 0)
		return;
	t->failure = r;
	leave_multi(n, t);
	deliver(n, t, r);
}

static int run(struct net *n, struct net_transfer *t)
{
	CURLMcode code = curl_multi_add_handle(n->multi, t->easy);

	if (code != CURLM_OK)
		return -ENOMEM;
	t->in_multi = true;
	list_del(&t->node);
	list_append(&n->running, &t->node);
	return 0;
}

/* curl has put results into its queue; they are taken out before any is told. */
static void collect(struct net *n)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(n->multi, &left)) != NULL) {
		struct net_transfer *t;
		void *priv;

		if (m->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &priv);
		t = priv;
		t->result = m->data.result;
		leave_multi(n, t);
		list_del(&t->node);
		list_append(&n->finished, &t->node);
	}
}

static void settle(struct net *n)
{
	struct list *node;

	while ((node = list_pop(&n->ended)) != NULL) {
		struct net_transfer *t = list_entry(node, struct net_transfer, node);

		leave_multi(n, t);
		recycle(n, t);
	}
	collect(n);
	while (!list_empty(&n->finished)) {
		struct net_transfer *t = list_entry(n->finished.next, struct net_transfer, node);

		deliver(n, t, net_transfer_error(t));
	}
	while (!list_empty(&n->queued)) {
		struct net_transfer *t = list_entry(n->queued.next, struct net_transfer, node);
		int r = run(n, t);

		if (r < 0)
			deliver(n, t, r);
	}
}

static void tell_curl(struct net *n, curl_socket_t fd, int events)
{
	CURLMcode code;
	int running;

	assert(!n->in_curl);
	n->in_curl = true;
	code = curl_multi_socket_action(n->multi, fd, events, &running);
	n->in_curl = false;
	if (code != CURLM_OK)
		log_err(LOG_LOOP, "curl_multi_socket_action: %s", curl_multi_strerror(code));
	settle(n);
}

int net_start(struct loop *l, struct net_call *c)
{
	struct net *n = loop_net(l);
	struct net_transfer *t;
	int r;

	loop_assert_owner(l);
	c->transfer = NULL;
	if (loop_ending(l))
		return -ECANCELED;
	t = get_transfer(n);
	if (!t)
		return -ENOMEM;
	t->timer.fire = on_transfer_timer;
	r = net_transfer_prepare(t, c, n->ca_bundle, n->user_agent);
	if (r == 0 && c->deadline != NO_DEADLINE)
		r = loop_timer_set(l, &t->timer, c->deadline);
	if (r == 0 && n->in_curl)
		list_append(&n->queued, &t->node);
	else if (r == 0)
		r = run(n, t);
	if (r < 0) {
		loop_timer_cancel(l, &t->timer);
		recycle(n, t);
		return r;
	}
	c->transfer = t;
	return 0;
}

void net_cancel(struct net_call *c)
{
	struct net_transfer *t = c->transfer;
	struct net *n;

	if (!t)
		return;
	n = t->net;
	loop_assert_owner(n->loop);
	c->transfer = NULL;
	t->call = NULL;
	loop_timer_cancel(n->loop, &t->timer);
	if (t->in_multi && n->in_curl) {
		list_del(&t->node);
		list_append(&n->ended, &t->node);
		return;
	}
	leave_multi(n, t);
	recycle(n, t);
}

/* --- sockets and the timer of the multi handle ------------------------------- */

static void watch_done(struct loop_op *op, int res);

static struct watch *watch_new(struct net *n, int fd)
{
	struct list *node = list_pop(&n->idle_watches);
	struct watch *w = node ? list_entry(node, struct watch, node) : calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	list_init(&w->node);
	w->net = n;
	w->fd = fd;
	w->op.done = watch_done;
	return w;
}

static void watch_leave(struct watch *w)
{
	w->want = 0;
	if (w->busy)
		return; /* watch_done looks again */
	if (w->armed)
		loop_cancel(w->net->loop, &w->op);
	else
		list_push(&w->net->idle_watches, &w->node);
}

static void watch_arm(struct watch *w)
{
	w->armed = w->want;
	loop_poll(w->net->loop, &w->op, w->fd, w->want);
}

/* A hang-up is for curl to find by its next call; ERR would end all at once. */
static int curl_events(const struct watch *w, int res)
{
	int ev = 0;

	if (res < 0)
		return CURL_CSELECT_ERR;
	if (res & (POLLERR | POLLHUP))
		res |= (int)w->want;
	if (res & POLLIN)
		ev |= CURL_CSELECT_IN;
	if (res & POLLOUT)
		ev |= CURL_CSELECT_OUT;
	return ev;
}

static void watch_done(struct loop_op *op, int res)
{
	struct watch *w = list_entry(op, struct watch, op);

	w->armed = 0;
	if (!w->net->multi)
		w->want = 0; /* stopped */
	if (w->want) {
		w->busy = true;
		tell_curl(w->net, w->fd, curl_events(w, res));
		w->busy = false;
	}
	if (w->want)
		watch_arm(w);
	else
		watch_leave(w);
}

static uint32_t poll_events(int what)
{
	switch (what) {
	case CURL_POLL_IN:
		return POLLIN;
	case CURL_POLL_OUT:
		return POLLOUT;
	case CURL_POLL_INOUT:
		return POLLIN | POLLOUT;
	default:
		return 0;
	}
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct net *n = arg;
	struct watch *w = socket_arg;
	uint32_t want = poll_events(what);

	if (w && want && (w->busy || w->armed == want)) {
		w->want = want;
		return 0;
	}
	if (w) {
		(void)curl_multi_assign(n->multi, fd, NULL);
		watch_leave(w);
	}
	if (!want)
		return 0;
	w = watch_new(n, fd);
	if (!w || curl_multi_assign(n->multi, fd, w) != CURLM_OK) {
		if (w)
			watch_leave(w);
		return -1;
	}
	w->want = want;
	watch_arm(w);
	return 0;
}

static void on_multi_timer(struct loop_timer *timer)
{
	struct net *n = list_entry(timer, struct net, timer);

	tell_curl(n, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *arg)
{
	struct net *n = arg;

	if (timeout_ms < 0) {
		loop_timer_cancel(n->loop, &n->timer);
		return 0;
	}
	return loop_timer_set(n->loop, &n->timer,
			      clock_now() + (uint64_t)timeout_ms * NSEC_PER_MSEC);
}

/* --- life -------------------------------------------------------------------- */

static int setup_multi(struct net *n, const struct net_config *config)
{
	long per_host = (long)config->max_connections_per_host;
	long keep = (long)max_u64(CONNECTIONS_MIN, config->max_connections_per_host);

	n->multi = curl_multi_init();
	if (!n->multi)
		return -ENOMEM;
	if (curl_multi_setopt(n->multi, CURLMOPT_SOCKETFUNCTION, on_socket) ||
	    curl_multi_setopt(n->multi, CURLMOPT_SOCKETDATA, n) ||
	    curl_multi_setopt(n->multi, CURLMOPT_TIMERFUNCTION, on_timeout) ||
	    curl_multi_setopt(n->multi, CURLMOPT_TIMERDATA, n) ||
	    curl_multi_setopt(n->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) ||
	    curl_multi_setopt(n->multi, CURLMOPT_MAX_HOST_CONNECTIONS, per_host) ||
	    curl_multi_setopt(n->multi, CURLMOPT_MAXCONNECTS, keep))
		return -ENOSYS;
	return 0;
}

static int copy(const char *s, char **ret)
{
	if (!s)
		return 0;
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

int net_new(struct loop *l, const struct net_config *config, struct net **ret)
{
	struct net *n;
	int r;

	(void)pthread_once(&curl_once, init_curl);
	if (curl_ready != CURLE_OK)
		return -ENOMEM;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->loop = l;
	n->timer.fire = on_multi_timer;
	list_init(&n->queued);
	list_init(&n->running);
	list_init(&n->ended);
	list_init(&n->finished);
	list_init(&n->idle);
	list_init(&n->idle_watches);
	r = copy(config->ca_bundle, &n->ca_bundle);
	if (r == 0)
		r = copy(config->user_agent, &n->user_agent);
	if (r == 0)
		r = setup_multi(n, config);
	if (r < 0) {
		net_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

static void end_all(struct net *n, struct list *from)
{
	while (!list_empty(from)) {
		struct net_transfer *t = list_entry(from->next, struct net_transfer, node);

		leave_multi(n, t);
		t->failure = -ECANCELED;
		deliver(n, t, -ECANCELED);
	}
}

/* Not inside curl: loops stop between two turns. */
void net_stop(struct net *n)
{
	assert(!n->in_curl);
	end_all(n, &n->queued);
	end_all(n, &n->running);
	(void)curl_multi_cleanup(n->multi);
	n->multi = NULL;
	loop_timer_cancel(n->loop, &n->timer);
}

void net_free(struct net *n)
{
	struct list *node;

	if (!n)
		return;
	while ((node = list_pop(&n->idle)) != NULL)
		net_transfer_free(list_entry(node, struct net_transfer, node));
	while ((node = list_pop(&n->idle_watches)) != NULL)
		free(list_entry(node, struct watch, node));
	if (n->multi)
		(void)curl_multi_cleanup(n->multi);
	free(n->ca_bundle);
	free(n->user_agent);
	free(n);
}
