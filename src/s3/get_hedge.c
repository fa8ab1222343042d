/* SPDX-License-Identifier: Apache-2.0 */

#include "s3/get_hedge.h"

#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

#define RENEW 8 /* samples between two medians */

void get_hedge_init(struct get_hedge *h)
{
	memset(h, 0, sizeof(*h));
	h->credit = HEDGE_PRICE;
}

void get_hedge_request(struct get_hedge *h)
{
	h->credit = (unsigned)min_u64(h->credit + HEDGE_GAIN, HEDGE_CREDIT_MAX);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void get_hedge_sample(struct get_hedge *h, uint64_t first_byte_ns)
{
	uint64_t sorted[HEDGE_SAMPLES];

	h->sample[h->nsamples++ % HEDGE_SAMPLES] = first_byte_ns;
	if (h->nsamples < HEDGE_SAMPLES_MIN || h->nsamples % RENEW != 0)
		return;
	unsigned n = (unsigned)min_u64(h->nsamples, HEDGE_SAMPLES);
	memcpy(sorted, h->sample, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), compare);
	h->median = sorted[n / 2];
}

void get_hedge_throttled(struct get_hedge *h, uint64_t now)
{
	h->quiet_until = now + HEDGE_QUIET_NS;
}

uint64_t get_hedge_delay(const struct get_hedge *h)
{
	if (h->nsamples < HEDGE_SAMPLES_MIN)
		return NO_DEADLINE;
	return max_u64(3 * h->median, HEDGE_DELAY_MIN);
}

bool get_hedge_take(struct get_hedge *h, uint64_t now)
{
	if (h->credit < HEDGE_PRICE || now < h->quiet_until)
		return false;
	h->credit -= HEDGE_PRICE;
	return true;
}
