/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Read-ahead window of one sequential reader. Pure arithmetic: no I/O, no lock,
 * no clock.
 *
 *   first sequential read    WINDOW_MIN, or what was read until then
 *   reader had to wait and   doubled, at most what the run has proven:
 *   used half of the window  the run itself up to 2 MiB, then four times it
 *   cap fell (budget)        cut to it
 *
 * A reader that never waits does not need more, so its window stays. The bound
 * by the run keeps a large random read, which arrives in pieces and looks
 * sequential while it lasts, from fetching much beyond its end.
 *
 * A window is fetched by four GETs while those are small, which keeps their
 * number down, and by eight when they are large, because a single connection to
 * S3 gives 50-90 MB/s at most.
 */
#include "prefetch/window.h"

#include "base/macro.h"

#define PROVEN	    (2 * MIB)
#define START_MAX   (4 * MIB)
#define PARTS_FEW   4
#define PARTS_MANY  8
#define PART_MIDDLE (4 * MIB)

void window_reset(struct window *w)
{
	*w = (struct window){0};
}

static uint64_t bound_by_run(uint64_t run)
{
	return run < PROVEN ? max_u64(run, WINDOW_MIN) : run * 4;
}

void window_read(struct window *w, uint64_t run, bool waited, uint64_t cap)
{
	if (w->size == 0) {
		w->size = max_u64(WINDOW_MIN, min_u64(run, START_MAX));
		w->grown_at = run;
	} else if (waited && run - w->grown_at >= w->size / 2) {
		uint64_t size = min_u64(w->size * 2, bound_by_run(run));

		if (size > w->size) {
			w->size = size;
			w->grown_at = run;
		}
	}
	if (w->size > cap)
		w->size = cap;
}

uint64_t window_part(const struct window *w, uint64_t part_max)
{
	uint64_t part = max_u64(min_u64(w->size / PARTS_FEW, PART_MIDDLE), w->size / PARTS_MANY);

	/* A power of two of slabs, so that parts start where slabs do. */
	for (uint64_t p = WINDOW_MIN;; p *= 2)
		if (p * 2 > part || p * 2 > part_max)
			return min_u64(p, part_max);
}
