/* SPDX-License-Identifier: Apache-2.0 */

/* What is usually read of an object. */
#include "prefetch/habit.h"

#include "base/macro.h"
#include "lib/test.h"

static void two_make_a_habit(void)
{
	struct habit h = {0};

	check_int(habit_start(&h), ==, 0);
	habit_note(&h, 64 * MIB, 12 * MIB);
	check_int(habit_start(&h), ==, 0);
	habit_note(&h, 64 * MIB, 10 * MIB);
	check_int(habit_start(&h), ==, 10 * MIB);
	habit_note(&h, 64 * MIB, 64 * MIB);
	check_int(habit_start(&h), ==, 10 * MIB);
	habit_note(&h, 64 * MIB, 64 * MIB);
	check_int(habit_start(&h), ==, HABIT_MAX);
}

static void one_ends_it(void)
{
	struct habit h = {0};

	habit_note(&h, 64 * MIB, 64 * MIB);
	habit_note(&h, 64 * MIB, 64 * MIB);
	habit_note(&h, 64 * MIB, 128 * KIB);
	check_int(habit_start(&h), ==, 128 * KIB);
	habit_note(&h, 64 * MIB, 0);
	check_int(habit_start(&h), ==, 0);
}

static void small_objects_say_nothing(void)
{
	struct habit h = {0};

	habit_note(&h, 64 * MIB, 64 * MIB);
	habit_note(&h, 100 * KIB, 100 * KIB);
	habit_note(&h, 2 * MIB, MIB);
	habit_note(&h, 64 * MIB, 64 * MIB);
	check_int(habit_start(&h), ==, HABIT_MAX);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(two_make_a_habit),
		TEST(one_ends_it),
		TEST(small_objects_say_nothing),
		{0},
	});
}
