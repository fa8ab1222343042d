/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CompleteMultipartUpload. The upload is taken out of the bucket's list first,
 * so that nobody changes or aborts it; it goes back when it cannot be completed,
 * because the client may then correct its request.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "headers.h"
#include "ops.h"
#include "text.h"
#include "upload.h"
#include "xmlin.h"

static void check_part(struct req *r, const struct upload *u, const struct xml_part *x)
{
	const struct part *p = u->parts[x->number];

	if (!p || strcmp(p->etag, x->etag) != 0) {
		req_fail(r, ERR_InvalidPart);
		r->err_extra = req_printf(r, "<PartNumber>%u</PartNumber>", x->number);
		return;
	}
	if (!x->checksum.name)
		return;
	if (server_quirk(r->srv, QUIRK_COMPLETE_NO_CHECKSUM))
		req_fail_because(r, ERR_InvalidRequest, "Checksums of parts are not known here");
	else if (p->sum.kind == CHECKSUM_NONE ||
		 strcmp(checksum_lower(p->sum.kind), x->checksum.name) != 0 ||
		 strcmp(p->sum.text, x->checksum.value) != 0)
		req_fail(r, ERR_InvalidPart);
}

static void check_parts(struct req *r, const struct upload *u, const struct xml_part *list,
			unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		if (list[i].number <= list[i - 1].number)
			req_fail(r, ERR_InvalidPartOrder);
	for (unsigned i = 0; i < count && r->err == ERR_NONE; i++) {
		const struct part *p = u->parts[list[i].number];
		bool last = i == count - 1;

		check_part(r, u, &list[i]);
		if (r->err != ERR_NONE)
			return;
		if (!last && p->size < PART_MIN && !server_quirk(r->srv, QUIRK_SMALL_PARTS)) {
			req_fail(r, ERR_EntityTooSmall);
			r->err_extra =
				req_printf(r,
					   "<ProposedSize>%llu</ProposedSize>"
					   "<MinSizeAllowed>%u</MinSizeAllowed>"
					   "<PartNumber>%u</PartNumber>",
					   (unsigned long long)p->size, PART_MIN, list[i].number);
		}
		if (server_quirk(r->srv, QUIRK_EQUAL_PARTS) && !last &&
		    p->size != u->parts[list[0].number]->size)
			req_fail_because(r, ERR_InvalidPart,
					 "All parts but the last must be equal");
		/* A checksum that Create announced must be given for every part. */
		if (u->sum_kind != CHECKSUM_NONE && !u->sum_full_object && !list[i].checksum.name &&
		    !server_quirk(r->srv, QUIRK_COMPLETE_NO_CHECKSUM))
			req_fail_because(r, ERR_InvalidRequest,
					 "The upload was created using a checksum; the complete "
					 "request must include the checksum for each part");
	}
}

/* MD5 of the MD5s, and the number of parts. */
static void make_etag(struct object *o, const struct upload *u, const struct xml_part *list,
		      unsigned count)
{
	struct hash h;
	uint8_t d[16];
	char hex[33];

	if (hash_init(&h, HASH_MD5) < 0)
		abort();
	for (unsigned i = 0; i < count; i++)
		hash_add(&h, u->parts[list[i].number]->md5, sizeof(d));
	hash_end(&h, d);
	hash_fini(&h);
	text_hex(d, sizeof(d), hex);
	(void)snprintf(o->etag, sizeof(o->etag), "%s-%u", hex, count);
}

/* Checksum of the whole, from those of the parts. */
static void make_checksum(struct req *r, struct object *o, const struct upload *u,
			  const struct xml_part *list, unsigned count)
{
	const char *name = checksum_lower(u->sum_kind);
	const char *want = req_header(r, req_printf(r, "x-amz-checksum-%s", name)), *text;
	struct checksum whole;
	struct summer s;

	if (u->sum_kind == CHECKSUM_NONE)
		return;
	if (u->sum_full_object) {
		whole = u->parts[list[0].number]->sum;
		for (unsigned i = 1; i < count; i++)
			checksum_join(&whole, &u->parts[list[i].number]->sum,
				      u->parts[list[i].number]->size);
		text = req_strdup(r, whole.text);
	} else {
		if (summer_init(&s, u->sum_kind) < 0)
			abort();
		for (unsigned i = 0; i < count; i++)
			summer_add(&s, u->parts[list[i].number]->sum.raw,
				   checksum_size(u->sum_kind));
		summer_end(&s, &whole);
		summer_fini(&s);
		text = req_printf(r, "%s-%u", whole.text, count);
	}
	if (want && strcmp(want, text) != 0 && strcmp(want, whole.text) != 0)
		req_fail(r, ERR_BadDigest);
	o->checksum =
		headers_checksum(name, text, u->sum_full_object ? "FULL_OBJECT" : "COMPOSITE");
}

