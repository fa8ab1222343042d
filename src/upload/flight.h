/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How many parts of one upload are sent at a time. One connection to S3 takes
 * 50-90 MB/s, so that the number climbs (base/climb.h) while a writer is held back
 * by it: from `near`, or from sixteen where the server is far, or from its share
 * beside other uploads, which is half of what may be in flight where the server is
 * near. Where each takes much more, the first parts keep the server busy: more would
 * only be memory that is touched for the first time. Pure arithmetic: no I/O, no lock,
 * no clock.
 */
#ifndef UPLOAD_FLIGHT_H
#define UPLOAD_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/climb.h"

struct flight {
	unsigned parts;	 /* to be sent at a time */
	unsigned before; /* the number before the last step up */
	unsigned near;	 /* the first number near, without others */
	unsigned first;	 /* what it began with, as others came and went */
	unsigned count;	 /* parts sent in this period */
	bool held;	 /* the writer waited for its turn in it */
	bool far;
	uint64_t bytes; /* sent in all */
	uint64_t base;	/* bytes per second in the last period that was judged */
	struct climb climb;
};

void flight_init(struct flight *f, unsigned near);
/* Parts can be sent now, `most` at a time; the server answers in `delay` ns at best. */
void flight_begin(struct flight *f, uint64_t delay, unsigned most);
/* The writer has to wait until a part was sent. */
void flight_held(struct flight *f);
/* A part of so many bytes was sent. At most `most` at a time now, but two in any case. */
void flight_sent(struct flight *f, uint64_t bytes, uint64_t now, unsigned most);

#endif
