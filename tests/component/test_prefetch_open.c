/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Opening, and what ends badly: the check at the server, errors before and
 * within the body, another version, cancelled reads, streams closed early.
 */
#include <errno.h>

#include "base/clock.h"
#include "lib/pf_rig.h"
#include "lib/test.h"

static _Atomic int verdict_err;
static _Atomic uint64_t verdict_at; /* 0: before the head */

static int verdict(const struct source_fetch *f, uint64_t *fail_at)
{
	uint64_t at = atomic_load(&verdict_at);

	*fail_at = at > f->offset ? at : f->offset;
	if (at >= f->offset + f->length && at)
		return 0;
	return atomic_load(&verdict_err);
}

static void set_verdict(int err, uint64_t at)
{
	atomic_store(&verdict_at, at);
	atomic_store(&verdict_err, err);
}

static struct rig_config failing = {.script = {.verdict = verdict}};
static struct rig_config held = {.script = {.hold = true}};

/* ---- open ---- */

static void check_fetch(struct rig *rig, unsigned i, uint64_t offset, uint64_t length)
{
	check(memory_source_wait(rig->memory, i + 1));
	check_int(memory_source_record(rig->memory, i).offset, ==, offset);
	check_int(memory_source_record(rig->memory, i).length, ==, length);
}

static void open_brings_first_bytes(void)
{
	struct pf_stream *small, *large, *again;
	struct rig rig;

	set_verdict(0, 0);
	rig_init(&rig, &(struct rig_config){0});
	check_int(rig_open(&rig, "small", 1000, true, false, &small), ==, 0);
	check_fetch(&rig, 0, 0, 1000);
	check_int(rig_pread(small, 0, 4096), ==, 1000);
	check_int(rig_open(&rig, "large", GIB, true, false, &large), ==, 0);
	check_fetch(&rig, 1, 0, 2 * PF_CELL);
	check_int(rig_pread(large, 0, PF_CELL), ==, PF_CELL);
	check_int(memory_source_count(rig.memory), ==, 2);
	/* The map has it: one byte is enough. */
	check_int(rig_open(&rig, "small", 1000, true, false, &again), ==, 0);
	check_fetch(&rig, 2, 0, 1);
	check_int(rig_pread(again, 0, 4096), ==, 1000);
	check_int(memory_source_count(rig.memory), ==, 3);
	pf_close(small);
	pf_close(large);
	pf_close(again);
	rig_fini(&rig);
}

static void open_with_cached_pages(void)
{
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){0});
	check_int(rig_open(&rig, "pages", GIB, true, true, &s), ==, 0);
	check_fetch(&rig, 0, 0, 1);
	pf_close(s);
	rig_fini(&rig);
}

static void open_empty_object(void)
{
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){0});
	check_int(rig_open(&rig, "empty", 0, true, false, &s), ==, 0);
	check_fetch(&rig, 0, 0, 0);
	check_int(rig_pread(s, 0, 10), ==, 0);
	pf_close(s);
	rig_fini(&rig);
}

static void open_ends_at_the_head(void)
{
	struct pf_stream *s;
	struct rig_read rr;
	struct rig rig;

	/* Bytes stop after the first: the open is done all the same. */
	set_verdict(-EIO, 1);
	rig_init(&rig, &failing);
	check_int(rig_open(&rig, "head", 5000, true, false, &s), ==, 0);
	rig_read_start(&rr, s, 0, 100);
	check(rig_read_wait(&rr));
	check_int(rr.err, ==, -EIO);
	set_verdict(0, 0);
	check_int(rig_pread(s, 0, 100), ==, 100); /* the next read tries again */
	pf_close(s);
	rig_fini(&rig);
}

static void open_errors(void)
{
	static const struct {
		int source, want;
	} rows[] = {
		{-ESTALE, -ESTALE}, {-ENOENT, -ENOENT}, {-EACCES, -EACCES},
		{-EIO, -EIO},	    {-ECANCELED, -EIO}, {-ENOMEM, -ENOMEM},
	};
	struct rig rig;

	rig_init(&rig, &failing);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (uint64_t size = 0; size < 3 * MIB; size = size * 3000 + 1) {
			struct pf_stream *s = NULL;

			set_verdict(rows[i].source, 0);
			check_int(rig_open(&rig, "refused", size, true, false, &s), ==,
				  rows[i].want);
			check(!s);
		}
	rig_fini(&rig);
}

