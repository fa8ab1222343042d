/* SPDX-License-Identifier: Apache-2.0 */

/* How many GETs at a time a reader has from a server that is near. */
#include "prefetch/width.h"

#include "base/clock.h"
#include "base/macro.h"
#include "lib/test.h"

#define ENOUGH	 1000000000
#define MB	 1000000
#define READ	 (128 * KIB)
#define PART_MAX (32 * MIB)

static int starved;

static int say_starved(void)
{
	return starved;
}

/* One mount whose readers get `connection` bytes per second of each GET, `line` in all. */
struct world {
	struct width w;
	uint64_t now, line, connection;
	unsigned readers, most;
	bool waits;
};

static void world_init(struct world *x, uint64_t line_mb, uint64_t connection_mb)
{
	*x = (struct world){.now = NSEC_PER_SEC * 100,
			    .line = line_mb * MB,
			    .connection = connection_mb * MB,
			    .readers = 1,
			    .waits = true};
	width_init(&x->w, ENOUGH);
	x->w.starved = say_starved;
	starved = 0;
}

static unsigned read_on(struct world *x, uint64_t len)
{
	for (uint64_t done = 0; done < len; done += READ) {
		uint64_t gets = (uint64_t)width_gets(&x->w) * x->readers;

		x->now += READ * NSEC_PER_SEC / min_u64(x->line, gets * x->connection);
		width_read(&x->w, READ, x->waits, x->now, x->readers, PART_MAX);
		x->most = width_gets(&x->w) > x->most ? width_gets(&x->w) : x->most;
	}
	return width_gets(&x->w);
}

static void finds_how_many_fill_the_line(void)
{
	static const struct {
		uint64_t line_mb, connection_mb;
		unsigned readers, gets, most;
	} rows[] = {
		{3000, 2000, 1, 1, 1}, /* enough by one: nothing is tried */
		{900, 900, 1, 1, 8},   {3000, 80, 1, 32, 32}, {600, 80, 1, 8, 32},
		{3000, 300, 1, 8, 8},  {3000, 80, 4, 8, 8},   {800, 800, 4, 1, 8},
		{900, 80, 16, 1, 2}, /* they have 16 in all, which is enough */
		{400, 10, 16, 2, 2},   {400, 1, 64, 1, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct world x;
		unsigned n;

		world_init(&x, rows[i].line_mb, rows[i].connection_mb);
		x.readers = rows[i].readers;
		n = read_on(&x, x.readers * GIB);
		printf("# %u readers, %" PRIu64 " MB/s by connections of %" PRIu64
		       ": %u, at most %u\n",
		       x.readers, rows[i].line_mb, rows[i].connection_mb, n, x.most);
		check_int(n, ==, rows[i].gets);
		check_int(x.most, ==, rows[i].most);
		width_fini(&x.w);
	}
}

static void small_gets_until_it_is_known(void)
{
	struct world x;

	world_init(&x, 3000, 2000);
	check_int(width_part(&x.w, PART_MAX), ==, 4 * MIB);
	check_int(width_part(&x.w, MIB), ==, MIB);
	(void)read_on(&x, 512 * MIB);
	check_int(width_part(&x.w, PART_MAX), ==, PART_MAX);
	width_fini(&x.w);
}

static void nothing_is_tried_without_a_cpu(void)
{
	struct world x;

	world_init(&x, 3000, 80);
	starved = 30;
	check_int(read_on(&x, GIB), ==, 1);
	starved = -1; /* unknown: later */
	check_int(read_on(&x, GIB), ==, 1);
	starved = 5;
	check_int(read_on(&x, GIB), ==, 32);
	width_fini(&x.w);
}

static void who_never_waits_needs_no_more(void)
{
	struct world x;

	world_init(&x, 3000, 80);
	x.waits = false;
	check_int(read_on(&x, GIB), ==, 1);
	width_fini(&x.w);
}

static void forgets_when_nobody_reads(void)
{
	struct world x;

	world_init(&x, 3000, 80);
	check_int(read_on(&x, GIB), ==, 32);
	x.now += 2 * NSEC_PER_SEC;
	check_int(read_on(&x, READ), ==, 32);
	x.now += 10 * NSEC_PER_SEC;
	check_int(read_on(&x, READ), ==, 1);
	check_int(width_part(&x.w, PART_MAX), ==, 4 * MIB);
	width_fini(&x.w);
}

static void shares_with_new_readers(void)
{
	struct world x;

	world_init(&x, 3000, 80);
	check_int(read_on(&x, GIB), ==, 32);
	x.readers = 4;
	check_int(read_on(&x, READ), ==, 8);
	x.readers = 64;
	check_int(read_on(&x, READ), ==, 1);
	width_fini(&x.w);
}

/* A line that became quicker when a reader came is no proof for more GETs. */
static void another_reader_is_no_gain(void)
{
	struct world x;

	world_init(&x, 100, 100);
	(void)read_on(&x, 24 * MIB);
	while (x.readers < 8) {
		x.readers++;
		x.line += 100 * MB;
		(void)read_on(&x, x.readers * 12 * MIB);
	}
	check_int(read_on(&x, 8 * GIB), ==, 1);
	width_fini(&x.w);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(finds_how_many_fill_the_line),
		TEST(small_gets_until_it_is_known),
		TEST(nothing_is_tried_without_a_cpu),
		TEST(who_never_waits_needs_no_more),
		TEST(forgets_when_nobody_reads),
		TEST(shares_with_new_readers),
		TEST(another_reader_is_no_gain),
		{0},
	});
}
