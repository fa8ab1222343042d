/* SPDX-License-Identifier: Apache-2.0 */

/* Response heads and chunked bodies: what is taken, what is refused, in any split. */
#include <errno.h>

#include "lib/test.h"
#include "s3/http_head.h"

#define OK  "HTTP/1.1 200 OK\r\n"
#define END "\r\n"

static ssize_t parse(const char *text, size_t len, struct http_head *h)
{
	size_t scan = 0;

	return http_head_parse(text, len, &scan, h);
}

static bool str_is(struct http_str s, const char *want)
{
	return s.p && s.len == strlen(want) && memcmp(s.p, want, s.len) == 0;
}

static void a_range_answer(void)
{
	static const char text[] = "HTTP/1.1 206 Partial Content\r\n"
				   "x-amz-request-id: 4442587FB7D0A2F9\r\n"
				   "Date: Sun, 22 Nov 2026 07:00:00 GMT\r\n"
				   "Last-Modified: Sat, 21 Nov 2026 07:00:00 GMT\r\n"
				   "ETag: \"9b2cf535f27731c974343645a3985328\"\r\n"
				   "Accept-Ranges: bytes\r\n"
				   "Content-Range: bytes 8388608-16777215/1073741824\r\n"
				   "x-amz-storage-class:GLACIER_IR\r\n"
				   "x-amz-restore: ongoing-request=\"false\"\r\n"
				   "x-amz-bucket-region: eu-west-1\r\n"
				   "Content-Length:  8388608 \r\n"
				   "X-Empty:\r\n"
				   "\r\nBODY";
	struct http_head h;

	check_int(parse(text, sizeof(text) - 1, &h), ==, sizeof(text) - 5);
	check_int(h.status, ==, 206);
	check(h.keep_alive && !h.chunked && h.has_length && h.has_range);
	check_int(h.length, ==, 8388608);
	check_int(h.first, ==, 8388608);
	check_int(h.last, ==, 16777215);
	check_int(h.size, ==, 1073741824);
	check(str_is(h.etag, "\"9b2cf535f27731c974343645a3985328\""));
	check(str_is(h.date, "Sun, 22 Nov 2026 07:00:00 GMT"));
	check(str_is(h.last_modified, "Sat, 21 Nov 2026 07:00:00 GMT"));
	check(str_is(h.storage_class, "GLACIER_IR"));
	check(str_is(h.restore, "ongoing-request=\"false\""));
	check(str_is(h.request_id, "4442587FB7D0A2F9"));
	check(str_is(h.bucket_region, "eu-west-1"));
}

struct row {
	const char *text;
	ssize_t want; /* 0: whole text is the head */
};

