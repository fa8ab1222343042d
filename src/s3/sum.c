/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The CRCs of S3 behind one name: which function, which header, which text. Joining two is
 * multiplying by a power of x: to append n bytes means to multiply what was before by x^(8n) mod P.
 * Pure.
 */
#include "s3/sum.h"

#include <string.h>

#include "s3/checksum.h"
#include "s3/s3.h"

struct algorithm {
	const char *name, *header, *element;
	unsigned bits;
	uint64_t poly; /* reflected */
};

static const struct algorithm algorithms[] = {
	[S3_SUM_CRC32C] = {"CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", 32, 0x82f63b78},
	[S3_SUM_CRC64NVME] = {"CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 64,
			      UINT64_C(0x9a6c9329ac4bc9b5)},
	[S3_SUM_CRC32] = {"CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", 32, 0xedb88320},
	[S3_SUM_OFF] = {"", "", "", 0, 0},
};

uint64_t s3_sum(enum s3_sum_kind kind, uint64_t before, const void *data, size_t len)
{
	switch (kind) {
	case S3_SUM_CRC32C:
		return s3_crc32c((uint32_t)before, data, len);
	case S3_SUM_CRC64NVME:
		return s3_crc64nvme(before, data, len);
	case S3_SUM_CRC32:
		return s3_crc32((uint32_t)before, data, len);
	case S3_SUM_OFF:
		break;
	}
	return 0;
}

uint64_t s3_sum_iov(enum s3_sum_kind kind, const struct iovec *iov, unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum = s3_sum(kind, sum, iov[i].iov_base, iov[i].iov_len);
	return sum;
}

/* a * b mod P; the highest of `bits` bits is x^0. */
static uint64_t multiply(const struct algorithm *g, uint64_t a, uint64_t b)
{
	uint64_t product = 0;

	for (uint64_t bit = UINT64_C(1) << (g->bits - 1); bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b >> 1 ^ (b & 1 ? g->poly : 0);
	}
	return product;
}

uint64_t s3_sum_shift(enum s3_sum_kind kind, uint64_t len)
{
	const struct algorithm *g = &algorithms[kind];
	uint64_t shift, square;

	if (kind == S3_SUM_OFF)
		return 0;
	shift = UINT64_C(1) << (g->bits - 1);
	square = shift >> 8; /* x^8 */
	for (; len; len >>= 1) {
		if (len & 1)
			shift = multiply(g, shift, square);
		square = multiply(g, square, square);
	}
	return shift;
}

uint64_t s3_sum_shifted(enum s3_sum_kind kind, uint64_t sum, uint64_t shift)
{
	return kind == S3_SUM_OFF ? 0 : multiply(&algorithms[kind], shift, sum);
}

uint64_t s3_sum_join(enum s3_sum_kind kind, uint64_t a, uint64_t b, uint64_t len_b)
{
	return s3_sum_shifted(kind, a, s3_sum_shift(kind, len_b)) ^ b;
}

void s3_sum_bytes(enum s3_sum_kind kind, uint64_t sum, unsigned char ret[8])
{
	unsigned n = algorithms[kind].bits / 8;

	for (unsigned i = 0; i < n; i++)
		ret[i] = (unsigned char)(sum >> 8 * (n - 1 - i));
}

void s3_sum_text(enum s3_sum_kind kind, uint64_t sum, char ret[S3_SUM_TEXT])
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char b[9] = {0};
	unsigned n = algorithms[kind].bits / 8, at = 0;

	s3_sum_bytes(kind, sum, b);
	for (unsigned i = 0; i < n; i += 3) {
		unsigned v = (unsigned)b[i] << 16 | (unsigned)b[i + 1] << 8 | b[i + 2];

		for (unsigned k = 0; k < 4; k++)
			ret[at++] = i + k > n ? '=' : digit[v >> (18 - 6 * k) & 63];
	}
	ret[at] = '\0';
}

const char *s3_sum_name(enum s3_sum_kind kind)
{
	return algorithms[kind].name;
}

const char *s3_sum_header(enum s3_sum_kind kind)
{
	return algorithms[kind].header;
}

const char *s3_sum_element(enum s3_sum_kind kind)
{
	return algorithms[kind].element;
}

unsigned s3_sum_len(enum s3_sum_kind kind)
{
	return algorithms[kind].bits / 8;
}
