/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Response heads and chunked bodies. Beyond memory errors it holds that the result
 * does not depend on how the bytes arrive, and that all text lies in the head.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "s3/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_str(const struct http_str *s, const char *buf, size_t end)
{
	if (s->p)
		assert(s->p >= buf && s->p + s->len <= buf + end);
}

static void check_head(const char *p, size_t size)
{
	struct http_head whole, split;
	size_t scan = 0;
	ssize_t want = http_head_parse(p, size, &scan, &whole);
	ssize_t got = 0;

	scan = 0;
	for (size_t n = 0; n <= size && got == 0; n++)
		got = http_head_parse(p, n, &scan, &split);
	assert(got == want);
	if (want <= 0)
		return;
	assert((size_t)want <= size && (size_t)want <= HTTP_HEAD_MAX);
	assert(whole.status >= 100 && whole.status < 600);
	assert(!whole.has_range || (whole.first <= whole.last && whole.last < whole.size));
	assert(!whole.chunked || !whole.has_length);
	const struct http_str *texts[] = {
		&whole.etag,	&whole.last_modified, &whole.date,	   &whole.storage_class,
		&whole.restore, &whole.request_id,    &whole.bucket_region};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		check_str(texts[i], p, (size_t)want);
}

/* The sum over the payload, or -1; `piece` bytes are shown at a time. */
static long decode(const char *p, size_t size, size_t piece, size_t *ret_len)
{
	struct http_chunks c = {0};
	unsigned sum = 0;
	size_t at = 0;

	*ret_len = 0;
	while (at < size && !c.done) {
		const char *data;
		size_t n;
		ssize_t used = http_chunks_next(&c, p + at, size - at < piece ? size - at : piece,
						&data, &n);

		if (used < 0)
			return -1;
		assert(used > 0 && (size_t)used <= size - at);
		if (data)
			assert(data >= p + at && data + n == p + at + used);
		for (size_t i = 0; i < n; i++)
			sum = sum * 31 + (unsigned char)data[i];
		*ret_len += n;
		at += (size_t)used;
	}
	return sum;
}

static void check_chunks(const char *p, size_t size)
{
	size_t whole_len, split_len;
	long whole = decode(p, size, size, &whole_len);
	long split = decode(p, size, 1, &split_len);

	assert(whole == split && (whole < 0 || whole_len == split_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 2 * HTTP_HEAD_MAX)
		return 0;
	check_head((const char *)data, size);
	if (size)
		check_chunks((const char *)data, size);
	return 0;
}
