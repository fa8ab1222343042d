/* SPDX-License-Identifier: Apache-2.0 */

#include "base/climb.h"

#include "base/clock.h"

#define JUDGE_NS   (5 * NSEC_PER_MSEC) /* shorter times say nothing */
#define PROBE_NS   (3 * NSEC_PER_SEC)
#define MISSES_MAX 2

void climb_begin(struct climb *c, uint64_t done, uint64_t now)
{
	c->since = done;
	c->since_ns = now;
}

uint64_t climb_rate(const struct climb *c, uint64_t done, uint64_t now)
{
	uint64_t took = now - c->since_ns;

	if (took < (c->phase == CLIMB_SETTLED ? PROBE_NS : JUDGE_NS))
		return 0;
	return (done - c->since) * 1000 / (took / NSEC_PER_MSEC + 1);
}

void climb_up(struct climb *c, uint64_t rate)
{
	c->rate = rate;
	c->phase = CLIMB_TRY;
	c->misses = 0;
	c->filling = true;
}

enum climb_advice climb_judge(struct climb *c, uint64_t rate)
{
	if (c->phase == CLIMB_SETTLED) {
		c->phase = CLIMB_MEASURE;
		c->filling = true;
	} else if (c->filling) {
		c->filling = false;
	} else if (c->phase == CLIMB_MEASURE || rate > c->rate + c->rate / 8) {
		climb_up(c, rate);
		return CLIMB_UP;
	} else if (++c->misses == MISSES_MAX) {
		c->phase = CLIMB_SETTLED;
		return CLIMB_BACK;
	}
	return CLIMB_STAY;
}
