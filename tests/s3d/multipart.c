/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CreateMultipartUpload, UploadPart, AbortMultipartUpload, and the listings of
 * parts and uploads. Complete is in complete.c.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "headers.h"
#include "ops.h"
#include "text.h"
#include "upload.h"

void op_CreateMultipartUpload(struct req *r)
{
	const char *algorithm = req_header(r, "x-amz-checksum-algorithm");
	const char *type = req_header(r, "x-amz-checksum-type");
	enum checksum_kind kind = algorithm ? checksum_by_name(algorithm) : CHECKSUM_NONE;
	bool full = type ? strcmp(type, "FULL_OBJECT") == 0 : kind == CHECKSUM_CRC64NVME;
	char *meta, *tags, id[UPLOAD_ID_MAX];
	struct buf *x;
	int e;

	if ((algorithm && kind == CHECKSUM_NONE) || (full && !checksum_is_crc(kind)) ||
	    (!full && kind == CHECKSUM_CRC64NVME)) {
		req_fail_because(r, ERR_InvalidRequest, "Checksum algorithm or type is invalid");
		return;
	}
	meta = headers_meta(r);
	tags = headers_tags(r);
	headers_encryption(r, meta);
	e = r->err == ERR_NONE ? upload_create(r->bucket, r->key, meta, tags, kind, full, id)
			       : -EINVAL;
	if (e < 0) {
		free(meta);
		free(tags);
		req_fail_errno(r, e);
		return;
	}
	if (algorithm) {
		reply_header(r, "x-amz-checksum-algorithm", checksum_upper(kind));
		reply_header(r, "x-amz-checksum-type", full ? "FULL_OBJECT" : "COMPOSITE");
	}
	x = reply_xml(r);
	buf_str(x, "<InitiateMultipartUploadResult "
		   "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	buf_elem(x, "Bucket", r->bucket_name);
	buf_elem(x, "Key", r->key);
	buf_elem(x, "UploadId", id);
	buf_str(x, "</InitiateMultipartUploadResult>");
}

static unsigned part_number(struct req *r)
{
	uint64_t n = req_param_u64(r, "partNumber", 0);

	if (n < 1 || n > UPLOAD_PARTS_MAX)
		req_fail_because(r, ERR_InvalidArgument,
				 "Part number must be an integer between 1 and 10000, inclusive");
	return (unsigned)n;
}

/* The algorithm that Create named; its parts are summed in any case. */
static enum checksum_kind upload_sum_kind(struct req *r)
{
	struct upload *u;
	WITH_LOCK(&r->bucket->upload_lock);

	u = upload_find_locked(r->bucket, r->key, req_param(r, "uploadId"));
	return u ? u->sum_kind : CHECKSUM_NONE;
}

void begin_UploadPart(struct req *r)
{
	enum checksum_kind kind;
	struct blob *blob;
	unsigned n = part_number(r);
	uint64_t len;
	int e;

	if (!body_length(r, &len) || r->err != ERR_NONE)
		return;
	kind = upload_sum_kind(r);
	e = upload_blob(r->bucket, r->key, req_param(r, "uploadId"), n, len, &blob);
	if (e == -ENOENT)
		req_fail(r, ERR_NoSuchUpload);
	else if (e < 0)
		req_fail_errno(r, e);
	else
		body_open_data(r, blob, kind);
	if (kind != CHECKSUM_NONE && r->body.sum.kind != kind)
		req_fail_because(r, ERR_InvalidRequest,
				 "Checksum Type mismatch occurred between the upload and the part");
}

void op_UploadPart(struct req *r)
{
	_cleanup_(part_freep) struct part *p = calloc(1, sizeof(*p));
	struct body *b = &r->body;
	const char *etag;
	int e;

	if (!p) {
		req_fail(r, ERR_InternalError);
		return;
	}
	p->blob = take_ptr(&b->blob);
	p->size = p->blob->len;
	p->mtime_ns = clock_real_ns();
	body_etag(b, p->etag);
	if (text_unhex(p->etag, sizeof(p->md5), p->md5) < 0)
		req_fail(r, ERR_InternalError);
	p->sum = b->got_sum;
	etag = req_etag_text(r, p->etag);
	e = upload_add(r->bucket, r->key, req_param(r, "uploadId"), part_number(r), p);
	if (e < 0) {
		req_fail(r, ERR_NoSuchUpload);
		return;
	}
	p = NULL;
	reply_header(r, "ETag", etag);
	if (b->got_sum.kind != CHECKSUM_NONE)
		reply_header(r, req_printf(r, "x-amz-checksum-%s", checksum_lower(b->got_sum.kind)),
			     b->got_sum.text);
}

void op_AbortMultipartUpload(struct req *r)
{
	if (upload_abort(r->bucket, r->key, req_param(r, "uploadId")) < 0)
		req_fail(r, ERR_NoSuchUpload);
	r->reply.status = 204;
}

static void add_part(struct req *r, struct buf *x, unsigned n, const struct part *p)
{
	char date[TEXT_DATE_MAX];

	text_iso_date(p->mtime_ns, date);
	buf_printf(x, "<Part><PartNumber>%u</PartNumber>", n);
	buf_elem(x, "LastModified", date);
	buf_elem(x, "ETag", req_etag_text(r, p->etag));
	buf_printf(x, "<Size>%llu</Size>", (unsigned long long)p->size);
	if (p->sum.kind != CHECKSUM_NONE)
		buf_printf(x, "<Checksum%s>%s</Checksum%s>", checksum_upper(p->sum.kind),
			   p->sum.text, checksum_upper(p->sum.kind));
	buf_str(x, "</Part>");
}

void op_ListParts(struct req *r)
{
	uint64_t max = MIN(req_param_u64(r, "max-parts", 1000), 1000);
	uint64_t marker = req_param_u64(r, "part-number-marker", 0);
	uint64_t last = 0, count = 0;
	bool truncated = false;
	struct upload *u;
	struct buf *x;
	WITH_LOCK(&r->bucket->upload_lock);

	u = upload_find_locked(r->bucket, r->key, req_param(r, "uploadId"));
	if (!u) {
		req_fail(r, ERR_NoSuchUpload);
		return;
	}
	x = reply_xml(r);
	buf_str(x, "<ListPartsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	buf_elem(x, "Bucket", r->bucket_name);
	buf_elem(x, "Key", r->key);
	buf_elem(x, "UploadId", u->id);
	buf_printf(x, "<MaxParts>%llu</MaxParts>", (unsigned long long)max);
	buf_printf(x, "<PartNumberMarker>%llu</PartNumberMarker>", (unsigned long long)marker);
	for (uint64_t n = marker + 1; n <= u->part_top; n++) {
		if (!u->parts[n])
			continue;
		if (count == max) {
			truncated = true;
			break;
		}
		add_part(r, x, (unsigned)n, u->parts[n]);
		last = n;
		count++;
	}
	if (truncated)
		buf_printf(x, "<NextPartNumberMarker>%llu</NextPartNumberMarker>",
			   (unsigned long long)last);
	buf_printf(x, "<IsTruncated>%s</IsTruncated></ListPartsResult>",
		   truncated ? "true" : "false");
}

static int compare_uploads(const void *a, const void *b)
{
	const struct upload *x = *(struct upload *const *)a, *y = *(struct upload *const *)b;
	int c = strcmp(x->key, y->key);

	return c ? c : strcmp(x->id, y->id);
}

static bool upload_is_listed(const struct upload *u, const char *prefix, const char *key,
			     const char *id)
{
	int c = strcmp(u->key, key);

	if (strncmp(u->key, prefix, strlen(prefix)) != 0)
		return false;
	return c > 0 || (c == 0 && *id && strcmp(u->id, id) > 0) || !*key;
}

static void add_upload(struct buf *x, const struct upload *u)
{
	char date[TEXT_DATE_MAX];

	text_iso_date(u->created_ns, date);
	buf_str(x, "<Upload>");
	buf_elem(x, "Key", u->key);
	buf_elem(x, "UploadId", u->id);
	buf_str(x, "<StorageClass>STANDARD</StorageClass>");
	buf_elem(x, "Initiated", date);
	buf_str(x, "</Upload>");
}

/* The bucket's uploads by key and id; the array is the request's. */
static struct upload **sorted_uploads_locked(struct req *r, size_t *ret_count)
{
	struct upload **list;
	size_t n = 0;

	for (struct upload *u = r->bucket->uploads; u; u = u->next)
		n++;
	list = req_alloc(r, (n + 1) * sizeof(*list));
	n = 0;
	for (struct upload *u = r->bucket->uploads; u; u = u->next)
		list[n++] = u;
	qsort(list, n, sizeof(*list), compare_uploads);
	*ret_count = n;
	return list;
}

void op_ListMultipartUploads(struct req *r)
{
	uint64_t max = MIN(req_param_u64(r, "max-uploads", 1000), 1000), count = 0;
	const char *prefix = req_param(r, "prefix"), *key = req_param(r, "key-marker");
	const char *id = req_param(r, "upload-id-marker");
	const struct upload *last = NULL;
	bool truncated = false;
	struct upload **list;
	struct buf *x;
	size_t n;
	WITH_LOCK(&r->bucket->upload_lock);

	list = sorted_uploads_locked(r, &n);
	x = reply_xml(r);
	buf_str(x, "<ListMultipartUploadsResult "
		   "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	buf_elem(x, "Bucket", r->bucket_name);
	buf_elem(x, "Prefix", prefix ? prefix : "");
	buf_elem(x, "KeyMarker", key ? key : "");
	buf_elem(x, "UploadIdMarker", id ? id : "");
	buf_printf(x, "<MaxUploads>%llu</MaxUploads>", (unsigned long long)max);
	for (size_t i = 0; i < n; i++) {
		if (!upload_is_listed(list[i], prefix ? prefix : "", key ? key : "", id ? id : ""))
			continue;
		truncated = count == max;
		if (truncated)
			break;
		add_upload(x, list[i]);
		last = list[i];
		count++;
	}
	if (truncated && last) {
		buf_elem(x, "NextKeyMarker", last->key);
		buf_elem(x, "NextUploadIdMarker", last->id);
	}
	buf_printf(x, "<IsTruncated>%s</IsTruncated></ListMultipartUploadsResult>",
		   truncated ? "true" : "false");
}
