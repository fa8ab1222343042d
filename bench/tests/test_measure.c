/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures that the drivers print: percentiles of known durations, tallies
 * that are merged, orders that lose nothing, sizes as they are typed.
 */
#include <errno.h>

#include "../args.h"
#include "../measure.h"
#include "lib/test.h"

static struct tally a, b;

static void ranks_are_near(void)
{
	static struct hist h;

	for (uint64_t us = 1; us <= 10000; us++)
		hist_add(&h, us * 1000);
	check_int(hist_rank(&h, 0.50), >=, 5000000);
	check_int(hist_rank(&h, 0.50), <=, 5000000 * 102 / 100);
	check_int(hist_rank(&h, 0.99), >=, 9900000);
	check_int(hist_rank(&h, 0.99), <=, 9900000 * 102 / 100);
	check_int(hist_rank(&h, 1.0), ==, 10000000);
}

static void small_and_huge_durations_have_bins(void)
{
	static struct hist h;

	hist_add(&h, 0);
	check_int(hist_rank(&h, 1.0), ==, 0);
	hist_add(&h, 63);
	check_int(hist_rank(&h, 1.0), ==, 63);
	hist_add(&h, UINT64_MAX);
	check_int(h.count, ==, 3);
	check(hist_rank(&h, 1.0) == UINT64_MAX);
	check_int(hist_rank(&h, 0.5), ==, 0);
}

static void an_empty_histogram_has_no_duration(void)
{
	static struct hist h;

	check_int(hist_rank(&h, 0.99), ==, 0);
}

static void merging_adds(void)
{
	tally_op(&a, now_ns(), 10);
	tally_op(&b, now_ns(), 30);
	tally_op(&b, now_ns(), -ENOENT);
	tally_merge(&a, &b);
	check_int(a.ops, ==, 2);
	check_int(a.bytes, ==, 40);
	check_int(a.errors, ==, 1);
	check_int(a.first_error, ==, ENOENT);
	check_int(a.lat.count, ==, 2);
}

static void an_order_has_each_number_once(void)
{
	uint32_t order[1000], again[1000];
	bool seen[1000] = {false};
	unsigned moved = 0;

	random_order(order, 1000, 7);
	random_order(again, 1000, 7);
	for (unsigned i = 0; i < 1000; i++) {
		require(order[i] < 1000);
		check(!seen[order[i]]);
		seen[order[i]] = true;
		moved += order[i] != i;
		check_int(order[i], ==, again[i]);
	}
	check_int(moved, >, 900);
}

static void random_numbers_stay_below(void)
{
	uint64_t state = 3, most = 0;

	for (unsigned i = 0; i < 10000; i++) {
		uint64_t n = random_below(&state, 10);

		require(n < 10);
		most = n > most ? n : most;
	}
	check_int(most, ==, 9);
}

static void sizes_have_units(void)
{
	uint64_t n = 0;

	check_int(parse_size("128K", &n), ==, 0);
	check_int(n, ==, 131072);
	check_int(parse_size("2g", &n), ==, 0);
	check_int(n, ==, 2LL << 30);
	check_int(parse_size("", &n), ==, -EINVAL);
	check_int(parse_size("K", &n), ==, -EINVAL);
	check_int(parse_size("1KB", &n), ==, -EINVAL);
	check_int(parse_size("-1", &n), ==, -EINVAL);
	check_int(parse_size("99999999999999999999", &n), ==, -ERANGE);
	check_int(parse_size("99999999999G", &n), ==, -ERANGE);
	check_int(n, ==, 2LL << 30);
}

static void seconds_have_a_point(void)
{
	double t = 0;

	check_int(parse_seconds("2.25", &t), ==, 0);
	check_int((int64_t)(t * 100 + 0.5), ==, 225);
	check_int(parse_seconds("1.2.3", &t), ==, -EINVAL);
	check_int(parse_seconds(".", &t), ==, -EINVAL);
	check_int(parse_seconds("5s", &t), ==, -EINVAL);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(ranks_are_near),
		TEST(small_and_huge_durations_have_bins),
		TEST(an_empty_histogram_has_no_duration),
		TEST(merging_adds),
		TEST(an_order_has_each_number_once),
		TEST(random_numbers_stay_below),
		TEST(sizes_have_units),
		TEST(seconds_have_a_point),
		{0},
	});
}
