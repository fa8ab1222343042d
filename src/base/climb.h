/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How much at a time is enough: a level (bytes ahead, parts in flight) that doubles
 * as long as this makes its user faster. Pure arithmetic: no lock, no clock. The
 * level is the caller's; a period ends when the caller has done as much as the
 * level is, and was held back by it meanwhile.
 *
 *   phase     a period is over                          becomes
 *   MEASURE   note its rate, double                     TRY
 *   TRY       faster by half: note, double again        TRY
 *   TRY       else, in the mean of this period and
 *             the next: faster by an eighth, likewise   TRY
 *                       not faster: back                SETTLED
 *   SETTLED   3 s have passed                           MEASURE
 *
 * Each trial that was for nothing doubles the time until the next, up to 48 s.
 * The first period after each step up does not count: what it added is on its way.
 * Who gets no faster by more at a time waits for the bandwidth, not for the delay:
 * more would only cost memory. So the level finds bandwidth times delay, or the
 * number of connections that fills the line, without knowing either.
 */
#ifndef BASE_CLIMB_H
#define BASE_CLIMB_H

#include <stdbool.h>
#include <stdint.h>

enum climb_phase { CLIMB_MEASURE, CLIMB_TRY, CLIMB_SETTLED };
enum climb_advice { CLIMB_STAY, CLIMB_UP, CLIMB_BACK };

/* Zeroed is ready for climb_begin. */
struct climb {
	uint64_t since; /* what was done when this period began, and when that was */
	uint64_t since_ns;
	uint64_t rate;	/* per second, on the level below */
	uint64_t doubt; /* what the period before gave on this level; 0: it is the first */
	uint8_t phase;
	uint8_t failed; /* trials in a row that were for nothing, up to a limit */
	bool filling;	/* in this period what the last step added is still on its way */
};

/* A period begins; so much was `done` until now. */
void climb_begin(struct climb *c, uint64_t done, uint64_t now);
/* What this period has done per second; 0: it is too short to say, and goes on. */
uint64_t climb_rate(const struct climb *c, uint64_t done, uint64_t now);
/*
 * A period with this rate is over: what becomes of the level. The first step, from
 * the lowest level, must gain a quarter more: what costs least is kept in doubt.
 */
enum climb_advice climb_judge(struct climb *c, uint64_t rate, bool lowest);
/* The level went up from one that gave `rate`; climb_judge says it when it advises to. */
void climb_up(struct climb *c, uint64_t rate);

/* The level went back to the one below; climb_judge says it when it advises to. */
void climb_back(struct climb *c);

/* This period is the first on its level. */
static inline bool climb_is_filling(const struct climb *c)
{
	return c->phase == CLIMB_TRY && c->filling;
}

#endif