static void taken_and_refused(void)
{
	static const struct row rows[] = {
		{OK END, 0},
		{"HTTP/1.1 200\r\n\r\n", 0},
		{"HTTP/1.1 200 \r\n\r\n", 0},
		{"HTTP/1.0 200 OK\r\n\r\n", 0},
		{"HTTP/1.1 100 Continue\r\n\r\n", 0},
		{"HTTP/1.1 200 OK\n\n", 0},
		{"HTTP/1.1 200 OK\nA: b\r\n\n", 0},
		{OK "A: \x80\xff\r\n" END, 0},
		{OK "A!#$%&'*+-.^_`|~9: b\r\n" END, 0},
		{OK "Content-Length: 5\r\nContent-Length: 5\r\n" END, 0},
		{OK "Content-Range: bytes */1000\r\n" END, 0},
		{OK "Content-Range: bytes 0-0/1\r\n" END, 0},
		{OK "Content-Range: BYTES 0-9/*\r\n" END, 0},
		{OK "Transfer-Encoding: Chunked\r\n" END, 0},
		/* status line */
		{"\r\n\r\n", -EPROTO},
		{"\r\n" OK END, -EPROTO},
		{"HTTP/2 200\r\n\r\n", -EPROTO},
		{"HTTP/1.1 99 X\r\n\r\n", -EPROTO},
		{"HTTP/1.1 600 X\r\n\r\n", -EPROTO},
		{"HTTP/1.1 2000\r\n\r\n", -EPROTO},
		{"HTTP/1.1  200 OK\r\n\r\n", -EPROTO},
		{"HTTP/1.1 20x OK\r\n\r\n", -EPROTO},
		{"HTTP/1.x 200 OK\r\n\r\n", -EPROTO},
		{"http/1.1 200 OK\r\n\r\n", -EPROTO},
		{"<html>\r\n\r\n", -EPROTO},
		/* lines */
		{OK "NoColon\r\n" END, -EPROTO},
		{OK ": empty name\r\n" END, -EPROTO},
		{OK "A : b\r\n" END, -EPROTO},
		{OK " folded: b\r\n" END, -EPROTO},
		{OK "A: b\r\n c\r\n" END, -EPROTO},
		{OK "A: b\rc\r\n" END, -EPROTO},
		{OK "A: b\x01\r\n" END, -EPROTO},
		{OK "A: b\x7f\r\n" END, -EPROTO},
		{OK "A\x80: b\r\n" END, -EPROTO},
		/* lengths */
		{OK "Content-Length: 5\r\nContent-Length: 6\r\n" END, -EPROTO},
		{OK "Content-Length: 5, 5\r\n" END, -EPROTO},
		{OK "Content-Length: +5\r\n" END, -EPROTO},
		{OK "Content-Length: -5\r\n" END, -EPROTO},
		{OK "Content-Length: 0x5\r\n" END, -EPROTO},
		{OK "Content-Length: 5 6\r\n" END, -EPROTO},
		{OK "Content-Length:\r\n" END, -EPROTO},
		{OK "Content-Length: 18446744073709551616\r\n" END, -EPROTO},
		{OK "Content-Length: 99999999999999999999999\r\n" END, -EPROTO},
		{OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END, -EPROTO},
		{OK "Transfer-Encoding: gzip, chunked\r\n" END, -EPROTO},
		{OK "Transfer-Encoding: identity\r\n" END, -EPROTO},
		{OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, -EPROTO},
		/* ranges */
		{OK "Content-Range: bytes 5-4/10\r\n" END, -EPROTO},
		{OK "Content-Range: bytes 0-10/10\r\n" END, -EPROTO},
		{OK "Content-Range: bytes 0-9\r\n" END, -EPROTO},
		{OK "Content-Range: bytes 0-/10\r\n" END, -EPROTO},
		{OK "Content-Range: bytes -9/10\r\n" END, -EPROTO},
		{OK "Content-Range: bytes 0-9/\r\n" END, -EPROTO},
		{OK "Content-Range: bytes=0-9/10\r\n" END, -EPROTO},
		{OK "Content-Range: items 0-9/10\r\n" END, -EPROTO},
		{OK "Content-Range: bytes 0-9/10\r\nContent-Range: bytes 0-9/10\r\n" END, -EPROTO},
		{OK "Content-Range: bytes 0-18446744073709551615/*\r\n" END, -EPROTO},
		/* ETag */
		{OK "ETag:\r\n" END, -EPROTO},
		{OK "ETag: \"a\"\r\nETag: \"a\"\r\n" END, -EPROTO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].text);
		ssize_t want = rows[i].want ? rows[i].want : (ssize_t)len;
		struct http_head h;
		ssize_t n = parse(rows[i].text, len, &h);

		if (n != want)
			test_fail_("%s: %zd, not %zd", rows[i].text, n, want);
	}
}

static void nul_is_refused(void)
{
	static const char text[] = OK "A: b\0c\r\n\r\n";
	struct http_head h;

	check_int(parse(text, sizeof(text) - 1, &h), ==, -EPROTO);
}

static void keep_alive(void)
{
	static const struct {
		const char *text;
		bool want;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\n\r\n", true},
		{"HTTP/1.0 200 OK\r\n\r\n", false},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false},
		{"HTTP/1.1 200 OK\r\nConnection: x, CLOSE ,y\r\n\r\n", false},
		{"HTTP/1.1 200 OK\r\nConnection: closed\r\n\r\n", true},
		{"HTTP/1.1 200 OK\r\nConnection:,,\r\n\r\n", true},
		{"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_head h;

		check_int(parse(rows[i].text, strlen(rows[i].text), &h), >, 0);
		if (h.keep_alive != rows[i].want)
			test_fail_("%s: keep-alive is %d", rows[i].text, h.keep_alive);
	}
}

