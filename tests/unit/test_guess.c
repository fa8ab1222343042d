/* SPDX-License-Identifier: Apache-2.0 */

/* Guessed borders of pages: exact where names are numbered, early where they are not. */
#include "base/macro.h"
#include "fuse/guess.h"
#include "fuse/name.h"
#include "lib/test.h"

static char got[NAME_LEN_MAX + 1];

static const char *guess(const char *first, const char *last, size_t count, const char *from)
{
	struct guess_page p = {.first = first,
			       .last = last,
			       .first_len = strlen(first),
			       .last_len = strlen(last),
			       .count = count};

	return guess_next(&p, from, strlen(from), got) ? got : "-";
}

static void numbered_names_are_exact(void)
{
	check_str(guess("f000000", "f000999", 1000, "f000999"), "f001999");
	check_str(guess("f000000", "f000999", 1000, "f001999"), "f002999");
	check_str(guess("f009000", "f009999", 1000, "f009999"), "f010999");
	check_str(guess("img_0000.jpg", "img_0999.jpg", 1000, "img_0999.jpg"), "img_1999.jpg");
	check_str(guess("d0000/", "d0999/", 1000, "d0999/"), "d1999/");
	check_str(guess("f00000", "f09990", 1000, "f09990"), "f19990"); /* each tenth */
}

static void others_are_a_little_early(void)
{
	/* two of each number: 500 a page */
	const char *at = guess("f0000.jpg", "f0499.txt", 1000, "f0499.txt");

	check(strcmp(at, "f0999.txt") < 0 && strcmp(at, "f0950") > 0);
	/* hashes: the first 1000 reach up to 0418 */
	at = guess("00012a3b", "0418cc00", 1000, "0418cc00");
	check(strcmp(at, "0830") < 0 && strcmp(at, "07c0") > 0);
	at = guess("x-00012a3b-1111", "x-0418cc00-2222", 1000, "x-0418cc00-2222");
	check(strcmp(at, "x-0830") < 0 && strcmp(at, "x-07c0") > 0);
	/* not padded: f1 to f1898 of f0 to f9999 */
	at = guess("f0", "f1898", 1000, "f1898");
	check(strcmp(at, "f3797") <= 0 && strcmp(at, "f35") > 0);
}

static void no_guess_where_names_tell_nothing(void)
{
	check_str(guess("f9000", "f9999", 1000, "f9999"), "-");
	check_str(guess("apple", "zebra", 1000, "zebra"), "-");
	check_str(guess("ada", "fed", 1000, "fed"), "-");
	check_str(guess("", "f0999", 1000, "f0999"), "-");
	check_str(guess("f0001", "f0001", 1000, "f0001"), "-");
	check_str(guess("f0001", "f0002", 1, "f0002"), "-");
	check_str(guess("f0000", "f0999", 1000, "g0999"), "-");
	check_str(guess("f000000000000000000", "f999999999999999999", 1000, "f999999999999999999"),
		  "-");
}

int main(void)
{
	return test_run((struct test[]){
		TEST(numbered_names_are_exact),
		TEST(others_are_a_little_early),
		TEST(no_guess_where_names_tell_nothing),
		{0},
	});
}
