/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What tests of uploads share. Answers of an S3 that is a function of the test: a
 * call is done on its loop in the next turn, or when `held` is no longer set. And
 * calls of an upload that wait for their end. One program includes it.
 */
#ifndef TESTS_LIB_SCRIPTED_UPLOAD_H
#define TESTS_LIB_SCRIPTED_UPLOAD_H

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/wait_sem.h"
#include "loop/loop.h"
#include "s3/s3.h"
#include "upload/upload.h"

#define WAIT_SECONDS 10

static _Atomic bool hold; /* no answer while set */

struct answer {
	struct loop_task task;
	struct s3_call *call;
	const _Atomic bool *held; /* not done while set */
};

static void run_answer(struct loop_task *t)
{
	struct answer *a = container_of(t, struct answer, task);
	struct s3_call *c = a->call;

	if (atomic_load(a->held)) {
		loop_post(loop_current(), t);
		return;
	}
	free(a);
	c->done(c);
}

static void post_answer(struct loop *l, struct s3_call *c, const _Atomic bool *held)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (!a)
		abort();
	a->call = c;
	a->held = held;
	a->task.run = run_answer;
	loop_post(l, &a->task);
}

/* An object's byte at `pos`, as the tests write it. */
static char pattern(uint64_t pos)
{
	return (char)(pos * 31 + pos / 4096);
}

struct waiter {
	struct upload_write w;
	struct upload_finish f;
	sem_t sem;
};

static void on_written(struct upload_write *w)
{
	(void)sem_post(&container_of(w, struct waiter, w)->sem);
}

static void on_finished(struct upload_finish *f)
{
	(void)sem_post(&container_of(f, struct waiter, f)->sem);
}

static int finish(struct upload *u)
{
	struct waiter x = {.f.done = on_finished};

	(void)sem_init(&x.sem, 0, 0);
	upload_finish(u, &x.f);
	return wait_sem(&x.sem, WAIT_SECONDS) ? x.f.err : -ETIMEDOUT;
}

static void start_write(struct upload *u, struct waiter *x, uint64_t off, const char *data,
			size_t n)
{
	*x = (struct waiter){.w = {.offset = off, .data = data, .len = n, .done = on_written}};
	(void)sem_init(&x->sem, 0, 0);
	upload_write(u, &x->w);
}

static int write_pattern(struct upload *u, uint64_t off, size_t n)
{
	char *data = malloc(n);
	struct waiter x;

	for (size_t i = 0; i < n; i++)
		data[i] = pattern(off + i);
	start_write(u, &x, off, data, n);
	free(data); /* it must have been copied out by now */
	return wait_sem(&x.sem, WAIT_SECONDS) ? x.w.err : -ETIMEDOUT;
}

static int write_all(struct upload *u, uint64_t size)
{
	for (uint64_t off = 0; off < size;) {
		size_t n = min_u64(1000 * KIB, size - off);
		int r = write_pattern(u, off, n);

		if (r < 0)
			return r;
		off += n;
	}
	return 0;
}

#endif
