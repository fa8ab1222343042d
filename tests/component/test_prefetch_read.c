/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reads through the engine: bytes, ends of objects, numbers of GETs, one
 * download for many readers, order of arrival.
 */
#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "lib/on_loop.h"
#include "lib/pf_rig.h"
#include "lib/test.h"
#include "prefetch/engine.h"

static void reads_at_the_edges(void)
{
	const uint64_t size = 3 * MIB + 12345;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){0});
	s = rig_stream(&rig, "edges", size);
	check_int(rig_pread(s, 0, 1), ==, 1);
	check_int(rig_pread(s, size - 1, 100), ==, 1);
	check_int(rig_pread(s, size, 100), ==, 0);
	check_int(rig_pread(s, size + MIB, 100), ==, 0);
	check_int(rig_pread(s, UINT64_MAX - 5, 100), ==, 0);
	check_int(rig_pread(s, 0, 0), ==, 0);
	check_int(rig_pread(s, 1, MIB), ==, MIB);
	check_int(rig_pread(s, PF_CELL - 1, 2), ==, 2);
	check_int(rig_pread(s, MIB - 1, MIB), ==, MIB);
	check_int(rig_pread(s, 3 * MIB, MIB), ==, 12345);
	check_int(rig_pread(s, 3 * MIB + 12000, MIB), ==, 345);
	pf_close(s);
	s = rig_stream(&rig, "empty", 0);
	check_int(rig_pread(s, 0, 100), ==, 0);
	pf_close(s);
	rig_fini(&rig);
}

static void sequential_64_mib(void)
{
	const uint64_t size = 64 * MIB;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){0});
	s = rig_stream(&rig, "sequential", size);
	for (uint64_t pos = 0; pos < size; pos += 128 * KIB)
		check_int(rig_pread(s, pos, 128 * KIB), ==, 128 * KIB);
	check_int(memory_source_asked(rig.memory), ==, size);
	/* 1 + the first MiB, then parts that grow to 8 MiB: no more than one per MiB. */
	check_int(memory_source_count(rig.memory), <=, 65);
	pf_close(s);
	rig_fini(&rig);
}

static void random_4_kib(void)
{
	const uint64_t size = GIB;
	struct pf_stream *s;
	uint64_t x = 1;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){0});
	s = rig_stream(&rig, "random", size);
	for (int i = 0; i < 1000; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		check_int(rig_pread(s, x % (size / 4096) * 4096, 4096), ==, 4096);
	}
	/* 128 KiB of each read; not one byte fetched ahead. */
	check_int(memory_source_count(rig.memory), <=, 1000);
	check_int(memory_source_asked(rig.memory), <=, 1000 * 32 * 4096);
	pf_close(s);
	rig_fini(&rig);
}

/* Far more than the kernel is likely to ask for again at once, and well within the budget. */
static void lone_reads_find_what_others_fetched(void)
{
	const unsigned cells = 768, step = 451; /* no common factor: each cell once a round */
	const uint64_t size = cells * (uint64_t)PF_CELL;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.budget = 256 * MIB});
	s = rig_stream(&rig, "scattered", size);
	for (unsigned i = 0; i < 2 * cells; i++) {
		uint64_t cell = i * step % cells, inside = i * 7 % 32 * 4096;

		check_int(rig_pread(s, cell * PF_CELL + inside, 4096), ==, 4096);
	}
	check_int(memory_source_asked(rig.memory), ==, size);
	check_int(memory_source_count(rig.memory), <=, cells);
	pf_close(s);
	rig_fini(&rig);
}

static void small_object_comes_whole(void)
{
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){0});
	s = rig_stream(&rig, "small", 700000);
	check_int(rig_pread(s, 400000, 10), ==, 10);
	check_int(rig_pread(s, 0, MIB), ==, 700000);
	check_int(memory_source_count(rig.memory), ==, 1);
	check_int(memory_source_asked(rig.memory), ==, 700000);
	pf_close(s);
	rig_fini(&rig);
}

#define READERS 16

struct reader {
	pthread_t thread;
	struct rig *rig;
	uint64_t size;
	bool right;
};

static void *read_all(void *arg)
{
	struct reader *me = arg;
	struct pf_stream *s = rig_stream(me->rig, "shared", me->size);

	me->right = true;
	for (uint64_t pos = 0; pos < me->size; pos += 256 * KIB)
		if (rig_pread(s, pos, 256 * KIB) != 256 * KIB)
			me->right = false;
	pf_close(s);
	return NULL;
}

