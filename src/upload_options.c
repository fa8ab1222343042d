/* SPDX-License-Identifier: Apache-2.0 */

/*
 * --tag, --metadata and their like, with S3's limits: 10 tags, keys of 128 and
 * values of 256 characters; 2 KiB of metadata. Main thread, at start.
 */
#include "upload_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uri.h"
#include "options.h"

#define TAGS_MAX      10
#define TAG_KEY_MAX   128
#define TAG_VALUE_MAX 256
#define TAGS_TEXT_MAX (TAGS_MAX * 3 * (TAG_KEY_MAX + TAG_VALUE_MAX + 2))
#define METADATA_MAX  (2 * KIB)

static int refuse(char *why, size_t len, const char *fmt, ...) printf_like(3, 4);

static int refuse(char *why, size_t len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* The length of KEY in KEY=VALUE; 0: there is none. */
static size_t key_len(const char *text)
{
	const char *eq = strchr(text, '=');

	return eq ? (size_t)(eq - text) : 0;
}

static int make_tags(const struct options *o, struct upload_options *u, char *why, size_t why_len)
{
	buf_init(&u->tags, TAGS_TEXT_MAX);
	if (o->tag.n > TAGS_MAX)
		return refuse(why, why_len, "an object can have at most %d tags", TAGS_MAX);
	for (unsigned i = 0; i < o->tag.n; i++) {
		const char *t = o->tag.v[i];
		size_t n = key_len(t);

		if (n == 0 || n > TAG_KEY_MAX || strlen(t + n + 1) > TAG_VALUE_MAX)
			return refuse(
				why, why_len,
				"invalid value '%s' for '--tag <KEY=VALUE>': a key of 1 to %d "
				"characters, '=', a value of at most %d",
				t, TAG_KEY_MAX, TAG_VALUE_MAX);
		if (i > 0)
			buf_putc(&u->tags, '&');
		uri_encode(&u->tags, t, n, URI_ENCODE_SLASH);
		buf_putc(&u->tags, '=');
		uri_encode(&u->tags, t + n + 1, strlen(t + n + 1), URI_ENCODE_SLASH);
	}
	if (o->tag.n)
		u->attrs.tagging = buf_str(&u->tags);
	return buf_error(&u->tags);
}

/* What a header's name and value may hold; S3 wants US-ASCII. */
static bool metadata_ok(const char *text, size_t n)
{
	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
			return false;
	for (const char *p = text + n + 1; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			return false;
	return text[n + 1] != '\0';
}

static int make_metadata(const struct options *o, struct upload_options *u, char *why,
			 size_t why_len)
{
	size_t total = 0;

	if (o->metadata.n > S3_METADATA_MAX)
		return refuse(why, why_len, "at most %d --metadata are possible", S3_METADATA_MAX);
	for (unsigned i = 0; i < o->metadata.n; i++) {
		const char *t = o->metadata.v[i];
		size_t n = key_len(t);

		total += strlen(t);
		if (!metadata_ok(t, n))
			return refuse(why, why_len,
				      "invalid value '%s' for '--metadata <KEY=VALUE>': letters, "
				      "digits, '-', '_', '.', then '=' and printable ASCII",
				      t);
		if (total > METADATA_MAX)
			return refuse(why, why_len, "--metadata is more than 2 KiB");
		if (asprintf(&u->names[i], "x-amz-meta-%.*s", (int)n, t) < 0) {
			u->names[i] = NULL;
			return -ENOMEM;
		}
		for (char *p = u->names[i]; *p; p++)
			*p = (char)tolower((unsigned char)*p); /* as they are signed */
		u->metadata[i] = (struct s3_metadata){u->names[i], t + n + 1};
	}
	u->attrs.metadata = u->metadata;
	u->attrs.nmetadata = o->metadata.n;
	return 0;
}

int upload_options_make(const struct options *o, struct upload_options *u, char *why,
			size_t why_len)
{
	int r;

	u->attrs = (struct s3_put_attrs){.storage_class = o->storage_class,
					 .sse = o->sse,
					 .sse_kms_key_id = o->sse_kms_key_id,
					 .cache_control = o->cache_control,
					 .acl = o->acl,
					 .if_none_match = o->if_none_match};
	r = make_tags(o, u, why, why_len);
	if (r == 0)
		r = make_metadata(o, u, why, why_len);
	return r;
}

void upload_options_fini(struct upload_options *u)
{
	for (unsigned i = 0; i < S3_METADATA_MAX; i++)
		free(u->names[i]);
	buf_fini(&u->tags);
}

enum s3_sum_kind upload_options_sum(const struct options *o)
{
	if (!o->upload_checksums || strcmp(o->upload_checksums, "crc32c") == 0)
		return S3_SUM_CRC32C;
	return strcmp(o->upload_checksums, "off") == 0 ? S3_SUM_OFF : S3_SUM_CRC64NVME;
}
