/* SPDX-License-Identifier: Apache-2.0 */

#include "prefetch/habit.h"

#include "base/macro.h"
#include "prefetch/window.h"

#define SMALL (2 * WINDOW_MIN) /* up to here there is nothing to learn */

void habit_note(struct habit *h, uint64_t size, uint64_t run)
{
	uint64_t before;

	if (size <= SMALL)
		return;
	before = atomic_exchange_explicit(&h->last, run, memory_order_relaxed);
	atomic_store_explicit(&h->usual, min_u64(before, run), memory_order_relaxed);
}

uint64_t habit_start(struct habit *h)
{
	return min_u64(atomic_load_explicit(&h->usual, memory_order_relaxed), HABIT_MAX);
}