static void one_download_for_16(void)
{
	struct reader readers[READERS];
	const uint64_t size = 16 * MIB;
	struct pf_stream *keep;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){
			       .budget = 256 * MIB,
			       .script = {.head_delay_ns = 1000000},
		       });
	keep = rig_stream(&rig, "shared", size); /* a reader that has not begun */
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.rig = &rig, .size = size};
		(void)pthread_create(&readers[i].thread, NULL, read_all, &readers[i]);
	}
	for (int i = 0; i < READERS; i++) {
		(void)pthread_join(readers[i].thread, NULL);
		check(readers[i].right);
	}
	check_int(memory_source_asked(rig.memory), ==, size);
	pf_close(keep);
	rig_fini(&rig);
}

static void arrivals_out_of_order(void)
{
	struct rig_read a, b, both;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.script = {.hold = true}});
	s = rig_stream(&rig, "order", 64 * MIB);
	rig_read_start(&a, s, 10 * MIB, PF_CELL);
	check(memory_source_wait(rig.memory, 1));
	rig_read_start(&b, s, 10 * MIB + 2 * PF_CELL, PF_CELL);
	check(memory_source_wait(rig.memory, 2));
	/* Lacks the middle only; waits for all three. */
	rig_read_start(&both, s, 10 * MIB + 100, 3 * PF_CELL - 200);
	check(memory_source_wait(rig.memory, 3));
	check_int(memory_source_record(rig.memory, 2).offset, ==, 10 * MIB + PF_CELL);
	check_int(memory_source_record(rig.memory, 2).length, ==, PF_CELL);
	memory_source_allow(rig.memory, 1, UINT64_MAX);
	check(rig_read_wait(&b) && b.err == 0 && b.right);
	memory_source_allow(rig.memory, 2, UINT64_MAX);
	memory_source_allow(rig.memory, 0, 10 * MIB + PF_CELL / 2);
	check(!rig_read_ended(&a) && !rig_read_ended(&both));
	memory_source_allow(rig.memory, 0, UINT64_MAX);
	check(rig_read_wait(&a) && a.right);
	check(rig_read_wait(&both) && both.err == 0 && both.right);
	check_int(both.len, ==, 3 * PF_CELL - 200);
	pf_close(s);
	rig_fini(&rig);
}

/* A cell is answered from as soon as it is there, not when its GET ends. */
static void first_cell_before_the_rest(void)
{
	struct rig_read first, last;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.script = {.hold = true}});
	s = rig_stream(&rig, "early", MIB);
	rig_read_start(&first, s, 0, 4096);
	rig_read_start(&last, s, MIB - 4096, 4096);
	check(memory_source_wait(rig.memory, 1));
	memory_source_allow(rig.memory, 0, PF_CELL);
	check(rig_read_wait(&first) && first.right);
	check(!rig_read_ended(&last));
	memory_source_allow(rig.memory, 0, UINT64_MAX);
	check(rig_read_wait(&last) && last.right);
	check_int(memory_source_count(rig.memory), ==, 1);
	pf_close(s);
	rig_fini(&rig);
}

#define NEVER  (3600 * NSEC_PER_SEC)
#define BEYOND (8 * MIB) /* most that has come and nobody has read */
#define PACED  (256 * MIB)

static void nothing(void *arg)
{
	(void)arg;
}

static void read_in_order(struct pf_stream *s, uint64_t total)
{
	for (uint64_t pos = 0; pos < total; pos += 128 * KIB)
		check_int(rig_pread(s, pos, 128 * KIB), ==, 128 * KIB);
}

/* A stream whose GETs pause until they are resumed; the server is known to be near and fast. */
static struct pf_stream *paced(struct rig *rig)
{
	struct pf_stream *s;

	rig_init(rig,
		 &(struct rig_config){.budget = 256 * MIB,
				      .part_size = 32 * MIB,
				      .script = {.pause_max_ns = NEVER, .step_delay_ns = 100000}});
	s = rig_stream(rig, "other", GIB);
	for (uint64_t pos = 0; pf_far_delay(rig->pf); pos += 2 * MIB)
		check_int(rig_pread(s, pos % GIB, 1), ==, 1);
	read_in_order(s, MIB);
	atomic_store(&rig->pf->width.known, true);
	pf_close(s);
	check(memory_source_drain(rig->memory));
	memory_source_reset(rig->memory);
	return rig_stream(rig, "paced", PACED);
}

/*
 * Reads until far more is asked for than may be received, *ret: up to where. How soon
 * the window is that large depends on who else is computing.
 */
