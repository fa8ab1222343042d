/* SPDX-License-Identifier: Apache-2.0 */

/* How many parts of an upload are sent at a time. */
#include "fuse/upload_flight.h"

#include "base/clock.h"
#include "base/macro.h"
#include "lib/test.h"

#define PART  (8 * MIB)
#define LEAST 4
#define MOST  32

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
		uint64_t line_mb, connection_mb;
		unsigned least, most;
	} rows[] = {
		{1000, 1000, 4, 1}, /* each is fast: no trial */
		{500, 500, 4, 2},   {300, 80, 4, 4},	{600, 80, 8, 8},
		{1000, 80, 16, 16}, {3000, 80, 32, 32}, {10, 1, 16, 16},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct flight f;
		unsigned n, most;

		flight_init(&f, LEAST);
		flight_answered(&f, 20 * NSEC_PER_MSEC);
		n = send(&f, 2 * GIB, rows[i].line_mb * 1000000, rows[i].connection_mb * 1000000,
			 true, MOST, &most);
		printf("# %" PRIu64 " MB/s by connections of %" PRIu64 ": %u, at most %u\n",
		       rows[i].line_mb, rows[i].connection_mb, n, most);
		check_int(n, >=, rows[i].least);
		check_int(most, <=, rows[i].most * 4); /* it has to try more */
	}
}

/* A server that is all the machine can give: 360 MB/s, a sixth more or less each time. */
static void what_varies_is_no_gain(void)
{
	static const unsigned percent[] = {100, 84, 116, 90, 97, 112, 85, 116, 95};
	uint64_t now = NSEC_PER_SEC;
	struct flight f;
	unsigned round = 0, climbed = 0, trials = 0, before;

	flight_init(&f, LEAST);
	while (now < 60 * NSEC_PER_SEC) {
		before = f.parts;
		for (unsigned i = 0; i < before; i++) {
			now += PART * 100 / percent[round % ARRAY_SIZE(percent)] * NSEC_PER_SEC /
			       360000000;
			flight_held(&f);
			flight_sent(&f, PART, now, MOST);
		}
		round++;
		climbed += f.parts > 2 * LEAST;
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

	flight_init(&f, LEAST);
	flight_answered(&f, 20 * NSEC_PER_MSEC);
	check_int(send(&f, 512 * MIB, 3000000000, 80000000, true, MOST, &most), >=, 16);
}

static void a_slow_writer_needs_no_more(void)
{
	struct flight f;
	unsigned most;

	flight_init(&f, LEAST);
	(void)send(&f, 4 * GIB, 3000000000, 80000000, false, MOST, &most);
	check_int(most, ==, LEAST);
}

static void no_more_than_others_leave(void)
{
	struct flight f;
	unsigned most;

	flight_init(&f, LEAST);
	(void)send(&f, 4 * GIB, 3000000000, 80000000, true, 6, &most);
	check_int(most, ==, 6);
	check_int(send(&f, GIB, 3000000000, 80000000, true, 0, &most), ==, LEAST);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(finds_how_many_fill_the_line),
		TEST(what_varies_is_no_gain),
		TEST(few_parts_find_it),
		TEST(a_slow_writer_needs_no_more),
		TEST(no_more_than_others_leave),
		{0},
	});
}
