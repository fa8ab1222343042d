/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Response heads (RFC 9112): find the empty line, then one pass over the lines.
 * A line ends in CRLF or in a bare LF; any other CR is refused.
 */
#include "s3/http_head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

/* Offset behind the empty line, 0 when it is not there yet. */
static size_t head_end(const char *buf, size_t len, size_t *scan)
{
	size_t at = *scan;

	while (at < len) {
		const char *nl = memchr(buf + at, '\n', len - at);
		if (!nl)
			break;
		size_t next = (size_t)(nl - buf) + 1;
		if (next < len && buf[next] == '\n')
			return next + 1;
		if (next + 1 < len && buf[next] == '\r' && buf[next + 1] == '\n')
			return next + 2;
		if (next + 1 >= len) {
			*scan = (size_t)(nl - buf);
			return 0;
		}
		at = next;
	}
	*scan = len;
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 206 Partial Content"; the reason is optional and may hold anything printable. */
static int parse_status_line(const char *p, size_t len, struct http_head *h)
{
	if (len < 12 || memcmp(p, "HTTP/1.", 7) != 0 || !is_digit(p[7]) || p[8] != ' ')
		return -EPROTO;
	if (!is_digit(p[9]) || !is_digit(p[10]) || !is_digit(p[11]))
		return -EPROTO;
	if (len > 12 && p[12] != ' ')
		return -EPROTO;
	h->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
	if (h->status < 100 || h->status > 599)
		return -EPROTO;
	h->keep_alive = p[7] >= '1';
	return 0;
}

static int parse_number(struct http_str s, uint64_t *ret)
{
	if (s.len == 0 || s.len > 19 || parse_u64n(s.p, s.len, ret) < 0)
		return -EPROTO;
	return 0;
}

static int field_length(struct http_head *h, struct http_str v)
{
	uint64_t n;

	if (parse_number(v, &n) < 0 || (h->has_length && h->length != n))
		return -EPROTO;
	h->has_length = true;
	h->length = n;
	return 0;
}

int http_range_parse(struct http_str v, struct http_range *ret)
{
	const char *slash, *dash;
	struct http_str range, size, first, last;
	struct http_range r = {.size = HTTP_SIZE_ANY};

	if (v.len < 6 || strncasecmp(v.p, "bytes ", 6) != 0)
		return -EPROTO;
	v.p += 6;
	v.len -= 6;
	slash = memchr(v.p, '/', v.len);
	if (!slash)
		return -EPROTO;
	range = (struct http_str){v.p, (size_t)(slash - v.p)};
	size = (struct http_str){slash + 1, v.len - range.len - 1};
	if (!(size.len == 1 && size.p[0] == '*') && parse_number(size, &r.size) < 0)
		return -EPROTO;
	r.some = !(range.len == 1 && range.p[0] == '*');
	if (r.some) {
		dash = memchr(range.p, '-', range.len);
		if (!dash)
			return -EPROTO;
		first = (struct http_str){range.p, (size_t)(dash - range.p)};
		last = (struct http_str){dash + 1, range.len - first.len - 1};
		if (parse_number(first, &r.first) < 0 || parse_number(last, &r.last) < 0 ||
		    r.first > r.last || r.last >= r.size)
			return -EPROTO;
	}
	*ret = r;
	return 0;
}

/* A 416 answers with "bytes * / size": no range, but not an error of form. */
static int field_range(struct http_head *h, struct http_str v)
{
	struct http_range r;

	if (h->has_range || http_range_parse(v, &r) < 0)
		return -EPROTO;
	h->size = r.size;
	h->first = r.first;
	h->last = r.last;
	h->has_range = r.some;
	return 0;
}

static int field_transfer_encoding(struct http_head *h, struct http_str v)
{
	if (h->chunked || v.len != 7 || strncasecmp(v.p, "chunked", 7) != 0)
		return -EPROTO;
	h->chunked = true;
	return 0;
}

/* A comma-separated list; only two of its words mean something to a client. */
static void field_connection(struct http_head *h, struct http_str v)
{
	const char *p = v.p, *end = v.p + v.len;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;
		const char *next = comma ? comma + 1 : end;

		while (p < stop && (*p == ' ' || *p == '\t'))
			p++;
		while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t'))
			stop--;
		if (stop - p == 5 && strncasecmp(p, "close", 5) == 0)
			h->keep_alive = false;
		else if (stop - p == 10 && strncasecmp(p, "keep-alive", 10) == 0)
			h->keep_alive = true;
		p = next;
	}
}

static int field_etag(struct http_head *h, struct http_str v)
{
	if (h->etag.p || v.len == 0)
		return -EPROTO;
	h->etag = v;
	return 0;
}

static bool is_name(struct http_str n, const char *want)
{
	return n.len == strlen(want) && strncasecmp(n.p, want, n.len) == 0;
}

