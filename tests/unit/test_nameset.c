/* SPDX-License-Identifier: Apache-2.0 */

/* Names of an unordered listing: the first page that had one is told, up to a limit. */
#include "fuse/nameset.h"
#include "lib/test.h"

static uint32_t first(struct nameset *s, size_t number, uint32_t page)
{
	char name[32];
	uint32_t ret = 0;
	int len = snprintf(name, sizeof(name), "name-%zu", number);

	if (nameset_first(s, name, (size_t)len, page, &ret) < 0)
		abort();
	return ret;
}

static void the_first_page_stays_the_first(void)
{
	struct nameset s = {0};

	check_int(first(&s, 1, 3), ==, 3);
	check_int(first(&s, 1, 5), ==, 3);
	check_int(first(&s, 1, 3), ==, 3);
	/* an earlier page that is read again still has it */
	check_int(first(&s, 1, 0), ==, 0);
	check_int(first(&s, 2, 9), ==, 9);
	nameset_fini(&s);
}

static void all_are_kept_while_it_grows(void)
{
	struct nameset s = {0};

	for (size_t i = 0; i < 100000; i++)
		check_int(first(&s, i, (uint32_t)(i / 1000)), ==, i / 1000);
	for (size_t i = 0; i < 100000; i++)
		check_int(first(&s, i, 100), ==, i / 1000);
	check_int(s.count, ==, 100000);
	nameset_fini(&s);
}

static void no_more_than_the_limit_are_kept(void)
{
	struct nameset s = {0};
	unsigned wrong = 0;

	for (size_t i = 0; i < NAMESET_MAX + 1000; i++)
		wrong += first(&s, i, 1) != 1;
	check_int(s.count, ==, NAMESET_MAX);
	check_int((s.mask + 1) * 12, ==, 12 << 20);
	for (size_t i = 0; i < NAMESET_MAX; i += 997)
		wrong += first(&s, i, 2) != 1;
	wrong += first(&s, NAMESET_MAX + 5, 2) != 2;
	check_int(wrong, ==, 0);
	nameset_fini(&s);
}

int main(void)
{
	return test_run((struct test[]){TEST(the_first_page_stays_the_first),
					TEST(all_are_kept_while_it_grows),
					TEST(no_more_than_the_limit_are_kept),
					{0}});
}
