/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CRC32C three ways: on x86-64 with the CRC32 instruction on three independent
 * streams (its latency is three cycles, its throughput one) that a carry-less
 * multiplication joins; on one stream where that is too short; and with eight
 * tables elsewhere. Pure.
 *
 * Joining: appending n zero bytes multiplies a CRC by x^(8n) mod P. The product of
 * two reflected 32-bit values, fed as 8 bytes into the CRC32 instruction, comes
 * out multiplied by a further x^33, so the constants are x^(8n-33) mod P.
 */
#include "s3/checksum.h"

#include <pthread.h>
#include <string.h>

#define POLY 0x82f63b78U /* Castagnoli, reflected */

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t v = i;

		for (int bit = 0; bit < 8; bit++)
			v = v >> 1 ^ (v & 1 ? POLY : 0);
		table[0][i] = v;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

uint32_t s3_crc32c_table(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	(void)pthread_once(&table_once, table_init);
	crc = ~crc;
	for (; len >= 8; p += 8, len -= 8) {
		uint32_t lo = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
				     (uint32_t)p[3] << 24);

		crc = table[7][lo & 255] ^ table[6][lo >> 8 & 255] ^ table[5][lo >> 16 & 255] ^
		      table[4][lo >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
		      table[0][p[7]];
	}
	for (; len; len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
	return ~crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>
#include <wmmintrin.h>

#define TARGET __attribute__((target("sse4.2,pclmul")))
#define LONG   ((size_t)4096)
#define SHORT  ((size_t)256)

/* x^(8n-33) mod P; the test compares every length against the tables. */
#define X_LONG_2  0x54a86326U
#define X_LONG_1  0x82f89c77U
#define X_SHORT_2 0xdd7e3b0cU
#define X_SHORT_1 0xb9e02b86U

static inline uint64_t load64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

TARGET static inline uint64_t multiply(uint64_t a, uint32_t b)
{
	__m128i v = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)a),
					 _mm_cvtsi64_si128((long long)b), 0);

	return (uint64_t)_mm_cvtsi128_si64(v);
}

/* CRC of 3 * n bytes at p; x2 and x1 are the constants for 2 * n and n. */
TARGET static inline uint64_t three(uint64_t crc, const unsigned char *p, size_t n, uint32_t x2,
				    uint32_t x1)
{
	uint64_t b = 0, c = 0;

	for (size_t i = 0; i < n; i += 8) {
		crc = _mm_crc32_u64(crc, load64(p + i));
		b = _mm_crc32_u64(b, load64(p + n + i));
		c = _mm_crc32_u64(c, load64(p + 2 * n + i));
	}
	return _mm_crc32_u64(0, multiply(crc, x2) ^ multiply(b, x1)) ^ c;
}

TARGET static uint32_t crc32c_hw(uint32_t start, const unsigned char *p, size_t len)
{
	uint64_t crc = ~start;

	for (; len >= 3 * LONG; p += 3 * LONG, len -= 3 * LONG)
		crc = three(crc, p, LONG, X_LONG_2, X_LONG_1);
	for (; len >= 3 * SHORT; p += 3 * SHORT, len -= 3 * SHORT)
		crc = three(crc, p, SHORT, X_SHORT_2, X_SHORT_1);
	for (; len >= 8; p += 8, len -= 8)
		crc = _mm_crc32_u64(crc, load64(p));
	for (; len; len--)
		crc = _mm_crc32_u8((uint32_t)crc, *p++);
	return ~(uint32_t)crc;
}

uint32_t s3_crc32c(uint32_t crc, const void *data, size_t len)
{
	if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
		return crc32c_hw(crc, data, len);
	return s3_crc32c_table(crc, data, len);
}
#else
uint32_t s3_crc32c(uint32_t crc, const void *data, size_t len)
{
	return s3_crc32c_table(crc, data, len);
}
#endif

uint32_t s3_crc32c_iov(const struct iovec *iov, unsigned n)
{
	uint32_t crc = 0;

	for (unsigned i = 0; i < n; i++)
		crc = s3_crc32c(crc, iov[i].iov_base, iov[i].iov_len);
	return crc;
}

void s3_crc32c_text(uint32_t crc, char ret[S3_CRC32C_TEXT])
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t v = (uint64_t)crc << 16; /* 4 bytes and 2 of padding: 8 digits */

	for (int i = 0; i < 6; i++)
		ret[i] = digit[v >> (42 - 6 * i) & 63];
	ret[6] = ret[7] = '=';
	ret[8] = '\0';
}
