/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Response headers of an object. Unknown headers are ignored; a known one that
 * makes no sense, or comes twice with different values, sets `bad`. Pure.
 */
#include "s3/object.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/parse.h"
#include "s3/sum.h"

bool s3_name_is(const char *name, size_t name_len, const char *want)
{
	return strlen(want) == name_len && strncasecmp(name, want, name_len) == 0;
}

bool s3_class_is_archived(const char *name, size_t len)
{
	return (len == 7 && memcmp(name, "GLACIER", 7) == 0) ||
	       (len == 12 && memcmp(name, "DEEP_ARCHIVE", 12) == 0);
}

/* Servers differ in whether the ETag has its quotes; If-Match needs them. */
bool s3_etag_copy(char ret[S3_ETAG_MAX], const char *value, size_t len)
{
	bool quoted = len && (value[0] == '"' || (len > 2 && memcmp(value, "W/", 2) == 0));

	if (len == 0 || len + (quoted ? 0 : 2) >= S3_ETAG_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
			return false;
	(void)snprintf(ret, S3_ETAG_MAX, quoted ? "%.*s" : "\"%.*s\"", (int)len, value);
	return true;
}

static void on_etag(struct s3_object_head *h, const char *value, size_t len)
{
	char etag[S3_ETAG_MAX];

	if (!s3_etag_copy(etag, value, len) || (h->has_etag && strcmp(etag, h->object.etag) != 0)) {
		h->bad = true;
		return;
	}
	memcpy(h->object.etag, etag, sizeof(etag));
	h->has_etag = true;
}

static void on_length(struct s3_object_head *h, const char *value, size_t len)
{
	uint64_t size;

	if (parse_u64n(value, len, &size) < 0 || (h->has_size && size != h->object.size)) {
		h->bad = true;
		return;
	}
	h->object.size = size;
	h->has_size = true;
}

/* A date that cannot be read is no reason to refuse the object. */
static void on_modified(struct s3_object_head *h, const char *value, size_t len)
{
	char text[32];

	if (len >= sizeof(text))
		return;
	(void)snprintf(text, sizeof(text), "%.*s", (int)len, value);
	if (date_parse_http(text, &h->object.mtime) == 0)
		h->has_mtime = true;
}

/* ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT" */
static void on_restore(struct s3_object_head *h, const char *value, size_t len)
{
	static const char done[] = "ongoing-request=\"false\"", until[] = "expiry-date=\"";
	const char *expiry = memmem(value, len, until, sizeof(until) - 1);
	char text[30];
	int64_t t;

	if (!memmem(value, len, done, sizeof(done) - 1))
		return;
	h->restored = true;
	if (!expiry || (size_t)(value + len - expiry) < sizeof(until) - 1 + 29)
		return;
	(void)snprintf(text, sizeof(text), "%.29s", expiry + sizeof(until) - 1);
	if (date_parse_http(text, &t) == 0 && t <= clock_wall())
		h->restored = false;
}

static void copy_value(char *ret, size_t size, const char *value, size_t len)
{
	if (len < size)
		(void)snprintf(ret, size, "%.*s", (int)len, value);
}

static void on_checksum(struct s3_object_head *h, const char *name, size_t name_len,
			const char *value, size_t len)
{
	for (unsigned k = 0; k < S3_SUM_OFF; k++)
		if (s3_name_is(name, name_len, s3_sum_header((enum s3_sum_kind)k)))
			copy_value(h->checksum[k], sizeof(h->checksum[k]), value, len);
}

void s3_object_header(struct s3_object_head *h, const char *name, size_t name_len,
		      const char *value, size_t value_len)
{
	if (s3_name_is(name, name_len, "etag"))
		on_etag(h, value, value_len);
	else if (s3_name_is(name, name_len, "content-length"))
		on_length(h, value, value_len);
	else if (s3_name_is(name, name_len, "last-modified"))
		on_modified(h, value, value_len);
	else if (s3_name_is(name, name_len, "x-amz-storage-class"))
		h->archived = s3_class_is_archived(value, value_len);
	else if (s3_name_is(name, name_len, "x-amz-restore"))
		on_restore(h, value, value_len);
	else if (s3_name_is(name, name_len, "x-amz-server-side-encryption"))
		copy_value(h->sse, sizeof(h->sse), value, value_len);
	else if (s3_name_is(name, name_len, "x-amz-server-side-encryption-aws-kms-key-id"))
		copy_value(h->sse_key, sizeof(h->sse_key), value, value_len);
	else if (s3_name_is(name, name_len, "x-amz-object-size"))
		h->bad = parse_u64n(value, value_len, &h->whole_size) < 0 || h->bad;
	else if (name_len > 15 && s3_name_is(name, 15, "x-amz-checksum-"))
		on_checksum(h, name, name_len, value, value_len);
}

void s3_object_sum(const struct s3_object_head *h, struct s3_body_sum *ret)
{
	unsigned k = 0;

	while (k < S3_SUM_OFF && !h->checksum[k][0])
		k++;
	*ret = (struct s3_body_sum){.kind = (enum s3_sum_kind)k};
	ret->no_value = k == S3_SUM_OFF || !s3_sum_parse(ret->kind, h->checksum[k], &ret->value);
}

void s3_object_done(struct s3_object_head *h)
{
	h->object.storage = h->archived && !h->restored ? S3_ARCHIVED : S3_STANDARD_LIKE;
}
