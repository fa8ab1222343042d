/* SPDX-License-Identifier: Apache-2.0 */

/* How far ahead of one sequential reader to fetch; private to prefetch/. */
#ifndef PREFETCH_WINDOW_H
#define PREFETCH_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/climb.h"

#define WINDOW_MIN  ((uint64_t)1024 * 1024)
#define WINDOW_FREE ((uint64_t)8 * 1024 * 1024) /* grows to here without proof */
#define WINDOW_GETS 32				/* of all readers at a time */

struct window {
	uint64_t size;	    /* bytes to keep requested beyond the reader; 0: none */
	uint64_t base;	    /* the size before the last growth */
	struct climb climb; /* what is done: bytes of the run */
	bool waited;	    /* the reader did so in this period */
};

/*
 * The reader has read `run` bytes in sequence, from its first to its last, at
 * `now`, and `waited` for the last ones. `cap`: what budget and configuration
 * allow at this moment. `delay`: ns from a request to its first byte. `start`: what
 * the first window is to have at least.
 */
void window_read(struct window *w, uint64_t run, bool waited, uint64_t now, uint64_t cap,
		 uint64_t delay, uint64_t start);
/*
 * The same when the server is near and gives so many GETs at a time; one of them
 * has at most `part_max` bytes.
 */
void window_read_near(struct window *w, uint64_t run, bool waited, uint64_t now, uint64_t cap,
		      uint64_t part_max, unsigned gets);
/* Bytes of one GET at this window; `gets` at a time, WINDOW_GETS when the server is far. */
uint64_t window_part(const struct window *w, unsigned gets, uint64_t part_max);
/* The same of a window of full size from a server that is near. */
uint64_t window_part_near(unsigned gets, uint64_t part_max);

#endif
