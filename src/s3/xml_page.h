/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From the entries of a list document to a page: keys decoded, bad ones dropped,
 * objects and common prefixes merged. Used by xml.c only.
 */
#ifndef S3_XML_PAGE_H
#define S3_XML_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/macro.h"
#include "s3/s3.h"

#define S3_PAGE_ENTRIES_MAX 10000 /* S3 sends at most 1000 */

/* One entry while its element is read. */
struct s3_page_entry {
	struct s3_object object;
	size_t key_at, key_len; /* in the builder's text, still encoded */
	bool is_prefix, has_key, has_size, key_too_long;
};

struct s3_page_builder {
	struct s3_page_entry *entry;
	size_t count, cap, dropped;
	struct buf keys; /* of all entries, each with a NUL */
	bool encoded;	 /* the document says EncodingType=url */
	char *token;
};

int s3_page_builder_new(struct s3_page_builder **ret) must_check;
void s3_page_builder_free(struct s3_page_builder *b);
int s3_page_key(struct s3_page_builder *b, struct s3_page_entry *e, const char *key,
		size_t len) must_check;
/* -EPROTO: an object without a size; -EMSGSIZE: too many; -ENOMEM. */
int s3_page_add(struct s3_page_builder *b, const struct s3_page_entry *e) must_check;
/* Empties the builder into a page. -EPROTO: truncated without a token. */
int s3_page_finish(struct s3_page_builder *b, bool truncated, struct s3_page **ret) must_check;

#endif
