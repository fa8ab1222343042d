/* SPDX-License-Identifier: Apache-2.0 */

/* How parts grow, and how large an object becomes with it (docs/SEMANTICS.md names the figures). */
#include "base/macro.h"
#include "fuse/upload_part.h"
#include "lib/test.h"

static uint64_t reach(uint64_t first, uint64_t most)
{
	uint64_t total = 0;

	for (unsigned n = 1; n <= S3_PARTS_MAX; n++)
		total += upload_part_capacity(n, first, most);
	return total;
}

static void grows_after_5000(void)
{
	check_int(upload_part_capacity(1, 8 * MIB, 128 * MIB), ==, 8 * MIB);
	check_int(upload_part_capacity(5000, 8 * MIB, 128 * MIB), ==, 8 * MIB);
	check_int(upload_part_capacity(5001, 8 * MIB, 128 * MIB), ==, 16 * MIB);
	check_int(upload_part_capacity(6000, 8 * MIB, 128 * MIB), ==, 16 * MIB);
	check_int(upload_part_capacity(6001, 8 * MIB, 128 * MIB), ==, 32 * MIB);
	check_int(upload_part_capacity(10000, 8 * MIB, 128 * MIB), ==, 128 * MIB);
	check_int(upload_part_capacity(10000, 8 * MIB, 8 * MIB), ==, 8 * MIB);
	check_int(upload_part_capacity(9999, 5 * MIB + 1, 5 * MIB + 1), ==, 5 * MIB);
}

/* The default memory of 512 MiB, with parts of at most a quarter of it. */
static void reaches(void)
{
	check_int(reach(8 * MIB, 128 * MIB), >=, (int64_t)(390 * GIB));
	check_int(reach(8 * MIB, 64 * MIB), >=, (int64_t)(270 * GIB));
	check_int(reach(64 * MIB, 1 * GIB), >=, (int64_t)(3100 * GIB));
	check_int(reach(1 * GIB, 5 * GIB), >=, (int64_t)(25 * KIB * GIB));
	check_int(reach(5 * GIB, 5 * GIB), >=, (int64_t)(48 * KIB * GIB));
}

int main(void)
{
	return test_run((struct test[]){TEST(grows_after_5000), TEST(reaches), {0}});
}
