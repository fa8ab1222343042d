/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What only directory buckets do: RenameObject, and listings with their own rules
 * (prefixes end in the delimiter, which is "/"; no start-after; no order).
 */

#include <errno.h>
#include <string.h>

#include "directory.h"
#include "headers.h"
#include "ops.h"
#include "text.h"

#define TOKEN_MAX 64

bool directory_name(const char *bucket)
{
	static const char end[] = "--x-s3";
	size_t n = bucket ? strlen(bucket) : 0, len = sizeof(end) - 1;

	return n > len && strcmp(bucket + n - len, end) == 0;
}

bool directory_is(struct req *r)
{
	return directory_name(r->bucket_name) || server_quirk(r->srv, QUIRK_DIRECTORY);
}

void directory_check_list(struct req *r)
{
	const char *prefix = req_param(r, "prefix"), *delimiter = req_param(r, "delimiter");

	if (!directory_is(r))
		return;
	if (req_param(r, "start-after") || req_param(r, "marker"))
		req_fail_because(r, ERR_NotImplemented,
				 "Directory buckets do not list from a key on");
	if (prefix && *prefix && prefix[strlen(prefix) - 1] != '/')
		req_fail_because(r, ERR_InvalidArgument,
				 "The prefix must end in the delimiter in directory buckets");
	if (delimiter && *delimiter && strcmp(delimiter, "/") != 0)
		req_fail_because(r, ERR_InvalidArgument, "The delimiter of directory buckets is /");
}

/* The decoded key of x-amz-rename-source; sets r->err. */
static const char *rename_source(struct req *r)
{
	const char *header = req_header(r, "x-amz-rename-source");
	char *source = req_strdup(r, header ? header : "");

	if (text_uri_decode(source, false) < 0 || !*source) {
		req_fail_because(r, ERR_InvalidRequest, "x-amz-rename-source names no key");
		return "";
	}
	source += *source == '/' && source[1];
	if (strlen(source) > KEY_MAX)
		req_fail(r, ERR_KeyTooLongError);
	if (source[strlen(source) - 1] == '/' || r->key[strlen(r->key) - 1] == '/')
		req_fail_because(r, ERR_InvalidRequest, "Keys that end in / cannot be renamed");
	return source;
}

static void rename_failed(struct req *r, int e, const struct condition *to)
{
	if (e == -ESTALE) {
		req_fail(r, ERR_PreconditionFailed);
		r->err_extra = "<Condition>x-amz-rename-source-if-match</Condition>";
	} else if (e == -ECANCELED) {
		req_fail(r, ERR_PreconditionFailed);
		r->err_extra = to->if_none_match ? "<Condition>If-None-Match</Condition>"
						 : "<Condition>If-Match</Condition>";
	} else if (e == -EINVAL) {
		req_fail(r, ERR_IdempotencyParameterMismatch);
	} else {
		req_fail_errno(r, e);
	}
}

void op_RenameObject(struct req *r)
{
	const char *match = req_header(r, "x-amz-rename-source-if-match");
	const char *token = req_header(r, "x-amz-client-token"), *source;
	struct condition from = {.if_match = match ? req_etag_plain(r, match) : NULL}, to;
	int e;

	if (!directory_is(r)) {
		req_fail(r, ERR_NotImplemented);
		return;
	}
	source = rename_source(r);
	headers_condition(r, &to);
	if (token && strlen(token) > TOKEN_MAX)
		req_fail_because(r, ERR_InvalidArgument, "x-amz-client-token is too long");
	if (r->err != ERR_NONE)
		return;
	e = bucket_rename(r->bucket, source, r->key, &from, &to, token);
	if (e < 0)
		rename_failed(r, e, &to);
}
