/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The epoll backend, for kernels and containers without io_uring. A socket call
 * is tried at once; on EAGAIN it waits on its descriptor, in order, and is tried
 * again at readiness. Files are done by a filepool, made at the first use.
 *
 * Per descriptor there is one entry with all waiting operations, in both
 * directions. Its registration is EPOLLONESHOT, so an event disarms it, and it
 * is armed again, before the next wait, for what is still wanted. An entry whose
 * last operation has ended is therefore disarmed; where a cancel ended it, it is
 * taken out at once. So the descriptor may be closed and its number used again.
 *
 * Invariant: an entry with operations whose events are not all in `armed` is on
 * the list `dirty`.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/backend.h"
#include "loop/filepool.h"

#define EVENTS_PER_WAIT 256
#define FIRST_FDS	64
#define ALWAYS		((uint32_t)(EPOLLERR | EPOLLHUP))

struct fd_entry {
	int fd;
	struct list ops;
	struct list dirty; /* on epoll.dirty, or unlinked */
	uint32_t armed;	   /* events that the kernel reports, 0 after one */
};

struct epoll {
	struct backend b;
	/* owner loop only */
	int epfd;
	struct fd_entry **fds; /* by descriptor */
	size_t nfds;
	struct list dirty;
	struct filepool *pool;
	bool coarse; /* no epoll_pwait2: milliseconds */
};

static struct epoll *epoll_of(struct backend *b)
{
	return container_of(b, struct epoll, b);
}

static struct fd_entry *entry_get(struct epoll *e, int fd)
{
	size_t want = e->nfds ? e->nfds : FIRST_FDS;
	struct fd_entry **fds;

	if ((size_t)fd < e->nfds && e->fds[fd])
		return e->fds[fd];
	while (want <= (size_t)fd)
		want *= 2;
	if (want > e->nfds) {
		fds = reallocarray(e->fds, want, sizeof(*fds));
		if (!fds)
			return NULL;
		memset(fds + e->nfds, 0, (want - e->nfds) * sizeof(*fds));
		e->fds = fds;
		e->nfds = want;
	}
	e->fds[fd] = calloc(1, sizeof(*e->fds[fd]));
	if (!e->fds[fd])
		return NULL;
	e->fds[fd]->fd = fd;
	list_init(&e->fds[fd]->ops);
	list_init(&e->fds[fd]->dirty);
	return e->fds[fd];
}

static uint32_t events_of(const struct loop_op *op)
{
	switch ((int)op_kind(op)) {
	case OP_RECV:
		return EPOLLIN;
	case OP_POLL:
		return op->u.events;
	default:
		return EPOLLOUT;
	}
}

static void mark(struct epoll *e, struct fd_entry *f)
{
	if (list_empty(&f->dirty))
		list_append(&e->dirty, &f->dirty);
}

