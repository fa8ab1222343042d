/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Traces of reads, and what they make the cursors fetch. The model keeps a map
 * of cells: what was fetched because it was missing (one GET with the run after
 * it) and what ahead of time.
 */
#include "prefetch/cursor.h"

#include "base/clock.h"
#include "lib/test.h"
#include "prefetch/prefetch.h"

#define MODEL_CELLS 16384 /* 2 GiB */

struct model {
	struct cursor_set set;
	struct cursor_limits limits;
	unsigned char have[MODEL_CELLS];
	bool fast;		/* what was fetched ahead is there when it is read */
	uint64_t missed;	/* reads that found a cell missing */
	uint64_t demand, ahead; /* bytes */
};

static struct model m;

static void model_reset(uint64_t size)
{
	cursor_fini(&m.set);
	m = (struct model){
		.limits = {.size = size,
			   .cap = 64 * MIB,
			   .part_max = 8 * MIB,
			   .gets = 1,
			   .random_size = PF_CELL},
	};
}

static uint64_t take(uint64_t begin, uint64_t end)
{
	uint64_t n = 0;

	for (uint64_t i = begin / PF_CELL; i < (end + PF_CELL - 1) / PF_CELL; i++) {
		n += !m.have[i];
		m.have[i] = 1;
	}
	return n * PF_CELL;
}

static void rd(uint64_t offset, uint64_t len)
{
	struct cursor_plan p;
	uint64_t missing = 0;

	if (offset + len > m.limits.size)
		len = m.limits.size - offset;
	for (uint64_t i = offset / PF_CELL; i < (offset + len + PF_CELL - 1) / PF_CELL; i++)
		missing += !m.have[i];
	m.limits.now += NSEC_PER_MSEC;
	cursor_read(&m.set, offset, len, missing > 0 || !m.fast, &m.limits, &p);
	check(p.need.begin <= offset && p.need.end >= offset + len && p.need.end <= m.limits.size);
	if (missing)
		m.demand += take(p.need.begin, p.need.end);
	m.missed += missing > 0;
	for (unsigned i = 0; i < p.nahead; i++) {
		check(p.ahead[i].begin < p.ahead[i].end && p.ahead[i].end <= m.limits.size);
		m.ahead += take(p.ahead[i].begin, p.ahead[i].end);
	}
}

static uint64_t next_random(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13, x ^= x >> 7, x ^= x << 17;
	return x;
}

static void sequential(void)
{
	model_reset(256 * MIB);
	rd(0, PF_CELL);
	check_int(m.ahead, ==, 0); /* the first read proves nothing */
	for (uint64_t pos = PF_CELL; pos < 256 * MIB; pos += PF_CELL)
		rd(pos, PF_CELL);
	check_int(m.missed, <=, 2);
	check_int(m.demand + m.ahead, ==, 256 * MIB);
}

/* A reader that never waits gets no more than it needs. */
static void far_a_first_large_read_is_sequential(void)
{
	model_reset(1024 * MIB);
	rd(0, 256 * KIB);
	check_int(m.ahead, ==, 0);
	model_reset(1024 * MIB);
	m.limits.delay = 20 * NSEC_PER_MSEC;
	rd(0, 16 * KIB); /* a header */
	check_int(m.ahead, ==, 0);
	model_reset(1024 * MIB);
	m.limits.delay = 20 * NSEC_PER_MSEC;
	rd(MIB, 256 * KIB);
	check_int(m.ahead, ==, 0);
	rd(0, 256 * KIB);
	check_int(m.ahead, ==, 768 * KIB); /* up to what was read already */
	model_reset(1024 * MIB);
	m.limits.delay = 20 * NSEC_PER_MSEC;
	rd(0, 256 * KIB);
	check_int(m.ahead, ==, MIB);
}

static void slow_reader(void)
{
	model_reset(256 * MIB);
	m.fast = true;
	for (uint64_t pos = 0; pos < 64 * MIB; pos += PF_CELL) {
		rd(pos, PF_CELL);
		check_int(m.demand + m.ahead, <=, pos + PF_CELL + 2 * m.limits.part_max);
		check_int(m.demand + m.ahead, <=, pos + PF_CELL + 2 * MIB + pos / 4);
	}
	check_int(m.missed, <=, 2);
}

