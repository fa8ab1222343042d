/* SPDX-License-Identifier: Apache-2.0 */

/* Growth of the read-ahead window. */
#include "prefetch/window.h"

#include "base/macro.h"
#include "lib/test.h"

#define CAP (64 * MIB)

/* Reads on in steps; returns the window at the end. */
static uint64_t read_on(struct window *w, uint64_t from, uint64_t to, uint64_t step, bool waits)
{
	for (uint64_t run = from; run <= to; run += step)
		window_read(w, run, waits, CAP);
	return w->size;
}

static void starts_small(void)
{
	struct window w = {0};

	window_read(&w, 256 * KIB, true, CAP);
	check_int(w.size, ==, WINDOW_MIN);
	window_read(&w, 384 * KIB, true, CAP);
	check_int(w.size, ==, WINDOW_MIN);
}

static void run_bounds_it(void)
{
	struct window w = {0};

	/* A random read of 1 MiB in eight pieces fetches no more than 1 MiB beyond. */
	check_int(read_on(&w, 256 * KIB, MIB, 128 * KIB, true), ==, MIB);
}

static void doubles_to_the_cap(void)
{
	struct window w = {0};
	uint64_t last = 0;

	for (uint64_t run = 256 * KIB; run <= 64 * MIB; run += 128 * KIB) {
		window_read(&w, run, true, CAP);
		check(w.size <= 2 * last || last == 0);
		check_int(w.size, >=, last);
		last = w.size;
	}
	check_int(last, ==, CAP);
	/* And soon: 16 MiB ahead after 16 MiB. */
	w = (struct window){0};
	check_int(read_on(&w, 256 * KIB, 16 * MIB, 128 * KIB, true), >=, 16 * MIB);
}

static void stays_when_nobody_waits(void)
{
	struct window w = {0};

	window_read(&w, 256 * KIB, true, CAP);
	check_int(read_on(&w, 384 * KIB, 100 * MIB, 128 * KIB, false), ==, WINDOW_MIN);
}

static void shrinks_with_the_cap(void)
{
	struct window w = {0};

	check_int(read_on(&w, 256 * KIB, 64 * MIB, 128 * KIB, true), ==, CAP);
	window_read(&w, 65 * MIB, true, 3 * MIB);
	check_int(w.size, ==, 3 * MIB);
	window_read(&w, 66 * MIB, true, 0);
	check_int(w.size, ==, 0);
	window_read(&w, 67 * MIB, true, CAP);
	check_int(w.size, ==, 4 * MIB);
}

static void parts(void)
{
	static const struct {
		uint64_t window, max, part;
	} rows[] = {
		{256 * KIB, 8 * MIB, MIB},    {MIB, 8 * MIB, MIB},
		{4 * MIB, 8 * MIB, MIB},      {8 * MIB, 8 * MIB, 2 * MIB},
		{16 * MIB, 8 * MIB, 4 * MIB}, {32 * MIB, 8 * MIB, 4 * MIB},
		{64 * MIB, 8 * MIB, 8 * MIB}, {GIB, 8 * MIB, 8 * MIB},
		{64 * MIB, MIB, MIB},	      {GIB, 16 * MIB, 16 * MIB},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct window w = {.size = rows[i].window};

		check_int(window_part(&w, rows[i].max), ==, rows[i].part);
	}
}

int main(void)
{
	return test_run((struct test[]){
		TEST(starts_small),
		TEST(run_bounds_it),
		TEST(doubles_to_the_cap),
		TEST(stays_when_nobody_waits),
		TEST(shrinks_with_the_cap),
		TEST(parts),
		{0},
	});
}