/* --dir: the parts' files become one. */
static int join_files(struct req *r, const struct upload *u, const struct xml_part *list,
		      unsigned count, struct object *o)
{
	_cleanup_(blob_unrefp) struct blob *whole = NULL;
	uint64_t at = 0;
	int e = store_blob(&r->srv->store, o->size, &whole);

	for (unsigned i = 0; i < count && e >= 0; i++) {
		const struct part *p = u->parts[list[i].number];
		_cleanup_(closep) int fd = -1;
		off_t in = 0, out = (off_t)at;

		e = blob_open(p->blob, &fd);
		while (e >= 0 && (uint64_t)in < p->size) {
			ssize_t n = copy_file_range(fd, &in, whole->fd, &out,
						    p->size - (uint64_t)in, 0);

			if (n <= 0)
				e = n < 0 ? -errno : -EIO;
		}
		at += p->size;
	}
	if (e >= 0)
		e = blob_seal(whole);
	if (e < 0)
		return e;
	o->nseg = 1;
	o->seg[0] = (struct segment){take_ptr(&whole), o->size};
	return 0;
}

static int make_object(struct req *r, struct upload *u, const struct xml_part *list, unsigned count,
		       struct object **ret)
{
	bool files = r->srv->store.dir && !r->srv->store.discard;
	_cleanup_(object_unrefp) struct object *o = NULL;
	int e = object_new(files ? 1 : count, &o);

	if (e < 0)
		return e;
	o->nseg = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct part *p = u->parts[list[i].number];

		o->size += p->size;
		if (!files)
			o->seg[o->nseg++] = (struct segment){blob_ref(p->blob), p->size};
	}
	if (files)
		e = join_files(r, u, list, count, o);
	if (e < 0)
		return e;
	o->part_count = count;
	make_etag(o, u, list, count);
	make_checksum(r, o, u, list, count);
	*ret = take_ptr(&o);
	return 0;
}

static void publish(struct req *r, struct upload *u, const struct xml_part *list, unsigned count)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct condition c;
	int e;

	headers_condition(r, &c);
	if (r->err == ERR_NONE) {
		e = make_object(r, u, list, count, &o);
		if (e < 0)
			req_fail_errno(r, e);
	}
	if (r->err != ERR_NONE)
		return;
	o->meta = take_ptr(&u->meta);
	o->tags = take_ptr(&u->tags);
	r->object = object_ref(o);
	e = bucket_put(r->bucket, r->key, o, &c);
	if (e >= 0) {
		o = NULL;
		return;
	}
	u->meta = take_ptr(&o->meta);
	u->tags = take_ptr(&o->tags);
	req_fail_errno(r, e);
}

static void answer(struct req *r)
{
	const struct object *o = r->object;
	struct buf *x = reply_xml(r);

	headers_encryption(r, o->meta);
	buf_str(x, "<CompleteMultipartUploadResult "
		   "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	buf_elem(x, "Location", r->path);
	buf_elem(x, "Bucket", r->bucket_name);
	buf_elem(x, "Key", r->key);
	buf_elem(x, "ETag", req_etag_text(r, o->etag));
	if (o->checksum) {
		const char *value = o->checksum + strlen(o->checksum) + 1;
		const char *upper = checksum_upper(checksum_by_name(o->checksum));

		buf_printf(x, "<Checksum%s>%s</Checksum%s>", upper, value, upper);
		buf_elem(x, "ChecksumType", value + strlen(value) + 1);
	}
	buf_str(x, "</CompleteMultipartUploadResult>");
}

void op_CompleteMultipartUpload(struct req *r)
{
	const char *size = req_header(r, "x-amz-mp-object-size");
	struct xml_part *list;
	unsigned count = 0;
	struct upload *u;

	list = xmlin_complete(r, &count);
	if (r->err != ERR_NONE)
		return;
	if (upload_take(r->bucket, r->key, req_param(r, "uploadId"), &u) < 0) {
		req_fail(r, ERR_NoSuchUpload);
		return;
	}
	check_parts(r, u, list, count);
	if (size && r->err == ERR_NONE) {
		uint64_t want, sum = 0;

		for (unsigned i = 0; i < count; i++)
			sum += u->parts[list[i].number]->size;
		if (text_u64(size, &want) < 0 || want != sum)
			req_fail(r, ERR_InvalidRequest);
	}
	if (r->err == ERR_NONE)
		publish(r, u, list, count);
	if (r->err != ERR_NONE) {
		upload_return(r->bucket, u);
		return;
	}
	upload_free(u);
	answer(r);
}
