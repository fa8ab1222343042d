/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CRC64NVME and CRC32 (reflected polynomials 0x9a6c9329ac4bc9b5 and 0xedb88320):
 * with carry-less multiplication on four streams of 16 bytes where the CPU has it,
 * else with eight tables. Pure.
 *
 * CRC32 is computed as a CRC of 64 bits with the polynomial P * x^32: the register's
 * upper half, the lower powers, is zero throughout.
 *
 * Folding: a block of 128 bits that stands D bits before another one is added to
 * it as low * x^(D+63) + high * x^(D-1) mod P; in reflected order the low half is
 * the one of the higher powers, and a product comes out one place too low, hence
 * the -1. The constants are computed at first use.
 */
#include <pthread.h>
#include <string.h>

#include "s3/checksum.h"

struct crc {
	uint64_t poly;
	uint64_t table[8][256];
	uint64_t near[2], far[2]; /* folds for D = 128 and 512: low, high */
};

static struct crc nvme = {.poly = UINT64_C(0x9a6c9329ac4bc9b5)};
static struct crc ieee = {.poly = 0xedb88320};
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* x^n mod P, reflected: bit 63 is x^0. */
static uint64_t power_of_x(const struct crc *c, unsigned n)
{
	uint64_t v = UINT64_C(1) << 63;

	for (; n; n--)
		v = v >> 1 ^ (v & 1 ? c->poly : 0);
	return v;
}

static void init_one(struct crc *c)
{
	for (uint64_t i = 0; i < 256; i++) {
		uint64_t v = i;

		for (int bit = 0; bit < 8; bit++)
			v = v >> 1 ^ (v & 1 ? c->poly : 0);
		c->table[0][i] = v;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			c->table[k][i] =
				c->table[k - 1][i] >> 8 ^ c->table[0][c->table[k - 1][i] & 255];
	c->near[0] = power_of_x(c, 128 + 63);
	c->near[1] = power_of_x(c, 128 - 1);
	c->far[0] = power_of_x(c, 512 + 63);
	c->far[1] = power_of_x(c, 512 - 1);
}

static void init(void)
{
	init_one(&nvme);
	init_one(&ieee);
}

static inline uint64_t load64le(const unsigned char *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

/* Without the inversions at start and end. */
static uint64_t by_table(const struct crc *c, uint64_t crc, const unsigned char *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t v = crc ^ load64le(p);

		crc = 0;
		for (int k = 0; k < 8; k++)
			crc ^= c->table[7 - k][v >> 8 * k & 255];
	}
	for (; len; len--)
		crc = crc >> 8 ^ c->table[0][(crc ^ *p++) & 255];
	return crc;
}

uint64_t s3_crc64nvme_table(uint64_t crc, const void *data, size_t len)
{
	(void)pthread_once(&once, init);
	return ~by_table(&nvme, ~crc, data, len);
}

uint32_t s3_crc32_table(uint32_t crc, const void *data, size_t len)
{
	(void)pthread_once(&once, init);
	return ~(uint32_t)by_table(&ieee, ~crc, data, len);
}

#ifdef __x86_64__
#include <emmintrin.h>
#include <wmmintrin.h>

#define TARGET __attribute__((target("sse4.2,pclmul")))
#define STRIDE 64

TARGET static inline __m128i fold(__m128i v, __m128i by, __m128i next)
{
	__m128i low = _mm_clmulepi64_si128(v, by, 0x00), high = _mm_clmulepi64_si128(v, by, 0x11);

	return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

static inline __m128i load(const unsigned char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* At least STRIDE bytes; returns the state before the last bytes that are not whole blocks. */
TARGET static uint64_t by_folding(const struct crc *c, uint64_t crc, const unsigned char **p,
				  size_t *len)
{
	__m128i far = _mm_set_epi64x((long long)c->far[1], (long long)c->far[0]);
	__m128i near = _mm_set_epi64x((long long)c->near[1], (long long)c->near[0]);
	__m128i v[4];
	unsigned char rest[16];

	for (int i = 0; i < 4; i++)
		v[i] = load(*p + 16 * i);
	v[0] = _mm_xor_si128(v[0], _mm_cvtsi64_si128((long long)crc));
	for (*p += STRIDE, *len -= STRIDE; *len >= STRIDE; *p += STRIDE, *len -= STRIDE)
		for (int i = 0; i < 4; i++)
			v[i] = fold(v[i], far, load(*p + 16 * i));
	for (int i = 1; i < 4; i++)
		v[i] = fold(v[i - 1], near, v[i]);
	for (; *len >= 16; *p += 16, *len -= 16)
		v[3] = fold(v[3], near, load(*p));
	_mm_storeu_si128((__m128i *)(void *)rest, v[3]);
	return by_table(c, 0, rest, sizeof(rest));
}

static uint64_t by_best(const struct crc *c, uint64_t crc, const unsigned char *p, size_t len)
{
	if (len >= STRIDE && __builtin_cpu_supports("pclmul"))
		crc = by_folding(c, crc, &p, &len);
	return by_table(c, crc, p, len);
}
#else
static uint64_t by_best(const struct crc *c, uint64_t crc, const unsigned char *p, size_t len)
{
	return by_table(c, crc, p, len);
}
#endif

uint64_t s3_crc64nvme(uint64_t crc, const void *data, size_t len)
{
	(void)pthread_once(&once, init);
	return ~by_best(&nvme, ~crc, data, len);
}

uint32_t s3_crc32(uint32_t crc, const void *data, size_t len)
{
	(void)pthread_once(&once, init);
	return ~(uint32_t)by_best(&ieee, (uint32_t)~crc, data, len);
}
