/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Binary min-heap of timers by deadline. Each timer knows its place (`slot`,
 * plus one), so that re-arming and cancelling cost O(log n) without a search.
 * The heap never shrinks: its size is the most timers that were ever armed.
 */
#include "loop/timer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

#define FIRST_CAP 64

static void place(struct timers *h, size_t i, struct loop_timer *t)
{
	h->heap[i] = t;
	t->slot = i + 1;
}

static void sift_up(struct timers *h, size_t i, struct loop_timer *t)
{
	while (i > 0) {
		size_t parent = (i - 1) / 2;

		if (h->heap[parent]->deadline <= t->deadline)
			break;
		place(h, i, h->heap[parent]);
		i = parent;
	}
	place(h, i, t);
}

static void sift_down(struct timers *h, size_t i, struct loop_timer *t)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= h->count)
			break;
		if (child + 1 < h->count && h->heap[child + 1]->deadline < h->heap[child]->deadline)
			child++;
		if (t->deadline <= h->heap[child]->deadline)
			break;
		place(h, i, h->heap[child]);
		i = child;
	}
	place(h, i, t);
}

/* Put `t`, whose deadline may have changed, where it belongs, starting at i. */
static void settle(struct timers *h, size_t i, struct loop_timer *t)
{
	if (i > 0 && t->deadline < h->heap[(i - 1) / 2]->deadline)
		sift_up(h, i, t);
	else
		sift_down(h, i, t);
}

static int grow(struct timers *h)
{
	size_t cap = h->cap ? h->cap * 2 : FIRST_CAP;
	struct loop_timer **heap = reallocarray(h->heap, cap, sizeof(*heap));

	if (!heap)
		return -ENOMEM;
	h->heap = heap;
	h->cap = cap;
	return 0;
}

int timers_set(struct timers *h, struct loop_timer *t, uint64_t deadline)
{
	if (t->slot) {
		t->deadline = deadline;
		settle(h, t->slot - 1, t);
		return 0;
	}
	if (h->count == h->cap) {
		int r = grow(h);

		if (r < 0)
			return r;
	}
	t->deadline = deadline;
	sift_up(h, h->count++, t);
	return 0;
}

void timers_cancel(struct timers *h, struct loop_timer *t)
{
	size_t i = t->slot;
	struct loop_timer *last;

	if (!i)
		return;
	assert(i <= h->count && h->heap[i - 1] == t);
	t->slot = 0;
	last = h->heap[--h->count];
	if (last != t)
		settle(h, i - 1, last);
}

uint64_t timers_next(const struct timers *h)
{
	return h->count ? h->heap[0]->deadline : NO_DEADLINE;
}

void timers_fire(struct timers *h, uint64_t now, unsigned max)
{
	while (max-- > 0 && h->count && h->heap[0]->deadline <= now) {
		struct loop_timer *t = h->heap[0];

		timers_cancel(h, t);
		t->fire(t);
	}
}

void timers_fini(struct timers *h)
{
	for (size_t i = 0; i < h->count; i++)
		h->heap[i]->slot = 0;
	free(h->heap);
	*h = (struct timers){0};
}
