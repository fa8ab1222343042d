/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The checksums of uploads behind one name: which function, which header, which
 * text. CRCs are numbers, can go on and be joined; digests are of whole bodies and
 * come as text only. Joining two is multiplying by a power of x: to append n bytes means to
 * multiply what was before by x^(8n) mod P. Pure.
 */
#include "s3/sum.h"

#include <openssl/evp.h>
#include <string.h>

#include "s3/checksum.h"
#include "s3/s3.h"

struct algorithm {
	const char *name, *header, *element;
	unsigned bits; /* 0: a digest, which is of whole bodies only */
	uint64_t poly; /* reflected */
};

static const struct algorithm algorithms[] = {
	[S3_SUM_CRC32C] = {"CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", 32, 0x82f63b78},
	[S3_SUM_CRC64NVME] = {"CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 64,
			      UINT64_C(0x9a6c9329ac4bc9b5)},
	[S3_SUM_CRC32] = {"CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", 32, 0xedb88320},
	[S3_SUM_SHA1] = {"SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", 0, 0},
	[S3_SUM_SHA256] = {"SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", 0, 0},
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
	case S3_SUM_SHA1:
	case S3_SUM_SHA256:
	case S3_SUM_OFF:
		break;
	}
	return 0;
}

bool s3_sum_is_digest(enum s3_sum_kind kind)
{
	return kind == S3_SUM_SHA1 || kind == S3_SUM_SHA256;
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

	if (g->bits == 0)
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
	return algorithms[kind].bits == 0 ? 0 : multiply(&algorithms[kind], shift, sum);
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

/* `ret` has room for the text of n bytes. */
static void base64(const unsigned char *b, unsigned n, char *ret)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned at = 0;

	for (unsigned i = 0; i < n; i += 3) {
		unsigned v = (unsigned)b[i] << 16 | (i + 1 < n ? (unsigned)b[i + 1] << 8 : 0) |
			     (i + 2 < n ? b[i + 2] : 0);

		for (unsigned k = 0; k < 4; k++)
			ret[at++] = i + k > n ? '=' : digit[v >> (18 - 6 * k) & 63];
	}
	ret[at] = '\0';
}

void s3_sum_text(enum s3_sum_kind kind, uint64_t sum, char ret[S3_SUM_TEXT])
{
	unsigned char b[8];

	s3_sum_bytes(kind, sum, b);
	base64(b, algorithms[kind].bits / 8, ret);
}

bool s3_sum_parse(enum s3_sum_kind kind, const char *text, uint64_t *ret)
{
	unsigned char b[S3_SUM_TEXT];
	unsigned n = algorithms[kind].bits / 8;
	size_t len = strlen(text);

	if (n == 0 || len != (size_t)(n + 2) / 3 * 4 ||
	    EVP_DecodeBlock(b, (const unsigned char *)text, (int)len) < (int)n)
		return false;
	*ret = 0;
	for (unsigned i = 0; i < n; i++)
		*ret = *ret << 8 | b[i];
	return true;
}

int s3_sum_digest_text(enum s3_sum_kind kind, const struct iovec *iov, unsigned n,
		       char ret[S3_SUM_TEXT_MAX])
{
	enum s3_digest_kind digest = kind == S3_SUM_SHA1 ? S3_DIGEST_SHA1 : S3_DIGEST_SHA256;
	unsigned char value[S3_DIGEST_MAX];
	struct s3_digest d;
	int r = s3_digest_begin(&d, digest);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < n; i++)
		s3_digest_add(&d, iov[i].iov_base, iov[i].iov_len);
	r = s3_digest_end(&d, value);
	s3_digest_fini(&d);
	if (r == 0)
		base64(value, s3_digest_len(digest), ret);
	return r;
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
