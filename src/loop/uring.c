/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The io_uring backend. The ring is made by the thread that creates the loop,
 * disabled, and enabled by the loop's own thread, which becomes its single
 * issuer. One enter per turn submits everything and waits.
 *
 * States of an operation (flags in loop_op.kind):
 *
 *	state		event			next
 *	BACKLOG		room in the queue	in the kernel
 *	in the kernel	-EAGAIN of a socket	POLLING
 *	POLLING		readiness		in the kernel
 *	any		result, cancel		done
 *
 * The ring waits by itself for sockets, also for non-blocking ones; the POLLING
 * state is for kernels and files where it gives -EAGAIN back.
 * The wake eventfd has a multishot poll and is never read: each write makes an
 * event, and the count cannot overflow in the life of a process.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/backend.h"

#define SQ_ENTRIES 256
#define CQ_ENTRIES 4096
#define REAP_BATCH 64
#define MAX_IO	   (1U << 30)

/* user_data that is not an operation; operations are aligned pointers */
#define TAG_IGNORE UINT64_C(0)
#define TAG_WAKE   UINT64_C(1)

/* FEAT_RSRC_TAGS came with multishot poll (5.13), which has no flag of its own. */
#define NEEDED_FEATURES \
	(IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_RSRC_TAGS)

struct uring {
	struct backend b;
	/* owner loop only */
	struct io_uring ring;
	struct list in_flight;
	struct list backlog; /* did not fit into the submission queue */
	bool cancel_lost;    /* some cancelled operation was not told yet */
	bool wake_armed;
};

static struct uring *uring_of(struct backend *b)
{
	return container_of(b, struct uring, b);
}

static struct io_uring_sqe *get_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (sqe)
		return sqe;
	(void)io_uring_submit(&u->ring); /* full: what it could not take stays queued */
	return io_uring_get_sqe(&u->ring);
}

static void prep(struct io_uring_sqe *sqe, const struct loop_op *op)
{
	void *base = op->u.iov.iov_base;
	unsigned len = (unsigned)min_u64(op->u.iov.iov_len, MAX_IO);

	if (op->kind & OP_POLLING) {
		unsigned events = op_kind(op) == OP_RECV ? POLLIN : POLLOUT;

		io_uring_prep_poll_add(sqe, op->fd, events);
		return;
	}
	switch ((int)op_kind(op)) {
	case OP_RECV:
		io_uring_prep_recv(sqe, op->fd, base, len, 0);
		break;
	case OP_SENDMSG:
		io_uring_prep_sendmsg(sqe, op->fd, op->u.msg, MSG_NOSIGNAL);
		break;
	case OP_CONNECT:
		io_uring_prep_connect(sqe, op->fd, op->u.addr.addr, op->u.addr.len);
		break;
	case OP_POLL:
		io_uring_prep_poll_add(sqe, op->fd, op->u.events);
		break;
	case OP_PREAD:
		io_uring_prep_read(sqe, op->fd, base, len, op->offset);
		break;
	case OP_PWRITE:
		io_uring_prep_write(sqe, op->fd, base, len, op->offset);
		break;
	case OP_FDATASYNC:
		io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
		break;
	default:
		assert(!"unknown operation");
	}
}

static bool try_submit(struct uring *u, struct loop_op *op)
{
	struct io_uring_sqe *sqe = get_sqe(u);

	if (!sqe)
		return false;
	prep(sqe, op);
	io_uring_sqe_set_data(sqe, op);
	return true;
}

static void uring_submit(struct backend *b, struct loop_op *op)
{
	struct uring *u = uring_of(b);

	if (list_empty(&u->backlog) && try_submit(u, op)) {
		list_append(&u->in_flight, &op->node);
		return;
	}
	op->kind |= OP_BACKLOG;
	list_append(&u->backlog, &op->node);
}

static bool try_cancel(struct uring *u, struct loop_op *op)
{
	struct io_uring_sqe *sqe = get_sqe(u);

	if (!sqe)
		return false;
	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data64(sqe, TAG_IGNORE);
	return true;
}

static void uring_cancel(struct backend *b, struct loop_op *op)
{
	struct uring *u = uring_of(b);

	if (op->kind & OP_BACKLOG)
		backend_finish(b, op, -ECANCELED);
	else if (!try_cancel(u, op))
		u->cancel_lost = true;
}

static void uring_cancel_all(struct backend *b)
{
	struct uring *u = uring_of(b);
	struct list *n;

	while (!list_empty(&u->backlog))
		backend_finish(b, list_entry(u->backlog.next, struct loop_op, node), -ECANCELED);
	list_for_each (n, &u->in_flight) {
		struct loop_op *op = list_entry(n, struct loop_op, node);

		if (op->cancelled)
			continue;
		op->cancelled = true;
		uring_cancel(b, op);
	}
}

