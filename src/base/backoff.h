/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Capped exponential backoff with full jitter: the wait before retry n (from 1)
 * is uniform in [0, min(cap, base * 2^(n-1))].
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

/* `random` is 64 uniform bits; the result has the unit of `base`. Pure. */
uint64_t backoff_wait(uint64_t base, uint64_t cap, unsigned retry, uint64_t random);
/* 64 pseudo-random bits, per thread, seeded from the kernel. Not for secrets. */
uint64_t backoff_random(void);

#endif
