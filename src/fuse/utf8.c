/* SPDX-License-Identifier: Apache-2.0 */

/* UTF-8 check, table of RFC 3629 section 4. Pure. */
#include "fuse/utf8.h"

#include <stdint.h>
#include <string.h>

#include "base/macro.h"

/* Range of lead bytes, how many follow, and the range of the first that follows. */
static const struct {
	unsigned char lead_lo, lead_hi, follow, lo, hi;
} forms[] = {
	{0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf}, {0xe1, 0xec, 2, 0x80, 0xbf},
	{0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf}, {0xf0, 0xf0, 3, 0x90, 0xbf},
	{0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

/* Length of the multi-byte character at s, or 0. */
static size_t multibyte(const unsigned char *s, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (s[0] < forms[i].lead_lo || s[0] > forms[i].lead_hi)
			continue;
		if (len <= forms[i].follow || s[1] < forms[i].lo || s[1] > forms[i].hi)
			return 0;
		for (size_t k = 2; k <= forms[i].follow; k++) {
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		}
		return (size_t)forms[i].follow + 1;
	}
	return 0;
}

bool utf8_valid(const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;

	while (len > 0) {
		size_t n = 1;

		if (s[0] >= 0x80) {
			n = multibyte(s, len);
			if (n == 0)
				return false;
		}
		s += n;
		len -= n;
	}
	return true;
}
