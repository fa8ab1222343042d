/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CRC64NVME (reflected polynomial 0x9a6c9329ac4bc9b5): with carry-less
 * multiplication on four streams of 16 bytes where the CPU has it, else with eight
 * tables. Pure.
 *
 * Folding: a block of 128 bits that stands D bits before another one is added to
 * it as low * x^(D+63) + high * x^(D-1) mod P; in reflected order the low half is
 * the one of the higher powers, and a product comes out one place too low, hence
 * the -1. The constants are computed at first use.
 */
#include <pthread.h>
#include <string.h>

#include "s3/checksum.h"

#define POLY UINT64_C(0x9a6c9329ac4bc9b5)

static uint64_t table[8][256];
static uint64_t fold_near[2], fold_far[2]; /* for D = 128 and 512: low, high */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* x^n mod P, reflected: bit 63 is x^0. */
static uint64_t power_of_x(unsigned n)
{
	uint64_t v = UINT64_C(1) << 63;

	for (; n; n--)
		v = v >> 1 ^ (v & 1 ? POLY : 0);
	return v;
}

static void init(void)
{
	for (uint64_t i = 0; i < 256; i++) {
		uint64_t v = i;

		for (int bit = 0; bit < 8; bit++)
			v = v >> 1 ^ (v & 1 ? POLY : 0);
		table[0][i] = v;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
	fold_near[0] = power_of_x(128 + 63);
	fold_near[1] = power_of_x(128 - 1);
	fold_far[0] = power_of_x(512 + 63);
	fold_far[1] = power_of_x(512 - 1);
}

static inline uint64_t load64le(const unsigned char *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

/* Without the inversions at start and end. */
static uint64_t by_table(uint64_t crc, const unsigned char *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t v = crc ^ load64le(p);

		crc = 0;
		for (int k = 0; k < 8; k++)
			crc ^= table[7 - k][v >> 8 * k & 255];
	}
	for (; len; len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
	return crc;
}

uint64_t s3_crc64nvme_table(uint64_t crc, const void *data, size_t len)
{
	(void)pthread_once(&once, init);
	return ~by_table(~crc, data, len);
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
TARGET static uint64_t by_folding(uint64_t crc, const unsigned char **p, size_t *len)
{
	__m128i far = _mm_set_epi64x((long long)fold_far[1], (long long)fold_far[0]);
	__m128i near = _mm_set_epi64x((long long)fold_near[1], (long long)fold_near[0]);
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
	return by_table(0, rest, sizeof(rest));
}

uint64_t s3_crc64nvme(uint64_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	(void)pthread_once(&once, init);
	crc = ~crc;
	if (len >= STRIDE && __builtin_cpu_supports("pclmul"))
		crc = by_folding(crc, &p, &len);
	return ~by_table(crc, p, len);
}
#else
uint64_t s3_crc64nvme(uint64_t crc, const void *data, size_t len)
{
	return s3_crc64nvme_table(crc, data, len);
}
#endif
