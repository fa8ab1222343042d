/* SPDX-License-Identifier: Apache-2.0 */

/* Monotonic time in nanoseconds; deadlines are points on the same scale. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC  UINT64_C(1000000000)
#define NO_DEADLINE   UINT64_MAX

static inline uint64_t clock_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Seconds since the epoch, UTC. */
static inline int64_t clock_wall(void)
{
	return (int64_t)time(NULL);
}

#endif
