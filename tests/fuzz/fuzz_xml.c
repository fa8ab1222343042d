/* SPDX-License-Identifier: Apache-2.0 */

/*
 * XML answers. The first byte chooses the document that is asked for. Beyond
 * memory errors it holds that the result does not depend on how the bytes arrive,
 * and that a page keeps the promises of s3.h.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "s3/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(struct s3_xml *x, const uint8_t *p, size_t size, size_t step,
		 struct s3_xml_result **ret)
{
	for (size_t at = 0; at < size; at += step) {
		int r = s3_xml_feed(x, p + at, size - at < step ? size - at : step);

		if (r < 0)
			return r;
	}
	return s3_xml_finish(x, ret);
}

static void check_page(const struct s3_page *p)
{
	assert(p->truncated == (p->next_token != NULL));
	for (size_t i = 0; i < p->count; i++) {
		const struct s3_entry *e = &p->entries[i];

		assert(e->key_len > 0 && e->key_len <= S3_KEY_MAX);
		assert(strlen(e->key) == e->key_len);
		assert(strlen(e->object.etag) < S3_ETAG_MAX);
		if (i && !p->unordered)
			assert(strcmp(p->entries[i - 1].key, e->key) <= 0);
	}
}

static void check_same(const struct s3_xml_result *a, const struct s3_xml_result *b)
{
	assert(a->is_error == b->is_error && strcmp(a->code, b->code) == 0);
	assert(strcmp(a->etag, b->etag) == 0 && a->nparts == b->nparts);
	assert(!a->page == !b->page && (!a->page || a->page->count == b->page->count));
	for (size_t i = 0; a->page && i < a->page->count; i++)
		assert(strcmp(a->page->entries[i].key, b->page->entries[i].key) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_xml_result *whole, *split;
	struct s3_xml *a, *b;
	enum s3_xml_kind kind;
	int ra, rb;

	if (size == 0)
		return 0;
	kind = (enum s3_xml_kind)(data[0] % 5);
	if (s3_xml_new(kind, &a) < 0 || s3_xml_new(kind, &b) < 0)
		return 0;
	ra = parse(a, data + 1, size - 1, size, &whole);
	rb = parse(b, data + 1, size - 1, 7, &split);
	/* which of two errors is met first may depend on the pieces */
	assert((ra == 0) == (rb == 0));
	if (ra == 0) {
		check_same(whole, split);
		if (whole->page)
			check_page(whole->page);
	}
	s3_xml_free(a);
	s3_xml_free(b);
	return 0;
}
