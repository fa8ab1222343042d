/* SPDX-License-Identifier: Apache-2.0 */

/* Numbers and dates: base/parse, base/date, base/backoff. */
#include <errno.h>
#include <string.h>

#include "base/backoff.h"
#include "base/date.h"
#include "base/parse.h"
#include "lib/test.h"

static void parse_u64_takes_digits_only(void)
{
	static const struct {
		const char *in;
		uint64_t min, max;
		int result;
		uint64_t value;
	} cases[] = {
		{"0", 0, 10, 0, 0},
		{"10", 0, 10, 0, 10},
		{"0010", 0, 10, 0, 10},
		{"11", 0, 10, -ERANGE, 0},
		{"4", 5, 10, -ERANGE, 0},
		{"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", 0, UINT64_MAX, -ERANGE, 0},
		{"99999999999999999999", 0, UINT64_MAX, -ERANGE, 0},
		{"", 0, 10, -EINVAL, 0},
		{" 1", 0, 10, -EINVAL, 0},
		{"1 ", 0, 10, -EINVAL, 0},
		{"+1", 0, 10, -EINVAL, 0},
		{"-1", 0, 10, -EINVAL, 0},
		{"0x1", 0, 10, -EINVAL, 0},
		{"1a", 0, 10, -EINVAL, 0},
		{"1.", 0, 10, -EINVAL, 0},
		{"\xb1", 0, 10, -EINVAL, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t v = 77;
		int r = parse_u64(cases[i].in, cases[i].min, cases[i].max, &v);

		check_int(r, ==, cases[i].result);
		check(v == (r == 0 ? cases[i].value : 77));
	}
}

static void parse_u64n_stops_at_its_length(void)
{
	uint64_t v = 77;

	check_int(parse_u64n("123456", 3, &v), ==, 0);
	check_int(v, ==, 123);
	check_int(parse_u64n("12x", 2, &v), ==, 0);
	check_int(v, ==, 12);
	check_int(parse_u64n("12", 0, &v), ==, -EINVAL);
	check_int(parse_u64n("1\0002", 3, &v), ==, -EINVAL);
	check_int(v, ==, 12);
}

static void parse_octal_is_a_mode(void)
{
	static const struct {
		const char *in;
		int result;
		uint64_t value;
	} cases[] = {
		{"0755", 0, 0755}, {"644", 0, 0644},	{"7777", 0, 07777}, {"10000", -ERANGE, 0},
		{"8", -EINVAL, 0}, {"0o7", -EINVAL, 0}, {"", -EINVAL, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t v = 1;

		check_int(parse_octal(cases[i].in, 07777, &v), ==, cases[i].result);
		check_int(v, ==, cases[i].result ? 1 : cases[i].value);
	}
}

static void http_dates(void)
{
	static const struct {
		const char *in;
		int result;
		int64_t value;
	} cases[] = {
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0, 0},
		{"Wed, 21 Oct 2015 07:28:00 GMT", 0, 1445412480},
		{"Thu, 29 Feb 2024 23:59:59 GMT", 0, 1709251199},
		{"Sat, 31 Dec 2016 23:59:60 GMT", 0, 1483228800},
		{"Fri, 31 Dec 9999 23:59:59 GMT", 0, INT64_C(253402300799)},
		{"Tue, 19 Jan 2038 03:14:08 GMT", 0, INT64_C(2147483648)},
		{"Wed, 21 oct 2015 07:28:00 GMT", -EINVAL, 0},
		{"Wed, 21 Oct 2015 07:28:00 UTC", -EINVAL, 0},
		{"Wed, 21 Oct 2015 24:28:00 GMT", -EINVAL, 0},
		{"Wed, 21 Oct 2015 07:60:00 GMT", -EINVAL, 0},
		{"Wed, 00 Oct 2015 07:28:00 GMT", -EINVAL, 0},
		{"Wed, 32 Oct 2015 07:28:00 GMT", -EINVAL, 0},
		{"Wed, 1  Oct 2015 07:28:00 GMT", -EINVAL, 0},
		{"Wed, 21 Oct 15 07:28:00 GMT", -EINVAL, 0},
		{"Wednesday, 21-Oct-15 07:28:00 GMT", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t v = 7;

		check_int(date_parse_http(cases[i].in, &v), ==, cases[i].result);
		check_int(v, ==, cases[i].result ? 7 : cases[i].value);
	}
}

static void iso_dates(void)
{
	static const struct {
		const char *in;
		int result;
		int64_t value;
	} cases[] = {
		{"2015-10-21T07:28:00.000Z", 0, 1445412480},
		{"2015-10-21T07:28:00Z", 0, 1445412480},
		{"2015-10-21T07:28:00.123456789Z", 0, 1445412480},
		{"1970-01-01T00:00:00Z", 0, 0},
		{"2015-10-21T07:28:00", -EINVAL, 0},
		{"2015-10-21T07:28:00+01:00", -EINVAL, 0},
		{"2015-10-21 07:28:00Z", -EINVAL, 0},
		{"2015-13-21T07:28:00Z", -EINVAL, 0},
		{"2015-1O-21T07:28:00Z", -EINVAL, 0},
		{"1969-12-31T23:59:59Z", -EINVAL, 0},
		{"20151021T072800Z", -EINVAL, 0},
		{"Z", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t v = 7;

		check_int(date_parse_iso(cases[i].in, &v), ==, cases[i].result);
		check_int(v, ==, cases[i].result ? 7 : cases[i].value);
	}
}

static void amz_dates(void)
{
	char s[17];

	date_format_amz(0, s);
	check_str(s, "19700101T000000Z");
	date_format_amz(1445412480, s);
	check_str(s, "20151021T072800Z");
	date_format_amz(INT64_C(253402300799), s);
	check_str(s, "99991231T235959Z");
}

static void backoff_doubles_up_to_its_cap(void)
{
	/* the largest draw shows the top of each interval */
	static const struct {
		unsigned retry;
		uint64_t top;
	} cases[] = {{0, 100}, {1, 100}, {2, 200}, {3, 400}, {4, 800}, {5, 1000}, {60, 1000}};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t top = cases[i].top;

		check_int(backoff_wait(100, 1000, cases[i].retry, top), ==, top);
		check_int(backoff_wait(100, 1000, cases[i].retry, top + 1), ==, 0);
		check_int(backoff_wait(100, 1000, cases[i].retry, 0), ==, 0);
	}
	check(backoff_wait(UINT64_MAX, UINT64_MAX, 3, 12345) == 12345);
	check(backoff_wait(UINT64_C(1) << 63, UINT64_MAX, 2, UINT64_MAX) == UINT64_MAX);
	check_int(backoff_wait(0, 1000, 5, 999), ==, 0);
	check_int(backoff_wait(500, 100, 1, 100), ==, 100);
}

static void backoff_random_spreads(void)
{
	unsigned ones[64] = {0};

	for (unsigned i = 0; i < 4000; i++) {
		uint64_t v = backoff_random();

		for (unsigned bit = 0; bit < 64; bit++)
			ones[bit] += v >> bit & 1;
	}
	/* 2000 +- 8 standard deviations of 31.6 */
	for (unsigned bit = 0; bit < 64; bit++)
		check(ones[bit] > 1747 && ones[bit] < 2253);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(parse_u64_takes_digits_only),
		TEST(parse_u64n_stops_at_its_length),
		TEST(parse_octal_is_a_mode),
		TEST(http_dates),
		TEST(iso_dates),
		TEST(amz_dates),
		TEST(backoff_doubles_up_to_its_cap),
		TEST(backoff_random_spreads),
		{0},
	});
}
