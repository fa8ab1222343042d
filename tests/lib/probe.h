/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tests of a loop's operations: a probe is an operation whose end can be waited
 * for; START submits one on the loop.
 *
 *	START(.what = RECV, .p = &p, .fd = fd, .buf = buf, .len = sizeof(buf));
 *	check_int(probe_wait(&p), ==, 5);
 */
#ifndef TESTS_LIB_PROBE_H
#define TESTS_LIB_PROBE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "lib/on_loop.h"
#include "lib/test.h"
#include "loop/loop.h"

/* An operation with a gate that its end opens. */
struct probe {
	struct loop_op op;
	int res;
	atomic_uint ended;
	struct gate over;
};

static inline void probe_done(struct loop_op *op, int res)
{
	struct probe *p = list_entry(op, struct probe, op);

	p->res = res;
	p->ended++;
	gate_open(&p->over);
}

static inline void probe_init(struct probe *p)
{
	*p = (struct probe){.op.done = probe_done, .res = 12345};
	gate_init(&p->over);
}

static inline int probe_wait(struct probe *p)
{
	return gate_wait(&p->over) ? p->res : -ETIME;
}

/* What to start on the loop, for start(). */
struct want {
	enum { RECV, SEND, CONNECT, POLL, PREAD, PWRITE, SYNC, CANCEL, POLL_CANCEL } what;
	struct probe *p;
	int fd;
	void *buf;
	size_t len;
	uint64_t offset;
	const struct msghdr *msg;
	const struct sockaddr_in *addr;
	uint32_t events;
};

static inline void begin(void *arg)
{
	const struct want *w = arg;
	struct loop *l = loop_current();
	struct loop_op *op = &w->p->op;

	switch (w->what) {
	case RECV:
		loop_recv(l, op, w->fd, w->buf, w->len);
		break;
	case SEND:
		loop_sendmsg(l, op, w->fd, w->msg);
		break;
	case CONNECT:
		loop_connect(l, op, w->fd, (const struct sockaddr *)w->addr, sizeof(*w->addr));
		break;
	case POLL:
		loop_poll(l, op, w->fd, w->events);
		break;
	case PREAD:
		loop_pread(l, op, w->fd, w->buf, w->len, w->offset);
		break;
	case PWRITE:
		loop_pwrite(l, op, w->fd, w->buf, w->len, w->offset);
		break;
	case SYNC:
		loop_fdatasync(l, op, w->fd);
		break;
	case CANCEL:
		loop_cancel(l, op);
		break;
	case POLL_CANCEL:
		loop_poll(l, op, w->fd, w->events);
		loop_cancel(l, op);
		loop_cancel(l, op);
		break;
	}
}

static struct loop *loop;

static inline void start(struct want w)
{
	if (w.what != CANCEL)
		probe_init(w.p);
	check(on_loop(loop, begin, &w));
}

#define START(...) start((struct want){__VA_ARGS__})

/* Fills the send buffer, so that a further send must wait. */
static inline void stuff(int fd)
{
	static const char block[65536];

	while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	while (send(fd, block, 1, MSG_DONTWAIT) > 0)
		;
}

static inline void empty(int fd)
{
	static char block[65536];

	while (recv(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
}

/* Listening on 127.0.0.1 with the smallest backlog there is. */
static inline int listener(struct sockaddr_in *ret)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 0) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	*ret = a;
	return fd;
}

#endif
