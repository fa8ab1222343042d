/* SPDX-License-Identifier: Apache-2.0 */

/* Bucket names, s3:// URIs, prefixes, keys and sizes. Pure but for two copies. */
#include "options_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "s3/s3.h"

static int refuse(char *why, size_t why_len, const char *fmt, ...) printf_like(3, 4);

static int refuse(char *why, size_t why_len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int check_bucket(const char *b, char *why, size_t why_len)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
	size_t len = strlen(b);

	if (len < 3 || len > 255)
		return refuse(why, why_len,
			      "invalid value '%s' for '<BUCKET_NAME>': bucket names must be 3-255 "
			      "characters long",
			      b);
	if (strncmp(b, "arn:", 4) != 0 && strspn(b, allowed) != len)
		return refuse(
			why, why_len,
			"invalid value '%s' for '<BUCKET_NAME>': the bucket must have a valid name "
			"(only letters, numbers, . and -) or a valid ARN",
			b);
	return 0;
}

static bool ends_in_slash(const char *s)
{
	size_t len = strlen(s);

	return len == 0 || s[len - 1] == '/';
}

/* s3://BUCKET[/PREFIX/] */
static int split_uri(struct options *o, char *why, size_t why_len)
{
	const char *rest = o->bucket + strlen("s3://");
	size_t len = strcspn(rest, "/");
	const char *prefix = rest[len] ? rest + len + 1 : "";

	if (strncmp(rest, "arn:", 4) == 0)
		return refuse(why, why_len,
			      "invalid value '%s' for '<BUCKET_NAME>': ARNs are not supported in "
			      "s3:// URIs",
			      o->bucket);
	if (!ends_in_slash(prefix))
		return refuse(why, why_len,
			      "invalid value '%s' for '<BUCKET_NAME>': invalid bucket prefix: "
			      "prefix must "
			      "end in '/'",
			      o->bucket);
	o->owned_bucket = strndup(rest, len);
	o->owned_prefix = strdup(prefix);
	if (!o->owned_bucket || !o->owned_prefix)
		return refuse(why, why_len, "out of memory");
	o->bucket = o->owned_bucket;
	return 0;
}

int options_check(struct options *o, char *why, size_t why_len)
{
	int r;

	if (!ends_in_slash(o->prefix))
		return refuse(why, why_len,
			      "invalid value '%s' for '--prefix <PREFIX>': prefix must end in '/'",
			      o->prefix);
	if (strncmp(o->bucket, "s3://", 5) == 0) {
		r = split_uri(o, why, why_len);
		if (r < 0)
			return r;
	}
	r = check_bucket(o->bucket, why, why_len);
	if (r < 0)
		return r;
	if (o->sse_kms_key_id &&
	    (strncmp(o->sse_kms_key_id, "arn:", 4) != 0 || !strstr(o->sse_kms_key_id, ":key")))
		return refuse(why, why_len,
			      "invalid value '%s' for '--sse-kms-key-id <AWS_KMS_KEY_ARN>': KMS "
			      "Key ARN is "
			      "only accepted as a key identifier, Key Alias ARN is not accepted",
			      o->sse_kms_key_id);
	if (o->owned_prefix && *o->prefix == '\0')
		o->prefix = o->owned_prefix;
	return 0;
}

static int check_part(const char *name, uint64_t size, char *why, size_t why_len)
{
	if (size == 0 || (size >= S3_PART_MIN && size <= S3_PART_MAX))
		return 0;
	return refuse(why, why_len,
		      "--%s is %llu, but part size must be at between 5MiB and 5GiB (5242880 and "
		      "5368709120 bytes)",
		      name, (unsigned long long)size);
}

int options_check_values(const struct options *o, char *why, size_t why_len)
{
	int r;

	if (o->owned_prefix && o->prefix != o->owned_prefix)
		return refuse(why, why_len, "explicit prefix option not allowed with S3 URI");
	if (o->sse && strcmp(o->sse, "AES256") == 0 && o->sse_kms_key_id)
		return refuse(why, why_len, "--sse-kms-key-id can not be used with --sse AES256");
	r = check_part("part-size", o->part_size, why, why_len);
	if (r == 0)
		r = check_part("read-part-size", o->read_part_size, why, why_len);
	if (r == 0)
		r = check_part("write-part-size", o->write_part_size, why, why_len);
	return r;
}
