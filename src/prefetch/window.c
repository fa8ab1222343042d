/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Read-ahead window of one sequential reader. Pure arithmetic: no I/O, no lock.
 *
 * A window starts with WINDOW_MIN, or with what was read until then, or with what
 * is usual (habit.h). It grows whenever half of it was used and the reader has
 * waited meanwhile, up to WINDOW_FREE, or to FREE_FAR while that half comes in
 * little more than one delay; for one that never waits it does so later, to make
 * fewer and larger GETs. Beyond, it grows at once while it has less than DELAYS
 * times what arrives in one delay: the reader then waits for the delay and not for
 * the bandwidth, since parts that were asked for together come together, and
 * nothing until the next ones do. Else it climbs (base/climb.h), in periods in
 * which the reader waits and reads a window's worth.
 *
 * It is also bound by the run: a large random read that arrives in pieces looks
 * sequential while it lasts, and must not fetch much beyond its end.
 *
 * A window has one GET more than are needed at a time. Near, that is one, since
 * each costs the server (MinIO: 0.9 ms of CPU), or as many as width.c has found;
 * far, 31: there a single connection gives 50-90 MB/s at most, and small GETs
 * waste less of the window on bytes that are not the next ones.
 *
 * So near, a window grows to two GETs of the largest size and needs no proof:
 * they are received only as the reader comes near to them (pace.c), which makes
 * a large window cost no more memory than a small one. Several GETs at a time are
 * received at once, and share the size of the one.
 */
#include "prefetch/window.h"

#include "base/macro.h"

#define PROVEN	  (2 * MIB)
#define START_MAX (4 * MIB)
#define PART_MIN  (2 * MIB) /* of several at a time */
#define LONG_RUN  8
#define DELAYS	  3
#define FAST	  4	     /* times as much at once, far from what is needed */
#define FREE_FAR  (32 * MIB) /* without proof, while all comes at once */

static uint64_t bound_by_run(uint64_t run)
{
	return run < PROVEN ? max_u64(run, WINDOW_MIN) : run * 4;
}

static void grow(struct window *w, uint64_t run, uint64_t size)
{
	w->base = w->size;
	w->size = max_u64(w->size, min_u64(size, bound_by_run(run)));
}

static void begin_period(struct window *w, uint64_t run, uint64_t now)
{
	w->waited = false;
	climb_begin(&w->climb, run, now);
}

static void judge(struct window *w, uint64_t run, uint64_t now, uint64_t delay)
{
	uint64_t rate = climb_rate(&w->climb, run, now);
	uint64_t in_delays = rate / 1000 * (delay / 1000) / 1000 * DELAYS;
	enum climb_advice advice;

	if (rate == 0)
		return;
	if (w->size < in_delays) {
		climb_up(&w->climb, rate);
		grow(w, run, w->size * (w->size * 2 < in_delays ? FAST : 2));
	} else {
		advice = climb_judge(&w->climb, rate, /* lowest= */ false);
		if (advice == CLIMB_UP)
			grow(w, run, w->size * 2);
		else if (advice == CLIMB_BACK)
			w->size = w->base;
	}
	begin_period(w, run, now);
}

static void begin(struct window *w, uint64_t run, uint64_t now, uint64_t start)
{
	*w = (struct window){.size = max_u64(max_u64(WINDOW_MIN, start), min_u64(run, START_MAX))};
	begin_period(w, run, now);
}

/* Half of a window in little more than a delay: the line is not full yet. */
static uint64_t unproven_size(const struct window *w, uint64_t now, uint64_t delay)
{
	return now - w->climb.since_ns < delay + delay / 2 ? FREE_FAR : WINDOW_FREE;
}

static void grow_unproven(struct window *w, uint64_t run, bool waited, uint64_t now, uint64_t size)
{
	if (waited ? run - w->climb.since < w->size / 2 : run < w->size * LONG_RUN)
		return;
	w->climb.filling = true;
	grow(w, run, size);
	begin_period(w, run, now);
}

void window_read(struct window *w, uint64_t run, bool waited, uint64_t now, uint64_t cap,
		 uint64_t delay, uint64_t start)
{
	uint64_t unproven = unproven_size(w, now, delay);

	w->waited |= waited;
	if (w->size == 0)
		begin(w, run, now, start);
	else if (w->size < unproven)
		grow_unproven(w, run, w->waited, now, min_u64(w->size * FAST, unproven));
	else if (waited && run - w->climb.since >= w->size)
		judge(w, run, now, delay);
	w->size = min_u64(w->size, cap);
}

void window_read_near(struct window *w, uint64_t run, bool waited, uint64_t now, uint64_t cap,
		      uint64_t part_max, unsigned gets)
{
	uint64_t full = (gets + 1) * window_part_near(gets, part_max);

	cap = min_u64(cap, max_u64(full, WINDOW_MIN));
	if (w->size == 0)
		begin(w, run, now, 0);
	else if (w->size < cap)
		grow_unproven(w, run, waited, now, w->size * (gets > 1 ? FAST : 2));
	w->size = min_u64(w->size, cap);
}

uint64_t window_part_near(unsigned gets, uint64_t part_max)
{
	return min_u64(max_u64(part_max / gets, PART_MIN), part_max);
}

uint64_t window_part(const struct window *w, unsigned gets, uint64_t part_max)
{
	uint64_t part = min_u64(w->size / 2, max_u64(w->size / (gets + 1), PART_MIN));

	/* A power of two of slabs, so that parts start where slabs do. */
	for (uint64_t p = WINDOW_MIN;; p *= 2)
		if (p * 2 > part || p * 2 > part_max)
			return min_u64(p, part_max);
}
