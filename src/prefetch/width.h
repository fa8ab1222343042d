/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How many GETs at a time a sequential reader has from a server that is near;
 * private to prefetch/. Any thread.
 */
#ifndef PREFETCH_WIDTH_H
#define PREFETCH_WIDTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/climb.h"
#include "base/lock.h"

struct width {
	/* set at creation */
	uint64_t enough;      /* bytes per second of all readers */
	int (*starved)(void); /* base/starved.h */

	struct lock lock; /* RANK_WIDTH */
	/* under lock */
	struct climb climb; /* what is done: `bytes` */
	unsigned readers, before;
	unsigned calm; /* periods in a row in which more GETs could have made a difference */

	_Atomic unsigned gets;	/* of each reader */
	_Atomic bool known;	/* that one is enough, or is not */
	_Atomic uint64_t bytes; /* read in sequence since the mount, modulo 2^64 */
	_Atomic uint64_t last;	/* when, base/clock.h */
};

/* `enough`: readers that get so many bytes per second in all need no more GETs. */
void width_init(struct width *w, uint64_t enough);
void width_fini(struct width *w);
/*
 * One of so many `readers` has read `len` bytes in sequence at `now`, and `waited`
 * for them. `part_max`: bytes of one GET when it is alone.
 */
void width_read(struct width *w, uint64_t len, bool waited, uint64_t now, unsigned readers,
		uint64_t part_max);
/* Bytes of one GET when it is alone: few until it is known whether that is enough. */
uint64_t width_part(const struct width *w, uint64_t part_max);

static inline unsigned width_gets(const struct width *w)
{
	return atomic_load_explicit(&w->gets, memory_order_relaxed);
}

#endif
