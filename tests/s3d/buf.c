/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Growing byte string: see buf.h. Used by one thread at a time.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

/* Room for `more` bytes and a NUL. */
static bool buf_grow(struct buf *b, size_t more)
{
	size_t max = b->max ? b->max : BUF_MAX;
	size_t cap = b->cap ? b->cap : 256;
	char *data;

	if (b->failed || more > max - MIN(max, b->len)) {
		b->failed = true;
		return false;
	}
	if (b->len + more < b->cap)
		return true;
	while (cap <= b->len + more)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!buf_grow(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_u64(struct buf *b, uint64_t v)
{
	char digits[20], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	buf_add(b, p, (size_t)(digits + sizeof(digits) - p));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	else if (buf_grow(b, (size_t)n)) {
		(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

static const char *xml_escape(unsigned char c)
{
	switch (c) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	default:
		return NULL;
	}
}

void buf_xml(struct buf *b, const char *s)
{
	const char *run = s;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		const char *esc = xml_escape(c);

		if (!esc && c >= 0x20)
			continue;
		buf_add(b, run, (size_t)(s - run));
		run = s + 1;
		if (esc)
			buf_str(b, esc);
		else
			buf_printf(b, "&#x%x;", c);
	}
	buf_add(b, run, (size_t)(s - run));
}

void buf_json(struct buf *b, const char *s)
{
	if (!s) {
		buf_str(b, "null");
		return;
	}
	buf_char(b, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20)
			buf_printf(b, "\\u%04x", c);
		else
			buf_char(b, (char)c);
	}
	buf_char(b, '"');
}

static bool uri_plain(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.' || c == '~';
}

void buf_uri(struct buf *b, const char *s, bool keep_slash, bool plus_for_space)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		char enc[3] = {'%', hex[c >> 4], hex[c & 15]};

		if (uri_plain(c) || (keep_slash && c == '/'))
			buf_char(b, (char)c);
		else if (plus_for_space && c == ' ')
			buf_char(b, '+');
		else
			buf_add(b, enc, 3);
	}
}

void buf_hex(struct buf *b, const void *data, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++) {
		buf_char(b, hex[p[i] >> 4]);
		buf_char(b, hex[p[i] & 15]);
	}
}

void buf_elem(struct buf *b, const char *name, const char *value)
{
	buf_char(b, '<');
	buf_str(b, name);
	buf_char(b, '>');
	buf_xml(b, value);
	buf_add(b, "</", 2);
	buf_str(b, name);
	buf_char(b, '>');
}
