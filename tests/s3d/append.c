/* SPDX-License-Identifier: Apache-2.0 */

/*
 * PutObject with x-amz-write-offset-bytes: the body goes behind the object, which
 * becomes another version that shares the old one's bytes where it can. The offset
 * is the object's size, and 0 where there is none.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "directory.h"
#include "headers.h"
#include "put.h"
#include "text.h"

#define APPEND_PARTS_MAX 10000 /* parts of the object, the appended ones included */

bool append_asked(const struct req *r)
{
	return req_header(r, "x-amz-write-offset-bytes") != NULL;
}

static enum checksum_kind kind_of(const struct object *o)
{
	return o && o->checksum ? checksum_by_name(o->checksum) : CHECKSUM_NONE;
}

void append_begin(struct req *r)
{
	_cleanup_(object_unrefp) struct object *old = NULL;
	struct blob *blob = NULL;
	uint64_t len;
	int e;

	if (!directory_is(r)) {
		req_fail(r, ERR_NotImplemented);
		return;
	}
	if (!body_length(r, &len))
		return;
	if (bucket_get(r->bucket, r->key, &old, NULL) < 0)
		old = NULL;
	e = store_blob(&r->srv->store, len, &blob);
	if (e < 0)
		req_fail_errno(r, e);
	else
		body_open_data(r, blob, kind_of(old));
}

static uint32_t parts_of(const struct object *o)
{
	return o ? MAX(o->part_count, 1) + o->appended : 0;
}

/* What the request may add to: offset, number of parts, kind of checksum. */
static void check(struct req *r, const struct object *old, const struct condition *c)
{
	enum checksum_kind kind = kind_of(old);
	uint64_t offset;

	if (text_u64(req_header(r, "x-amz-write-offset-bytes"), &offset) < 0)
		req_fail(r, ERR_InvalidArgument);
	else if (!old && c->if_match)
		req_fail(r, ERR_NoSuchKey);
	else if (old && c->if_match && strcmp(c->if_match, old->etag) != 0)
		req_fail(r, ERR_PreconditionFailed);
	else if (offset != (old ? old->size : 0))
		req_fail(r, ERR_InvalidWriteOffset);
	else if (parts_of(old) >= APPEND_PARTS_MAX)
		req_fail(r, ERR_TooManyParts);
	else if (kind != CHECKSUM_NONE && r->body.want_sum.kind != CHECKSUM_NONE &&
		 r->body.want_sum.kind != kind)
		req_fail_because(r, ERR_InvalidRequest,
				 "The checksum algorithm must be the one of the object");
}

/* Old and new bytes in one blob: files, and what is generated. */
static int join_bytes(struct req *r, const struct object *old, int old_fd,
		      const struct object *tail, struct object **ret)
{
	_cleanup_(blob_unrefp) struct blob *blob = NULL;
	_cleanup_(closep) int fd = -1;
	int e = store_blob(&r->srv->store, old->size + tail->size, &blob);

	if (e >= 0 && object_file(tail))
		e = blob_open(object_file(tail), &fd);
	if (e >= 0)
		e = put_bytes(r, old, old_fd, blob, 0);
	if (e >= 0)
		e = put_bytes(r, tail, fd, blob, old->size);
	if (e >= 0)
		e = blob_seal(blob);
	if (e >= 0)
		e = put_object_of(blob, ret);
	if (e >= 0)
		blob = NULL;
	return e;
}

static int join_segments(const struct object *old, const struct object *tail, struct object **ret)
{
	struct object *o;
	int e = object_new(old->nseg + tail->nseg, &o);

	if (e < 0)
		return e;
	for (uint32_t i = 0; i < o->nseg; i++) {
		const struct segment *s = i < old->nseg ? &old->seg[i] : &tail->seg[i - old->nseg];

		o->seg[i] = (struct segment){blob_ref(s->blob), s->len};
	}
	o->size = old->size + tail->size;
	*ret = o;
	return 0;
}

