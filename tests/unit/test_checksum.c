/* SPDX-License-Identifier: Apache-2.0 */

/* CRC32C: vectors of RFC 3720 B.4, and every length around the block sizes. */
#include <string.h>

#include "base/macro.h"
#include "lib/test.h"
#include "s3/checksum.h"
#include "s3/sum.h"

static void vectors(void)
{
	unsigned char b[32];

	memset(b, 0, sizeof(b));
	check_int(s3_crc32c(0, b, 32), ==, 0x8a9136aa);
	memset(b, 0xff, sizeof(b));
	check_int(s3_crc32c(0, b, 32), ==, 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		b[i] = (unsigned char)i;
	check_int(s3_crc32c(0, b, 32), ==, 0x46dd794e);
	check_int(s3_crc32c(0, "123456789", 9), ==, 0xe3069283);
	check_int(s3_crc32c_table(0, "123456789", 9), ==, 0xe3069283);
	check_int(s3_crc32c(0, NULL, 0), ==, 0);
}

static void fill(unsigned char *b, size_t n)
{
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		b[i] = (unsigned char)(x >> 24);
	}
}

/* 3 * 256 and 3 * 4096 are where the streams begin. */
static void lengths(void)
{
	static unsigned char b[40000];
	static const size_t around[] = {0, 8, 768, 1536, 12288, 24576, 25344};

	fill(b, sizeof(b));
	for (size_t i = 0; i < ARRAY_SIZE(around); i++)
		for (size_t n = around[i] < 20 ? 0 : around[i] - 20; n < around[i] + 20; n++)
			for (size_t at = 0; at < 3; at++)
				if (s3_crc32c(7, b + at, n) != s3_crc32c_table(7, b + at, n))
					test_fail_("length %zu at %zu", n, at);
}

static void nvme(void)
{
	static unsigned char b[40000];

	check(s3_crc64nvme(0, "123456789", 9) == UINT64_C(0xae8b14860a799888));
	memset(b, 0, 4096);
	check(s3_crc64nvme(0, b, 4096) == UINT64_C(0x6482d367eb22b64e));
	memset(b, 0xff, 4096);
	check(s3_crc64nvme(0, b, 4096) == UINT64_C(0xc0ddba7302eca3ac));
	fill(b, sizeof(b));
	for (size_t n = 0; n < 300; n++)
		for (size_t at = 0; at < 3; at++)
			if (s3_crc64nvme(7, b + at, n) != s3_crc64nvme_table(7, b + at, n))
				test_fail_("length %zu at %zu", n, at);
	check(s3_crc64nvme(9, b, sizeof(b)) == s3_crc64nvme_table(9, b, sizeof(b)));
}

static void ieee(void)
{
	static unsigned char b[40000];

	check_int(s3_crc32(0, "123456789", 9), ==, 0xcbf43926);
	check_int(s3_crc32_table(0, "123456789", 9), ==, 0xcbf43926);
	check_int(s3_crc32(0, "", 0), ==, 0);
	fill(b, sizeof(b));
	for (size_t n = 0; n < 300; n++)
		for (size_t at = 0; at < 3; at++)
			if (s3_crc32(7, b + at, n) != s3_crc32_table(7, b + at, n))
				test_fail_("length %zu at %zu", n, at);
	check_int(s3_crc32(9, b, sizeof(b)), ==, s3_crc32_table(9, b, sizeof(b)));
}

static void joined(void)
{
	static unsigned char b[30000];

	fill(b, sizeof(b));
	for (unsigned k = 0; k <= S3_SUM_OFF; k++) {
		enum s3_sum_kind kind = (enum s3_sum_kind)k;
		uint64_t whole = s3_sum(kind, 0, b, sizeof(b));

		for (size_t at = 0; at <= sizeof(b); at = at * 3 + 1) {
			uint64_t first = s3_sum(kind, 0, b, at);
			uint64_t second = s3_sum(kind, 0, b + at, sizeof(b) - at);

			check(s3_sum(kind, first, b + at, sizeof(b) - at) == whole);
			check(s3_sum_join(kind, first, second, sizeof(b) - at) == whole);
		}
	}
}

static void sum_texts(void)
{
	char t[S3_SUM_TEXT];

	s3_sum_text(S3_SUM_CRC32C, 0xe3069283, t);
	check_str(t, "4waSgw==");
	s3_sum_text(S3_SUM_CRC64NVME, UINT64_C(0xae8b14860a799888), t);
	check_str(t, "rosUhgp5mIg=");
	s3_sum_text(S3_SUM_CRC32, s3_sum(S3_SUM_CRC32, 0, "123456789", 9), t);
	check_str(t, "y/Q5Jg==");
	s3_sum_text(S3_SUM_OFF, 0, t);
	check_str(t, "");
}

static void digests(void)
{
	static char a[] = "he", b[] = "llo";
	const struct iovec iov[2] = {{a, 2}, {b, 3}};
	char t[S3_SUM_TEXT_MAX];

	check_int(s3_sum_digest_text(S3_SUM_SHA1, iov, 2, t), ==, 0);
	check_str(t, "qvTGHdzF6KLavt4PO0gs2a6pQ00=");
	check_int(s3_sum_digest_text(S3_SUM_SHA256, iov, 2, t), ==, 0);
	check_str(t, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
}

static void parsed(void)
{
	uint64_t v = 0;

	check(s3_sum_parse(S3_SUM_CRC32C, "4waSgw==", &v) && v == 0xe3069283);
	check(s3_sum_parse(S3_SUM_CRC64NVME, "rosUhgp5mIg=", &v) &&
	      v == UINT64_C(0xae8b14860a799888));
	check(!s3_sum_parse(S3_SUM_CRC32C, "4waSgw==-2", &v));
	check(!s3_sum_parse(S3_SUM_CRC32C, "4wa!gw==", &v));
	check(!s3_sum_parse(S3_SUM_CRC32C, "", &v));
	check(!s3_sum_parse(S3_SUM_SHA1, "qvTGHdzF6KLavt4PO0gs2a6pQ00=", &v));
}

static void pieces(void)
{
	static unsigned char b[30000];
	uint32_t whole, crc = 0;
	struct iovec iov[3] = {{b, 1}, {b + 1, 17000}, {b + 17001, sizeof(b) - 17001}};

	fill(b, sizeof(b));
	whole = s3_crc32c(0, b, sizeof(b));
	for (size_t at = 0, n = 1; at < sizeof(b); at += n, n = n * 2 < sizeof(b) - at ? n * 2 : 1)
		crc = s3_crc32c(crc, b + at, n);
	check_int(crc, ==, whole);
	check_int(s3_crc32c_iov(iov, 3), ==, whole);
	check_int(s3_crc32c_iov(NULL, 0), ==, 0);
}

static void text(void)
{
	char t[S3_CRC32C_TEXT];

	s3_crc32c_text(0xe3069283, t);
	check_str(t, "4waSgw==");
	s3_crc32c_text(0, t);
	check_str(t, "AAAAAA==");
	s3_crc32c_text(0xffffffff, t);
	check_str(t, "/////w==");
}

int main(void)
{
	return test_run((struct test[]){TEST(vectors),
					TEST(lengths),
					TEST(pieces),
					TEST(digests),
					TEST(parsed),
					TEST(text),
					TEST(nvme),
					TEST(ieee),
					TEST(joined),
					TEST(sum_texts),
					{0}});
}
