/* SPDX-License-Identifier: Apache-2.0 */

/* Growth of the read-ahead window. */
#include "prefetch/window.h"

#include "base/clock.h"
#include "base/macro.h"
#include "lib/test.h"

#define CAP	(64 * MIB)
#define STEP_NS NSEC_PER_MSEC

static uint64_t now; /* 128 MB/s */

static void rd(struct window *w, uint64_t run, bool waits, uint64_t cap)
{
	now += STEP_NS;
	window_read(w, run, waits, now, cap, 0, 0);
}

/* Reads on in steps; returns the window at the end. */
static uint64_t read_on(struct window *w, uint64_t from, uint64_t to, uint64_t step, bool waits)
{
	for (uint64_t run = from; run <= to; run += step)
		rd(w, run, waits, CAP);
	return w->size;
}

static void starts_small(void)
{
	struct window w = {0};

	rd(&w, 256 * KIB, true, CAP);
	check_int(w.size, ==, WINDOW_MIN);
	rd(&w, 384 * KIB, true, CAP);
	check_int(w.size, ==, WINDOW_MIN);
}

static void run_bounds_it(void)
{
	struct window w = {0};

	/* A random read of 1 MiB in eight pieces fetches no more than 1 MiB beyond. */
	check_int(read_on(&w, 256 * KIB, MIB, 128 * KIB, true), ==, MIB);
}

static void near_needs_no_proof(void)
{
	struct window w = {0};
	const uint64_t part = 8 * MIB;

	for (uint64_t run = 256 * KIB; run <= 64 * MIB; run += 128 * KIB) {
		now += 10 * NSEC_PER_MSEC; /* no faster by any window */
		window_read_near(&w, run, true, now, CAP, part, 1);
	}
	check_int(w.size, ==, 2 * part);
	check_int(window_part(&w, 1, part), ==, part);
	window_read_near(&w, 65 * MIB, true, now, 4 * MIB, part, 1);
	check_int(w.size, ==, 4 * MIB);
}

static void near_and_slow_has_more_gets_of_less(void)
{
	static const struct {
		unsigned gets;
		uint64_t cap, size, part;
	} rows[] = {
		{1, CAP, 64 * MIB, 32 * MIB},
		{2, CAP, 48 * MIB, 16 * MIB},
		{8, CAP, 36 * MIB, 4 * MIB},
		{10, CAP, 11 * (32 * MIB / 10), 2 * MIB},
		{32, 2 * CAP, 66 * MIB, 2 * MIB},
		{8, 24 * MIB, 24 * MIB, 2 * MIB},
		{8, MIB, MIB, MIB},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct window w = {0};

		for (uint64_t run = 256 * KIB; run <= 256 * MIB; run += 128 * KIB)
			window_read_near(&w, run, true, now, rows[i].cap, 32 * MIB, rows[i].gets);
		check_int(w.size, ==, rows[i].size);
		check_int(window_part(&w, rows[i].gets, 32 * MIB), ==, rows[i].part);
	}
}

static void grows_freely_to_8_mib(void)
{
	struct window w = {0};
	uint64_t last = 0;

	for (uint64_t run = 256 * KIB; run <= 9 * MIB; run += 128 * KIB) {
		rd(&w, run, true, CAP);
		check(w.size <= 4 * last || last == 0);
		check_int(w.size, >=, last);
		last = w.size;
	}
	check_int(last, >=, WINDOW_FREE);
}

/*
 * A line of `bandwidth` bytes per second and `delay` ns, a reader that waits
 * for each MiB and nothing else. Returns the rate of the second half, the most
 * that was in flight then, and the ns that the first 256 MiB took.
 */
static uint64_t simulate(uint64_t bandwidth, uint64_t delay, uint64_t *ret_window,
			 uint64_t *ret_start)
{
	struct {
		uint64_t bytes, at;
	} asked[8192]; /* how far, when */
	const uint64_t total = 2 * GIB;
	struct window w = {0};
	uint64_t t = 0, line = 0, edge = MIB, half = 0;
	unsigned n = 0, oldest = 0;

	asked[n].bytes = MIB, asked[n++].at = 0;
	*ret_window = 0;
	for (uint64_t run = MIB; run <= total; run += MIB) {
		/* When the MiB that ends at `run` has come. */
		while (asked[oldest].bytes < run)
			oldest++;
		line = max_u64(line, asked[oldest].at + delay) + MIB * NSEC_PER_SEC / bandwidth;
		t = max_u64(t, line);
		window_read(&w, run, true, t, CAP, delay, 0);
		if (run + max_u64(w.size, MIB) > edge) {
			edge = run + max_u64(w.size, MIB);
			asked[n].bytes = edge, asked[n++].at = t;
		}
		if (run == 256 * MIB)
			*ret_start = t;
		if (run == total / 2)
			half = t;
		if (run > total / 2 && w.size > *ret_window)
			*ret_window = w.size;
	}
	return total / 2 * 1000 / ((t - half) / 1000000 + 1);
}

static void finds_bandwidth_times_delay(void)
{
	static const struct {
		uint64_t mb_per_s, delay_ms, most;
	} rows[] = {
		{1000, 0, 16}, {1000, 1, 16},  {1000, 10, 32}, {1000, 20, 64},
		{100, 20, 16}, {100, 100, 64}, {500, 50, 64},  {3000, 10, 64},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t bandwidth = rows[i].mb_per_s * 1000000, window, start;
		uint64_t rate =
			simulate(bandwidth, rows[i].delay_ms * NSEC_PER_MSEC, &window, &start);

		printf("# %" PRIu64 " MB/s, %" PRIu64 " ms: %" PRIu64 " MB/s, window %" PRIu64
		       " MiB\n",
		       rows[i].mb_per_s, rows[i].delay_ms, rate / 1000000, window / MIB);
		check_int(rate, >=, bandwidth / 100 * 85);
		check_int(window, <=, rows[i].most * MIB);
	}
}

