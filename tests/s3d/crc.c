/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CRC-32, CRC-32C and CRC-64/NVME, all reflected with all-ones start and end.
 * Eight bytes a step through tables; CRC-32C through the SSE 4.2 instruction
 * where the processor has it, in three lanes. Combining works on polynomials modulo P: crc(A)
 * is multiplied by x^(8 * length of B).
 */

#include <string.h>

#include "crc.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

struct poly {
	uint64_t poly; /* reflected */
	uint64_t ones;
	unsigned width;
};

static const struct poly polys[CRC_KINDS] = {
	[CRC_32] = {0xedb88320u, 0xffffffffu, 32},
	[CRC_32C] = {0x82f63b78u, 0xffffffffu, 32},
	[CRC_64NVME] = {0x9a6c9329ac4bc9b5u, 0xffffffffffffffffu, 64},
};

/* a * b modulo P, in the reflected order: the top bit is x^0. */
static uint64_t multiply(const struct poly *p, uint64_t a, uint64_t b)
{
	uint64_t top = (uint64_t)1 << (p->width - 1), r = 0;

	for (uint64_t bit = top; bit; bit >>= 1) {
		if (a & bit)
			r ^= b;
		b = b & 1 ? b >> 1 ^ p->poly : b >> 1;
	}
	return r;
}

/* x^(8 * len) modulo P */
static uint64_t power_of(const struct poly *p, uint64_t len)
{
	uint64_t square = (uint64_t)1 << (p->width - 9); /* x^8 */
	uint64_t power = (uint64_t)1 << (p->width - 1);	 /* x^0 */

	for (; len; len >>= 1) {
		if (len & 1)
			power = multiply(p, power, square);
		square = multiply(p, square, square);
	}
	return power;
}

#define LANE ((size_t)2048)

static uint64_t tables[CRC_KINDS][8][256]; /* set by crc_start() */
static uint64_t lane[4][256];		   /* CRC-32C of LANE zeros, too */

void crc_start(void)
{
	for (int k = 0; k < CRC_KINDS; k++) {
		for (unsigned i = 0; i < 256; i++) {
			uint64_t c = i;

			for (int bit = 0; bit < 8; bit++)
				c = c & 1 ? c >> 1 ^ polys[k].poly : c >> 1;
			tables[k][0][i] = c;
		}
		for (int t = 1; t < 8; t++)
			for (unsigned i = 0; i < 256; i++) {
				uint64_t c = tables[k][t - 1][i];

				tables[k][t][i] = c >> 8 ^ tables[k][0][c & 0xff];
			}
	}
	for (unsigned t = 0; t < 4; t++)
		for (unsigned i = 0; i < 256; i++)
			lane[t][i] = multiply(&polys[CRC_32C], power_of(&polys[CRC_32C], LANE),
					      (uint64_t)i << (8 * t));
}

static uint64_t add_by_table(enum crc_kind kind, uint64_t c, const uint8_t *p, size_t len)
{
	uint64_t(*t)[256] = tables[kind];

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		w ^= c; /* little-endian machines only */
		c = t[7][w & 0xff] ^ t[6][w >> 8 & 0xff] ^ t[5][w >> 16 & 0xff] ^
		    t[4][w >> 24 & 0xff] ^ t[3][w >> 32 & 0xff] ^ t[2][w >> 40 & 0xff] ^
		    t[1][w >> 48 & 0xff] ^ t[0][w >> 56];
	}
	for (; len; p++, len--)
		c = c >> 8 ^ t[0][(c ^ *p) & 0xff];
	return c;
}

#if defined(__x86_64__)
/* The CRC of LANE zeros behind what has the CRC c. */
static uint64_t over_lane(uint64_t c)
{
	return lane[0][c & 0xff] ^ lane[1][c >> 8 & 0xff] ^ lane[2][c >> 16 & 0xff] ^
	       lane[3][c >> 24 & 0xff];
}

/* The instruction takes three cycles but one can start in each: three lanes. */
__attribute__((target("sse4.2"))) static uint64_t add_by_sse(uint64_t c, const uint8_t *p,
							     size_t len)
{
	for (; len >= 3 * LANE; p += 2 * LANE, len -= 3 * LANE) {
		uint64_t c1 = 0, c2 = 0, w[3];

		for (const uint8_t *end = p + LANE; p < end; p += 8) {
			memcpy(&w[0], p, 8);
			memcpy(&w[1], p + LANE, 8);
			memcpy(&w[2], p + 2 * LANE, 8);
			c = _mm_crc32_u64(c, w[0]);
			c1 = _mm_crc32_u64(c1, w[1]);
			c2 = _mm_crc32_u64(c2, w[2]);
		}
		c = over_lane(over_lane(c) ^ c1) ^ c2;
	}
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		c = _mm_crc32_u64(c, w);
	}
	for (; len; p++, len--)
		c = _mm_crc32_u8((uint32_t)c, *p);
	return c;
}
#endif

uint64_t crc_add(enum crc_kind kind, uint64_t crc, const void *data, size_t len)
{
	uint64_t ones = polys[kind].ones, c = crc ^ ones;

#if defined(__x86_64__)
	if (kind == CRC_32C && __builtin_cpu_supports("sse4.2"))
		return add_by_sse(c, data, len) ^ ones;
#endif
	return add_by_table(kind, c, data, len) ^ ones;
}

uint64_t crc_combine(enum crc_kind kind, uint64_t a, uint64_t b, uint64_t len_b)
{
	return multiply(&polys[kind], power_of(&polys[kind], len_b), a) ^ b;
}
