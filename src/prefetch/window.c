/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Read-ahead window of one sequential reader. Pure arithmetic: no I/O, no lock.
 *
 * A window starts with WINDOW_MIN, or with what was read until then. It grows
 * whenever the reader waits and has used half of it, up to WINDOW_FREE; for one
 * that never waits it does so later, to make fewer and larger GETs. Beyond, it
 * grows at once while it has less than DELAYS times what arrives in one delay:
 * the reader then waits for the delay and not for the bandwidth, since parts that
 * were asked for together come together, and nothing until the next ones do. Else:
 *
 *   phase     the reader waited, and a period is over    becomes
 *   MEASURE   note its rate, double                      TRY
 *   TRY       faster by an eighth: note, double again    TRY
 *   TRY       not faster, for the second time: back      SETTLED
 *   SETTLED   PROBE_NS have passed                       MEASURE
 *
 * A period is the time in which the reader reads a window's worth; the first one
 * after each doubling does not count. A reader that never waits does not need
 * more. One that gets no faster by more in flight waits for the bandwidth, not
 * for the delay: more would only cost memory. So the window finds bandwidth
 * times delay without knowing either.
 *
 * It is also bound by the run: a large random read that arrives in pieces looks
 * sequential while it lasts, and must not fetch much beyond its end.
 *
 * A window is fetched by two GETs at a time when the server is near, since each
 * costs it (MinIO: 0.9 ms of CPU), and by up to 32 when it is far: there a
 * single connection gives 50-90 MB/s at most, and small GETs waste less of the
 * window on bytes that are not the next ones.
 *
 * So near, a window grows to two GETs of the largest size and needs no proof:
 * they are received only as the reader comes near to them (pace.c), which makes
 * a large window cost no more memory than a small one.
 */
#include "prefetch/window.h"

#include "base/clock.h"
#include "base/macro.h"

#define PROVEN	   (2 * MIB)
#define START_MAX  (4 * MIB)
#define PARTS_NEAR 2
#define PARTS_FAR  32
#define PART_FAR   (2 * MIB)
#define LONG_RUN   8
#define JUDGE_NS   (5 * NSEC_PER_MSEC) /* shorter times say nothing */
#define MISSES_MAX 2
#define DELAYS	   3
#define FAST	   4 /* times as much at once, far from what is needed */
#define PROBE_NS   (3 * NSEC_PER_SEC)

static uint64_t bound_by_run(uint64_t run)
{
	return run < PROVEN ? max_u64(run, WINDOW_MIN) : run * 4;
}

static void begin_period(struct window *w, uint64_t run, uint64_t now)
{
	w->since = run;
	w->since_ns = now;
}

static void grow(struct window *w, uint64_t run, uint64_t size)
{
	w->base = w->size;
	w->size = max_u64(w->size, min_u64(size, bound_by_run(run)));
	w->misses = 0;
	w->filling = true;
}

static void try_more(struct window *w, uint64_t run, uint64_t rate, unsigned times)
{
	w->rate = rate;
	w->phase = WINDOW_TRY;
	grow(w, run, w->size * times);
}

static void judge(struct window *w, uint64_t run, uint64_t now, uint64_t delay)
{
	uint64_t took = now - w->since_ns;
	uint64_t rate = (run - w->since) * 1000 / (took / 1000000 + 1);
	uint64_t in_delay = rate / 1000 * (delay / 1000) / 1000;

	if (took < (w->phase == WINDOW_SETTLED ? PROBE_NS : JUDGE_NS))
		return;
	if (w->size < in_delay * DELAYS) {
		try_more(w, run, rate, w->size * 2 < in_delay * DELAYS ? FAST : 2);
	} else if (w->phase == WINDOW_SETTLED) {
		w->filling = true;
		w->phase = WINDOW_MEASURE;
	} else if (w->filling) {
		w->filling = false;
	} else if (w->phase == WINDOW_MEASURE || rate > w->rate + w->rate / 8) {
		try_more(w, run, rate, 2);
	} else if (++w->misses == MISSES_MAX) {
		w->size = w->base;
		w->phase = WINDOW_SETTLED;
	}
	begin_period(w, run, now);
}

static void begin(struct window *w, uint64_t run, uint64_t now)
{
	*w = (struct window){.size = max_u64(WINDOW_MIN, min_u64(run, START_MAX))};
	begin_period(w, run, now);
}

static void grow_unproven(struct window *w, uint64_t run, bool waited, uint64_t now, uint64_t size)
{
	if (waited ? run - w->since < w->size / 2 : run < w->size * LONG_RUN)
		return;
	grow(w, run, size);
	begin_period(w, run, now);
}

void window_read(struct window *w, uint64_t run, bool waited, uint64_t now, uint64_t cap,
		 uint64_t delay)
{
	if (w->size == 0)
		begin(w, run, now);
	else if (w->size < WINDOW_FREE)
		grow_unproven(w, run, waited, now, min_u64(w->size * FAST, WINDOW_FREE));
	else if (waited && run - w->since >= w->size)
		judge(w, run, now, delay);
	w->size = min_u64(w->size, cap);
}

void window_read_near(struct window *w, uint64_t run, bool waited, uint64_t now, uint64_t cap,
		      uint64_t part_max)
{
	cap = min_u64(cap, max_u64(PARTS_NEAR * part_max, WINDOW_MIN));
	if (w->size == 0)
		begin(w, run, now);
	else if (w->size < cap)
		grow_unproven(w, run, waited, now, w->size * 2);
	w->size = min_u64(w->size, cap);
}

uint64_t window_part(const struct window *w, bool far, uint64_t part_max)
{
	uint64_t part = w->size / PARTS_NEAR;

	if (far)
		part = min_u64(part, max_u64(w->size / PARTS_FAR, PART_FAR));

	/* A power of two of slabs, so that parts start where slabs do. */
	for (uint64_t p = WINDOW_MIN;; p *= 2)
		if (p * 2 > part || p * 2 > part_max)
			return min_u64(p, part_max);
}
