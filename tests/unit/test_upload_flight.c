/* SPDX-License-Identifier: Apache-2.0 */

/* How many parts of an upload are sent at a time. */
#include "upload/flight.h"

#include "base/clock.h"
#include "base/least.h"
#include "base/macro.h"
#include "lib/test.h"

#define PART (8 * MIB)
#define NEAR 4
#define MOST 32

/*
 * Parts go over a line of `line` bytes per second by connections that give
 * `connection` each, round by round. Returns the number at a time after so many
 * bytes, and the most that there ever were.
 */
static unsigned send(struct flight *f, uint64_t total, uint64_t line, uint64_t connection,
		     bool held, unsigned limit, unsigned *ret_most)
{
	uint64_t now = NSEC_PER_SEC;

	*ret_most = 0;
	for (uint64_t sent = 0; sent < total; sent += f->parts * PART) {
		unsigned n = f->parts;
		uint64_t rate = min_u64(line, n * connection);

		*ret_most = n > *ret_most ? n : *ret_most;
		for (unsigned i = 0; i < n; i++) {
			now += PART * NSEC_PER_SEC / rate;
			if (held)
				flight_held(f);
			flight_sent(f, PART, now, limit);
		}
	}
	return f->parts;
}

static void finds_how_many_fill_the_line(void)
{
	static const struct {
		uint64_t delay_ms, line_mb, connection_mb;
		unsigned least, most;
	} rows[] = {
		{0, 1000, 1000, 4, 4}, /* each is fast: no trial */
		{0, 500, 500, 4, 8},	{0, 300, 80, 4, 8},
		{0, 600, 80, 8, 32}, /* it has to try more */
		{0, 1000, 80, 16, 32},	{20, 1000, 1000, 16, 32},
		{20, 300, 80, 16, 32},	{20, 1000, 80, 16, 32},
		{20, 3000, 80, 32, 32}, {20, 10, 1, 16, 32},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct flight f;
		unsigned n, most;

		flight_init(&f, NEAR);
		flight_begin(&f, rows[i].delay_ms * NSEC_PER_MSEC, MOST);
		n = send(&f, 2 * GIB, rows[i].line_mb * 1000000, rows[i].connection_mb * 1000000,
			 true, MOST, &most);
		printf("# %" PRIu64 " ms, %" PRIu64 " MB/s by connections of %" PRIu64
		       ": %u, at most %u\n",
		       rows[i].delay_ms, rows[i].line_mb, rows[i].connection_mb, n, most);
		check_int(n, >=, rows[i].least);
		check_int(most, <=, rows[i].most);
	}
}

/* A server that is all the machine can give: 360 MB/s, a sixth more or less each time. */
static void what_varies_is_no_gain(void)
{
	static const unsigned percent[] = {100, 84, 116, 90, 97, 112, 85, 116, 95};
	uint64_t now = NSEC_PER_SEC;
	struct flight f;
	unsigned round = 0, climbed = 0, trials = 0, before;

	flight_init(&f, NEAR);
	flight_begin(&f, LEAST_NONE, MOST);
	while (now < 60 * NSEC_PER_SEC) {
		before = f.parts;
		for (unsigned i = 0; i < before; i++) {
			now += PART * 100 / percent[round % ARRAY_SIZE(percent)] * NSEC_PER_SEC /
			       360000000;
			flight_held(&f);
			flight_sent(&f, PART, now, MOST);
		}
		round++;
		climbed += f.parts > 2 * NEAR;
		trials += f.parts > before;
	}
	printf("# %u periods, %u trials, %u periods beyond what was tried first\n", round, trials,
	       climbed);
	check_int(climbed, ==, 0);
	check_int(trials, >=, 2);
	check_int(trials, <=, 5); /* after 3, 6, 12, 24 s */
}

static void few_parts_find_it(void)
{
	struct flight f;
	unsigned most;

	flight_init(&f, NEAR);
	flight_begin(&f, 20 * NSEC_PER_MSEC, MOST);
	check_int(f.parts, ==, 16);
	check_int(send(&f, 768 * MIB, 3000000000, 80000000, true, MOST, &most), ==, 32);
}

static void a_slow_writer_needs_no_more(void)
{
	struct flight f;
	unsigned most;

	flight_init(&f, NEAR);
	flight_begin(&f, LEAST_NONE, MOST);
	(void)send(&f, 4 * GIB, 3000000000, 80000000, false, MOST, &most);
	check_int(most, ==, NEAR);
}

static void no_more_than_others_leave(void)
{
	struct flight f;
	unsigned most;

	flight_init(&f, NEAR);
	flight_begin(&f, LEAST_NONE, MOST);
	(void)send(&f, 4 * GIB, 3000000000, 80000000, true, 6, &most);
	check_int(most, ==, 6);
	check_int(send(&f, GIB, 3000000000, 80000000, true, 0, &most), ==, 2);
}

static void others_have_theirs_from_the_start(void)
{
	struct flight f;

	flight_init(&f, NEAR);
	flight_begin(&f, 20 * NSEC_PER_MSEC, 10);
	check_int(f.parts, ==, 10);
	flight_begin(&f, 20 * NSEC_PER_MSEC, 0);
	check_int(f.parts, ==, 2);
}

/* A server whose connections are so fast that nothing is tried. */
static void a_near_share_follows_the_others(void)
{
	uint64_t now = NSEC_PER_SEC;
	struct flight f;

	flight_init(&f, NEAR);
	check_int(f.parts, ==, 2);
	flight_begin(&f, 0, MOST);
	check_int(f.parts, ==, NEAR);
	flight_begin(&f, 0, MOST / 8);
	check_int(f.parts, ==, 2);
	flight_sent(&f, PART, now, MOST / 5);
	check_int(f.parts, ==, 3);
	flight_sent(&f, PART, now, MOST);
	check_int(f.parts, ==, NEAR);
}

/* Before the first answer nobody knows. */
static void what_is_not_known_is_near(void)
{
	struct flight f;

	flight_init(&f, NEAR);
	flight_begin(&f, LEAST_NONE, MOST);
	check_int(f.parts, ==, NEAR);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(finds_how_many_fill_the_line),
		TEST(what_varies_is_no_gain),
		TEST(few_parts_find_it),
		TEST(a_slow_writer_needs_no_more),
		TEST(no_more_than_others_leave),
		TEST(others_have_theirs_from_the_start),
		TEST(a_near_share_follows_the_others),
		TEST(what_is_not_known_is_near),
		{0},
	});
}
