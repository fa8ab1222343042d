/* SPDX-License-Identifier: Apache-2.0 */

/* When slow requests are sent twice. */
#include "lib/test.h"
#include "s3/get_hedge.h"

static void delay(void)
{
	struct get_hedge h;

	get_hedge_init(&h);
	for (unsigned i = 0; i < HEDGE_SAMPLES_MIN; i++) {
		check(get_hedge_delay(&h) == NO_DEADLINE);
		get_hedge_sample(&h, NSEC_PER_MSEC);
	}
	check_int(get_hedge_delay(&h), ==, HEDGE_DELAY_MIN);
	for (unsigned i = 0; i < HEDGE_SAMPLES; i++)
		get_hedge_sample(&h, (20 + i % 3) * NSEC_PER_MSEC);
	check_int(get_hedge_delay(&h), ==, 63 * NSEC_PER_MSEC);
	/* A few slow ones do not move the median. */
	for (unsigned i = 0; i < HEDGE_SAMPLES / 4; i++)
		get_hedge_sample(&h, 9 * NSEC_PER_SEC);
	check_int(get_hedge_delay(&h), <=, 66 * NSEC_PER_MSEC);
}

static void two_per_cent(void)
{
	struct get_hedge h;
	unsigned hedges = 0;

	get_hedge_init(&h);
	for (unsigned i = 0; i < 10000; i++) {
		get_hedge_request(&h);
		hedges += get_hedge_take(&h, 0);
	}
	check_int(hedges, ==, 201); /* one is given */
}

static void saved_up(void)
{
	struct get_hedge h;
	unsigned hedges = 0;

	get_hedge_init(&h);
	for (unsigned i = 0; i < 10000; i++)
		get_hedge_request(&h);
	while (get_hedge_take(&h, 0))
		hedges++;
	check_int(hedges, ==, 5);
}

static void quiet_when_throttled(void)
{
	struct get_hedge h;

	get_hedge_init(&h);
	get_hedge_throttled(&h, 1000);
	check(!get_hedge_take(&h, 1000 + HEDGE_QUIET_NS - 1));
	check(get_hedge_take(&h, 1000 + HEDGE_QUIET_NS));
	check(!get_hedge_take(&h, 1000 + HEDGE_QUIET_NS));
}

int main(void)
{
	return test_run((struct test[]){
		TEST(delay), TEST(two_per_cent), TEST(saved_up), TEST(quiet_when_throttled), {0}});
}
