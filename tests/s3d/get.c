/* SPDX-License-Identifier: Apache-2.0 */

/*
 * GetObject, HeadObject, GetObjectTagging.
 */

#include <string.h>

#include "headers.h"
#include "ops.h"

static bool is_archived(const struct object *o)
{
	const char *class = object_meta(o, "x-amz-storage-class");
	const char *restore = object_meta(o, "x-amz-restore");
	const char *status = object_meta(o, "x-amz-archive-status");

	if (restore && strstr(restore, "ongoing-request=\"false\""))
		return false;
	return status ||
	       (class && (strcmp(class, "GLACIER") == 0 || strcmp(class, "DEEP_ARCHIVE") == 0));
}

/* Overrides of answer headers, as in response-content-type=... */
static void overrides(struct req *r)
{
	static const char *const names[][2] = {
		{"response-content-type", "Content-Type"},
		{"response-cache-control", "Cache-Control"},
		{"response-content-disposition", "Content-Disposition"},
		{"response-content-encoding", "Content-Encoding"},
		{"response-content-language", "Content-Language"},
		{"response-expires", "Expires"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = req_param(r, names[i][0]);

		if (!value)
			continue;
		for (unsigned h = 0; h < r->reply.nheaders; h++)
			if (strcasecmp(r->reply.headers[h].name, names[i][1]) == 0)
				r->reply.headers[h--] = r->reply.headers[--r->reply.nheaders];
		reply_header(r, names[i][1], value);
	}
}

/* partNumber=N is a range with another name. */
static bool part_range(struct req *r, uint64_t *ret_off, uint64_t *ret_len)
{
	const struct object *o = r->object;
	uint64_t n, off = 0;

	if (!req_param(r, "partNumber"))
		return false;
	n = req_param_u64(r, "partNumber", 1);
	if (n < 1 || n > MAX(o->part_count, 1)) {
		req_fail(r, ERR_InvalidRange);
		return false;
	}
	if (o->part_count)
		reply_header(r, "x-amz-mp-parts-count", req_printf(r, "%u", o->part_count));
	if (!o->part_count || o->nseg != o->part_count)
		return false;
	for (uint64_t i = 0; i + 1 < n; i++)
		off += o->seg[i].len;
	*ret_off = off;
	*ret_len = o->seg[n - 1].len;
	return true;
}

static bool not_modified(struct req *r)
{
	unsigned status = headers_read_condition(r, r->object);

	if (status == 412)
		req_fail(r, ERR_PreconditionFailed);
	if (status != 304)
		return false;
	r->reply.status = 304;
	reply_header(r, "ETag", req_etag_text(r, r->object->etag));
	return true;
}

static void read_object(struct req *r, bool want_data)
{
	uint64_t off, len;
	struct object *o;
	bool ranged;
	int e;

	/* The file is opened for HEAD too: that notices a change from outside. */
	e = bucket_get(r->bucket, r->key, &r->object, &r->object_fd);
	if (e < 0) {
		req_fail_errno(r, e);
		return;
	}
	o = r->object;
	if (not_modified(r) || r->err != ERR_NONE)
		return;
	if (want_data && is_archived(o)) {
		req_fail(r, ERR_InvalidObjectState);
		return;
	}
	off = 0;
	len = o->size;
	ranged = r->fault.kind != FAULT_IGNORE_RANGE &&
		 (headers_range(r, o->size, &off, &len) || part_range(r, &off, &len));
	if (r->err == ERR_InvalidRange) {
		reply_header(r, "Content-Range",
			     req_printf(r, "bytes */%llu", (unsigned long long)o->size));
		r->err_extra = req_printf(r, "<ActualObjectSize>%llu</ActualObjectSize>",
					  (unsigned long long)o->size);
	}
	if (r->err != ERR_NONE)
		return;
	headers_of_object(r, o);
	overrides(r);
	if (req_header(r, "x-amz-checksum-mode") && !ranged)
		headers_checksum_of(r, o);
	if (ranged) {
		r->reply.status = 206;
		reply_header(r, "Content-Range",
			     req_printf(r, "bytes %llu-%llu/%llu", (unsigned long long)off,
					(unsigned long long)(off + len - 1),
					(unsigned long long)o->size));
	}
	r->reply.from_object = true;
	r->reply.off = off;
	r->reply.len = len;
}

void op_GetObject(struct req *r)
{
	read_object(r, true);
}

void op_HeadObject(struct req *r)
{
	read_object(r, false);
}

void op_GetObjectTagging(struct req *r)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	char *s, *next;
	struct buf *x;
	int e = bucket_get(r->bucket, r->key, &o, NULL);

	if (e < 0) {
		req_fail_errno(r, e);
		return;
	}
	x = reply_xml(r);
	buf_str(x, "<Tagging><TagSet>");
	for (s = o->tags ? req_strdup(r, o->tags) : NULL; s; s = next) {
		char *eq;

		next = strchr(s, '&');
		if (next)
			*next++ = '\0';
		eq = strchr(s, '=');
		if (eq)
			*eq++ = '\0';
		if (text_uri_decode(s, true) < 0 || (eq && text_uri_decode(eq, true) < 0))
			continue;
		buf_str(x, "<Tag>");
		buf_elem(x, "Key", s);
		buf_elem(x, "Value", eq ? eq : "");
		buf_str(x, "</Tag>");
	}
	buf_str(x, "</TagSet></Tagging>");
}