/* CRCs are of the whole object; digests are of the digests, as those of parts. */
static char *join_checksum(struct req *r, const struct object *old)
{
	struct checksum sum = {.kind = kind_of(old)}, *tail = &r->body.got_sum;
	const char *value;
	uint8_t both[2 * HASH_MAX];
	size_t n;

	if (sum.kind == CHECKSUM_NONE || tail->kind != sum.kind)
		return NULL;
	value = old->checksum + strlen(old->checksum) + 1;
	n = checksum_size(sum.kind);
	if (text_unbase64(req_printf(r, "%.*s", (int)strcspn(value, "-"), value), n, sum.raw) < 0)
		return NULL;
	if (checksum_is_crc(sum.kind)) {
		checksum_join(&sum, tail, r->body.received);
		return headers_checksum(checksum_lower(sum.kind), sum.text, "FULL_OBJECT");
	}
	memcpy(both, sum.raw, n);
	memcpy(both + n, tail->raw, n);
	hash_once(sum.kind == CHECKSUM_SHA1 ? HASH_SHA1 : HASH_SHA256, both, 2 * n, sum.raw);
	checksum_print(&sum);
	return headers_checksum(checksum_lower(sum.kind),
				req_printf(r, "%s-%u", sum.text, parts_of(old) + 1), "COMPOSITE");
}

/* The object as it is to be. */
static int append_object(struct req *r, const struct object *old, int old_fd,
			 const struct object *tail, struct object **ret)
{
	char etags[2 * ETAG_MAX];
	uint8_t digest[16];
	struct object *o;
	int e;

	if (old->generated || r->srv->store.dir)
		e = join_bytes(r, old, old_fd, tail, &o);
	else
		e = join_segments(old, tail, &o);
	if (e < 0)
		return e;
	(void)snprintf(etags, sizeof(etags), "%s%s", old->etag, tail->etag);
	hash_once(HASH_MD5, etags, strlen(etags), digest);
	text_other_etag(digest, o->etag);
	o->meta = put_copy_meta(old);
	o->tags = old->tags ? strdup(old->tags) : NULL;
	o->checksum = join_checksum(r, old);
	o->part_count = old->part_count;
	o->appended = old->appended + 1;
	*ret = o;
	return 0;
}

/* One try; -EAGAIN: the object has changed meanwhile. */
static int append_once(struct req *r, struct object *tail, struct condition *c)
{
	_cleanup_(object_unrefp) struct object *old = NULL, *o = NULL;
	_cleanup_(closep) int fd = -1;
	int e = bucket_get(r->bucket, r->key, &old, &fd);

	if (e < 0 && e != -ENOENT)
		return e;
	check(r, old, c);
	if (r->err != ERR_NONE)
		return 0;
	if (old) {
		e = append_object(r, old, fd, tail, &o);
		if (e < 0)
			return e;
	} else {
		o = object_ref(tail);
	}
	c->has_base = true;
	c->base = old;
	object_unref(r->object);
	r->object = object_ref(o); /* for the answer */
	e = bucket_put(r->bucket, r->key, o, c);
	if (e >= 0)
		o = NULL;
	return e;
}

void append_finish(struct req *r)
{
	_cleanup_(object_unrefp) struct object *tail = NULL;
	struct body *b = &r->body;
	struct condition c;
	int e;

	headers_condition(r, &c);
	e = put_object_of(b->blob, &tail);
	if (e < 0) {
		req_fail_errno(r, e);
		return;
	}
	b->blob = NULL;
	body_etag(b, tail->etag);
	tail->meta = headers_meta(r);
	if (b->got_sum.kind != CHECKSUM_NONE)
		tail->checksum = headers_checksum(checksum_lower(b->got_sum.kind), b->got_sum.text,
						  "FULL_OBJECT");
	do
		e = append_once(r, tail, &c);
	while (e == -EAGAIN && r->err == ERR_NONE);
	if (e < 0)
		req_fail_errno(r, e);
	if (r->err != ERR_NONE)
		return;
	reply_header(r, "ETag", req_etag_text(r, r->object->etag));
	reply_header(r, "x-amz-object-size",
		     req_printf(r, "%llu", (unsigned long long)r->object->size));
	headers_checksum_of(r, r->object);
	headers_encryption(r, r->object->meta);
}
