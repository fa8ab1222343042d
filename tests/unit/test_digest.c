/* SPDX-License-Identifier: Apache-2.0 */

/* Checksums in header lines, and computing them by pieces. */
#include <string.h>

#include "base/macro.h"
#include "lib/test.h"
#include "s3/s3.h"

static const enum s3_digest_kind all[] = {S3_DIGEST_CRC64NVME, S3_DIGEST_CRC32C, S3_DIGEST_CRC32,
					  S3_DIGEST_SHA1, S3_DIGEST_SHA256};

static void take(struct s3_checksum *c, const char *name, const char *value)
{
	s3_checksum_header(c, name, strlen(name), value, strlen(value));
}

/* Of "123456789". */
static void header_lines(void)
{
	static const struct {
		const char *name, *value;
		enum s3_digest_kind kind;
	} rows[] = {
		{"x-amz-checksum-crc32", "y/Q5Jg==", S3_DIGEST_CRC32},
		{"x-amz-checksum-crc32c", "4waSgw==", S3_DIGEST_CRC32C},
		{"X-Amz-Checksum-Crc64nvme", "rosUhgp5mIg=", S3_DIGEST_CRC64NVME},
		{"x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE=", S3_DIGEST_SHA1},
		{"x-amz-checksum-sha256",
		 "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=", S3_DIGEST_SHA256},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned char value[S3_DIGEST_MAX];
		struct s3_checksum c = {0};
		char text[S3_CHECKSUM_TEXT];
		struct s3_digest d;

		take(&c, "x-amz-checksum-type", "FULL_OBJECT");
		take(&c, rows[i].name, rows[i].value);
		check_int(c.kind, ==, rows[i].kind);
		check_int(c.parts, ==, 0);
		check(!c.by_parts);
		s3_checksum_text(&c, text);
		check_str(text, rows[i].value);
		check_int(s3_digest_begin(&d, c.kind), ==, 0);
		s3_digest_add(&d, "1234", 4);
		s3_digest_add(&d, "56789", 5);
		check_int(s3_digest_end(&d, value), ==, 0);
		check(memcmp(value, c.value, s3_digest_len(c.kind)) == 0);
		s3_digest_fini(&d);
	}
}

static void composite(void)
{
	struct s3_checksum c = {0};
	char text[S3_CHECKSUM_TEXT];

	take(&c, "x-amz-checksum-crc32c", "4waSgw==-12");
	take(&c, "x-amz-checksum-type", "COMPOSITE");
	check_int(c.kind, ==, S3_DIGEST_CRC32C);
	check_int(c.parts, ==, 12);
	check(c.by_parts);
	s3_checksum_text(&c, text);
	check_str(text, "4waSgw==-12");
}

/* Nothing usable is nothing. */
static void nonsense(void)
{
	static const struct {
		const char *name, *value;
	} rows[] = {
		{"x-amz-checksum-crc32c", ""},
		{"x-amz-checksum-crc32c", "4waSgw="},
		{"x-amz-checksum-crc32c", "4waSgw==="},
		{"x-amz-checksum-crc32c", "4waSgw==-"},
		{"x-amz-checksum-crc32c", "4waSgw==-0"},
		{"x-amz-checksum-crc32c", "4waSgw==-10001"},
		{"x-amz-checksum-crc32c", "4waSgw==-x"},
		{"x-amz-checksum-crc32c", "4w!Sgw=="},
		{"x-amz-checksum-crc32c", "rosUhgp5mIg="},
		{"x-amz-checksum-md5", "4waSgw=="},
		{"x-amz-checksum-", "4waSgw=="},
		{"x-amz-checksum-sha256", "FeKw087Oo"},
		{"x-amz-checksum-mode", "ENABLED"},
		{"x-amz-meta-checksum-crc32c", "4waSgw=="},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct s3_checksum c = {0};

		take(&c, rows[i].name, rows[i].value);
		if (c.kind != S3_DIGEST_NONE)
			test_fail_("%s: %s", rows[i].name, rows[i].value);
	}
}

/* Of several the cheapest, in whatever order they come. */
static void several(void)
{
	struct s3_checksum c = {0}, d = {0};

	take(&c, "x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE=");
	take(&c, "x-amz-checksum-crc32", "y/Q5Jg==");
	check_int(c.kind, ==, S3_DIGEST_CRC32);
	take(&d, "x-amz-checksum-crc32", "y/Q5Jg==");
	take(&d, "x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE=");
	check_int(d.kind, ==, S3_DIGEST_CRC32);
}

/* Pieces, and again after the end. */
static void pieces(void)
{
	static char b[70000];
	const size_t cut[] = {0, 100, 30100, 60100, sizeof(b)};

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (char)(i * 7 + i / 251);
	for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
		unsigned char whole[S3_DIGEST_MAX], joined[S3_DIGEST_MAX];
		enum s3_sum_kind crc = s3_digest_crc(all[k]);
		struct s3_digest d;

		check_int(s3_digest_begin(&d, all[k]), ==, 0);
		s3_digest_add(&d, b, sizeof(b));
		check_int(s3_digest_end(&d, whole), ==, 0);
		for (size_t i = 0; i + 1 < ARRAY_SIZE(cut); i++) {
			size_t n = cut[i + 1] - cut[i];

			if (crc == S3_SUM_OFF)
				s3_digest_add(&d, b + cut[i], n);
			else
				s3_digest_join(&d, s3_sum(crc, 0, b + cut[i], n), n);
		}
		check_int(s3_digest_end(&d, joined), ==, 0);
		check(memcmp(whole, joined, s3_digest_len(all[k])) == 0);
		s3_digest_fini(&d);
		s3_digest_fini(&d);
	}
}

int main(void)
{
	return test_run((struct test[]){TEST(header_lines),
					TEST(composite),
					TEST(nonsense),
					TEST(several),
					TEST(pieces),
					{0}});
}
