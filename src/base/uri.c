/* SPDX-License-Identifier: Apache-2.0 */

/* Percent-encoding. Pure. */
#include "base/uri.h"

#include <errno.h>
#include <stdbool.h>

static bool unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void uri_encode(struct buf *b, const char *s, size_t len, enum uri_slash slash)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t run = 0; /* start of what needs no encoding */

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		char esc[3] = {'%', hex[c >> 4], hex[c & 15]};

		if (unreserved(c) || (c == '/' && slash == URI_KEEP_SLASH))
			continue;
		buf_append(b, s + run, i - run);
		buf_append(b, esc, sizeof(esc));
		run = i + 1;
	}
	buf_append(b, s + run, len - run);
}

static int hexval(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

long uri_decode(char *s, size_t len, int plus_is_space)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '%') {
			int hi = i + 2 < len ? hexval(s[i + 1]) : -1;
			int lo = i + 2 < len ? hexval(s[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return -EINVAL;
			s[out++] = (char)(hi << 4 | lo);
			i += 2;
		} else {
			s[out++] = plus_is_space && s[i] == '+' ? ' ' : s[i];
		}
	}
	return (long)out;
}
