/* SPDX-License-Identifier: Apache-2.0 */

/*
 * PutObject and CopyObject.
 */

#include <errno.h>
#include <string.h>

#include "headers.h"
#include "ops.h"
#include "put.h"
#include "text.h"

#define COPY_PIECE (1u << 20)

void begin_PutObject(struct req *r)
{
	struct blob *blob = NULL;
	uint64_t len;
	int e;

	if (append_asked(r)) {
		append_begin(r);
		return;
	}
	if (!body_length(r, &len))
		return;
	e = store_blob(&r->srv->store, len, &blob);
	if (e < 0)
		req_fail_errno(r, e);
	else
		body_open_data(r, blob, CHECKSUM_NONE);
}

int put_object_of(struct blob *blob, struct object **ret)
{
	struct object *o;
	int e = object_new(1, &o);

	if (e < 0)
		return e;
	o->seg[0] = (struct segment){blob, blob->len};
	o->size = blob->len;
	*ret = o;
	return 0;
}

void op_PutObject(struct req *r)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct body *b = &r->body;
	struct condition c;
	int e;

	if (append_asked(r)) {
		append_finish(r);
		return;
	}
	headers_condition(r, &c);
	e = put_object_of(b->blob, &o);
	if (e < 0) {
		req_fail_errno(r, e);
		return;
	}
	b->blob = NULL;
	body_etag(b, o->etag);
	o->meta = headers_meta(r);
	o->tags = headers_tags(r);
	if (b->got_sum.kind != CHECKSUM_NONE)
		o->checksum = headers_checksum(checksum_lower(b->got_sum.kind), b->got_sum.text,
					       "FULL_OBJECT");
	if (r->err != ERR_NONE)
		return;
	r->object = object_ref(o); /* for the answer */
	e = bucket_put(r->bucket, r->key, o, &c);
	if (e < 0) {
		req_fail_errno(r, e);
		return;
	}
	o = NULL;
	reply_header(r, "ETag", req_etag_text(r, r->object->etag));
	headers_checksum_of(r, r->object);
	headers_encryption(r, r->object->meta);
}

/* "/bucket/key" or "bucket/key", encoded. */
static struct object *copy_source(struct req *r, int *ret_fd)
{
	char *s = req_strdup(r, req_header(r, "x-amz-copy-source")), *slash, *query;
	_cleanup_(bucket_unrefp) struct bucket *b = NULL;
	struct object *o = NULL;
	int e;

	query = strchr(s, '?');
	if (query)
		*query = '\0';
	if (text_uri_decode(s, false) < 0) {
		req_fail(r, ERR_InvalidArgument);
		return NULL;
	}
	s += *s == '/';
	slash = strchr(s, '/');
	if (!slash || !slash[1]) {
		req_fail(r, ERR_InvalidArgument);
		return NULL;
	}
	*slash = '\0';
	b = store_bucket(&r->srv->store, s);
	if (!b) {
		req_fail(r, ERR_NoSuchBucket);
		return NULL;
	}
	e = bucket_get(b, slash + 1, &o, ret_fd);
	if (e < 0)
		req_fail_errno(r, e);
	return o;
}

int put_bytes(struct req *r, const struct object *src, int fd, struct blob *to, uint64_t at)
{
	_cleanup_(freep) char *piece = malloc(COPY_PIECE);
	int e = piece ? 0 : -ENOMEM;

	for (uint64_t pos = 0; e >= 0 && pos < src->size;) {
		struct extent x;
		ssize_t n;

		e = object_map(src, &r->srv->store.arena, fd, pos, MIN(src->size - pos, COPY_PIECE),
			       &x);
		if (e < 0)
			break;
		n = pread(x.fd, piece, x.len, (off_t)x.off);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		e = blob_write(to, at + pos, piece, (size_t)n);
		pos += (uint64_t)n;
	}
	return e;
}

/* The bytes of an object in a new blob. */
static int copy_bytes(struct req *r, const struct object *src, int fd, struct blob **ret)
{
	_cleanup_(blob_unrefp) struct blob *blob = NULL;
	int e = store_blob(&r->srv->store, src->size, &blob);

	if (e >= 0)
		e = put_bytes(r, src, fd, blob, 0);
	if (e >= 0)
		e = blob_seal(blob);
	if (e < 0)
		return e;
	*ret = take_ptr(&blob);
	return 0;
}

/* In memory the copy shares the source's bytes; files are copied. */
static int copy_object(struct req *r, const struct object *src, int fd, struct object **ret)
{
	struct blob *blob = NULL;
	struct object *o;
	int e;

	if (r->srv->store.dir && !src->generated) {
		e = copy_bytes(r, src, fd, &blob);
		if (e < 0)
			return e;
		e = put_object_of(blob, &o);
		if (e < 0) {
			blob_unref(blob);
			return e;
		}
	} else {
		e = object_new(src->nseg, &o);
		if (e < 0)
			return e;
		for (uint32_t i = 0; i < src->nseg; i++)
			o->seg[i] = (struct segment){blob_ref(src->seg[i].blob), src->seg[i].len};
		o->generated = src->generated;
		o->pattern = src->pattern;
	}
	o->size = src->size;
	memcpy(o->etag, src->etag, sizeof(o->etag));
	*ret = o;
	return 0;
}

char *put_copy_meta(const struct object *src)
{
	const char *p = src->meta;
	char *copy;

	if (!p)
		return NULL;
	while (*p) {
		p += strlen(p) + 1;
		p += strlen(p) + 1;
	}
	copy = malloc((size_t)(p - src->meta) + 1);
	if (copy)
		memcpy(copy, src->meta, (size_t)(p - src->meta) + 1);
	return copy;
}

static void check_copy_condition(struct req *r, const struct object *src)
{
	const char *match = req_header(r, "x-amz-copy-source-if-match");

	if (match && strcmp(req_etag_plain(r, match), src->etag) != 0)
		req_fail(r, ERR_PreconditionFailed);
}

void op_CopyObject(struct req *r)
{
	_cleanup_(object_unrefp) struct object *src = NULL, *o = NULL;
	const char *directive = req_header(r, "x-amz-metadata-directive");
	_cleanup_(closep) int fd = -1;
	char date[TEXT_DATE_MAX];
	struct condition c;
	struct buf *x;
	int e;

	headers_condition(r, &c);
	src = copy_source(r, &fd);
	if (src)
		check_copy_condition(r, src);
	if (r->err != ERR_NONE)
		return;
	e = copy_object(r, src, fd, &o);
	if (e < 0) {
		req_fail_errno(r, e);
		return;
	}
	if (directive && strcmp(directive, "REPLACE") == 0)
		o->meta = headers_meta(r);
	else
		o->meta = put_copy_meta(src);
	o->tags = src->tags ? strdup(src->tags) : NULL;
	r->object = object_ref(o);
	e = bucket_put(r->bucket, r->key, o, &c);
	if (e < 0) {
		req_fail_errno(r, e);
		return;
	}
	o = NULL;
	x = reply_xml(r);
	text_iso_date(r->object->mtime_ns, date);
	buf_str(x, "<CopyObjectResult>");
	buf_elem(x, "LastModified", date);
	buf_elem(x, "ETag", req_etag_text(r, r->object->etag));
	buf_str(x, "</CopyObjectResult>");
}
