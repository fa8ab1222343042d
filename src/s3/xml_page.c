/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pages of a listing.
 *
 * Whether keys are percent-encoded is said anywhere in the document (AWS says it
 * before the entries, MinIO after them), so they are decoded at its end, in place:
 * a decoded key is never longer. A page owns one block of keys that its entries
 * point into. Pure.
 */
#include "s3/xml_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/uri.h"

#define KEYS_MAX (16 * MIB)

struct page {
	struct s3_page page;
	char *keys;
};

int s3_page_builder_new(struct s3_page_builder **ret)
{
	struct s3_page_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	buf_init(&b->keys, KEYS_MAX);
	*ret = b;
	return 0;
}

void s3_page_builder_free(struct s3_page_builder *b)
{
	if (!b)
		return;
	buf_fini(&b->keys);
	free(b->entry);
	free(b->token);
	free(b);
}

void s3_page_free(struct s3_page *p)
{
	struct page *own;

	if (!p)
		return;
	own = container_of(p, struct page, page);
	free(own->keys);
	free(p->entries);
	free(p->next_token);
	free(own);
}

int s3_page_key(struct s3_page_builder *b, struct s3_page_entry *e, const char *key, size_t len)
{
	e->key_at = b->keys.len;
	e->key_len = len;
	buf_append(&b->keys, key, len);
	buf_putc(&b->keys, '\0');
	return buf_error(&b->keys);
}

int s3_page_add(struct s3_page_builder *b, const struct s3_page_entry *e)
{
	if (!e->has_key || e->key_too_long || e->key_len == 0) {
		b->dropped++;
		return 0;
	}
	if (!e->is_prefix && !e->has_size)
		return -EPROTO;
	if (b->count == S3_PAGE_ENTRIES_MAX)
		return -EMSGSIZE;
	if (b->count == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 64;
		struct s3_page_entry *p = reallocarray(b->entry, cap, sizeof(*p));

		if (!p)
			return -ENOMEM;
		b->entry = p;
		b->cap = cap;
	}
	b->entry[b->count++] = *e;
	return 0;
}

static int compare(const struct s3_entry *a, const struct s3_entry *b)
{
	size_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
	int r = memcmp(a->key, b->key, n);

	return r ? r : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

/* The key as it is in S3; false when it cannot be used. */
static bool decode(const struct s3_page_builder *b, const struct s3_page_entry *e,
		   struct s3_entry *ret)
{
	char *key = b->keys.data + e->key_at;
	long len = (long)e->key_len;

	if (b->encoded)
		len = uri_decode(key, e->key_len, /* plus_is_space= */ 1);
	if (len <= 0 || len > S3_KEY_MAX || memchr(key, '\0', (size_t)len))
		return false;
	key[len] = '\0';
	*ret = (struct s3_entry){key, (size_t)len, e->is_prefix, e->object};
	return true;
}

/* Fills in the entries of one sort; true when they are in order. */
static bool fill(const struct s3_page_builder *b, bool prefixes, struct s3_page *p, size_t *n)
{
	struct s3_entry *first = p->entries + *n, *e = first;
	bool ordered = true;

	for (size_t i = 0; i < b->count; i++) {
		if (b->entry[i].is_prefix != prefixes)
			continue;
		if (!decode(b, &b->entry[i], e)) {
			p->dropped++;
			continue;
		}
		if (e > first && compare(e - 1, e) > 0)
			ordered = false;
		e++;
	}
	*n = (size_t)(e - p->entries);
	return ordered;
}

/* Merges the two ordered runs [0, middle) and [middle, count). */
static int merge(struct s3_page *p, size_t middle)
{
	struct s3_entry *to = calloc(p->count, sizeof(*to));
	size_t a = 0, b = middle;

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < p->count; i++) {
		bool first = b == p->count ||
			     (a < middle && compare(&p->entries[a], &p->entries[b]) <= 0);

		to[i] = p->entries[first ? a++ : b++];
	}
	free(p->entries);
	p->entries = to;
	return 0;
}

static void pagep(struct page **p)
{
	if (*p)
		s3_page_free(&(*p)->page);
}

int s3_page_finish(struct s3_page_builder *b, bool truncated, struct s3_page **ret)
{
	_cleanup_(pagep) struct page *own = calloc(1, sizeof(*own));
	struct s3_page *p;
	size_t middle = 0;
	bool ordered;
	int r;

	if (!own)
		return -ENOMEM;
	if (truncated && !b->token)
		return -EPROTO;
	p = &own->page;
	p->entries = calloc(b->count ? b->count : 1, sizeof(*p->entries));
	if (!p->entries)
		return -ENOMEM;
	p->dropped = b->dropped;
	p->truncated = truncated;
	if (truncated)
		p->next_token = take_ptr(&b->token);
	ordered = fill(b, /* prefixes= */ false, p, &middle);
	p->count = middle;
	ordered = fill(b, /* prefixes= */ true, p, &p->count) && ordered;
	p->unordered = !ordered;
	if (ordered && middle > 0 && middle < p->count) {
		r = merge(p, middle);
		if (r < 0)
			return r;
	}
	own->keys = take_ptr(&b->keys.data);
	buf_fini(&b->keys);
	*ret = &take_ptr(&own)->page;
	return 0;
}
