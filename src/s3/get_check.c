/* SPDX-License-Identifier: Apache-2.0 */

#include "s3/get_check.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "s3/object.h"

/* Servers and callers differ in whether an ETag has its quotes. */
static struct http_str unquote(const char *p, size_t len)
{
	if (len >= 2 && p[0] == '"' && p[len - 1] == '"')
		return (struct http_str){p + 1, len - 2};
	return (struct http_str){p, len};
}

static bool same_etag(struct http_str have, const char *want)
{
	struct http_str a = unquote(have.p, have.len);
	struct http_str b = unquote(want, strlen(want));

	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

/* The range that the answer carries must be the one asked for, to the byte. */
static const char *check_range(const struct http_head *h, const struct get_expect *e,
			       uint64_t *ret_size)
{
	uint64_t length = e->end - e->first;

	if (!h->chunked && (!h->has_length || h->length != length))
		return "Content-Length is not that of the range";
	if (h->status == 206) {
		if (!h->has_range || h->first != e->first || h->last + 1 != e->end)
			return "Content-Range is not the range asked for";
		if (h->size == HTTP_SIZE_ANY)
			return "Content-Range without the object's size";
		*ret_size = h->size;
		return NULL;
	}
	if (h->status != 200)
		return "unexpected success status";
	if (e->first != 0 || (h->chunked && !e->whole))
		return "whole object instead of a range";
	*ret_size = length;
	return NULL;
}

int get_check(const struct http_head *h, const struct get_expect *e, struct s3_object *ret,
	      const char **ret_why)
{
	struct s3_object_head o = {.bad = false};
	uint64_t size = 0;

	*ret_why = check_range(h, e, &size);
	if (*ret_why)
		return -EPROTO;
	if (!h->etag.p) {
		*ret_why = "answer without ETag";
		return -EPROTO;
	}
	if (!same_etag(h->etag, e->if_match)) {
		*ret_why = "ETag of another version";
		return -ESTALE;
	}
	if (e->size != GET_SIZE_UNKNOWN && size != e->size) {
		*ret_why = "object changed its size";
		return -EPROTO;
	}
	s3_object_header(&o, "etag", 4, h->etag.p, h->etag.len);
	if (h->last_modified.p)
		s3_object_header(&o, "last-modified", 13, h->last_modified.p, h->last_modified.len);
	if (h->storage_class.p)
		s3_object_header(&o, "x-amz-storage-class", 19, h->storage_class.p,
				 h->storage_class.len);
	if (h->restore.p)
		s3_object_header(&o, "x-amz-restore", 13, h->restore.p, h->restore.len);
	s3_object_done(&o);
	if (o.bad) {
		*ret_why = "header that makes no sense";
		return -EPROTO;
	}
	*ret = o.object;
	ret->size = size;
	return 0;
}
