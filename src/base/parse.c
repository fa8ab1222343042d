/* SPDX-License-Identifier: Apache-2.0 */

/* Strict number parsers. Pure. */
#include "base/parse.h"

#include <errno.h>
#include <string.h>

static int digits(const char *s, size_t len, unsigned base, uint64_t *ret)
{
	uint64_t v = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned d = (unsigned)(unsigned char)s[i] - '0';

		if (d >= base)
			return -EINVAL;
		if (v > (UINT64_MAX - d) / base)
			return -ERANGE;
		v = v * base + d;
	}
	*ret = v;
	return 0;
}

int parse_u64n(const char *s, size_t len, uint64_t *ret)
{
	return digits(s, len, 10, ret);
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v;
	int r = digits(s, strlen(s), 10, &v);

	if (r < 0)
		return r;
	if (v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int parse_octal(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v;
	int r = digits(s, strlen(s), 8, &v);

	if (r < 0)
		return r;
	if (v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}
