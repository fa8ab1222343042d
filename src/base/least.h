/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The least value of some time, as of this period and the one before: of times to
 * an answer the distance, since work and a busy machine lengthen some, and
 * distance lengthens all. A period ends with the first value after its time, so that
 * what is known holds until something newer is. Any thread; no lock: values that
 * come together may be counted to either period.
 */
#ifndef BASE_LEAST_H
#define BASE_LEAST_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"

#define LEAST_NONE UINT64_MAX
/* Of times to an answer: a server on this machine or in this rack takes less, S3 more. */
#define LEAST_FAR (4 * NSEC_PER_MSEC)

struct least {
	_Atomic uint64_t now, before; /* LEAST_NONE: no value */
	_Atomic uint64_t since;	      /* ns */
};

void least_init(struct least *l);
/* `period` and `now` (clock_now()) in ns. */
void least_note(struct least *l, uint64_t value, uint64_t now, uint64_t period);
/* LEAST_NONE before the first value. */
uint64_t least_of(const struct least *l);

#endif
