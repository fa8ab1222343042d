/* SPDX-License-Identifier: Apache-2.0 */

/* Names: which are valid, and their order as files and as directories. */
#include <errno.h>

#include "base/macro.h"
#include "fuse/name.h"
#include "lib/test.h"

static bool valid(const char *name)
{
	return name_valid(name, strlen(name));
}

static void plain_and_odd_names_are_valid(void)
{
	static const char *const good[] = {
		"a",
		"...",
		".a",
		"a b",
		"a\nb",
		"\x7f",
		"-",
		"\\",
		"a\tb",
		"\xc3\xa9",
		"\xe2\x82\xac",
		"\xf0\x9f\x98\x80",
		"..a",
		"\x01",
		"\xef\xbf\xbf",
		"\xf4\x8f\xbf\xbf",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (!valid(good[i]))
			test_fail_("name %zu is refused", i);
	}
}

static void dots_slashes_and_broken_utf8_are_not(void)
{
	static const char *const bad[] = {
		"",
		".",
		"..",
		"a/b",
		"/",
		"\xff",
		"a\x80",
		"\xc3",
		"\xc0\xaf",
		"\xe0\x80\x80",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80",
		"\xe2\x82",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (valid(bad[i]))
			test_fail_("name %zu is taken", i);
	}
	check(!name_valid("a\0b", 3));
}

static void length_is_limited(void)
{
	char name[NAME_LEN_MAX + 2];

	memset(name, 'a', sizeof(name));
	name[NAME_LEN_MAX] = '\0';
	check_int(name_check(name), ==, 0);
	name[NAME_LEN_MAX] = 'a';
	name[NAME_LEN_MAX + 1] = '\0';
	check_int(name_check(name), ==, -ENAMETOOLONG);
	check_int(name_check(".."), ==, -EINVAL);
	check_int(name_check("\xff"), ==, -EINVAL);
}

static int as_dir(const char *name, const char *key)
{
	int c = name_cmp_as_dir(name, strlen(name), key, strlen(key));

	return c < 0 ? -1 : c > 0;
}

static void a_directory_sorts_with_its_slash(void)
{
	check_int(as_dir("a", "a/"), ==, 0);
	check_int(as_dir("a", "a"), ==, 1);
	check_int(as_dir("a", "a-"), ==, 1);
	check_int(as_dir("a", "a0"), ==, -1);
	check_int(as_dir("a", "a/b"), ==, -1);
	check_int(as_dir("a", "b"), ==, -1);
	check_int(as_dir("b", "a/"), ==, 1);
	check_int(as_dir("ab", "a"), ==, 1);
	check_int(as_dir("a", ""), ==, 1);
	check_int(as_dir("\xc3\xa9", "\x7f"), ==, 1);
}

static void order_is_bytewise(void)
{
	check_int(name_cmp("a", 1, "b", 1), <, 0);
	check_int(name_cmp("a", 1, "a", 1), ==, 0);
	check_int(name_cmp("a", 1, "aa", 2), <, 0);
	check_int(name_cmp("ab", 2, "a", 1), >, 0);
	check_int(name_cmp("\xc3\xa9", 2, "z", 1), >, 0);
}

static void before_is_below_and_close(void)
{
	static const char *const names[] = {
		"f12", "a",    "b",    "0",	"a0",	    "!",
		" ",   "\x01", "\x7f", "a\x7f", "\xc3\xa9", "a\xe2\x82\xac",
		"~",   "a/",   "zz",   "a.b",
	};
	char lo[16];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i]);

		name_before(names[i], len, lo);
		if (name_cmp(lo, strlen(lo), names[i], len) >= 0)
			test_fail_("\"%s\" is not below \"%s\"", lo, names[i]);
		check(strchr(lo, '/') == NULL || strchr(names[i], '/') != NULL);
	}
	name_before("f12", 3, lo);
	check_str(lo, "f11\xef\xbf\xbd");
}

int main(void)
{
	return test_run((struct test[]){
		TEST(plain_and_odd_names_are_valid),
		TEST(dots_slashes_and_broken_utf8_are_not),
		TEST(length_is_limited),
		TEST(a_directory_sorts_with_its_slash),
		TEST(order_is_bytewise),
		TEST(before_is_below_and_close),
		{0},
	});
}
