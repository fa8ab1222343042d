/* SPDX-License-Identifier: Apache-2.0 */

/* Heap of armed timers of one loop. Owner loop only. */
#ifndef LOOP_TIMER_H
#define LOOP_TIMER_H

#include "loop/loop.h"

struct timers {
	struct loop_timer **heap; /* children of i: 2i+1 and 2i+2 */
	size_t count, cap;
};

int timers_set(struct timers *h, struct loop_timer *t, uint64_t deadline) must_check;
void timers_cancel(struct timers *h, struct loop_timer *t);
/* Deadline of the earliest timer, NO_DEADLINE when none is armed. */
uint64_t timers_next(const struct timers *h);
/* Fires what is due at `now`, at most `max` timers; they are unarmed when fired. */
void timers_fire(struct timers *h, uint64_t now, unsigned max);
void timers_fini(struct timers *h);

#endif
