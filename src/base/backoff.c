/* SPDX-License-Identifier: Apache-2.0 */

/* Backoff arithmetic and the per-thread generator that feeds it. */
#include "base/backoff.h"

#include <sys/random.h>
#include <time.h>

#include "base/hash.h"

uint64_t backoff_wait(uint64_t base, uint64_t cap, unsigned retry, uint64_t random)
{
	uint64_t top = base;

	for (unsigned i = 1; i < retry && top < cap; i++)
		top = top > cap / 2 ? cap : top * 2;
	if (top > cap)
		top = cap;
	return top == UINT64_MAX ? random : random % (top + 1);
}

uint64_t backoff_random(void)
{
	static _Thread_local uint64_t state;

	if (state == 0 && getrandom(&state, sizeof(state), GRND_NONBLOCK) != sizeof(state))
		state = (uint64_t)time(NULL) ^ (uintptr_t)&state;
	state += 0x9e3779b97f4a7c15ULL;
	return hash_u64(state);
}