static void open_without_memory(void)
{
	struct budget_wait w[2] = {{.slabs = 4}, {.slabs = 2}};
	void *mem[2][4];
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.budget = 8 * MIB});
	for (int i = 0; i < 2; i++) {
		w[i].mem = mem[i];
		check(budget_get(rig.budget, &w[i]));
	}
	/* 2 MiB are left; fetching ahead leaves 1 MiB for those who wait. */
	check_int(rig_open(&rig, "a", MIB, true, false, &s), ==, 0);
	check_fetch(&rig, 0, 0, MIB);
	check_int(rig_pread(s, 0, MIB), ==, MIB);
	pf_close(s);
	budget_put(rig.budget, mem[0], 4);
	budget_put(rig.budget, mem[1], 2);
	rig_fini(&rig);
}

/* ---- another version ---- */

static void seed(struct rig *rig, const char *key, uint64_t size, uint64_t len)
{
	unsigned char *data = malloc(len);

	require(data);
	for (uint64_t i = 0; i < len; i++)
		data[i] = memory_byte(i);
	pf_seed(rig->pf, key, "\"1\"", size, data, len);
	free(data);
}

static void seeds_are_read_without_a_fetch(void)
{
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){0});
	seed(&rig, "small", 200 * KIB + 7, 200 * KIB + 7);
	s = rig_stream(&rig, "small", 200 * KIB + 7);
	check_int(rig_pread(s, 0, MIB), ==, 200 * KIB + 7);
	check_int(memory_source_count(rig.memory), ==, 0);
	pf_close(s);
	/* of a large object whole cells only */
	seed(&rig, "large", GIB, 3 * PF_CELL + 5);
	s = rig_stream(&rig, "large", GIB);
	check_int(rig_pread(s, PF_CELL, 2 * PF_CELL), ==, 2 * PF_CELL);
	check_int(rig_pread(s, 3 * PF_CELL, 5), ==, 5);
	check(memory_source_count(rig.memory) > 0);
	check_int(memory_source_record(rig.memory, 0).offset, ==, 3 * PF_CELL);
	pf_close(s);
	/* less than a cell is nothing */
	seed(&rig, "less", GIB, PF_CELL - 1);
	seed(&rig, "none", 0, 0);
	rig_fini(&rig);
}

static void seeds_do_not_replace_what_is_on_its_way(void)
{
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &held);
	s = rig_stream(&rig, "k", 1000);
	{
		struct rig_read rr;

		rig_read_start(&rr, s, 0, 1000);
		check(memory_source_wait(rig.memory, 1));
		seed(&rig, "k", 1000, 1000);
		check(!rig_read_ended(&rr));
		check(memory_source_drain(rig.memory));
		check(rig_read_wait(&rr) && rr.right);
	}
	pf_close(s);
	rig_fini(&rig);
}

static void stale_ends_all_reads(void)
{
	struct pf_stream *a, *b, *fresh;
	struct rig rig;

	set_verdict(0, 0);
	rig_init(&rig, &failing);
	a = rig_stream(&rig, "changed", 64 * MIB);
	b = rig_stream(&rig, "changed", 64 * MIB);
	check_int(rig_pread(a, 0, 4096), ==, 4096);
	set_verdict(-ESTALE, 0);
	check_int(rig_pread(b, 9 * MIB, 4096), ==, -ESTALE);
	set_verdict(0, 0);
	/* Even what was there, on every stream. */
	check_int(rig_pread(a, 0, 4096), ==, -ESTALE);
	check_int(rig_pread(b, 9 * MIB, 4096), ==, -ESTALE);
	fresh = rig_stream(&rig, "changed", 64 * MIB);
	check_int(rig_pread(fresh, 0, 4096), ==, 4096);
	check_int(rig_pread(a, 0, 4096), ==, -ESTALE);
	pf_close(a);
	pf_close(b);
	pf_close(fresh);
	rig_fini(&rig);
}

static void gone_key_is_stale(void)
{
	struct pf_stream *s;
	struct rig rig;

	set_verdict(-ENOENT, 0);
	rig_init(&rig, &failing);
	s = rig_stream(&rig, "deleted", 64 * MIB);
	check_int(rig_pread(s, 0, 4096), ==, -ESTALE);
	pf_close(s);
	rig_fini(&rig);
}

static int stale_beyond_2_mib(const struct source_fetch *f, uint64_t *fail_at)
{
	*fail_at = f->offset;
	return f->offset >= 2 * MIB ? -ESTALE : 0;
}

/* Reads that wait for other GETs of the version get the error too. */
static void stale_ends_parked_reads(void)
{
	struct rig_read parked;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.script = {.verdict = stale_beyond_2_mib,
						       .head_delay_ns = 0,
						       .hold = true}});
	s = rig_stream(&rig, "parked", 64 * MIB);
	rig_read_start(&parked, s, 0, 4096);
	check(memory_source_wait(rig.memory, 1));
	check(!rig_read_ended(&parked));
	check_int(rig_pread(s, 3 * MIB, 4096), ==, -ESTALE);
	check(rig_read_wait(&parked));
	check_int(parked.err, ==, -ESTALE);
	memory_source_allow(rig.memory, 0, UINT64_MAX);
	pf_close(s);
	rig_fini(&rig);
}

