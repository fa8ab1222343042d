/* SPDX-License-Identifier: Apache-2.0 */

#include "fuse/upload_flight.h"

#include "base/macro.h"

void flight_init(struct flight *f, unsigned parts, unsigned most)
{
	*f = (struct flight){.parts = parts, .before = parts, .most = most > parts ? most : parts};
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
	switch (climb_judge(&f->climb, rate)) {
	case CLIMB_UP:
		f->before = f->parts;
		f->parts = f->parts * 2 < f->most ? f->parts * 2 : f->most;
		break;
	case CLIMB_BACK:
		f->parts = f->before;
		break;
	case CLIMB_STAY:
		break;
	}
}

void flight_sent(struct flight *f, uint64_t bytes, uint64_t now)
{
	uint64_t rate;

	f->bytes += bytes;
	if (f->climb.since_ns == 0 || (++f->count >= f->parts && !f->held)) {
		begin_period(f, now);
		return;
	}
	if (f->count < f->parts)
		return;
	rate = climb_rate(&f->climb, f->bytes, now);
	if (rate == 0)
		return;
	judge(f, rate);
	begin_period(f, now);
}