static void sequential_small_reads(void)
{
	model_reset(16 * MIB);
	for (uint64_t pos = 0; pos < 16 * MIB; pos += 1000)
		rd(pos, 1000);
	check_int(m.missed, <=, 2);
	check_int(m.demand + m.ahead, ==, 16 * MIB);
}

/* The kernel's read-ahead on several threads: neighbours change places. */
static void sequential_reordered(void)
{
	const uint64_t step = 128 * KIB, n = 2048;
	uint64_t order[2048];

	model_reset(n * step);
	for (uint64_t i = 0; i < n; i++)
		order[i] = i;
	for (uint64_t i = 0; i + 4 < n; i += 3) {
		uint64_t j = i + next_random() % 4, t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	for (uint64_t i = 0; i < n; i++)
		rd(order[i] * step, step);
	check_int(m.missed, <=, 12);
	check_int(m.demand + m.ahead, ==, n * step);
}

static void large_reads_reordered(void)
{
	static const unsigned order[] = {1, 0, 3, 2, 4, 6, 5, 7, 9, 8, 10, 11, 13, 12, 14, 15};

	model_reset(64 * MIB);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		rd(order[i] * MIB, MIB);
	check_int(m.missed, <=, 4);
	check_int(m.ahead, >=, 12 * MIB);
}

static void interleaved_8(void)
{
	model_reset(GIB);
	for (uint64_t pos = 0; pos < 32 * MIB; pos += PF_CELL)
		for (uint64_t i = 0; i < CURSORS; i++)
			rd(i * 128 * MIB + pos, PF_CELL);
	check_int(m.missed, <=, 2 * CURSORS);
	/* Each of them has read 32 MiB and is at most a window ahead. */
	check_int(m.demand + m.ahead, <=, CURSORS * (32 * MIB + 64 * MIB));
}

/* Eight threads share a file out: nobody fetches what another one has read. */
static void regions_of_8(void)
{
	model_reset(GIB);
	for (uint64_t pos = 0; pos < 128 * MIB; pos += MIB)
		for (uint64_t i = 0; i < CURSORS; i++)
			rd(i * 128 * MIB + pos, MIB);
	check_int(m.demand + m.ahead, ==, GIB);
	memset(m.have, 0, sizeof(m.have)); /* all was passed and released */
	m.ahead = 0;
	for (uint64_t i = 0; i < CURSORS - 1; i++)
		rd((i + 1) * 128 * MIB - MIB, MIB);
	check_int(m.ahead, ==, 0);
}

static void random_4_kib(void)
{
	model_reset(GIB);
	for (int i = 0; i < 20000; i++)
		rd(next_random() % (GIB / 4096) * 4096, 4096);
	check_int(m.ahead, <=, 4 * MIB); /* a chance neighbour now and then */
}

/* In a small object each read is near some other one. */
static void random_in_a_small_object(void)
{
	model_reset(16 * MIB);
	for (int i = 0; i < 60; i++)
		rd(next_random() % (16 * MIB / 4096) * 4096, 4096);
	check_int(m.ahead, <=, 2 * MIB);
}

static void random_beside_a_stream(void)
{
	uint64_t pos = 0;

	model_reset(GIB);
	for (int i = 0; i < 400; i++) {
		rd(pos, PF_CELL);
		pos += PF_CELL;
		for (int k = 0; k < 3; k++)
			rd(512 * MIB + next_random() % (512 * MIB), 4096);
	}
	m.missed = 0;
	for (int i = 0; i < 100; i++, pos += PF_CELL)
		rd(pos, PF_CELL);
	check_int(m.missed, ==, 0); /* the stream kept its cursor */
	check_int(m.demand + m.ahead, <=, pos + 64 * MIB + 1200 * PF_CELL);
}

static void large_random_in_pieces(void)
{
	model_reset(2 * GIB);
	for (int i = 0; i < 200; i++) {
		uint64_t at = next_random() % 2000 * MIB;

		for (int k = 0; k < 8; k++)
			rd(at + k * PF_CELL, PF_CELL);
	}
	/* 200 MiB asked. */
	check_int(m.demand + m.ahead, <=, 2 * 200 * MIB);
}

static void strided(void)
{
	model_reset(2 * GIB);
	for (uint64_t i = 0; i < 100; i++)
		rd(i * 17 * MIB + 4096, 4096);
	check_int(m.missed, <=, 4);
	check_int(m.demand + m.ahead, <=, (100 + CURSOR_AHEAD) * PF_CELL);
}

static void stride_ends(void)
{
	model_reset(2 * GIB);
	for (uint64_t i = 0; i < 10; i++)
		rd(i * 17 * MIB, 4096);
	m.ahead = 0;
	for (int i = 0; i < 100; i++)
		rd(next_random() % (GIB / 4096) * 4096, 4096);
	check_int(m.ahead, ==, 0);
}

static void backward(void)
{
	model_reset(64 * MIB);
	for (uint64_t pos = 64 * MIB; pos > 0; pos -= PF_CELL)
		rd(pos - PF_CELL, PF_CELL);
	check_int(m.missed, <=, 10);
	check_int(m.demand + m.ahead, ==, 64 * MIB);
}

static void backward_strided(void)
{
	model_reset(2 * GIB);
	for (uint64_t i = 100; i > 0; i--)
		rd(i * 17 * MIB, 4096);
	check_int(m.missed, <=, 4);
}

static void small_object_whole(void)
{
	struct cursor_plan p;

	model_reset(300000);
	cursor_read(&m.set, 200000, 10, true, &m.limits, &p);
	check_int(p.need.begin, ==, 0);
	check_int(p.need.end, ==, 300000);
	check_int(p.nahead, ==, 0);
}

static void reading_again(void)
{
	model_reset(64 * MIB);
	for (int i = 0; i < 100; i++)
		rd(8 * MIB, 4096);
	check_int(m.ahead, ==, 0);
	check_int(m.demand, ==, PF_CELL);
}

static void budget_share(void)
{
	model_reset(256 * MIB);
	m.limits.cap = 256 * KIB;
	for (uint64_t pos = 0; pos < 64 * MIB; pos += PF_CELL) {
		rd(pos, PF_CELL);
		check_int(m.demand + m.ahead, <=, pos + PF_CELL + 256 * KIB);
	}
	m.limits.cap = 0;
	m.ahead = 0;
	for (uint64_t pos = 65 * MIB; pos < 80 * MIB; pos += PF_CELL)
		rd(pos, PF_CELL);
	check_int(m.ahead, ==, 0);
}

static void stopped_is_asked_again(void)
{
	struct cursor_plan p;

	model_reset(256 * MIB);
	rd(0, PF_CELL);
	cursor_read(&m.set, PF_CELL, PF_CELL, true, &m.limits, &p);
	require(p.sequential && p.nahead == 1);
	cursor_stopped(&m.set, p.cursor, p.ahead[0].begin);
	cursor_read(&m.set, 2 * PF_CELL, PF_CELL, true, &m.limits, &p);
	require(p.nahead == 1);
	check_int(p.ahead[0].begin, ==, 3 * PF_CELL);
}

int main(void)
{
	int r = test_run((struct test[]){
		TEST(sequential),
		TEST(far_a_first_large_read_is_sequential),
		TEST(slow_reader),
		TEST(sequential_small_reads),
		TEST(sequential_reordered),
		TEST(large_reads_reordered),
		TEST(interleaved_8),
		TEST(regions_of_8),
		TEST(random_4_kib),
		TEST(random_in_a_small_object),
		TEST(random_beside_a_stream),
		TEST(large_random_in_pieces),
		TEST(strided),
		TEST(stride_ends),
		TEST(backward),
		TEST(backward_strided),
		TEST(small_object_whole),
		TEST(reading_again),
		TEST(budget_share),
		TEST(stopped_is_asked_again),
		{0},
	});

	cursor_fini(&m.set);
	return r;
}
