/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a loop needs from the kernel: start operations, cancel them, wait for
 * their ends. Two implementations: uring.c and epoll.c. All functions run on
 * the loop's thread but the constructors, `free` (no thread is left then) and
 * whatever writes the wake descriptor.
 *
 * An operation is the backend's from submission to its end, then on `done` until
 * the loop dispatches it: no callback runs inside a backend.
 */
#ifndef LOOP_BACKEND_H
#define LOOP_BACKEND_H

#include "loop/loop.h"

enum op_kind {
	OP_RECV,
	OP_SENDMSG,
	OP_CONNECT,
	OP_POLL,
	OP_PREAD,
	OP_PWRITE,
	OP_FDATASYNC,
	OP_KIND_MASK = 0xff,
	/* flags of the backends, kept in loop_op.kind */
	OP_POLLING = 0x100, /* waits for readiness before the call itself */
	OP_BACKLOG = 0x200, /* has not reached the kernel yet */
};

struct backend;

struct backend_ops {
	/* Once, on the loop's thread, before anything below. */
	int (*start)(struct backend *b);
	void (*submit)(struct backend *b, struct loop_op *op);
	/* Only for operations in flight; `cancelled` is already set. */
	void (*cancel)(struct backend *b, struct loop_op *op);
	/* The same for all that are in flight; may be called again and again. */
	void (*cancel_all)(struct backend *b);
	/*
	 * Hands all submissions over and waits for at least one end, a wake or
	 * the timeout (UINT64_MAX: none; 0: look and return).
	 */
	void (*wait)(struct backend *b, uint64_t timeout_ns);
	void (*free)(struct backend *b);
};

struct backend {
	/* set at creation */
	const struct backend_ops *ops;
	int wake_fd; /* eventfd of the loop, not owned */

	/* owner loop only */
	struct list done; /* ended, not dispatched */
};

/* -ENOSYS, -EPERM, -EACCES, -ENOMEM...: no ring to be had on this kernel. */
int uring_new(int wake_fd, struct backend **ret) must_check;
int epoll_new(int wake_fd, struct backend **ret) must_check;

static inline enum op_kind op_kind(const struct loop_op *op)
{
	return (enum op_kind)(op->kind & OP_KIND_MASK);
}

static inline void backend_init(struct backend *b, const struct backend_ops *ops, int wake_fd)
{
	b->ops = ops;
	b->wake_fd = wake_fd;
	list_init(&b->done);
}

/* The operation has ended; its `done` is called by the loop later. */
static inline void backend_finish(struct backend *b, struct loop_op *op, int res)
{
	list_del(&op->node);
	op->in_flight = false;
	op->result = res;
	list_append(&b->done, &op->node);
}

#endif
