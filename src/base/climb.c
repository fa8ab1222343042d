/* SPDX-License-Identifier: Apache-2.0 */

#include "base/climb.h"

#include "base/clock.h"
#include "base/macro.h"

#define JUDGE_NS   (5 * NSEC_PER_MSEC) /* shorter times say nothing */
#define PROBE_NS   (3 * NSEC_PER_SEC)  /* after the first failure, then 6, 12, 24, 48 s */
#define FAILED_MAX 5

void climb_begin(struct climb *c, uint64_t done, uint64_t now)
{
	c->since = done;
	c->since_ns = now;
}

uint64_t climb_rate(const struct climb *c, uint64_t done, uint64_t now)
{
	uint64_t took = now - c->since_ns;
	uint64_t least = JUDGE_NS;

	if (c->phase == CLIMB_SETTLED)
		least = PROBE_NS << (c->failed ? c->failed - 1 : 0);
	if (took < least)
		return 0;
	return (done - c->since) * 1000 / (took / NSEC_PER_MSEC + 1);
}

void climb_up(struct climb *c, uint64_t rate)
{
	c->rate = rate;
	c->phase = CLIMB_TRY;
	c->doubt = 0;
	c->filling = true;
}

void climb_back(struct climb *c)
{
	c->phase = CLIMB_SETTLED;
	c->filling = false;
	c->doubt = 0;
	if (c->failed < FAILED_MAX)
		c->failed++;
}

static enum climb_advice judge_trial(struct climb *c, uint64_t rate)
{
	uint64_t mean = (c->doubt + rate) / 2;

	if (rate <= c->rate + c->rate / 2 && c->doubt == 0) {
		c->doubt = max_u64(rate, 1);
		return CLIMB_STAY;
	}
	if (rate <= c->rate + c->rate / 2 && mean <= c->rate + c->rate / 8) {
		climb_back(c);
		return CLIMB_BACK;
	}
	climb_up(c, c->doubt ? mean : rate);
	c->failed = 0;
	return CLIMB_UP;
}

enum climb_advice climb_judge(struct climb *c, uint64_t rate, bool lowest)
{
	if (lowest)
		rate += rate / 4;
	if (c->filling) {
		c->filling = false;
		return CLIMB_STAY;
	}
	switch ((enum climb_phase)c->phase) {
	case CLIMB_SETTLED:
		c->phase = CLIMB_MEASURE;
		c->filling = true;
		return CLIMB_STAY;
	case CLIMB_MEASURE:
		climb_up(c, rate);
		return CLIMB_UP;
	case CLIMB_TRY:
		return judge_trial(c, rate);
	}
	return CLIMB_STAY;
}
