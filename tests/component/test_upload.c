/* SPDX-License-Identifier: Apache-2.0 */

/* The states of an upload: what is sent when, and how it fails. */
#include "lib/upload_scene.h"

static void sizes_and_requests(void)
{
	static const struct {
		uint64_t size;
		unsigned puts, parts;
	} rows[] = {
		{0, 1, 0},	  {1, 1, 0},	    {PART - 1, 1, 0},	  {PART, 1, 0},
		{PART + 1, 0, 2}, {3 * PART, 0, 3}, {3 * PART + 7, 0, 4},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct upload *u = fresh();

		reset(64);
		check_int(write_all(u, rows[i].size), ==, 0);
		check_int(upload_size(u), ==, rows[i].size);
		check_int(finish(u), ==, 0);
		check(upload_completed(u));
		check_int(finish(u), ==, 0); /* a second close gets the same answer */
		check_int(atomic_load(&counts[PUT]), ==, rows[i].puts);
		check_int(atomic_load(&counts[PART_SENT]), ==, rows[i].parts);
		check_int(atomic_load(&counts[CREATE]), ==, rows[i].parts ? 1 : 0);
		check_int(atomic_load(&counts[COMPLETE]), ==, rows[i].parts ? 1 : 0);
		check_int(atomic_load(&counts[ABORT]), ==, 0);
		check_int(atomic_load(&stored), ==, rows[i].size);
		check(!atomic_load(&wrong_bytes));
		upload_unref(u);
		check_all_freed(64);
	}
}

static void not_sequential(void)
{
	struct upload *u = fresh();

	reset(64);
	check_int(write_all(u, 2 * PART), ==, 0);
	check_int(write_pattern(u, PART, 10), ==, -EINVAL);
	check_int(write_pattern(u, 2 * PART, 10), ==, -EINVAL);
	check_int(finish(u), ==, -EINVAL);
	check_int(upload_error(u), ==, -EINVAL);
	upload_unref(u);
	wait_count(ABORT, 1);
	check_int(atomic_load(&counts[COMPLETE]), ==, 0);
	check_all_freed(64);
}

static void failure_of(enum kind kind, int number, unsigned aborts)
{
	struct upload *u = fresh();
	int r;

	reset(64);
	atomic_store(&fail_kind, (int)kind);
	atomic_store(&fail_number, number);
	r = write_all(u, kind == PUT ? 10 : 4 * PART);
	check(r == 0 || r == -EIO);
	check_int(finish(u), ==, -EIO);
	check_int(finish(u), ==, -EIO);
	check(!upload_completed(u));
	check_int(write_pattern(u, upload_size(u), 1), ==, -EIO);
	wait_count(ABORT, aborts);
	upload_unref(u);
	check_all_freed(64);
}

static void failed_put(void)
{
	failure_of(PUT, 1, 0);
}

static void failed_create(void)
{
	failure_of(CREATE, 1, 0);
}

static void failed_part(void)
{
	for (int n = 1; n <= 4; n++)
		failure_of(PART_SENT, n, 1);
}

static void failed_complete(void)
{
	failure_of(COMPLETE, 1, 1);
}

/* What goes to Complete is not what was written: no Complete. */
static void parts_that_do_not_add_up(void)
{
	struct upload *u = fresh();

	reset(64);
	atomic_store(&misplace, true);
	check_int(write_all(u, 3 * PART + 5), ==, 0);
	check_int(finish(u), ==, -EIO);
	wait_count(ABORT, 1);
	check_int(atomic_load(&counts[COMPLETE]), ==, 0);
	upload_unref(u);
	check_all_freed(64);
}

static void dropped_without_finish(void)
{
	struct upload *u = fresh();

	reset(64);
	check_int(write_all(u, 2 * PART + 5), ==, 0);
	upload_unref(u);
	wait_count(ABORT, 1);
	check_int(atomic_load(&counts[COMPLETE]), ==, 0);
	check_all_freed(64);
}

static void write_after_finish(void)
{
	struct upload *u = fresh();

	reset(64);
	check_int(write_all(u, 100), ==, 0);
	check_int(finish(u), ==, 0);
	check_int(write_pattern(u, 100, 1), ==, -EIO);
	check(upload_completed(u));
	upload_unref(u);
	check_all_freed(64);
}

int main(void)
{
	return run_tests((struct test[]){TEST(sizes_and_requests),
					 TEST(not_sequential),
					 TEST(failed_put),
					 TEST(failed_create),
					 TEST(failed_part),
					 TEST(failed_complete),
					 TEST(parts_that_do_not_add_up),
					 TEST(dropped_without_finish),
					 TEST(write_after_finish),
					 {0}});
}
