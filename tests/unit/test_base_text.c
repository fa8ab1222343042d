/* SPDX-License-Identifier: Apache-2.0 */

/* Strings and their encodings: base/buf, base/hex, base/mountinfo, base/uri. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/mountinfo.h"
#include "base/uri.h"
#include "lib/test.h"

static void buf_is_text_at_any_time(void)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(100);

	check_str(buf_str(&b), "");
	buf_append(&b, NULL, 0);
	check_str(buf_str(&b), "");
	buf_puts(&b, "ab");
	buf_putc(&b, 'c');
	buf_append(&b, "de\0f", 4);
	check_int(b.len, ==, 7);
	check_mem(buf_str(&b), "abcde\0f", 8);
	buf_reset(&b);
	check_str(buf_str(&b), "");
	buf_printf(&b, "%d-%s", 42, "x");
	check_str(buf_str(&b), "42-x");
	check_int(buf_error(&b), ==, 0);
}

static void buf_grows_to_its_maximum_and_not_over(void)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(1000);

	for (unsigned i = 0; i < 1000; i++)
		buf_putc(&b, (char)('a' + i % 26));
	check_int(buf_error(&b), ==, 0);
	check_int(b.len, ==, 1000);
	buf_putc(&b, 'x');
	check_int(buf_error(&b), ==, -EMSGSIZE);
	check_int(b.len, ==, 1000);
	for (unsigned i = 0; i < 1000; i++)
		check_int(b.data[i], ==, 'a' + i % 26);
}

static void buf_stays_failed_until_reset(void)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(4);

	buf_puts(&b, "12345");
	buf_puts(&b, "1");
	buf_printf(&b, "%s", "2");
	check_int(buf_error(&b), ==, -EMSGSIZE);
	check_int(b.len, ==, 0);
	buf_reset(&b);
	buf_printf(&b, "%s", "1234");
	check_int(buf_error(&b), ==, 0);
	check_str(buf_str(&b), "1234");
	buf_printf(&b, "%s", "5");
	check_int(buf_error(&b), ==, -EMSGSIZE);
	check_str(buf_str(&b), "1234");
}

static void buf_take_gives_the_memory_away(void)
{
	struct buf b = BUF_INIT(10);
	char *s = buf_take(&b);

	check_str(s, "");
	free(s);
	buf_puts(&b, "abc");
	s = buf_take(&b);
	check_str(s, "abc");
	free(s);
	check_str(buf_str(&b), "");
	buf_puts(&b, "12345678901");
	check(buf_take(&b) == NULL);
	check_int(buf_error(&b), ==, 0);
	buf_puts(&b, "again");
	check_str(buf_str(&b), "again");
	buf_fini(&b);
}

static void hex_is_lower_case(void)
{
	char out[2 * 4 + 1];

	hex_encode((const unsigned char[]){0x00, 0x7f, 0xa0, 0xff}, 4, out);
	check_str(out, "007fa0ff");
	hex_encode(NULL, 0, out);
	check_str(out, "");
}

static void uri_escapes_what_is_not_unreserved(void)
{
	static const struct {
		const char *in;
		enum uri_slash slash;
		const char *out;
	} cases[] = {
		{"AZaz09-._~", URI_ENCODE_SLASH, "AZaz09-._~"},
		{"a/b", URI_KEEP_SLASH, "a/b"},
		{"a/b", URI_ENCODE_SLASH, "a%2Fb"},
		{" !\"#$%&'()*+,", URI_KEEP_SLASH, "%20%21%22%23%24%25%26%27%28%29%2A%2B%2C"},
		{":;<=>?@[\\]^`{|}", URI_KEEP_SLASH,
		 "%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D"},
		{"\xc3\xa4\x01\x7f\xff", URI_KEEP_SLASH, "%C3%A4%01%7F%FF"},
		{"", URI_KEEP_SLASH, ""},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_fini) struct buf b = BUF_INIT(200);

		uri_encode(&b, cases[i].in, strlen(cases[i].in), cases[i].slash);
		check_str(buf_str(&b), cases[i].out);
	}
}

static void uri_decodes_in_place(void)
{
	static const struct {
		const char *in;
		int plus;
		long result;
		const char *out;
	} cases[] = {
		{"a%20b", 0, 3, "a b"},	    {"%41%2f%2F%c3%A4", 0, 5, "A//\xc3\xa4"},
		{"a+b", 0, 3, "a+b"},	    {"a+b", 1, 3, "a b"},
		{"%2B+", 1, 2, "+ "},	    {"", 0, 0, ""},
		{"%", 0, -EINVAL, NULL},    {"a%4", 0, -EINVAL, NULL},
		{"%4g", 0, -EINVAL, NULL},  {"%g4", 0, -EINVAL, NULL},
		{"%%41", 0, -EINVAL, NULL}, {"a%00b", 0, 3, "a\0b"},
		{"%25%34%31", 0, 3, "%41"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		char s[64];
		long n;

		(void)snprintf(s, sizeof(s), "%s", cases[i].in);
		n = uri_decode(s, strlen(s), cases[i].plus);
		check_int(n, ==, cases[i].result);
		if (n > 0)
			check_mem(s, cases[i].out, (size_t)n);
	}
}

static void uri_round_trip_of_every_byte(void)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(1000);
	char all[256];

	for (unsigned i = 0; i < 256; i++)
		all[i] = (char)i;
	uri_encode(&b, all, sizeof(all), URI_ENCODE_SLASH);
	check_int(buf_error(&b), ==, 0);
	check_int(uri_decode(b.data, b.len, 0), ==, 256);
	check_mem(b.data, all, 256);
}

static void mountinfo_knows_paths_with_blanks(void)
{
	static char table[] =
		"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
		"30 22 0:50 / /a rw - autofs systemd-1 rw\n"
		"31 30 0:51 / /a rw,nosuid - fuse mountpoint-s3 rw,user_id=0\n"
		"this is no line\n"
		"32 22 0:52 / /with\\040space\\134and\\011tab rw shared:2 master:3 - tmpfs x rw\n"
		"33 22 0:53 / /\\0 rw - tmpfs x rw\n";
	static const struct {
		const char *path, *device, *type;
	} rows[] = {
		{"/", "8:1", "ext4"},
		{"/a", "0:51", "fuse"}, /* the one on top */
		{"/with space\\and\ttab", "0:52", "tmpfs"},
		{"/\\0", "0:53", "tmpfs"},
		{"/with", NULL, NULL},
		{"/a/", NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		FILE *f = fmemopen(table, sizeof(table) - 1, "r");
		struct mountinfo m = {0};

		require(f);
		check_int(mountinfo_read(f, rows[i].path, &m), ==, rows[i].type ? 0 : -ENOENT);
		if (rows[i].type) {
			check_str(m.device, rows[i].device);
			check_str(m.type, rows[i].type);
		}
		(void)fclose(f);
	}
}

int main(void)
{
	return test_run((struct test[]){
		TEST(buf_is_text_at_any_time),
		TEST(buf_grows_to_its_maximum_and_not_over),
		TEST(buf_stays_failed_until_reset),
		TEST(buf_take_gives_the_memory_away),
		TEST(hex_is_lower_case),
		TEST(uri_escapes_what_is_not_unreserved),
		TEST(uri_decodes_in_place),
		TEST(uri_round_trip_of_every_byte),
		TEST(mountinfo_knows_paths_with_blanks),
		{0},
	});
}