static void read_into_a_pause(struct rig *rig, struct pf_stream *s, uint64_t *ret)
{
	uint64_t pos = 0;

	for (; pos < PACED / 2; *ret = pos += 128 * KIB) {
		if (pos >= 32 * MIB && memory_source_asked(rig->memory) >= pos + 2 * BEYOND)
			break;
		check_int(rig_pread(s, pos, 128 * KIB), ==, 128 * KIB);
	}
	for (int i = 0; i < 2 * RIG_LOOPS; i++)
		require(on_loop(rig->loops[i % RIG_LOOPS], nothing, NULL));
}

/* From a server that is near no more is received than a reader will soon want. */
static void received_as_it_is_read(void)
{
	struct pf_stream *s;
	struct rig rig;
	uint64_t pos = 0;

	s = paced(&rig);
	read_into_a_pause(&rig, s, &pos);
	check_int(memory_source_asked(rig.memory), >=, pos + 2 * BEYOND);
	check_int(memory_source_served(rig.memory), <=, pos + BEYOND);
	for (; pos < PACED; pos += 128 * KIB)
		check_int(rig_pread(s, pos, 128 * KIB), ==, 128 * KIB);
	check_int(memory_source_asked(rig.memory), ==, PACED);
	pf_close(s);
	rig_fini(&rig);
}

/* Closed while GETs pause: they are ended, and all memory comes back. */
static void closed_in_a_pause(void)
{
	struct pf_stream *s;
	struct rig rig;
	uint64_t pos = 0;

	s = paced(&rig);
	read_into_a_pause(&rig, s, &pos);
	pf_close(s);
	check(memory_source_wait_cancelled(rig.memory, 1));
	rig_fini(&rig);
}

static int never_starved(void)
{
	return 0;
}

/* From one that is near and gives little by one connection, more at a time is asked for. */
static void slow_connections_are_many(void)
{
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.budget = 256 * MIB,
					    .part_size = 32 * MIB,
					    .script = {.pause_max_ns = NEVER,
						       .step_delay_ns = 10 * NSEC_PER_MSEC}});
	rig.pf->width.starved = never_starved;
	s = rig_stream(&rig, "slow", PACED);
	check_int(width_gets(&rig.pf->width), ==, 1);
	read_in_order(s, PACED);
	check_int(width_gets(&rig.pf->width), >=, 8);
	pf_close(s);
	rig_fini(&rig);
}

/* Delay is made up for by what is in flight: nothing waits. */
static void far_is_not_paced(void)
{
	const uint64_t size = 64 * MIB;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.budget = 256 * MIB,
					    .script = {.pause_max_ns = NEVER,
						       .head_delay_ns = 8 * NSEC_PER_MSEC}});
	s = rig_stream(&rig, "far", size);
	for (uint64_t pos = 0; pos < size / 2; pos += 128 * KIB)
		check_int(rig_pread(s, pos, 128 * KIB), ==, 128 * KIB);
	for (uint64_t begin = clock_now();
	     memory_source_served(rig.memory) < memory_source_asked(rig.memory) &&
	     clock_now() - begin < 10 * NSEC_PER_SEC;)
		require(on_loop(rig.loops[0], nothing, NULL));
	check_int(memory_source_served(rig.memory), ==, memory_source_asked(rig.memory));
	pf_close(s);
	rig_fini(&rig);
}

/* One file after the other: each has the share of a lone reader. */
static void closing_gives_the_share_back(void)
{
	struct pf_stream *first, *second;
	struct rig rig;
	uint64_t alone;

	rig_init(&rig, &(struct rig_config){.budget = 256 * MIB, .max_window = GIB});
	first = rig_stream(&rig, "first", 64 * MIB);
	second = rig_stream(&rig, "second", 64 * MIB);
	read_in_order(first, MIB);
	alone = pf_window_cap(rig.pf);
	read_in_order(second, MIB);
	check_int(pf_window_cap(rig.pf), <, alone);
	pf_close(first);
	check_int(pf_window_cap(rig.pf), ==, alone);
	pf_close(second);
	rig_fini(&rig);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(reads_at_the_edges),
		TEST(sequential_64_mib),
		TEST(random_4_kib),
		TEST(lone_reads_find_what_others_fetched),
		TEST(small_object_comes_whole),
		TEST(one_download_for_16),
		TEST(arrivals_out_of_order),
		TEST(first_cell_before_the_rest),
		TEST(received_as_it_is_read),
		TEST(slow_connections_are_many),
		TEST(closed_in_a_pause),
		TEST(far_is_not_paced),
		TEST(closing_gives_the_share_back),
		{0},
	});
}
