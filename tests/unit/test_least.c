/* SPDX-License-Identifier: Apache-2.0 */

/* The least value of this period and the one before. */
#include "base/least.h"

#include "lib/test.h"

#define PERIOD (10 * NSEC_PER_SEC)
#define START  (1000 * NSEC_PER_SEC)

static void nothing_is_known_at_first(void)
{
	struct least l;

	least_init(&l);
	check_int(least_of(&l) == LEAST_NONE, ==, 1);
	least_note(&l, 7, START, PERIOD);
	check_int(least_of(&l), ==, 7);
}

static void the_least_counts(void)
{
	struct least l;

	least_init(&l);
	least_note(&l, 7, START, PERIOD);
	least_note(&l, 9, START + 1, PERIOD);
	check_int(least_of(&l), ==, 7);
	least_note(&l, 5, START + 2, PERIOD);
	check_int(least_of(&l), ==, 5);
}

/* What was short once is forgotten with the second period after it. */
static void what_is_old_is_forgotten(void)
{
	struct least l;

	least_init(&l);
	least_note(&l, 5, START, PERIOD);
	least_note(&l, 20, START + PERIOD + 1, PERIOD);
	check_int(least_of(&l), ==, 5);
	least_note(&l, 30, START + 2 * PERIOD + 2, PERIOD);
	check_int(least_of(&l), ==, 20);
	least_note(&l, 40, START + 3 * PERIOD + 3, PERIOD);
	check_int(least_of(&l), ==, 30);
}

/* Periods without a value do not end: nothing newer is known. */
static void what_is_known_holds(void)
{
	struct least l;

	least_init(&l);
	least_note(&l, 5, START, PERIOD);
	least_note(&l, 20, START + 9 * PERIOD, PERIOD);
	check_int(least_of(&l), ==, 5);
	least_note(&l, 30, START + 18 * PERIOD, PERIOD);
	check_int(least_of(&l), ==, 20);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(nothing_is_known_at_first),
		TEST(the_least_counts),
		TEST(what_is_old_is_forgotten),
		TEST(what_is_known_holds),
		{0},
	});
}
