/* SPDX-License-Identifier: Apache-2.0 */

/*
 * When a second request for the same bytes is worth it: somebody waits, the first
 * byte is much later than usual, and few such requests were made so far. Pure
 * arithmetic, one per loop.
 *
 *	delay	3 x the median of the last HEDGE_SAMPLES first bytes, at least 50 ms;
 *		never, before HEDGE_SAMPLES_MIN are known
 *	credit	each request gives 2 %, a hedge takes 100 %; at most 5 are saved up
 *	quiet	none for HEDGE_QUIET_NS after the server asked to slow down
 */
#ifndef S3_GET_HEDGE_H
#define S3_GET_HEDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define HEDGE_SAMPLES	  64
#define HEDGE_SAMPLES_MIN 8
#define HEDGE_DELAY_MIN	  (50 * NSEC_PER_MSEC)
#define HEDGE_STALL_NS	  NSEC_PER_SEC /* without a byte, in a body that somebody waits for */
#define HEDGE_QUIET_NS	  (5 * NSEC_PER_SEC)
#define HEDGE_PRICE	  100 /* credit of one hedge */
#define HEDGE_GAIN	  2   /* credit for each request */
#define HEDGE_CREDIT_MAX  500 /* five hedges */

struct get_hedge {
	uint64_t sample[HEDGE_SAMPLES]; /* ring, ns */
	unsigned nsamples;		/* ever */
	unsigned credit;
	uint64_t median; /* of the samples, renewed now and then */
	uint64_t quiet_until;
};

void get_hedge_init(struct get_hedge *h);
void get_hedge_request(struct get_hedge *h);
void get_hedge_sample(struct get_hedge *h, uint64_t first_byte_ns);
void get_hedge_throttled(struct get_hedge *h, uint64_t now);
/* From the request to its hedge; NO_DEADLINE: none. */
uint64_t get_hedge_delay(const struct get_hedge *h);
/* True when one may be sent now; it is paid then. */
bool get_hedge_take(struct get_hedge *h, uint64_t now);

#endif