static int field_set(struct http_head *h, struct http_str name, struct http_str v)
{
	const struct {
		const char *name;
		struct http_str *to;
	} texts[] = {
		{"last-modified", &h->last_modified},
		{"date", &h->date},
		{"x-amz-storage-class", &h->storage_class},
		{"x-amz-restore", &h->restore},
		{"x-amz-request-id", &h->request_id},
		{"x-amz-bucket-region", &h->bucket_region},
		{"x-amz-checksum-type", &h->checksum_type},
	};
	static const char sum[] = "x-amz-checksum-";

	if (is_name(name, "content-length"))
		return field_length(h, v);
	if (is_name(name, "content-range"))
		return field_range(h, v);
	if (is_name(name, "transfer-encoding"))
		return field_transfer_encoding(h, v);
	if (is_name(name, "etag"))
		return field_etag(h, v);
	if (is_name(name, "connection"))
		field_connection(h, v);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (is_name(name, texts[i].name)) {
			*texts[i].to = v;
			return 0;
		}
	}
	if (name.len > sizeof(sum) && strncasecmp(name.p, sum, sizeof(sum) - 1) == 0) {
		h->checksum_name = name;
		h->checksum = v;
	}
	return 0;
}

/* RFC 9110 5.6.2 */
static bool is_token_char(char c)
{
	if (is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return true;
	return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_clean_text(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int parse_field(const char *p, size_t len, struct http_head *h)
{
	const char *colon = memchr(p, ':', len);

	if (!colon || colon == p)
		return -EPROTO;
	struct http_str name = {p, (size_t)(colon - p)};
	struct http_str v = {colon + 1, len - name.len - 1};

	for (size_t i = 0; i < name.len; i++)
		if (!is_token_char(name.p[i]))
			return -EPROTO;
	while (v.len && (v.p[0] == ' ' || v.p[0] == '\t')) {
		v.p++;
		v.len--;
	}
	while (v.len && (v.p[v.len - 1] == ' ' || v.p[v.len - 1] == '\t'))
		v.len--;
	return field_set(h, name, v);
}

ssize_t http_head_parse(const char *buf, size_t len, size_t *scan, struct http_head *ret)
{
	size_t end = head_end(buf, len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX, scan);

	if (!end)
		return len >= HTTP_HEAD_MAX ? -EMSGSIZE : 0;

	struct http_head h = {.size = HTTP_SIZE_ANY};
	unsigned lines = 0;
	for (size_t at = 0; at < end; lines++) {
		const char *p = buf + at;
		size_t n = (size_t)((const char *)memchr(p, '\n', end - at) - p);

		at += n + 1;
		if (n && p[n - 1] == '\r')
			n--;
		if (n == 0)
			break;
		if (lines > HTTP_FIELDS_MAX)
			return -EMSGSIZE;
		if (!is_clean_text(p, n))
			return -EPROTO;
		int r = lines == 0 ? parse_status_line(p, n, &h) : parse_field(p, n, &h);
		if (r < 0)
			return r;
	}
	if (lines == 0 || (h.chunked && h.has_length))
		return -EPROTO;
	*ret = h;
	return (ssize_t)end;
}

enum chunk_state {
	CHUNK_SIZE,	/* hex digits */
	CHUNK_EXT,	/* rest of the size line */
	CHUNK_DATA,	/* payload */
	CHUNK_DATA_END, /* CRLF behind the payload */
	CHUNK_TRAILER,	/* lines up to an empty one */
};

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One byte outside the payload; `line` counts the bytes of the current line. */
static int chunk_byte(struct http_chunks *c, char b)
{
	if (++c->line > 4096)
		return -EPROTO;
	if (c->state == CHUNK_SIZE) {
		int v = hex_value(b);
		if (v >= 0) {
			if (c->line > 15)
				return -EPROTO;
			c->left = c->left << 4 | (unsigned)v;
			return 0;
		}
		if (c->line == 1 || (b != ';' && b != '\r' && b != '\n' && b != ' ' && b != '\t'))
			return -EPROTO;
		c->state = CHUNK_EXT;
	}
	if (b != '\n') {
		if (c->state == CHUNK_DATA_END && (b != '\r' || c->line != 1))
			return -EPROTO;
		if (c->state == CHUNK_TRAILER && b == '\r')
			c->line--;
		return 0;
	}
	if (c->state == CHUNK_EXT)
		c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
	else if (c->state == CHUNK_DATA_END)
		c->state = CHUNK_SIZE;
	else if (c->line == 1)
		c->done = true;
	c->line = 0;
	return 0;
}

ssize_t http_chunks_next(struct http_chunks *c, const char *buf, size_t len, const char **ret_data,
			 size_t *ret_len)
{
	size_t at = 0;

	*ret_data = NULL;
	*ret_len = 0;
	while (at < len && !c->done) {
		if (c->state == CHUNK_DATA) {
			size_t n = (size_t)min_u64(c->left, len - at);

			*ret_data = buf + at;
			*ret_len = n;
			c->left -= n;
			if (c->left == 0)
				c->state = CHUNK_DATA_END;
			return (ssize_t)(at + n);
		}
		if (chunk_byte(c, buf[at]) < 0)
			return -EPROTO;
		at++;
	}
	return (ssize_t)at;
}
