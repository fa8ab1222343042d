/* SPDX-License-Identifier: Apache-2.0 */

/*
 * First and last name of a page are read as numbers, of base 16 when their digits
 * have letters: the run of digits in which they differ, with the equal ones
 * before it. A page ahead is the same distance further. Pure, any thread.
 */
#include "fuse/guess.h"

#include <stdint.h>
#include <string.h>

#include "fuse/name.h"

#define DIGITS_MAX 12	/* 16^12 times a page's count stays in 64 bits */
#define HEX_LEAST  4	/* fewer are words */
#define EARLY	   16	/* a sixteenth of a page, where the distance is not exact */
#define COUNT_MAX  1000 /* of a page */

static int digit(char c, unsigned base)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (base == 16 && c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static size_t run(const char *s, size_t len, size_t at, unsigned base)
{
	size_t end = at;

	while (end < len && end - at < DIGITS_MAX && digit(s[end], base) >= 0)
		end++;
	return end - at;
}

/* `width` digits from `at`; what is missing counts as 0. */
static uint64_t number(const char *s, size_t len, size_t at, size_t width, unsigned base)
{
	size_t have = run(s, len, at, base);
	uint64_t n = 0;

	for (size_t i = 0; i < width; i++)
		n = n * base + (i < have ? (uint64_t)digit(s[at + i], base) : 0);
	return n;
}

static uint64_t power(unsigned base, size_t width)
{
	uint64_t n = 1;

	while (width-- > 0)
		n *= base;
	return n;
}

/* The digits in which the two differ: where they begin, and their base; 0: none. */
static unsigned find_digits(const struct guess_page *p, size_t *ret_at)
{
	size_t n = p->first_len < p->last_len ? p->first_len : p->last_len, at = 0;
	size_t dec_first, dec_last, hex_first, hex_last;
	unsigned base = 10;

	while (at < n && p->first[at] == p->last[at])
		at++;
	dec_first = run(p->first, p->first_len, at, 10);
	dec_last = run(p->last, p->last_len, at, 10);
	hex_first = run(p->first, p->first_len, at, 16);
	hex_last = run(p->last, p->last_len, at, 16);
	if (hex_first != dec_first || hex_last != dec_last) {
		if (hex_first < HEX_LEAST || hex_last < HEX_LEAST)
			return 0;
		base = 16;
	} else if (dec_first == 0 || dec_last == 0) {
		return 0;
	}
	/* a number may carry into the digits that are still equal */
	while (at > 0 && digit(p->last[at - 1], base) >= 0)
		at--;
	*ret_at = at;
	return base;
}

bool guess_next(const struct guess_page *p, const char *from, size_t from_len, char *ret)
{
	size_t at, width, tail;
	uint64_t span, step, next;
	bool exact;
	unsigned base;

	if (p->count < 2 || p->count > COUNT_MAX)
		return false;
	base = find_digits(p, &at);
	if (base == 0 || from_len < at || memcmp(from, p->last, at) != 0)
		return false;
	width = run(p->last, p->last_len, at, base);
	tail = at + width;
	span = number(p->last, p->last_len, at, width, base) -
	       number(p->first, p->first_len, at, width, base);
	exact = span % (p->count - 1) == 0 && run(p->first, p->first_len, at, base) == width &&
		(tail == p->last_len || digit(p->last[tail], base) < 0);
	step = span / (p->count - 1) * p->count + span % (p->count - 1) * p->count / (p->count - 1);
	if (!exact)
		step -= step / EARLY;
	next = number(from, from_len, at, width, base) + step;
	if (step == 0 || next >= power(base, width))
		return false;
	memcpy(ret, p->last, at);
	for (size_t i = tail; i > at; i--) {
		ret[i - 1] = "0123456789abcdef"[next % base];
		next /= base;
	}
	if (exact) {
		memcpy(ret + tail, p->last + tail, p->last_len - tail);
		tail = p->last_len;
	}
	ret[tail] = '\0';
	return true;
}
