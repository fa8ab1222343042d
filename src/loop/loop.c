/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The loop's thread, its inbox and its turn:
 *
 *	take the inbox -> run tasks -> fire timers -> submit and wait -> dispatch
 *	-> run one piece
 *
 * Each step is bounded, so that none starves the others: what is left over makes
 * the next wait a look.
 *
 * Waking: `asleep` is set under the inbox lock right before the wait, and only
 * when the inbox is empty. A poster that finds it set clears it and writes the
 * eventfd; all other posts cost no system call.
 *
 * Ending: the flag `stopping` comes with a wake. The thread then runs all tasks,
 * ends the net calls, cancels what is in flight, and turns until nothing is left
 * or STOP_NS has passed. Whatever is submitted in that phase ends with
 * -ECANCELED. Timers fire early, in the order of arming, and those that are armed
 * again by it too, for END_ROUNDS turns: enough for who waits between attempts
 * to fail its last one, and no time for who rearms for ever.
 */
#include "loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "loop/backend.h"
#include "loop/net_priv.h"
#include "loop/timer.h"

#define TASKS_PER_TURN	256
#define TIMERS_PER_TURN 256
#define STOP_NS		(5 * NSEC_PER_SEC)
#define STOP_TURN_NS	(20 * NSEC_PER_MSEC)
#define END_ROUNDS	16
#define END_TIMERS	(UINT64_C(1) << 63) /* deadlines of the end, after all real ones */
#define CANCEL_TURN_NS	(10 * NSEC_PER_MSEC)

struct loop {
	/* set at creation */
	unsigned index;
	enum loop_backend kind;
	struct backend *backend;
	struct net *net;
	int wake_fd;

	struct lock lock;
	/* under lock */
	struct list inbox;
	bool asleep;
	bool stopping;

	/* owner loop only */
	struct list tasks;  /* taken out of the inbox, not run yet */
	struct list pieces; /* posted by loop_post_piece, not run yet */
	struct timers timers;
	size_t pending; /* operations whose `done` was not called yet */
	bool ending;
	uint64_t end_timers; /* armed since the end began */

	/* thread of loop_start and loop_stop */
	pthread_t thread;
	bool started;
	sem_t ready; /* posted once by the new thread */
	int start_result;
};

static _Thread_local struct loop *current;

struct loop *loop_current(void)
{
	return current;
}

void loop_assert_owner(const struct loop *l)
{
	assert(current == l);
}

enum loop_backend loop_backend(const struct loop *l)
{
	return l->kind;
}

unsigned loop_index(const struct loop *l)
{
	return l->index;
}

struct net *loop_net(const struct loop *l)
{
	return l->net;
}

bool loop_ending(const struct loop *l)
{
	return l->ending;
}

