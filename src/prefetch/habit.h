/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How far objects are read in order from their begin, as the last two say that
 * are larger than a first window: shards and checkpoints are read through, of
 * others only the header is. Private to prefetch/. Any thread, no lock: two
 * streams that end at once may count as one.
 */
#ifndef PREFETCH_HABIT_H
#define PREFETCH_HABIT_H

#include <stdatomic.h>
#include <stdint.h>

#define HABIT_MAX ((uint64_t)16 * 1024 * 1024) /* so much may be fetched in vain, once */

/* Zeroed: nothing is known, and 0 is usual. */
struct habit {
	/* atomic: bytes of the last one, and the lesser of the last two */
	_Atomic uint64_t last, usual;
};

/* A stream of an object of so many bytes ends that has read `run` in order from its begin. */
void habit_note(struct habit *h, uint64_t size, uint64_t run);
/* Bytes for the first window of the next one, at most HABIT_MAX. */
uint64_t habit_start(struct habit *h);

#endif
