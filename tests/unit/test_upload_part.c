/* SPDX-License-Identifier: Apache-2.0 */

/* How parts grow, and how large an object becomes with it (docs/SEMANTICS.md names the figures). */
#include "base/macro.h"
#include "lib/test.h"
#include "upload/part.h"

static uint64_t reach(uint64_t first, uint64_t most)
{
	uint64_t total = 0;

	for (unsigned n = 1; n <= S3_PARTS_MAX; n++)
		total += upload_part_capacity(n, first, most);
	return total;
}

static void grows_after_5000(void)
{
	check_int(upload_part_capacity(1, 8 * MIB, 256 * MIB), ==, 8 * MIB);
	check_int(upload_part_capacity(5000, 8 * MIB, 256 * MIB), ==, 8 * MIB);
	check_int(upload_part_capacity(5001, 8 * MIB, 256 * MIB), ==, 16 * MIB);
	check_int(upload_part_capacity(5500, 8 * MIB, 256 * MIB), ==, 16 * MIB);
	check_int(upload_part_capacity(5501, 8 * MIB, 256 * MIB), ==, 32 * MIB);
	check_int(upload_part_capacity(7001, 8 * MIB, 256 * MIB), ==, 256 * MIB);
	check_int(upload_part_capacity(10000, 8 * MIB, 256 * MIB), ==, 256 * MIB);
	check_int(upload_part_capacity(10000, 8 * MIB, 8 * MIB), ==, 8 * MIB);
	check_int(upload_part_capacity(9999, 5 * MIB + 1, 5 * MIB + 1), ==, 5 * MIB);
}

/* Parts of at most half the memory, 512 MiB by default. */
static void reaches(void)
{
	check_int(reach(8 * MIB, 128 * MIB) / GIB, ==, 531);
	check_int(reach(8 * MIB, 256 * MIB) / GIB, ==, 906);
	check_int(reach(8 * MIB, 2 * GIB) / GIB, ==, 4031);
	check_int(reach(8 * MIB, 5 * GIB) / GIB, ==, 6531);
	check_int(reach(1 * GIB, 5 * GIB) / GIB, ==, 28000);
	check_int(reach(5 * GIB, 5 * GIB) / GIB, ==, 50000);
}

static void two_hundred_gib_leave_room(void)
{
	uint64_t total = 0;
	unsigned n = 0;

	while (total < 200 * GIB)
		total += upload_part_capacity(++n, 8 * MIB, 256 * MIB);
	check_int(n, <, 7500);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(grows_after_5000), TEST(reaches), TEST(two_hundred_gib_leave_room), {0}});
}
