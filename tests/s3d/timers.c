/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Connections that wait: see timers.h. A binary heap by deadline; the timer
 * thread sleeps until the first one. Connections are suspended by the thread
 * that serves them and resumed by the timer thread, which libmicrohttpd allows
 * at any time after the suspension.
 */

#include <errno.h>
#include <microhttpd.h>

#include "timers.h"

static void swap(struct parked *a, struct parked *b)
{
	struct parked t = *a;

	*a = *b;
	*b = t;
}

static void sift_up(struct parked *h, size_t i)
{
	for (; i && h[i].deadline_ns < h[(i - 1) / 2].deadline_ns; i = (i - 1) / 2)
		swap(&h[i], &h[(i - 1) / 2]);
}

static void sift_down(struct parked *h, size_t n, size_t i)
{
	for (;;) {
		size_t c = 2 * i + 1;

		if (c + 1 < n && h[c + 1].deadline_ns < h[c].deadline_ns)
			c++;
		if (c >= n || h[i].deadline_ns <= h[c].deadline_ns)
			return;
		swap(&h[i], &h[c]);
		i = c;
	}
}

static void wake_due_locked(struct timers *t)
{
	uint64_t now = clock_mono_ns();

	while (t->count && (t->stopping || t->heap[0].deadline_ns <= now)) {
		struct MHD_Connection *con = t->heap[0].con;

		t->heap[0] = t->heap[--t->count];
		sift_down(t->heap, t->count, 0);
		MHD_resume_connection(con);
	}
}

static void *timers_run(void *arg)
{
	struct timers *t = arg;

	pthread_setname_np(pthread_self(), "timers");
	WITH_LOCK(&t->lock);
	while (!t->stopping) {
		wake_due_locked(t);
		if (!t->count) {
			pthread_cond_wait(&t->wake, &t->lock);
		} else {
			uint64_t at = t->heap[0].deadline_ns;
			struct timespec ts = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)};

			(void)pthread_cond_timedwait(&t->wake, &t->lock, &ts);
		}
	}
	return NULL;
}

int timers_start(struct timers *t)
{
	pthread_condattr_t attr;
	int r;

	*t = (struct timers){0};
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->wake, &attr);
	pthread_condattr_destroy(&attr);
	r = pthread_create(&t->thread, NULL, timers_run, t);
	t->started = r == 0;
	return -r;
}

void timers_drain(struct timers *t)
{
	WITH_LOCK(&t->lock);

	t->stopping = true;
	wake_due_locked(t);
	pthread_cond_signal(&t->wake);
}

void timers_stop(struct timers *t)
{
	timers_drain(t);
	if (t->started)
		pthread_join(t->thread, NULL);
	free(t->heap);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
}

bool timers_park(struct timers *t, struct MHD_Connection *con, uint64_t deadline_ns, bool stalled)
{
	WITH_LOCK(&t->lock);

	if (t->stopping)
		return false;
	if (t->count == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct parked *heap = reallocarray(t->heap, cap, sizeof(*heap));

		if (!heap)
			return false;
		t->heap = heap;
		t->cap = cap;
	}
	MHD_suspend_connection(con);
	t->heap[t->count] = (struct parked){deadline_ns, con, stalled};
	sift_up(t->heap, t->count++);
	if (t->heap[0].con == con)
		pthread_cond_signal(&t->wake);
	return true;
}

void timers_release(struct timers *t)
{
	WITH_LOCK(&t->lock);

	for (size_t i = 0; i < t->count; i++)
		if (t->heap[i].stalled)
			t->heap[i].deadline_ns = 0;
	for (size_t i = t->count / 2; i-- > 0;)
		sift_down(t->heap, t->count, i);
	pthread_cond_signal(&t->wake);
}
