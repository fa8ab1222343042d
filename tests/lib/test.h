/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tests in TAP. A test program is a list of functions:
 *
 *	static void adds(void) { check_int(1 + 1, ==, 2); }
 *	int main(void) { return test_run((struct test[]){TEST(adds), {0}}); }
 *
 * A failed check prints file, line and both values, and fails its test; the
 * test goes on unless `require` is used, which returns from the function.
 * TEST_FILTER=substring runs only matching tests.
 */
#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
	const char *name;
	void (*fn)(void);
};

#define TEST(f)       \
	{             \
#f, f \
	}

static int test_failures_;

#define test_fail_(...)                                  \
	do {                                             \
		printf("# %s:%d: ", __FILE__, __LINE__); \
		printf(__VA_ARGS__);                     \
		putchar('\n');                           \
		test_failures_++;                        \
	} while (0)

#define check(cond)                                       \
	do {                                              \
		if (!(cond))                              \
			test_fail_("%s is false", #cond); \
	} while (0)

#define require(cond)                                     \
	do {                                              \
		if (!(cond)) {                            \
			test_fail_("%s is false", #cond); \
			return;                           \
		}                                         \
	} while (0)

#define check_int(a, op, b)                                                                        \
	do {                                                                                       \
		int64_t a_ = (int64_t)(a), b_ = (int64_t)(b);                                      \
		if (!(a_ op b_))                                                                   \
			test_fail_("%s %s %s: %" PRId64 " against %" PRId64, #a, #op, #b, a_, b_); \
	} while (0)

#define check_str(a, b)                                                                \
	do {                                                                           \
		const char *a_ = (a), *b_ = (b);                                       \
		if (!a_ || !b_ || strcmp(a_, b_) != 0)                                 \
			test_fail_("%s is \"%s\", not \"%s\"", #a, a_ ? a_ : "(null)", \
				   b_ ? b_ : "(null)");                                \
	} while (0)

#define check_mem(a, b, n)                                        \
	do {                                                      \
		if (memcmp(a, b, n) != 0)                         \
			test_fail_("%s differs from %s", #a, #b); \
	} while (0)

static inline int test_run(const struct test *tests)
{
	const char *filter = getenv("TEST_FILTER");
	int n = 0, failed = 0;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (const struct test *t = tests; t->name; t++) {
		if (filter && !strstr(t->name, filter))
			continue;
		test_failures_ = 0;
		t->fn();
		printf("%sok %d - %s\n", test_failures_ ? "not " : "", ++n, t->name);
		failed += test_failures_ != 0;
	}
	printf("1..%d\n", n);
	return failed != 0;
}

#endif
