/* SPDX-License-Identifier: Apache-2.0 */

/* An upload's memory: who waits for it, what goes beyond it, slabs that change hands; many parts.
 */
#include "lib/upload_scene.h"

/* Returns the end of the write that waits, `x`. */
static uint64_t write_until_it_waits(struct upload *u, struct waiter *x)
{
	static char data[1 << 20];
	bool waits = false;
	uint64_t off = 0;

	while (off < 10 * PART && !waits) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = pattern(off + i);
		start_write(u, x, off, data, sizeof(data));
		waits = sem_trywait(&x->sem) < 0;
		off += sizeof(data);
	}
	check(waits);
	check_int(off, <=, (int64_t)(4 * PART));
	memset(data, 0, sizeof(data));
	return off;
}

/* A writer that is ahead of the server waits; no more than its share is buffered. */
static void writer_waits_its_turn(void)
{
	struct upload *u = fresh();
	struct waiter x;
	uint64_t off;

	reset(64);
	atomic_store(&hold, true);
	off = write_until_it_waits(u, &x);
	atomic_store(&hold, false);
	require(wait_sem(&x.sem, WAIT_SECONDS));
	check_int(x.w.err, ==, 0);
	check_int(finish(u), ==, 0);
	check_int(atomic_load(&stored), ==, off);
	check(!atomic_load(&wrong_bytes));
	upload_unref(u);
	check_all_freed(64);
}

/* How far the server is says the first answer, and with that how many parts there may be. */
static void the_first_answer_lets_the_writer_go_on(void)
{
	struct upload *u;
	struct waiter x;
	uint64_t off;

	uploads.config.parts_in_flight_max = 32;
	u = fresh();
	reset(64);
	atomic_store(&delay, 20 * NSEC_PER_MSEC);
	atomic_store(&hold, true);
	atomic_store(&hold_parts, true);
	off = write_until_it_waits(u, &x);
	atomic_store(&hold, false);
	require(wait_sem(&x.sem, WAIT_SECONDS));
	check_int(x.w.err, ==, 0);
	atomic_store(&hold_parts, false);
	check_int(finish(u), ==, 0);
	check_int(atomic_load(&stored), ==, off);
	upload_unref(u);
	check_all_freed(64);
	atomic_store(&delay, 0);
	uploads.config.parts_in_flight_max = 0;
}

/* All memory is held by half-filled parts: one after another goes beyond it. */
static void memory_held_by_half_parts(void)
{
	struct upload *u[3];
	struct waiter x[3];
	static char data[1 << 20];

	reset(3);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(PF_SLAB + i);
	for (int i = 0; i < 3; i++) {
		u[i] = fresh();
		check_int(write_pattern(u[i], 0, PF_SLAB), ==, 0);
	}
	for (int i = 0; i < 3; i++) {
		start_write(u[i], &x[i], PF_SLAB, data, sizeof(data));
		check(sem_trywait(&x[i].sem) < 0);
	}
	for (int i = 0; i < 3; i++) {
		require(wait_sem(&x[i].sem, WAIT_SECONDS));
		check_int(x[i].w.err, ==, 0);
		check_int(finish(u[i]), ==, 0);
		upload_unref(u[i]);
	}
	check(!atomic_load(&wrong_bytes));
	check_all_freed(3);
}

static void waiting_write_can_be_cancelled(void)
{
	struct upload *a = fresh(), *b = fresh();
	static char data[1 << 20];
	struct waiter x;

	reset(1);
	check_int(write_pattern(a, 0, 10), ==, 0);
	start_write(b, &x, 0, data, sizeof(data));
	check(sem_trywait(&x.sem) < 0);
	upload_cancel_write(b, &x.w);
	require(wait_sem(&x.sem, WAIT_SECONDS));
	check_int(x.w.err, ==, -EIO);
	check_int(finish(b), ==, -EIO);
	check_int(finish(a), ==, 0);
	upload_unref(a);
	upload_unref(b);
	check_all_freed(1);
}

/* Memory that comes back soon is waited for: nothing goes beyond the budget meanwhile. */
static void sending_parts_are_waited_for(void)
{
	struct upload *a = fresh(), *b = fresh();
	static char data[1 << 20];
	struct timespec ts = {.tv_nsec = 500000000};
	struct waiter x;

	reset(5);
	atomic_store(&hold, true); /* Create is not answered */
	check_int(write_all(a, PART), ==, 0);
	start_write(a, &x, PART, data, 10);
	check(sem_trywait(&x.sem) < 0);
	(void)nanosleep(&ts, NULL); /* long enough to go beyond */
	check(sem_trywait(&x.sem) < 0);
	check_int(atomic_load(&uploads.sending), ==, 1);
	upload_abort(a, -EIO);
	atomic_store(&hold, false);
	require(wait_sem(&x.sem, WAIT_SECONDS));
	check_int(finish(b), ==, 0);
	check_int(atomic_load(&uploads.sending), ==, 0);
	upload_unref(a);
	upload_unref(b);
	check_all_freed(5);
}