static void wake(struct loop *l)
{
	const uint64_t one = 1;
	ssize_t n;

	do {
		n = write(l->wake_fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
	assert(n == sizeof(one) || errno == EAGAIN); /* a full counter is readable */
}

void loop_post(struct loop *l, struct loop_task *t)
{
	bool must_wake;

	{
		WITH_LOCK(&l->lock);
		list_append(&l->inbox, &t->node);
		must_wake = l->asleep;
		l->asleep = false;
	}
	if (must_wake)
		wake(l);
}

void loop_post_piece(struct loop *l, struct loop_task *t)
{
	loop_assert_owner(l);
	list_append(&l->pieces, &t->node);
}

bool loop_unpost(struct loop *l, struct loop_task *t)
{
	loop_assert_owner(l);
	WITH_LOCK(&l->lock);
	if (!t->node.next || list_empty(&t->node))
		return false;
	list_del(&t->node);
	return true;
}

int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns)
{
	loop_assert_owner(l);
	if (l->ending)
		deadline_ns = END_TIMERS + l->end_timers++;
	return timers_set(&l->timers, t, deadline_ns);
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
	loop_assert_owner(l);
	timers_cancel(&l->timers, t);
}

static void submit(struct loop *l, struct loop_op *op, enum op_kind kind, int fd)
{
	loop_assert_owner(l);
	op->loop = l;
	op->kind = (int)kind;
	op->fd = fd;
	op->in_flight = true;
	op->cancelled = false;
	list_init(&op->node);
	l->pending++;
	if (l->ending)
		backend_finish(l->backend, op, -ECANCELED);
	else
		l->backend->ops->submit(l->backend, op);
}

void loop_recv(struct loop *l, struct loop_op *op, int fd, void *buf, size_t len)
{
	op->u.iov = (struct iovec){.iov_base = buf, .iov_len = len};
	submit(l, op, OP_RECV, fd);
}

void loop_sendmsg(struct loop *l, struct loop_op *op, int fd, const struct msghdr *msg)
{
	op->u.msg = msg;
	submit(l, op, OP_SENDMSG, fd);
}

void loop_connect(struct loop *l, struct loop_op *op, int fd, const struct sockaddr *addr,
		  socklen_t len)
{
	op->u.addr.addr = addr;
	op->u.addr.len = len;
	submit(l, op, OP_CONNECT, fd);
}

void loop_poll(struct loop *l, struct loop_op *op, int fd, uint32_t events)
{
	op->u.events = events;
	submit(l, op, OP_POLL, fd);
}

void loop_pread(struct loop *l, struct loop_op *op, int fd, void *buf, size_t len, uint64_t offset)
{
	op->u.iov = (struct iovec){.iov_base = buf, .iov_len = len};
	op->offset = offset;
	submit(l, op, OP_PREAD, fd);
}

void loop_pwrite(struct loop *l, struct loop_op *op, int fd, const void *buf, size_t len,
		 uint64_t offset)
{
	op->u.iov = (struct iovec){.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
	op->offset = offset;
	submit(l, op, OP_PWRITE, fd);
}

void loop_fdatasync(struct loop *l, struct loop_op *op, int fd)
{
	submit(l, op, OP_FDATASYNC, fd);
}

void loop_cancel(struct loop *l, struct loop_op *op)
{
	loop_assert_owner(l);
	if (!op->in_flight || op->cancelled)
		return;
	op->cancelled = true;
	l->backend->ops->cancel(l->backend, op);
}

/* Other ends that come meanwhile wait for their dispatch as usual. */
void loop_cancel_sync(struct loop *l, struct loop_op *op)
{
	loop_cancel(l, op);
	while (op->in_flight)
		l->backend->ops->wait(l->backend, CANCEL_TURN_NS);
}

/* True when the loop was told to stop. */
static bool take_inbox(struct loop *l)
{
	WITH_LOCK(&l->lock);
	l->asleep = false;
	list_splice(&l->tasks, &l->inbox);
	return l->stopping;
}

/* At most `most` of them. */
static void run(struct list *tasks, unsigned most)
{
	while (most--) {
		struct list *n = list_pop(tasks);
		struct loop_task *t;

		if (!n)
			return;
		t = list_entry(n, struct loop_task, node);
		t->run(t);
	}
}

static bool has_tasks(const struct loop *l)
{
	return !list_empty(&l->tasks) || !list_empty(&l->pieces);
}

/* False when something is there to do already, so that the wait must be a look. */
static bool may_sleep(struct loop *l)
{
	if (has_tasks(l) || !list_empty(&l->backend->done))
		return false;
	WITH_LOCK(&l->lock);
	l->asleep = list_empty(&l->inbox) && (!l->stopping || l->ending);
	return l->asleep;
}

/* From here on until the next sleep, what is posted is found without a wake-up. */
static void woken(struct loop *l)
{
	WITH_LOCK(&l->lock);
	l->asleep = false;
}

/* Only what had ended before: an operation that ends at once waits for the next turn. */
static void dispatch(struct loop *l)
{
	struct list batch, *n;

	list_init(&batch);
	list_splice(&batch, &l->backend->done);
	while ((n = list_pop(&batch)) != NULL) {
		struct loop_op *op = list_entry(n, struct loop_op, node);

		l->pending--;
		op->done(op, op->result);
	}
}

static uint64_t until(uint64_t deadline)
{
	uint64_t now;

	if (deadline == NO_DEADLINE)
		return UINT64_MAX;
	now = clock_now();
	return deadline > now ? deadline - now : 0;
}

/* One turn; false when the loop was told to stop. */
static bool turn(struct loop *l)
{
	if (take_inbox(l))
		return false;
	run(&l->tasks, TASKS_PER_TURN);
	if (timers_next(&l->timers) != NO_DEADLINE)
		timers_fire(&l->timers, clock_now(), TIMERS_PER_TURN);
	l->backend->ops->wait(l->backend, may_sleep(l) ? until(timers_next(&l->timers)) : 0);
	woken(l);
	dispatch(l);
	run(&l->pieces, 1);
	return true;
}

static void run_all(struct loop *l)
{
	(void)take_inbox(l);
	run(&l->tasks, TASKS_PER_TURN);
	run(&l->pieces, TASKS_PER_TURN);
}

static void drain(struct loop *l)
{
	uint64_t deadline = clock_now() + STOP_NS;

	do {
		run_all(l);
	} while (has_tasks(l) && clock_now() < deadline);
	l->ending = true;
	net_stop(l->net);
	for (unsigned round = 0; clock_now() < deadline; round++) {
		if (round < END_ROUNDS)
			timers_fire(&l->timers, NO_DEADLINE, (unsigned)l->timers.count);
		l->backend->ops->cancel_all(l->backend);
		l->backend->ops->wait(l->backend, l->pending && may_sleep(l) ? STOP_TURN_NS : 0);
		dispatch(l);
		run_all(l);
		if (l->pending == 0 && !has_tasks(l) &&
		    (round >= END_ROUNDS || timers_next(&l->timers) == NO_DEADLINE))
			return;
	}
	log_warn(LOG_LOOP, "loop/%u: left with %zu operations that would not end", l->index,
		 l->pending);
}

static void *loop_main(void *arg)
{
	struct loop *l = arg;

	current = l;
	l->start_result = l->backend->ops->start(l->backend);
	(void)sem_post(&l->ready);
	if (l->start_result < 0)
		return NULL;
	while (turn(l))
		;
	drain(l);
	current = NULL;
	return NULL;
}

/* The new thread and those of libraries below it take no signals. */
static int spawn(struct loop *l)
{
	char name[16];
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r != 0)
		return -r;
	r = pthread_create(&l->thread, NULL, loop_main, l);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return -r;
	(void)snprintf(name, sizeof(name), "loop/%u", l->index);
	(void)pthread_setname_np(l->thread, name);
	return 0;
}

int loop_start(struct loop *l)
{
	int r;

	assert(!l->started);
	r = spawn(l);
	if (r < 0)
		return r;
	while (sem_wait(&l->ready) < 0)
		assert(errno == EINTR);
	if (l->start_result < 0) {
		(void)pthread_join(l->thread, NULL);
		return l->start_result;
	}
	l->started = true;
	return 0;
}

void loop_stop(struct loop *l)
{
	assert(current != l);
	if (!l->started)
		return;
	{
		WITH_LOCK(&l->lock);
		l->stopping = true;
		l->asleep = false;
	}
	wake(l);
	(void)pthread_join(l->thread, NULL);
	l->started = false;
}

/* MOUNT_S3_LOOP=epoll or =uring replaces LOOP_AUTO, for tests. */
static enum loop_backend wanted(enum loop_backend asked)
{
	const char *env = asked == LOOP_AUTO ? getenv("MOUNT_S3_LOOP") : NULL;

	if (env && strcmp(env, "epoll") == 0)
		return LOOP_EPOLL;
	if (env && strcmp(env, "uring") == 0)
		return LOOP_URING;
	return asked;
}

static bool not_to_be_had(int r)
{
	return r == -ENOSYS || r == -EPERM || r == -EACCES || r == -ENOMEM || r == -EINVAL;
}

static int choose(struct loop *l, enum loop_backend asked)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	int r = -ENOSYS;

	asked = wanted(asked);
	l->kind = LOOP_URING;
	if (asked != LOOP_EPOLL)
		r = uring_new(l->wake_fd, &l->backend);
	if (asked == LOOP_EPOLL || (asked == LOOP_AUTO && not_to_be_had(r))) {
		int uring_error = r;

		l->kind = LOOP_EPOLL;
		r = epoll_new(l->wake_fd, &l->backend);
		if (r == 0 && !atomic_flag_test_and_set(&told))
			log_info(LOG_LOOP, "event loops use epoll: %s",
				 asked == LOOP_EPOLL ? "asked for" : strerror(-uring_error));
	} else if (r == 0 && !atomic_flag_test_and_set(&told)) {
		log_info(LOG_LOOP, "event loops use io_uring");
	}
	return r == -EINVAL || r == -EACCES ? -ENOSYS : r;
}

int loop_new(const struct loop_config *config, struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->index = config->index;
	lock_init(&l->lock, RANK_INBOX);
	list_init(&l->inbox);
	list_init(&l->tasks);
	list_init(&l->pieces);
	(void)sem_init(&l->ready, 0, 0);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = l->wake_fd < 0 ? -errno : choose(l, config->backend);
	if (r == 0)
		r = net_new(l, &config->net, &l->net);
	if (r < 0) {
		loop_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	assert(!l->started);
	net_free(l->net);
	if (l->backend)
		l->backend->ops->free(l->backend);
	if (l->wake_fd >= 0)
		(void)close(l->wake_fd);
	timers_fini(&l->timers);
	(void)sem_destroy(&l->ready);
	lock_fini(&l->lock);
	free(l);
}
