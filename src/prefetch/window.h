/* SPDX-License-Identifier: Apache-2.0 */

/* How far ahead of one sequential reader to fetch; private to prefetch/. */
#ifndef PREFETCH_WINDOW_H
#define PREFETCH_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_MIN  ((uint64_t)1024 * 1024)
#define WINDOW_FREE ((uint64_t)8 * 1024 * 1024) /* grows to here without proof */

enum window_phase { WINDOW_MEASURE, WINDOW_TRY, WINDOW_SETTLED };

struct window {
	uint64_t size;	/* bytes to keep requested beyond the reader; 0: none */
	uint64_t base;	/* the size that gave `rate` */
	uint64_t rate;	/* bytes per second */
	uint64_t since; /* length of the run when this period began */
	uint64_t since_ns;
	uint8_t phase;
	uint8_t misses; /* periods in a row in which `size` was no better than `base` */
	bool filling;	/* in this period what the last doubling added is still on its way */
};

/*
 * The reader has read `run` bytes in sequence, from its first to its last, at
 * `now`, and `waited` for the last ones. `cap`: what budget and configuration
 * allow at this moment. `delay`: ns from a request to its first byte.
 */
void window_read(struct window *w, uint64_t run, bool waited, uint64_t now, uint64_t cap,
		 uint64_t delay);
/* The same when the server is near: up to two GETs of `part_max`. */
void window_read_near(struct window *w, uint64_t run, bool waited, uint64_t now, uint64_t cap,
		      uint64_t part_max);
/*
 * Bytes of one GET at this window. `far`: the server answers after milliseconds,
 * and many GETs at a time are needed; else few are cheaper.
 */
uint64_t window_part(const struct window *w, bool far, uint64_t part_max);

#endif