/* A part that is full and alone is sent when there is no memory to begin the second. */
static void full_parts_do_not_hold_each_other_up(void)
{
	struct upload *u[2] = {fresh(), fresh()};
	struct waiter x[2];
	static char data[1 << 20];

	reset(10);
	atomic_store(&uploads.overcommit_at, UINT64_MAX / 2); /* nothing goes beyond */
	for (int i = 0; i < 2; i++)
		check_int(write_all(u[i], PART), ==, 0);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(PART + i);
	for (int i = 0; i < 2; i++)
		start_write(u[i], &x[i], PART, data, sizeof(data));
	for (int i = 0; i < 2; i++) {
		require(wait_sem(&x[i].sem, WAIT_SECONDS));
		check_int(x[i].w.err, ==, 0);
		check_int(finish(u[i]), ==, 0);
		upload_unref(u[i]);
	}
	check(!atomic_load(&wrong_bytes));
	check_all_freed(10);
	atomic_store(&uploads.overcommit_at, 0);
}

/* Whole slabs change hands where they fit, and are copied where they do not. */
static void slabs_change_hands(void)
{
	struct upload *u = fresh();
	uint64_t off = 0;
	char *first = malloc(PF_SLAB), *slab = first;

	reset(64);
	for (int i = 0; i < 9; i++) {
		struct waiter x = {.w = {.offset = off,
					 .data = slab,
					 .len = i == 7 ? 1000 : PF_SLAB,
					 .slab = (void **)&slab,
					 .done = on_written}};
		char *before = slab;

		for (size_t k = 0; k < PF_SLAB; k++)
			slab[k] = pattern(off + k);
		(void)sem_init(&x.sem, 0, 0);
		upload_write(u, &x.w);
		require(wait_sem(&x.sem, WAIT_SECONDS));
		check_int(x.w.err, ==, 0);
		check((slab != before) == (i < 7));
		memset(slab, 'x', PF_SLAB); /* it is ours again */
		off += x.w.len;
	}
	check_int(finish(u), ==, 0);
	check_int(atomic_load(&stored), ==, (int64_t)off);
	check(!atomic_load(&wrong_bytes));
	upload_unref(u);
	check_all_freed(64);
	free(slab);
}

/* Thousands of parts of 1 MiB: minutes where each byte is watched. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PARTS_BY_THE_THOUSAND
#endif

#ifdef PARTS_BY_THE_THOUSAND
/* 5,001 parts: the last but one is larger than the first, and the server does not like it. */
static void equal_parts_are_learned(void)
{
	static struct uploads small; /* its upload may end after the test */
	struct upload *u = NULL;
	uint64_t off = 0;
	char *data = calloc(1, PF_SLAB);

	small.config = uploads.config;
	small.config.part_size = PF_SLAB;
	reset(64);
	atomic_store(&unchecked, true);
	atomic_store(&invalid_part, true);
	atomic_store(&fail_kind, COMPLETE);
	atomic_store(&fail_number, 1);
	require(upload_new(&small, "dir/key", &u) == 0);
	for (int i = 0; i < 5003; i++, off += PF_SLAB) {
		struct waiter x;

		start_write(u, &x, off, data, PF_SLAB);
		require(wait_sem(&x.sem, WAIT_SECONDS) && x.w.err == 0);
	}
	check(!atomic_load(&small.equal_parts));
	check_int(finish(u), ==, -EIO);
	check_int(atomic_load(&counts[PART_SENT]), ==, 5002);
	check(atomic_load(&small.equal_parts));
	upload_unref(u);
	atomic_store(&unchecked, false);
	atomic_store(&invalid_part, false);
	check_all_freed(64);
	free(data);
}

/* Parts that do not grow end at 10,000, with an error that stays. */
static void too_large(void)
{
	static struct uploads small; /* its upload may end after the test */
	struct upload *u = NULL;
	uint64_t off = 0;
	char *data = calloc(1, PF_SLAB);
	struct waiter x;

	small.config = uploads.config;
	small.config.part_size = PF_SLAB;
	reset(64);
	atomic_store(&unchecked, true);
	atomic_store(&small.equal_parts, true);
	require(upload_new(&small, "dir/key", &u) == 0);
	for (unsigned i = 0; i < S3_PARTS_MAX; i++, off += PF_SLAB) {
		start_write(u, &x, off, data, PF_SLAB);
		require(wait_sem(&x.sem, WAIT_SECONDS) && x.w.err == 0);
	}
	for (int i = 0; i < 2; i++) {
		start_write(u, &x, off, data, 1);
		require(wait_sem(&x.sem, WAIT_SECONDS));
		check_int(x.w.err, ==, -EFBIG);
	}
	check_int(finish(u), ==, -EFBIG);
	upload_unref(u);
	check_all_freed(64);
	check_int(atomic_load(&counts[ABORT]), ==, 1);
	check_int(atomic_load(&counts[COMPLETE]), ==, 0);
	atomic_store(&unchecked, false);
	free(data);
}
#endif

int main(void)
{
	return run_tests((struct test[]){TEST(writer_waits_its_turn),
					 TEST(the_first_answer_lets_the_writer_go_on),
					 TEST(memory_held_by_half_parts),
					 TEST(waiting_write_can_be_cancelled),
					 TEST(sending_parts_are_waited_for),
					 TEST(full_parts_do_not_hold_each_other_up),
					 TEST(slabs_change_hands),
#ifdef PARTS_BY_THE_THOUSAND
					 TEST(equal_parts_are_learned),
					 TEST(too_large),
#endif
					 {0}});
}
