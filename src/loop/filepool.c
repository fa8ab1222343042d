/* SPDX-License-Identifier: Apache-2.0 */

/*
 * States of an operation: queued -> running -> finished; `queued` and
 * `finished` are lists under the lock, a running one is on no list. The queue is
 * bounded by its users: an operation is an object of theirs.
 */
#include "loop/filepool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/lock.h"
#include "loop/backend.h"

#define NTHREADS 2

struct filepool {
	/* set at creation */
	int wake_fd;
	pthread_t threads[NTHREADS];
	unsigned nthreads;
	sem_t work; /* one count per queued operation, and per thread at the end */

	struct lock lock;
	/* under lock */
	struct list queued, finished;
	unsigned running;
	bool ending;
};

static int perform(const struct loop_op *op)
{
	const struct iovec *v = &op->u.iov;
	ssize_t n;

	do {
		switch ((int)op_kind(op)) {
		case OP_PREAD:
			n = pread(op->fd, v->iov_base, v->iov_len, (off_t)op->offset);
			break;
		case OP_PWRITE:
			n = pwrite(op->fd, v->iov_base, v->iov_len, (off_t)op->offset);
			break;
		default:
			n = fdatasync(op->fd);
			break;
		}
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (int)n;
}

/* NULL when the queue is empty: the operation was withdrawn. */
static struct loop_op *begin(struct filepool *p, bool *ret_ending)
{
	WITH_LOCK(&p->lock);
	struct list *n = list_pop(&p->queued);

	*ret_ending = p->ending;
	if (!n)
		return NULL;
	p->running++;
	return list_entry(n, struct loop_op, node);
}

static void end(struct filepool *p, struct loop_op *op, int result)
{
	const uint64_t one = 1;
	bool first;

	{
		WITH_LOCK(&p->lock);
		op->result = result;
		first = list_empty(&p->finished);
		list_append(&p->finished, &op->node);
		p->running--;
	}
	if (first && write(p->wake_fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN); /* full: readable already */
}

static void *worker(void *arg)
{
	struct filepool *p = arg;

	for (;;) {
		struct loop_op *op;
		bool ending;

		while (sem_wait(&p->work) < 0)
			assert(errno == EINTR);
		op = begin(p, &ending);
		if (op)
			end(p, op, perform(op));
		else if (ending)
			return NULL;
	}
}

int filepool_new(int wake_fd, struct filepool **ret)
{
	struct filepool *p = calloc(1, sizeof(*p));
	sigset_t all, before;
	int r = 0;

	if (!p)
		return -ENOMEM;
	p->wake_fd = wake_fd;
	lock_init(&p->lock, RANK_INBOX);
	list_init(&p->queued);
	list_init(&p->finished);
	(void)sem_init(&p->work, 0, 0);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	while (r == 0 && p->nthreads < NTHREADS) {
		r = -pthread_create(&p->threads[p->nthreads], NULL, worker, p);
		if (r == 0)
			(void)pthread_setname_np(p->threads[p->nthreads++], "file");
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (p->nthreads == 0) {
		filepool_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void filepool_free(struct filepool *p)
{
	bool stuck;

	if (!p)
		return;
	{
		WITH_LOCK(&p->lock);
		p->ending = true;
		list_init(&p->queued);
		stuck = p->running > 0;
	}
	for (unsigned i = 0; i < p->nthreads; i++)
		(void)sem_post(&p->work);
	for (unsigned i = 0; i < p->nthreads; i++)
		(void)(stuck ? pthread_detach(p->threads[i]) : pthread_join(p->threads[i], NULL));
	if (stuck)
		return; /* the thread that hangs still uses the pool */
	(void)sem_destroy(&p->work);
	lock_fini(&p->lock);
	free(p);
}

void filepool_submit(struct filepool *p, struct loop_op *op)
{
	{
		WITH_LOCK(&p->lock);
		list_append(&p->queued, &op->node);
	}
	(void)sem_post(&p->work);
}

bool filepool_withdraw(struct filepool *p, struct loop_op *op)
{
	WITH_LOCK(&p->lock);
	struct list *n;

	list_for_each (n, &p->queued) {
		if (n == &op->node) {
			list_del(n);
			return true;
		}
	}
	return false;
}

void filepool_take(struct filepool *p, struct list *ret)
{
	WITH_LOCK(&p->lock);
	list_splice(ret, &p->finished);
}