/* ---- errors within ---- */

static void error_in_the_middle(void)
{
	struct rig_read before, across, after;
	struct pf_stream *s;
	struct rig rig;

	/* The GET of [0, 1 MiB) breaks off in its fourth cell. */
	set_verdict(-EIO, 3 * PF_CELL + 5);
	rig_init(&rig, &(struct rig_config){.script = {.verdict = verdict, .hold = true}});
	s = rig_stream(&rig, "broken", MIB);
	rig_read_start(&before, s, 2 * PF_CELL, PF_CELL);
	check(memory_source_wait(rig.memory, 1));
	rig_read_start(&across, s, PF_CELL, 3 * PF_CELL);
	rig_read_start(&after, s, 7 * PF_CELL, 10);
	check_int(memory_source_count(rig.memory), ==, 1);
	memory_source_allow(rig.memory, 0, UINT64_MAX);
	check(rig_read_wait(&before) && before.err == 0 && before.right);
	check(rig_read_wait(&across));
	check_int(across.err, ==, -EIO);
	check(rig_read_wait(&after));
	check_int(after.err, ==, -EIO);
	/* What came is kept, and only what is missing is asked for. */
	set_verdict(0, 0);
	rig_read_start(&after, s, PF_CELL, 10);
	check(rig_read_ended(&after) && after.right);
	rig_read_start(&after, s, 3 * PF_CELL, 10);
	check(memory_source_wait(rig.memory, 2));
	check_int(memory_source_record(rig.memory, 1).offset, ==, 3 * PF_CELL);
	memory_source_allow(rig.memory, 1, UINT64_MAX);
	check(rig_read_wait(&after) && after.err == 0 && after.right);
	pf_close(s);
	rig_fini(&rig);
}

/* ---- cancel and close ---- */

static void cancel_parked(void)
{
	struct rig_read a, b;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &held);
	s = rig_stream(&rig, "cancel", MIB);
	rig_read_start(&a, s, 0, 4096);
	rig_read_start(&b, s, 0, 4096);
	check(memory_source_wait(rig.memory, 1));
	pf_cancel(s, &a.r);
	check(rig_read_ended(&a));
	check_int(a.err, ==, -EINTR);
	check(!rig_read_ended(&b));
	memory_source_allow(rig.memory, 0, UINT64_MAX);
	check(rig_read_wait(&b) && b.err == 0 && b.right);
	pf_cancel(s, &b.r); /* too late */
	check_int(atomic_load(&a.answers), ==, 1);
	check_int(atomic_load(&b.answers), ==, 1);
	pf_close(s);
	rig_fini(&rig);
}

static void cancel_in_line(void)
{
	struct budget_wait w[2] = {{.slabs = 1}, {.slabs = 1}};
	struct rig_read first, second;
	void *mem[2][1];
	struct pf_stream *s;
	struct rig rig;

	/* 2 MiB, of which uploads have 1, and reads may have 0.5 beside them. */
	rig_init(&rig, &(struct rig_config){.budget = 2 * MIB, .script = {.hold = true}});
	w[0].mem = mem[0];
	check(budget_get(rig.budget, &w[0]));
	s = rig_stream(&rig, "line", 64 * MIB);
	rig_read_start(&first, s, 0, MIB);
	check(memory_source_wait(rig.memory, 1));
	rig_read_start(&second, s, 9 * MIB, MIB);
	check(!rig_read_ended(&second));
	check_int(memory_source_count(rig.memory), ==, 1);
	pf_cancel(s, &second.r);
	check(rig_read_ended(&second));
	check_int(second.err, ==, -EINTR);
	memory_source_allow(rig.memory, 0, UINT64_MAX);
	check(rig_read_wait(&first) && first.right);
	budget_put(rig.budget, mem[0], 1);
	pf_close(s);
	rig_fini(&rig);
}

static void memory_granted_later(void)
{
	struct rig_read first, second;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.budget = 2 * MIB, .script = {.hold = true}});
	s = rig_stream(&rig, "later", 64 * MIB);
	rig_read_start(&first, s, 100, MIB);
	rig_read_start(&second, s, 9 * MIB + 100, MIB);
	check(memory_source_wait(rig.memory, 1));
	check_int(memory_source_count(rig.memory), ==, 1); /* 9 + 9 cells do not fit in 16 */
	memory_source_allow(rig.memory, 0, UINT64_MAX);
	check(rig_read_wait(&first) && first.right);
	check(memory_source_wait(rig.memory, 2));
	memory_source_allow(rig.memory, 1, UINT64_MAX);
	check(rig_read_wait(&second) && second.err == 0 && second.right);
	pf_close(s);
	rig_fini(&rig);
}

