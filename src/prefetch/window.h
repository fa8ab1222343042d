/* SPDX-License-Identifier: Apache-2.0 */

/* How far ahead of one sequential reader to fetch; private to prefetch/. */
#ifndef PREFETCH_WINDOW_H
#define PREFETCH_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_MIN ((uint64_t)1024 * 1024)

struct window {
	uint64_t size;	   /* bytes to keep requested beyond the reader; 0: none */
	uint64_t grown_at; /* length of the run when it last grew */
};

void window_reset(struct window *w);
/*
 * The reader has read `run` bytes in sequence, from its first to its last, and
 * `waited` for the last ones. `cap`: what budget and configuration allow now.
 */
void window_read(struct window *w, uint64_t run, bool waited, uint64_t cap);
/* Bytes of one GET at this window: several at a time, few enough to be cheap. */
uint64_t window_part(const struct window *w, uint64_t part_max);

#endif
