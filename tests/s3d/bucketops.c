/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Operations on buckets, and DeleteObject and DeleteObjects.
 */

#include <errno.h>
#include <string.h>

#include "headers.h"
#include "ops.h"
#include "text.h"
#include "xmlin.h"

void op_not_implemented(struct req *r)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strcmp(methods[i], r->method) == 0 && r->nparams)
			req_fail(r, ERR_NotImplemented);
	req_fail(r, ERR_MethodNotAllowed);
}

void op_ListBuckets(struct req *r)
{
	struct bucket **list;
	struct buf *x;
	size_t count;
	int e = store_buckets(&r->srv->store, &list, &count);

	if (e < 0) {
		req_fail_errno(r, e);
		return;
	}
	x = reply_xml(r);
	buf_str(x, "<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		   "<Owner><ID>s3d</ID><DisplayName>s3d</DisplayName></Owner><Buckets>");
	for (size_t i = 0; i < count; i++) {
		char date[TEXT_DATE_MAX];

		text_iso_date(list[i]->created_ns, date);
		buf_str(x, "<Bucket>");
		buf_elem(x, "Name", list[i]->name);
		buf_elem(x, "CreationDate", date);
		buf_str(x, "</Bucket>");
		bucket_unref(list[i]);
	}
	free(list);
	buf_str(x, "</Buckets></ListAllMyBucketsResult>");
}

static bool name_is_valid(const char *name)
{
	size_t n = strlen(name);

	return n >= 3 && n <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n &&
	       name[0] != '.' && name[0] != '-' && name[n - 1] != '-';
}

void op_CreateBucket(struct req *r)
{
	int e;

	if (!name_is_valid(r->bucket_name)) {
		req_fail(r, ERR_InvalidBucketName);
		return;
	}
	e = store_create_bucket(&r->srv->store, r->bucket_name);
	if (e == -EEXIST)
		req_fail(r, ERR_BucketAlreadyOwnedByYou);
	else if (e < 0)
		req_fail_errno(r, e);
	else
		reply_header(r, "Location", req_printf(r, "/%s", r->bucket_name));
}

void op_DeleteBucket(struct req *r)
{
	int e = store_delete_bucket(&r->srv->store, r->bucket_name);

	if (e == -ENOENT)
		req_fail(r, ERR_NoSuchBucket);
	else if (e == -ENOTEMPTY)
		req_fail(r, ERR_BucketNotEmpty);
	else if (e < 0)
		req_fail_errno(r, e);
	r->reply.status = 204;
}

void op_HeadBucket(struct req *r)
{
	reply_header(r, "x-amz-bucket-region", r->srv->opt.region);
	reply_header(r, "Content-Type", "application/xml");
}

void op_GetBucketLocation(struct req *r)
{
	const char *region = r->srv->opt.region;
	struct buf *x = reply_xml(r);

	buf_str(x, "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	/* The first region has no name here. */
	if (strcmp(region, "us-east-1") != 0)
		buf_xml(x, region);
	buf_str(x, "</LocationConstraint>");
}

void op_GetBucketVersioning(struct req *r)
{
	buf_str(reply_xml(r), "<VersioningConfiguration "
			      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>");
}

void op_DeleteObject(struct req *r)
{
	const char *match = req_header(r, "if-match");
	struct condition c = {.if_match = match ? req_etag_plain(r, match) : NULL};
	int e = bucket_delete(r->bucket, r->key, &c);

	if (e < 0)
		req_fail_errno(r, e);
	r->reply.status = 204;
}

/* One key of DeleteObjects. */
static void delete_one(struct req *r, struct xml_key *k, bool quiet, struct buf *x)
{
	struct condition c = {.if_match = k->etag ? req_etag_plain(r, k->etag) : NULL};
	struct fault f;
	const char *code = NULL;

	/* A rule for DeleteObject with this key hits one entry. */
	faults_match(&r->srv->faults, OP_DeleteObject, k->key, &f);
	if (f.kind == FAULT_STATUS)
		code = req_strdup(r, f.s3code[0] ? f.s3code : "InternalError");
	else if (bucket_delete(r->bucket, k->key, &c) < 0)
		code = "PreconditionFailed";
	if (code) {
		buf_str(x, "<Error>");
		buf_elem(x, "Key", k->key);
		buf_elem(x, "Code", code);
		buf_elem(x, "Message", "not deleted");
		buf_str(x, "</Error>");
	} else if (!quiet) {
		buf_str(x, "<Deleted>");
		buf_elem(x, "Key", k->key);
		buf_str(x, "</Deleted>");
	}
}

void op_DeleteObjects(struct req *r)
{
	struct xml_key *keys;
	unsigned count = 0;
	bool quiet = false;
	struct buf *x;

	if (!r->body.has_md5 && r->body.want_sum.kind == CHECKSUM_NONE) {
		req_fail_because(r, ERR_InvalidRequest,
				 "Missing required header for this request: Content-MD5 OR "
				 "x-amz-checksum-*");
		return;
	}
	keys = xmlin_delete(r, &quiet, &count);
	if (r->err != ERR_NONE)
		return;
	x = reply_xml(r);
	buf_str(x, "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (struct xml_key *k = keys; k; k = k->next)
		delete_one(r, k, quiet, x);
	buf_str(x, "</DeleteResult>");
}