/* Byte by byte with one scan position: incomplete until the very last byte. */
static void any_split(void)
{
	static const char *const texts[] = {
		"HTTP/1.1 206 OK\r\nContent-Length: 3\r\nETag: \"x\"\r\n\r\n",
		"HTTP/1.1 206 OK\nContent-Length: 3\nETag: \"x\"\n\n",
		"HTTP/1.1 200 OK\r\n\r\n",
	};

	for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
		size_t len = strlen(texts[t]), scan = 0;
		struct http_head h;

		for (size_t n = 0; n < len; n++)
			check_int(http_head_parse(texts[t], n, &scan, &h), ==, 0);
		check_int(http_head_parse(texts[t], len, &scan, &h), ==, len);
	}
}

static void limits(void)
{
	static char text[2 * HTTP_HEAD_MAX];
	struct http_head h;
	size_t n = 0;

	memset(text, 'a', sizeof(text));
	check_int(parse(text, HTTP_HEAD_MAX - 1, &h), ==, 0);
	check_int(parse(text, HTTP_HEAD_MAX, &h), ==, -EMSGSIZE);
	check_int(parse(text, sizeof(text), &h), ==, -EMSGSIZE);

	n += (size_t)snprintf(text, sizeof(text), OK);
	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "A: b\r\n");
	size_t at = n;
	n += (size_t)snprintf(text + n, sizeof(text) - n, END);
	check_int(parse(text, n, &h), ==, n);
	n = at;
	n += (size_t)snprintf(text + n, sizeof(text) - n, "A: b\r\n" END);
	check_int(parse(text, n, &h), ==, -EMSGSIZE);
}

/* Decodes all of `text` in pieces of `piece` bytes; the length, or -errno. */
static long decode(const char *text, size_t len, size_t piece, char *ret, size_t *ret_used)
{
	struct http_chunks c = {0};
	size_t got = 0, at = 0;

	while (at < len && !c.done) {
		const char *data;
		size_t n;
		size_t room = len - at < piece ? len - at : piece;
		ssize_t used = http_chunks_next(&c, text + at, room, &data, &n);

		if (used < 0)
			return used;
		if (data) {
			memcpy(ret + got, data, n);
			got += n;
		}
		at += (size_t)used;
	}
	*ret_used = at;
	return c.done ? (long)got : -EAGAIN;
}

static void chunks(void)
{
	static const char text[] = "4\r\nWiki\r\n6;x=y\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n"
				   "0\r\nTrailer: x\r\n\r\nNEXT";
	static const char want[] = "Wikipedia in \r\n\r\nchunks.";
	char out[64];
	size_t used = 0;

	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		check_int(decode(text, sizeof(text) - 1, piece, out, &used), ==, sizeof(want) - 1);
		check_mem(out, want, sizeof(want) - 1);
		check_int(used, ==, sizeof(text) - 5);
	}
}

static void bad_chunks(void)
{
	static const struct row rows[] = {
		{"\r\n", -EPROTO},
		{"x\r\n", -EPROTO},
		{"-1\r\n", -EPROTO},
		{"0x1\r\n", -EPROTO},
		{"1\r\nab\r\n", -EPROTO},
		{"1\r\na\r\r\n", -EPROTO},
		{"fffffffffffffffff\r\n", -EPROTO},
		{"1\r\na", -EAGAIN},
		{"0\r\n", -EAGAIN},
		{"0\r\nA: b\r\n", -EAGAIN},
	};
	char out[64];
	size_t used;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (decode(rows[i].text, strlen(rows[i].text), 64, out, &used) != rows[i].want)
			test_fail_("%s: not refused", rows[i].text);
}

int main(void)
{
	return test_run((struct test[]){TEST(a_range_answer),
					TEST(taken_and_refused),
					TEST(nul_is_refused),
					TEST(keep_alive),
					TEST(any_split),
					TEST(limits),
					TEST(chunks),
					TEST(bad_chunks),
					{0}});
}