/* Each step costs a delay or more, and without the delay's help two. */
static void starts_in_few_delays(void)
{
	uint64_t window, start;

	(void)simulate(4000000000, 20 * NSEC_PER_MSEC, &window, &start);
	printf("# the first 256 MiB: %" PRIu64 " ms\n", start / NSEC_PER_MSEC);
	check_int(start, <=, 190 * NSEC_PER_MSEC);
}

/* What was asked for together comes together: only its first read waits. */
static void grows_when_a_read_before_has_waited(void)
{
	struct window w = {0};

	window_read(&w, MIB, true, 20 * NSEC_PER_MSEC, CAP, 20 * NSEC_PER_MSEC, 0);
	check_int(w.size, ==, WINDOW_MIN);
	window_read(&w, 2 * MIB, true, 40 * NSEC_PER_MSEC, CAP, 20 * NSEC_PER_MSEC, 0);
	check_int(w.size, ==, 4 * MIB);
	window_read(&w, 3 * MIB, true, 60 * NSEC_PER_MSEC, CAP, 20 * NSEC_PER_MSEC, 0);
	check_int(w.size, ==, 4 * MIB);
	window_read(&w, 4 * MIB, false, 60 * NSEC_PER_MSEC, CAP, 20 * NSEC_PER_MSEC, 0);
	check_int(w.size, ==, 16 * MIB);
	/* this one has not waited yet */
	window_read(&w, 12 * MIB, false, 61 * NSEC_PER_MSEC, CAP, 20 * NSEC_PER_MSEC, 0);
	check_int(w.size, ==, 16 * MIB);
}

/* 4 MiB in `ms`, with a delay of 20 ms. */
static void what_comes_at_once_needs_no_proof(void)
{
	static const struct {
		uint64_t ms, size;
	} rows[] = {{21, 16 * MIB}, {29, 16 * MIB}, {31, 8 * MIB}, {60, 8 * MIB}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const uint64_t delay = 20 * NSEC_PER_MSEC;
		struct window w = {0};

		window_read(&w, 4 * MIB, true, NSEC_PER_SEC, CAP, delay, 0);
		check_int(w.size, ==, 4 * MIB);
		window_read(&w, 8 * MIB, true, NSEC_PER_SEC + rows[i].ms * NSEC_PER_MSEC, CAP,
			    delay, 0);
		check_int(w.size, ==, rows[i].size);
	}
}

static void starts_with_what_is_usual(void)
{
	struct window w = {0};

	window_read(&w, 128 * KIB, true, now, CAP, 20 * NSEC_PER_MSEC, 16 * MIB);
	check_int(w.size, ==, 16 * MIB);
	w = (struct window){0};
	window_read(&w, 128 * KIB, true, now, 3 * MIB, 20 * NSEC_PER_MSEC, 16 * MIB);
	check_int(w.size, ==, 3 * MIB);
}

static void stays_small_when_nobody_waits(void)
{
	struct window w = {0};

	rd(&w, 256 * KIB, true, CAP);
	check_int(read_on(&w, 384 * KIB, 7 * MIB, 128 * KIB, false), ==, WINDOW_MIN);
	check_int(read_on(&w, 7 * MIB, GIB, 128 * KIB, false), ==, WINDOW_FREE);
}

static void shrinks_with_the_cap(void)
{
	struct window w = {0};

	check_int(read_on(&w, 256 * KIB, 64 * MIB, 128 * KIB, true), >=, WINDOW_FREE);
	rd(&w, 65 * MIB, true, 3 * MIB);
	check_int(w.size, ==, 3 * MIB);
	rd(&w, 66 * MIB, true, 0);
	check_int(w.size, ==, 0);
	rd(&w, 67 * MIB, true, CAP);
	check_int(w.size, ==, 4 * MIB);
}

static void parts(void)
{
	static const struct {
		uint64_t window, max, near, far;
	} rows[] = {
		{256 * KIB, 8 * MIB, MIB, MIB},
		{MIB, 8 * MIB, MIB, MIB},
		{2 * MIB, 8 * MIB, MIB, MIB},
		{4 * MIB, 8 * MIB, 2 * MIB, 2 * MIB},
		{16 * MIB, 8 * MIB, 8 * MIB, 2 * MIB},
		{32 * MIB, 8 * MIB, 8 * MIB, 2 * MIB},
		{64 * MIB, 8 * MIB, 8 * MIB, 2 * MIB},
		{GIB, 8 * MIB, 8 * MIB, 8 * MIB},
		{64 * MIB, MIB, MIB, MIB},
		{GIB, 16 * MIB, 16 * MIB, 16 * MIB},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct window w = {.size = rows[i].window};

		check_int(window_part(&w, 1, rows[i].max), ==, rows[i].near);
		check_int(window_part(&w, 31, rows[i].max), ==, rows[i].far);
	}
}

int main(void)
{
	return test_run((struct test[]){
		TEST(starts_small),
		TEST(run_bounds_it),
		TEST(near_needs_no_proof),
		TEST(near_and_slow_has_more_gets_of_less),
		TEST(grows_freely_to_8_mib),
		TEST(finds_bandwidth_times_delay),
		TEST(starts_in_few_delays),
		TEST(grows_when_a_read_before_has_waited),
		TEST(what_comes_at_once_needs_no_proof),
		TEST(starts_with_what_is_usual),
		TEST(stays_small_when_nobody_waits),
		TEST(shrinks_with_the_cap),
		TEST(parts),
		{0},
	});
}
