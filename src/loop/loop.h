/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FACADE of loop/: one event loop = one thread that owns an io_uring (or an
 * epoll set where io_uring is forbidden), its timers, its inbox and one curl
 * multi handle.
 *
 *	loop_new(&(struct loop_config){.index = 0}, &loop);
 *	loop_start(loop);
 *	loop_post(loop, &task);		(any thread: task.run on the loop)
 *	...
 *	loop_stop(loop);		(drains the inbox, joins)
 *	loop_free(loop);
 *
 * Everything but loop_post, loop_stop and loop_current must be called on the
 * loop's own thread (asserted). Completions are dispatched after the ring was
 * reaped, never inside a submitting call. An operation object belongs to the
 * loop from submission until its `done` has been called.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/list.h"
#include "base/macro.h"
#include "loop/net.h"

struct loop;

enum loop_backend { LOOP_AUTO, LOOP_URING, LOOP_EPOLL };

struct loop_config {
	unsigned index;		   /* names the thread: loop/INDEX */
	enum loop_backend backend; /* LOOP_AUTO: io_uring, else epoll */
	struct net_config net;
};

/* -ENOSYS/-EPERM: LOOP_URING was asked for and is not to be had. */
int loop_new(const struct loop_config *config, struct loop **ret) must_check;
int loop_start(struct loop *l) must_check;
/*
 * Runs the remaining tasks, cancels what is in flight (each `done` and
 * net on_done is called with -ECANCELED), fires the armed timers, ends the
 * thread. Any other thread.
 */
void loop_stop(struct loop *l);
void loop_free(struct loop *l);
/* What was chosen: LOOP_URING or LOOP_EPOLL. */
enum loop_backend loop_backend(const struct loop *l);
unsigned loop_index(const struct loop *l);

/* The loop whose thread this is, or NULL. */
struct loop *loop_current(void);
void loop_assert_owner(const struct loop *l);

/*
 * Tasks. Posting never fails and never allocates: the node is the caller's and
 * may not be touched until run. A task runs once per post, in order of posting
 * per poster; `run` may free it or post it again. What is posted to a loop that
 * has stopped never runs.
 */
struct loop_task {
	struct list node;
	void (*run)(struct loop_task *t);
};
void loop_post(struct loop *l, struct loop_task *t);
/* Owner thread: takes a task back that has not run. False when it was not posted. */
bool loop_unpost(struct loop *l, struct loop_task *t);
/*
 * Owner thread: for work that takes long and comes in many pieces, such as the
 * bodies that go out. One such task runs per turn, after all that is there to do,
 * so that the other work waits for one piece and never for a line of them.
 */
void loop_post_piece(struct loop *l, struct loop_task *t);

/*
 * Timers: one-shot, on the monotonic clock of base/clock.h. When the loop stops
 * all of them fire early, so that their owners can end, and so do those armed
 * meanwhile, but only for a few turns.
 */
struct loop_timer {
	size_t slot; /* private: place in the heap plus one, 0 = not armed */
	uint64_t deadline;
	void (*fire)(struct loop_timer *t);
};
/* Arms or re-arms. 0 or -ENOMEM. */
int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns) must_check;
/* No-op on one that is not armed. */
void loop_timer_cancel(struct loop *l, struct loop_timer *t);

/*
 * Operations. `res` is what the system call would return, or -errno. Buffers,
 * msghdr and addresses must stay valid until `done`. Receive and send on
 * non-blocking sockets never report -EAGAIN: they wait. At most one receive and
 * one send may be in flight on a socket, besides any number of polls; it must
 * not be closed before they have ended.
 */
struct loop_op {
	void (*done)(struct loop_op *op, int res);
	/* private */
	struct list node;
	struct loop *loop;
	int kind, fd, result;
	bool in_flight, cancelled;
	union {
		struct iovec iov;
		const struct msghdr *msg;
		struct {
			const struct sockaddr *addr;
			socklen_t len;
		} addr;
		uint32_t events;
	} u;
	uint64_t offset;
};
void loop_recv(struct loop *l, struct loop_op *op, int fd, void *buf, size_t len);
void loop_sendmsg(struct loop *l, struct loop_op *op, int fd, const struct msghdr *msg);
void loop_connect(struct loop *l, struct loop_op *op, int fd, const struct sockaddr *addr,
		  socklen_t len);
/* One-shot: res is the poll(2) revents. */
void loop_poll(struct loop *l, struct loop_op *op, int fd, uint32_t events);
void loop_pread(struct loop *l, struct loop_op *op, int fd, void *buf, size_t len, uint64_t offset);
void loop_pwrite(struct loop *l, struct loop_op *op, int fd, const void *buf, size_t len,
		 uint64_t offset);
void loop_fdatasync(struct loop *l, struct loop_op *op, int fd);
/*
 * Asks for an early end: `done` still comes exactly once, later, with
 * -ECANCELED or with the result if it was faster.
 */
void loop_cancel(struct loop *l, struct loop_op *op);
/*
 * The same, and when it returns the kernel has let go of the operation's memory;
 * `done` still comes later. For sockets only: nothing else ends this promptly.
 */
void loop_cancel_sync(struct loop *l, struct loop_op *op);

#endif
