/* SPDX-License-Identifier: Apache-2.0 */

#include "fuse/upload_flight.h"

#include "base/clock.h"
#include "base/macro.h"

#define FAR_NS		(4 * NSEC_PER_MSEC) /* S3 takes longer, a server beside us mostly not */
#define SLOW_CONNECTION 100000000	    /* many more are tried at once */
#define FAST_CONNECTION 150000000	    /* bytes per second, twice what S3 gives */

void flight_init(struct flight *f, unsigned least)
{
	*f = (struct flight){.parts = least, .before = least, .least = least};
}

void flight_answered(struct flight *f, uint64_t ns)
{
	f->far = ns >= FAR_NS;
}

void flight_held(struct flight *f)
{
	f->held = true;
}

static void begin_period(struct flight *f, uint64_t now)
{
	f->count = 0;
	f->held = false;
	climb_begin(&f->climb, f->bytes, now);
}

static void judge(struct flight *f, uint64_t rate)
{
	bool likely = f->far || f->parts > f->least; /* else it may be a server that is busy */
	unsigned step = likely && rate / f->parts < SLOW_CONNECTION ? 4 : 2;

	if (climb_is_filling(&f->climb) && rate < f->base) {
		climb_back(&f->climb); /* more parts at once end sooner, or not at all */
		f->parts = f->before;
		return;
	}
	f->base = rate;
	if (f->parts == f->least) /* a busy server's rate varies by a sixth, and is no gain */
		rate += rate / 4;
	switch (climb_judge(&f->climb, rate)) {
	case CLIMB_UP:
		f->before = f->parts;
		f->parts *= step;
		break;
	case CLIMB_BACK:
		f->parts = f->before;
		break;
	case CLIMB_STAY:
		break;
	}
}

static void end_period(struct flight *f, uint64_t now)
{
	uint64_t rate = climb_rate(&f->climb, f->bytes, now);

	if (f->held && rate == 0)
		return; /* too short */
	if (f->held && rate / f->parts < FAST_CONNECTION)
		judge(f, rate);
	begin_period(f, now);
}

/* What all steps are compared with is measured for longer: parts end in bursts. */
static unsigned period_parts(const struct flight *f)
{
	return f->parts == f->least ? 2 * f->parts : f->parts;
}

void flight_sent(struct flight *f, uint64_t bytes, uint64_t now, unsigned most)
{
	f->bytes += bytes;
	if (f->climb.since_ns == 0)
		begin_period(f, now);
	else if (++f->count >= period_parts(f))
		end_period(f, now);
	if (f->parts > most)
		f->parts = most > f->least ? most : f->least;
}
