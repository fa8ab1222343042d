/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Headers about objects: see headers.h.
 */

#include <string.h>

#include "headers.h"
#include "text.h"

#define META_MAX 2048 /* S3's limit on user metadata */

static const char *const kept[] = {
	"content-type",
	"cache-control",
	"content-disposition",
	"content-encoding",
	"content-language",
	"expires",
	"x-amz-storage-class",
	"x-amz-restore",
	"x-amz-archive-status",
	"x-amz-website-redirect-location",
	"x-amz-server-side-encryption",
	"x-amz-server-side-encryption-aws-kms-key-id",
	"x-amz-server-side-encryption-context",
	"x-amz-server-side-encryption-bucket-key-enabled",
	"x-amz-server-side-encryption-customer-algorithm",
	"x-amz-server-side-encryption-customer-key-md5",
};

static bool is_kept(const char *name)
{
	if (strncasecmp(name, "x-amz-meta-", 11) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (strcasecmp(name, kept[i]) == 0)
			return true;
	return false;
}

/* aws-chunked is of the transfer, not of the object. */
static const char *without_chunked(struct req *r, const char *value)
{
	const char *p;

	if (strncmp(value, "aws-chunked", 11) == 0) {
		p = value + 11;
		p += strspn(p, ", ");
		return p;
	}
	p = strstr(value, ",aws-chunked");
	return p ? req_printf(r, "%.*s", (int)(p - value), value) : value;
}

char *headers_meta(struct req *r)
{
	struct buf b = {0};
	size_t user = 0;

	for (unsigned i = 0; i < r->nheaders; i++) {
		const struct pair *h = &r->headers[i];
		const char *value = h->value;

		if (!is_kept(h->name))
			continue;
		if (strncasecmp(h->name, "x-amz-meta-", 11) == 0)
			user += strlen(h->name) - 11 + strlen(value);
		if (strcasecmp(h->name, "content-encoding") == 0)
			value = without_chunked(r, value);
		if (!*value || (strcasecmp(h->name, "x-amz-storage-class") == 0 &&
				strcmp(value, "STANDARD") == 0))
			continue;
		for (const char *p = h->name; *p; p++)
			buf_char(&b, *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p);
		buf_char(&b, '\0');
		buf_add(&b, value, strlen(value) + 1);
	}
	if (user > META_MAX)
		req_fail_because(r, ERR_InvalidArgument,
				 "Your metadata headers exceed the maximum allowed metadata size");
	if (b.len)
		buf_char(&b, '\0');
	if (b.failed)
		buf_fini(&b);
	return b.data;
}

char *headers_tags(struct req *r)
{
	const char *tags = req_header(r, "x-amz-tagging");

	return tags && *tags ? strdup(tags) : NULL;
}

void headers_condition(struct req *r, struct condition *ret)
{
	const char *match = req_header(r, "if-match");
	const char *none = req_header(r, "if-none-match");

	*ret = (struct condition){0};
	if (none && strcmp(none, "*") != 0)
		req_fail(r, ERR_NotImplemented);
	if (none)
		ret->if_none_match = "*";
	if (match)
		ret->if_match = req_etag_plain(r, match);
}

char *headers_checksum(const char *algorithm, const char *value, const char *type)
{
	struct buf b = {0};

	buf_add(&b, algorithm, strlen(algorithm) + 1);
	buf_add(&b, value, strlen(value) + 1);
	buf_add(&b, type, strlen(type) + 1);
	if (b.failed)
		buf_fini(&b);
	return b.data;
}

void headers_checksum_of(struct req *r, const struct object *o)
{
	const char *value, *type;

	if (!o->checksum)
		return;
	value = o->checksum + strlen(o->checksum) + 1;
	type = value + strlen(value) + 1;
	reply_header(r, req_printf(r, "x-amz-checksum-%s", o->checksum), req_strdup(r, value));
	reply_header(r, "x-amz-checksum-type", req_strdup(r, type));
}

void headers_encryption(struct req *r, const char *meta)
{
	for (const char *p = meta; p && *p;) {
		const char *value = p + strlen(p) + 1;

		if (strncmp(p, "x-amz-server-side-", 18) == 0)
			reply_header(r, req_strdup(r, p), req_strdup(r, value));
		p = value + strlen(value) + 1;
	}
}

void headers_of_object(struct req *r, const struct object *o)
{
	char date[TEXT_DATE_MAX];
	unsigned tags = 1;

	text_http_date((time_t)(o->mtime_ns / 1000000000u), date);
	reply_header(r, "Last-Modified", req_strdup(r, date));
	reply_header(r, "ETag", req_etag_text(r, o->etag));
	reply_header(r, "Accept-Ranges", "bytes");
	if (!object_meta(o, "content-type"))
		reply_header(r, "Content-Type", "binary/octet-stream");
	for (const char *p = o->meta; p && *p;) {
		const char *value = p + strlen(p) + 1;

		reply_header(r, p, value);
		p = value + strlen(value) + 1;
	}
	if (o->tags) {
		for (const char *p = o->tags; *p; p++)
			tags += *p == '&';
		reply_header(r, "x-amz-tagging-count", req_printf(r, "%u", tags));
	}
}

/* Is the ETag in the list of a condition? */
static bool etag_listed(struct req *r, const char *list, const char *etag)
{
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ",");
		const char *one = req_etag_plain(r, req_printf(r, "%.*s", (int)n, p));

		if (strcmp(one, "*") == 0 || strcmp(one, etag) == 0)
			return true;
		p += n;
		p += strspn(p, ", ");
	}
	return false;
}

unsigned headers_read_condition(struct req *r, const struct object *o)
{
	const char *match = req_header(r, "if-match"), *none = req_header(r, "if-none-match");
	const char *since = req_header(r, "if-modified-since");
	const char *unchanged = req_header(r, "if-unmodified-since");
	time_t mtime = (time_t)(o->mtime_ns / 1000000000u), t;

	if (match && !etag_listed(r, match, o->etag))
		return 412;
	if (!match && unchanged && text_parse_http_date(unchanged, &t) == 0 && mtime > t)
		return 412;
	if (none)
		return etag_listed(r, none, o->etag) ? 304 : 0;
	if (since && text_parse_http_date(since, &t) == 0 && mtime <= t)
		return 304;
	return 0;
}

/* A number in [p, end); false if it is none. */
static bool number(struct req *r, const char *p, const char *end, uint64_t *ret)
{
	return end > p && text_u64(req_printf(r, "%.*s", (int)(end - p), p), ret) == 0;
}

bool headers_range(struct req *r, uint64_t size, uint64_t *ret_off, uint64_t *ret_len)
{
	const char *range = req_header(r, "range"), *spec, *dash, *end;
	uint64_t from = 0, to = size ? size - 1 : 0, n;

	if (!range || strncmp(range, "bytes=", 6) != 0)
		return false;
	spec = range + 6;
	dash = strchr(spec, '-');
	end = spec + strlen(spec);
	if (!dash || strchr(spec, ','))
		return false;
	if (dash == spec) {
		if (!number(r, dash + 1, end, &n))
			return false;
		from = n == 0 ? size : size - MIN(n, size);
	} else {
		if (!number(r, spec, dash, &from))
			return false;
		if (dash[1] && (!number(r, dash + 1, end, &to) || to < from))
			return false;
	}
	if (from >= size) {
		req_fail(r, ERR_InvalidRange);
		return false;
	}
	*ret_off = from;
	*ret_len = MIN(to, size - 1) - from + 1;
	return true;
}
