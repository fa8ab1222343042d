/* SPDX-License-Identifier: Apache-2.0 */

#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>

/* Lower-case hex of n bytes into ret[2 * n + 1]. */
static inline void hex_encode(const unsigned char *p, size_t n, char *ret)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = digit[p[i] >> 4];
		ret[2 * i + 1] = digit[p[i] & 15];
	}
	ret[2 * n] = '\0';
}

#endif
