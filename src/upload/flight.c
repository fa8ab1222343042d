/* SPDX-License-Identifier: Apache-2.0 */

#include "upload/flight.h"

#include "base/clock.h"
#include "base/least.h"
#include "base/macro.h"

#define LEAST_PARTS	2	  /* one is prepared while the other is sent */
#define FAR_PARTS	16	  /* S3 takes 50-90 MB/s by connection */
#define SLOW_CONNECTION 100000000 /* many more are tried at once */
#define FAST_CONNECTION 150000000 /* bytes per second, twice what S3 gives */

static void begin_with(struct flight *f, uint64_t parts)
{
	f->parts = f->before = f->first = (unsigned)max_u64(parts, LEAST_PARTS);
}

static void take_share(struct flight *f, unsigned most)
{
	begin_with(f, f->far ? min_u64(FAR_PARTS, most) : min_u64(f->near, most / 2));
}

void flight_init(struct flight *f, unsigned near)
{
	*f = (struct flight){.near = near};
	begin_with(f, LEAST_PARTS);
}

void flight_begin(struct flight *f, uint64_t delay, unsigned most)
{
	f->far = delay != LEAST_NONE && delay >= LEAST_FAR;
	take_share(f, most);
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
	bool likely = f->far || f->parts > f->first; /* else it may be a server that is busy */
	unsigned step = likely && rate / f->parts < SLOW_CONNECTION ? 4 : 2;

	if (climb_is_filling(&f->climb) && rate < f->base) {
		climb_back(&f->climb); /* more parts at once end sooner, or not at all */
		f->parts = f->before;
		return;
	}
	f->base = rate;
	/* a busy server's rate varies by a sixth, and is no gain */
	switch (climb_judge(&f->climb, rate, f->parts <= f->first)) {
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
	return f->parts <= f->first ? 2 * f->parts : f->parts;
}

void flight_sent(struct flight *f, uint64_t bytes, uint64_t now, unsigned most)
{
	f->bytes += bytes;
	if (f->climb.since_ns == 0)
		begin_period(f, now);
	else if (++f->count >= period_parts(f))
		end_period(f, now);
	if (f->parts == f->first)
		take_share(f, most);
	else if (f->parts > most)
		f->parts = (unsigned)max_u64(most, LEAST_PARTS);
}