/* For the time of the call only: the descriptor's mode is its owner's. */
static int connect_nowait(const struct loop_op *op)
{
	int flags = fcntl(op->fd, F_GETFL), r;

	if (flags < 0)
		return -errno;
	if (!(flags & O_NONBLOCK) && fcntl(op->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	r = connect(op->fd, op->u.addr.addr, op->u.addr.len) < 0 ? -errno : 0;
	if (!(flags & O_NONBLOCK) && fcntl(op->fd, F_SETFL, flags) < 0)
		return -errno;
	return r;
}

static int connect_result(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

/* -EAGAIN: it must wait for readiness. */
static int try_call(struct loop_op *op)
{
	ssize_t n;
	int r;

	switch ((int)op_kind(op)) {
	case OP_RECV:
		n = recv(op->fd, op->u.iov.iov_base, op->u.iov.iov_len, MSG_DONTWAIT);
		return n < 0 ? -errno : (int)n;
	case OP_SENDMSG:
		n = sendmsg(op->fd, op->u.msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		return n < 0 ? -errno : (int)n;
	case OP_CONNECT:
		if (op->kind & OP_POLLING)
			return connect_result(op->fd);
		r = connect_nowait(op);
		if (r == -EINPROGRESS) {
			op->kind |= OP_POLLING;
			return -EAGAIN;
		}
		return r;
	default:
		return -EAGAIN;
	}
}

static bool attempt(struct epoll *e, struct loop_op *op)
{
	int r;

	do {
		r = try_call(op);
	} while (r == -EINTR);
	if (r == -EAGAIN)
		return false;
	backend_finish(&e->b, op, r);
	return true;
}

static void submit_file(struct epoll *e, struct loop_op *op)
{
	int r = e->pool ? 0 : filepool_new(e->b.wake_fd, &e->pool);

	if (r < 0)
		backend_finish(&e->b, op, r);
	else
		filepool_submit(e->pool, op);
}

static bool is_file_op(const struct loop_op *op)
{
	return op_kind(op) >= OP_PREAD;
}

static void epoll_submit(struct backend *b, struct loop_op *op)
{
	struct epoll *e = epoll_of(b);
	struct fd_entry *f;

	if (is_file_op(op)) {
		submit_file(e, op);
		return;
	}
	if (op->fd < 0) {
		backend_finish(b, op, -EBADF);
		return;
	}
	if (attempt(e, op))
		return;
	f = entry_get(e, op->fd);
	if (!f) {
		backend_finish(b, op, -ENOMEM);
		return;
	}
	list_append(&f->ops, &op->node);
	mark(e, f);
}

static void epoll_cancel(struct backend *b, struct loop_op *op)
{
	struct epoll *e = epoll_of(b);
	struct fd_entry *f;

	if (is_file_op(op)) {
		if (filepool_withdraw(e->pool, op))
			backend_finish(b, op, -ECANCELED);
		return;
	}
	f = e->fds[op->fd];
	backend_finish(b, op, -ECANCELED);
	if (!list_empty(&f->ops))
		return;
	list_del(&f->dirty);
	if (f->armed)
		(void)epoll_ctl(e->epfd, EPOLL_CTL_DEL, f->fd, NULL); /* gone already: fine */
	f->armed = 0;
}

static void epoll_cancel_all(struct backend *b)
{
	struct epoll *e = epoll_of(b);

	for (size_t i = 0; i < e->nfds; i++) {
		struct fd_entry *f = e->fds[i];

		while (f && !list_empty(&f->ops)) {
			struct loop_op *op = list_entry(f->ops.next, struct loop_op, node);

			op->cancelled = true;
			epoll_cancel(b, op);
		}
	}
}

/* Files are always ready, as for poll(2); any other failure ends all operations. */
static void refuse(struct epoll *e, struct fd_entry *f, int r)
{
	struct list *n, *tmp;

	list_for_each_safe (n, tmp, &f->ops) {
		struct loop_op *op = list_entry(n, struct loop_op, node);
		bool file = r == -EPERM && op_kind(op) == OP_POLL;

		backend_finish(&e->b, op, file ? (int)(op->u.events & (EPOLLIN | EPOLLOUT)) : r);
	}
}

static void arm(struct epoll *e, struct fd_entry *f)
{
	struct epoll_event ev = {.events = EPOLLONESHOT, .data.fd = f->fd};
	uint32_t want = 0;
	struct list *n;

	list_for_each (n, &f->ops)
		want |= events_of(list_entry(n, struct loop_op, node));
	if (list_empty(&f->ops) || (f->armed && (want & ~f->armed) == 0))
		return;
	ev.events |= want;
	/* a number may have been closed and used again since it was last armed */
	if (epoll_ctl(e->epfd, EPOLL_CTL_MOD, f->fd, &ev) < 0 &&
	    (errno != ENOENT || epoll_ctl(e->epfd, EPOLL_CTL_ADD, f->fd, &ev) < 0)) {
		refuse(e, f, -errno);
		f->armed = 0;
		return;
	}
	f->armed = want | ALWAYS;
}

static void on_event(struct epoll *e, struct fd_entry *f, uint32_t events)
{
	struct list *n, *tmp;

	f->armed = 0;
	list_for_each_safe (n, tmp, &f->ops) {
		struct loop_op *op = list_entry(n, struct loop_op, node);
		uint32_t hit = events & (events_of(op) | ALWAYS);

		if (!hit)
			continue;
		if (op_kind(op) == OP_POLL)
			backend_finish(&e->b, op, (int)hit);
		else
			(void)attempt(e, op);
	}
	if (!list_empty(&f->ops))
		mark(e, f);
}

static int wait_ms(struct epoll *e, struct epoll_event *ev, uint64_t ns)
{
	uint64_t ms = ns / NSEC_PER_MSEC + (ns % NSEC_PER_MSEC != 0);

	return epoll_wait(e->epfd, ev, EVENTS_PER_WAIT,
			  ns == UINT64_MAX ? -1 : (int)min_u64(ms, INT32_MAX));
}

static int wait_events(struct epoll *e, struct epoll_event *ev, uint64_t ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ns / NSEC_PER_SEC),
		.tv_nsec = (long)(ns % NSEC_PER_SEC),
	};
	int n;

	if (e->coarse || ns == 0 || ns == UINT64_MAX)
		return wait_ms(e, ev, ns);
	n = epoll_pwait2(e->epfd, ev, EVENTS_PER_WAIT, &ts, NULL);
	if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
		e->coarse = true;
		return wait_ms(e, ev, ns);
	}
	return n;
}

static void take_files(struct epoll *e)
{
	struct list ended, *n;

	if (!e->pool)
		return;
	list_init(&ended);
	filepool_take(e->pool, &ended);
	while ((n = list_pop(&ended)) != NULL) {
		struct loop_op *op = list_entry(n, struct loop_op, node);

		backend_finish(&e->b, op, op->result);
	}
}

static void epoll_wait_turn(struct backend *b, uint64_t timeout_ns)
{
	struct epoll *e = epoll_of(b);
	struct epoll_event ev[EVENTS_PER_WAIT];
	struct list *node;
	int n;

	while ((node = list_pop(&e->dirty)) != NULL)
		arm(e, list_entry(node, struct fd_entry, dirty));
	if (!list_empty(&b->done))
		timeout_ns = 0;
	n = wait_events(e, ev, timeout_ns);
	if (n < 0 && errno != EINTR)
		log_err(LOG_LOOP, "epoll_wait: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		if (ev[i].data.fd != b->wake_fd)
			on_event(e, e->fds[ev[i].data.fd], ev[i].events);
	}
	take_files(e);
}

static int epoll_start(struct backend *b)
{
	return 0;
}

static void epoll_free(struct backend *b)
{
	struct epoll *e = epoll_of(b);

	filepool_free(e->pool);
	for (size_t i = 0; i < e->nfds; i++)
		free(e->fds[i]);
	free(e->fds);
	if (e->epfd >= 0)
		(void)close(e->epfd);
	free(e);
}

static const struct backend_ops epoll_ops = {
	.start = epoll_start,
	.submit = epoll_submit,
	.cancel = epoll_cancel,
	.cancel_all = epoll_cancel_all,
	.wait = epoll_wait_turn,
	.free = epoll_free,
};

int epoll_new(int wake_fd, struct backend **ret)
{
	/* edge-triggered, so that the eventfd need not be read */
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.fd = wake_fd};
	struct epoll *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	backend_init(&e->b, &epoll_ops, wake_fd);
	list_init(&e->dirty);
	e->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (e->epfd < 0 || epoll_ctl(e->epfd, EPOLL_CTL_ADD, wake_fd, &ev) < 0) {
		r = -errno;
		epoll_free(&e->b);
		return r;
	}
	*ret = &e->b;
	return 0;
}
