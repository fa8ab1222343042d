/* SPDX-License-Identifier: Apache-2.0 */

#include "base/least.h"

#include "base/macro.h"

void least_init(struct least *l)
{
	atomic_init(&l->now, LEAST_NONE);
	atomic_init(&l->before, LEAST_NONE);
	atomic_init(&l->since, 0);
}

void least_note(struct least *l, uint64_t value, uint64_t now, uint64_t period)
{
	uint64_t since = atomic_load_explicit(&l->since, memory_order_relaxed);
	uint64_t best;

	if (now - since > period && atomic_compare_exchange_strong(&l->since, &since, now)) {
		best = atomic_exchange(&l->now, LEAST_NONE);
		if (best != LEAST_NONE)
			atomic_store(&l->before, best);
	}
	best = atomic_load_explicit(&l->now, memory_order_relaxed);
	while (value < best && !atomic_compare_exchange_weak(&l->now, &best, value))
		;
}

uint64_t least_of(const struct least *l)
{
	return min_u64(atomic_load_explicit(&l->now, memory_order_relaxed),
		       atomic_load_explicit(&l->before, memory_order_relaxed));
}
