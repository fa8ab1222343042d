/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One GET at a time costs a server that is near the least, and is enough where a
 * connection gives as much as this machine can take. Where it does not (a server
 * on slow disks, one that shares out its bandwidth by connection), all readers of
 * the mount climb (base/climb.h) to as many GETs each as make them faster in sum:
 * what one takes from another is no gain. The first step is not tried where this
 * thread has to wait for a CPU: then the machine is what holds the readers back.
 *
 * A period ends when the readers have read what they may have in flight. When the
 * number of readers changes, rates before and after say nothing about each other:
 * measuring begins anew. When nobody has read for IDLE_NS, what was found is
 * forgotten.
 *
 * Steps are large: from one GET, a reader also takes what lay in memory and in
 * sockets, and only a multiple of that is a gain beyond doubt.
 */
#include "prefetch/width.h"

#include "base/clock.h"
#include "base/macro.h"
#include "base/starved.h"
#include "prefetch/window.h"

#define STEP_FIRST 8
#define STEP	   4
#define IDLE_NS	   (3 * NSEC_PER_SEC)
#define STEADY_NS  (40 * NSEC_PER_MSEC)
#define CALM	   3 /* periods before more is tried */
#define PERIOD_MIN (8 * MIB)
#define PART_FIRST (4 * MIB)
#define STARVED	   16 /* percent; 2-11 with connections of 80 MB/s, 20-29 with a quick server here */

void width_init(struct width *w, uint64_t enough)
{
	*w = (struct width){.enough = enough, .starved = starved_percent, .gets = 1, .before = 1};
	lock_init(&w->lock, RANK_WIDTH);
}

void width_fini(struct width *w)
{
	lock_fini(&w->lock);
}

static void set_gets_locked(struct width *w, unsigned gets)
{
	unsigned most = WINDOW_GETS / w->readers;

	if (gets > most)
		gets = most;
	atomic_store_explicit(&w->gets, gets ? gets : 1, memory_order_relaxed);
}

static void restart_locked(struct width *w, bool idle, uint64_t bytes, uint64_t now)
{
	bool unproven = w->climb.phase == CLIMB_TRY;

	w->climb = (struct climb){0};
	w->calm = 0;
	if (idle)
		atomic_store_explicit(&w->known, false, memory_order_relaxed);
	set_gets_locked(w, idle ? 1 : unproven ? w->before : width_gets(w));
	w->before = width_gets(w);
	climb_begin(&w->climb, bytes, now);
}

static void judge_locked(struct width *w, uint64_t rate)
{
	unsigned gets = width_gets(w);

	switch (climb_judge(&w->climb, rate, gets == 1)) {
	case CLIMB_UP:
		atomic_store_explicit(&w->known, true, memory_order_relaxed);
		if (gets > 1 && rate >= w->enough) {
			w->climb.phase = CLIMB_SETTLED;
			break;
		}
		w->before = gets;
		set_gets_locked(w, gets * (gets == 1 ? STEP_FIRST : STEP));
		break;
	case CLIMB_BACK:
		set_gets_locked(w, w->before);
		break;
	case CLIMB_STAY:
		break;
	}
}

static bool is_over_locked(const struct width *w, uint64_t bytes, uint64_t now, uint64_t part_max)
{
	unsigned gets = width_gets(w);
	uint64_t in_flight = gets > 1 ? gets * window_part_near(gets, part_max) : 0;

	return bytes - w->climb.since >= w->readers * max_u64(PERIOD_MIN, in_flight) &&
	       now - w->climb.since_ns >= STEADY_NS;
}

static void end_period_locked(struct width *w, uint64_t bytes, uint64_t now)
{
	uint64_t rate = climb_rate(&w->climb, bytes, now);
	int starved;

	if (rate == 0)
		return;
	starved = w->starved();
	if (starved >= STARVED || rate >= w->enough)
		w->calm = 0;
	else if (starved >= 0)
		w->calm++;
	if (rate >= w->enough / 2)
		atomic_store_explicit(&w->known, true, memory_order_relaxed);
	if (w->calm >= CALM || w->climb.phase == CLIMB_TRY)
		judge_locked(w, rate);
	climb_begin(&w->climb, bytes, now);
}

void width_read(struct width *w, uint64_t len, bool waited, uint64_t now, unsigned readers,
		uint64_t part_max)
{
	uint64_t bytes = atomic_fetch_add_explicit(&w->bytes, len, memory_order_relaxed) + len;
	uint64_t last = atomic_exchange_explicit(&w->last, now, memory_order_relaxed);
	bool idle = now > last + IDLE_NS;

	if (!waited && !idle)
		return;
	WITH_LOCK(&w->lock);
	if (idle || w->readers != readers) {
		w->readers = readers;
		restart_locked(w, idle, bytes, now);
	} else if (is_over_locked(w, bytes, now, part_max)) {
		end_period_locked(w, bytes, now);
	}
}

uint64_t width_part(const struct width *w, uint64_t part_max)
{
	bool known = atomic_load_explicit(&w->known, memory_order_relaxed);

	return known ? part_max : min_u64(part_max, PART_FIRST);
}