/* What did not fit before: submissions first, so that a cancel finds its target. */
static void catch_up(struct uring *u)
{
	struct list *n;

	while (!list_empty(&u->backlog)) {
		struct loop_op *op = list_entry(u->backlog.next, struct loop_op, node);

		if (!try_submit(u, op))
			return;
		op->kind &= ~OP_BACKLOG;
		list_del(&op->node);
		list_append(&u->in_flight, &op->node);
	}
	if (!u->cancel_lost)
		return;
	list_for_each (n, &u->in_flight) {
		struct loop_op *op = list_entry(n, struct loop_op, node);

		if (op->cancelled && !try_cancel(u, op))
			return;
	}
	u->cancel_lost = false;
}

static void arm_wake(struct uring *u)
{
	struct io_uring_sqe *sqe;

	if (u->wake_armed)
		return;
	sqe = get_sqe(u);
	if (!sqe)
		return;
	io_uring_prep_poll_multishot(sqe, u->b.wake_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, TAG_WAKE);
	u->wake_armed = true;
}

static void submit_again(struct uring *u, struct loop_op *op)
{
	list_del(&op->node);
	uring_submit(&u->b, op);
}

static void on_op_cqe(struct uring *u, struct loop_op *op, int res)
{
	bool socket_call = op_kind(op) <= OP_CONNECT;

	if (op->cancelled && (res == -EINTR || res == -EAGAIN))
		res = -ECANCELED;
	if (op->kind & OP_POLLING) {
		op->kind &= ~OP_POLLING;
		if (res >= 0 && !op->cancelled) {
			submit_again(u, op);
			return;
		}
		res = res < 0 ? res : -ECANCELED;
	} else if (socket_call && res == -EAGAIN) {
		op->kind |= OP_POLLING;
		submit_again(u, op);
		return;
	} else if (res == -EINTR) {
		submit_again(u, op);
		return;
	}
	backend_finish(&u->b, op, res);
}

static void reap(struct uring *u)
{
	struct io_uring_cqe *cqes[REAP_BATCH];
	unsigned n;

	do {
		n = io_uring_peek_batch_cqe(&u->ring, cqes, REAP_BATCH);
		for (unsigned i = 0; i < n; i++) {
			uint64_t tag = cqes[i]->user_data;

			if (tag == TAG_WAKE)
				u->wake_armed = cqes[i]->flags & IORING_CQE_F_MORE;
			else if (tag != TAG_IGNORE)
				on_op_cqe(u, io_uring_cqe_get_data(cqes[i]), cqes[i]->res);
		}
		io_uring_cq_advance(&u->ring, n);
	} while (n == REAP_BATCH);
}

static void uring_wait(struct backend *b, uint64_t timeout_ns)
{
	struct uring *u = uring_of(b);
	struct io_uring_cqe *cqe;
	int r;

	catch_up(u);
	arm_wake(u);
	if (!list_empty(&u->backlog) || u->cancel_lost || !u->wake_armed)
		timeout_ns = min_u64(timeout_ns, NSEC_PER_MSEC);
	if (timeout_ns == 0) {
		r = io_uring_submit(&u->ring); /* enters only when there is work */
	} else if (timeout_ns == UINT64_MAX) {
		r = io_uring_submit_and_wait(&u->ring, 1);
	} else {
		struct __kernel_timespec ts = {
			.tv_sec = (int64_t)(timeout_ns / NSEC_PER_SEC),
			.tv_nsec = (long long)(timeout_ns % NSEC_PER_SEC),
		};

		r = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
	}
	if (r < 0 && r != -ETIME && r != -EINTR && r != -EAGAIN && r != -EBUSY)
		log_err(LOG_LOOP, "io_uring_enter: %s", strerror(-r));
	reap(u);
}

/* liburing 2.3 does not export io_uring_enable_rings. */
static int uring_start(struct backend *b)
{
	int fd = uring_of(b)->ring.ring_fd;

	return io_uring_register((unsigned)fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static void uring_free(struct backend *b)
{
	struct uring *u = uring_of(b);

	io_uring_queue_exit(&u->ring);
	free(u);
}

static const struct backend_ops uring_ops = {
	.start = uring_start,
	.submit = uring_submit,
	.cancel = uring_cancel,
	.cancel_all = uring_cancel_all,
	.wait = uring_wait,
	.free = uring_free,
};

/* The best set of flags first; -EINVAL says that the kernel does not know one. */
static int queue_init(struct io_uring *ring)
{
	static const unsigned tries[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(tries) && r == -EINVAL; i++) {
		struct io_uring_params p = {
			.flags = tries[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
			.cq_entries = CQ_ENTRIES,
		};

		r = io_uring_queue_init_params(SQ_ENTRIES, ring, &p);
		if (r == 0 && (p.features & NEEDED_FEATURES) != NEEDED_FEATURES) {
			io_uring_queue_exit(ring);
			return -ENOSYS;
		}
	}
	return r;
}

int uring_new(int wake_fd, struct backend **ret)
{
	struct uring *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	backend_init(&u->b, &uring_ops, wake_fd);
	list_init(&u->in_flight);
	list_init(&u->backlog);
	r = queue_init(&u->ring);
	if (r < 0) {
		free(u);
		return r;
	}
	*ret = &u->b;
	return 0;
}