/* Cells that come and that nobody reads go to whoever is in line, before their GET ends. */
static void arrivals_are_given_up(void)
{
	struct rig_read first, second;
	struct pf_stream *a, *b;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.budget = 2 * MIB, .script = {.hold = true}});
	a = rig_stream(&rig, "whole", MIB);
	b = rig_stream(&rig, "in line", 64 * MIB);
	rig_read_start(&first, a, 0, 1);
	check(memory_source_wait(rig.memory, 1));
	rig_read_start(&second, b, 100, MIB); /* 8 + 9 cells do not fit in 16 */
	pf_cancel(a, &first.r);
	check_int(memory_source_count(rig.memory), ==, 1);
	memory_source_allow(rig.memory, 0, 4 * PF_CELL);
	check(memory_source_wait(rig.memory, 2));
	memory_source_allow(rig.memory, 1, UINT64_MAX);
	check(rig_read_wait(&second) && second.right);
	pf_close(a);
	pf_close(b);
	rig_fini(&rig);
}

static void close_with_reads_waiting(void)
{
	struct rig_read parked, in_line;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.budget = 2 * MIB, .script = {.hold = true}});
	s = rig_stream(&rig, "closing", 64 * MIB);
	rig_read_start(&parked, s, 100, MIB);
	rig_read_start(&in_line, s, 9 * MIB + 100, MIB);
	check(memory_source_wait(rig.memory, 1));
	pf_close(s);
	check(rig_read_wait(&parked) && rig_read_wait(&in_line));
	check_int(parked.err, ==, -EINTR);
	check_int(in_line.err, ==, -EINTR);
	memory_source_allow(rig.memory, 0, UINT64_MAX);
	rig_fini(&rig);
}

#define HELD_FROM (16 * MIB)

static bool is_large(const struct rig *rig, unsigned i)
{
	struct memory_fetch_record f = memory_source_record(rig->memory, i);

	return f.offset >= HELD_FROM && f.length > MIB;
}

/* Large GETs ahead of the reader are ended, others may come to their end. */
static void close_ends_fetching_ahead(void)
{
	struct memory_script script = {
		.hold = true, .hold_from = HELD_FROM, .head_delay_ns = NSEC_PER_MSEC};
	unsigned large = 0, seen = 0;
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.script = script});
	s = rig_stream(&rig, "head -c", GIB);
	for (uint64_t pos = 0; pos < HELD_FROM; pos += MIB)
		check_int(rig_pread(s, pos, MIB), ==, MIB);
	do
		require(memory_source_wait(rig.memory, seen + 1));
	while (!is_large(&rig, seen++));
	check(budget_used(rig.budget) > 0);
	pf_close(s);
	for (unsigned i = 0; i < memory_source_count(rig.memory); i++) {
		if (is_large(&rig, i))
			large++;
		else
			memory_source_allow(rig.memory, i, UINT64_MAX);
	}
	check_int(large, >, 0);
	check(memory_source_wait_cancelled(rig.memory, large));
	rig_fini(&rig); /* nothing is left */
}

/* An upload gets memory that reads do not need any more. */
static void idle_cells_are_given_up(void)
{
	struct budget_wait w = {.slabs = 16};
	void *mem[16];
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.budget = 32 * MIB});
	s = rig_stream(&rig, "idle", GIB);
	for (uint64_t i = 0; i < 256; i++)
		check_int(rig_pread(s, i * 3 * MIB % GIB, 4096), ==, 4096);
	w.mem = mem;
	check(budget_get(rig.budget, &w));
	check_int(rig_pread(s, 512 * MIB, MIB), ==, MIB);
	budget_put(rig.budget, mem, 16);
	pf_close(s);
	rig_fini(&rig);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(open_brings_first_bytes),
		TEST(open_with_cached_pages),
		TEST(open_empty_object),
		TEST(open_ends_at_the_head),
		TEST(open_errors),
		TEST(open_without_memory),
		TEST(seeds_are_read_without_a_fetch),
		TEST(seeds_do_not_replace_what_is_on_its_way),
		TEST(stale_ends_all_reads),
		TEST(gone_key_is_stale),
		TEST(stale_ends_parked_reads),
		TEST(error_in_the_middle),
		TEST(cancel_parked),
		TEST(cancel_in_line),
		TEST(memory_granted_later),
		TEST(arrivals_are_given_up),
		TEST(close_with_reads_waiting),
		TEST(close_ends_fetching_ahead),
		TEST(idle_cells_are_given_up),
		{0},
	});
}
