/* SPDX-License-Identifier: Apache-2.0 */

/* The timer heap against a model: the smallest armed deadline of an array. */
#include "base/backoff.h"
#include "base/clock.h"
#include "lib/test.h"
#include "loop/timer.h"

#define N 300

static struct loop_timer timers[N];
static unsigned fired[N], total;
static struct timers heap;

static void fire(struct loop_timer *t)
{
	fired[t - timers]++;
	total++;
	check_int(t->slot, ==, 0);
}

static uint64_t model_next(void)
{
	uint64_t next = NO_DEADLINE;

	for (unsigned i = 0; i < N; i++) {
		if (timers[i].slot && timers[i].deadline < next)
			next = timers[i].deadline;
	}
	return next;
}

static void reset(void)
{
	timers_fini(&heap);
	total = 0;
	for (unsigned i = 0; i < N; i++) {
		timers[i] = (struct loop_timer){.fire = fire};
		fired[i] = 0;
	}
}

static void the_first_is_always_the_earliest(void)
{
	unsigned wrong = 0;

	reset();
	check(timers_next(&heap) == NO_DEADLINE);
	for (unsigned step = 0; step < 20000; step++) {
		struct loop_timer *t = &timers[backoff_random() % N];

		if (backoff_random() % 3)
			wrong += timers_set(&heap, t, backoff_random() % 1000) != 0;
		else
			timers_cancel(&heap, t);
		wrong += timers_next(&heap) != model_next();
	}
	check_int(wrong, ==, 0);
	reset();
}

static void only_what_is_due_fires_and_at_most_so_many(void)
{
	reset();
	for (unsigned i = 0; i < N; i++)
		check_int(timers_set(&heap, &timers[i], (i * 7919) % N), ==, 0);
	timers_fire(&heap, 99, 1000);
	check_int(total, ==, 100);
	check_int(timers_next(&heap), ==, 100);
	timers_fire(&heap, 1000, 10);
	check_int(total, ==, 110);
	check_int(timers_next(&heap), ==, 110);
	timers_fire(&heap, 1000, 1000);
	check_int(total, ==, N);
	for (unsigned i = 0; i < N; i++)
		check_int(fired[i], ==, 1);
	check(timers_next(&heap) == NO_DEADLINE);
	timers_fire(&heap, 1000, 1000);
	check_int(total, ==, N);
	reset();
}

int main(void)
{
	return test_run((struct test[]){
		TEST(the_first_is_always_the_earliest),
		TEST(only_what_is_due_fires_and_at_most_so_many),
		{0},
	});
}
