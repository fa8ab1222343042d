/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CreateMultipartUpload, UploadPart, AbortMultipartUpload. A Create that is sent
 * twice leaves an upload behind that nobody knows; the bucket's lifecycle rule for
 * incomplete uploads is for those.
 */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "s3/upload.h"

/* --- create --- */

static struct s3_create_upload_call *create_of(const struct control *c)
{
	return container_of(c->call, struct s3_create_upload_call, call);
}

static void create_prepare(struct control *c)
{
	s3_request_start(&c->request, "POST", c->key);
	s3_request_query(&c->request, "uploads", "");
	s3_upload_attrs(&c->request, create_of(c)->attrs);
	control_optional(c, &c->client->no_checksum, "x-amz-checksum-algorithm",
			 s3_sum_name(create_of(c)->sum));
	/* Of the bytes and not of the parts' sums: who reads it need not know the parts. */
	if (create_of(c)->sum != S3_SUM_OFF && control_optional_sent(c))
		s3_request_header(&c->request, "x-amz-checksum-type", "FULL_OBJECT");
	c->xml_kind = S3_XML_CREATE;
}

static enum control_result create_success(struct control *c)
{
	/* With the id in any case, so that the caller can abort it. */
	create_of(c)->upload_id = take_ptr(&c->result->upload_id);
	(void)s3_upload_sse_matches(c, create_of(c)->attrs);
	create_of(c)->unclear = c->unclear;
	return CONTROL_DONE;
}

static enum control_result create_failure(struct control *c, bool last)
{
	create_of(c)->unclear = c->unclear;
	return CONTROL_FAIL;
}

static const struct control_type create_type = {
	.name = "CreateMultipartUpload",
	.prepare = create_prepare,
	.success = create_success,
	.failure = create_failure,
};

void s3_create_upload(struct s3_client *c, struct loop *l, struct s3_create_upload_call *u)
{
	u->upload_id = NULL;
	u->unclear = false;
	control_start(c, l, &u->call, u->key, &create_type, 0, NULL);
}

/* --- part --- */

static struct s3_upload_part_call *part_of(const struct control *c)
{
	return container_of(c->call, struct s3_upload_part_call, call);
}

static int part_setup(struct control *c)
{
	const struct s3_upload_part_call *u = part_of(c);

	if (u->number < 1 || u->number > S3_PARTS_MAX || (u->sum && s3_sum_is_digest(u->sum->kind)))
		return -EINVAL;
	(void)snprintf(c->number, sizeof(c->number), "%u", u->number);
	return s3_upload_sum(c, u->sum, u->body, u->nbody);
}

static void part_prepare(struct control *c)
{
	const struct s3_upload_part_call *u = part_of(c);

	s3_request_start(&c->request, "PUT", c->key);
	s3_request_query(&c->request, "partNumber", c->number);
	s3_request_query(&c->request, "uploadId", u->upload_id);
	s3_upload_body(c, u->body, u->nbody);
}

static enum control_result part_success(struct control *c)
{
	struct s3_upload_part_call *u = part_of(c);

	if (!c->head.has_etag) {
		s3_error_set(&c->error, S3_PROTOCOL, -EIO, "UploadPart answered without an ETag");
		return CONTROL_FAIL;
	}
	if (!control_checksum_matches(c))
		return CONTROL_FAIL;
	u->part = (struct s3_part){.size = s3_upload_len(u->body, u->nbody)};
	(void)snprintf(u->part.etag, sizeof(u->part.etag), "%s", c->head.object.etag);
	u->part.kind = c->sum;
	u->part.sum = c->sum_value;
	if (control_optional_sent(c)) /* parts have CRCs only, which fit */
		(void)snprintf(u->part.checksum, sizeof(u->part.checksum), "%.*s",
			       (int)sizeof(u->part.checksum) - 1, c->checksum);
	return CONTROL_DONE;
}

static const struct control_type part_type = {
	.name = "UploadPart",
	.prepare = part_prepare,
	.success = part_success,
};

void s3_upload_part(struct s3_client *c, struct loop *l, struct s3_upload_part_call *u)
{
	control_start(c, l, &u->call, u->key, &part_type, s3_upload_len(u->body, u->nbody),
		      part_setup);
}

/* --- abort --- */

static void abort_prepare(struct control *c)
{
	const struct s3_abort_call *a = container_of(c->call, struct s3_abort_call, call);

	s3_request_start(&c->request, "DELETE", c->key);
	s3_request_query(&c->request, "uploadId", a->upload_id);
}

static enum control_result abort_success(struct control *c)
{
	return CONTROL_DONE;
}

static enum control_result abort_failure(struct control *c, bool last)
{
	if (c->error.cls != S3_NOT_FOUND)
		return CONTROL_FAIL;
	c->error.cls = S3_OK;
	return CONTROL_DONE;
}

static const struct control_type abort_type = {
	.name = "AbortMultipartUpload",
	.prepare = abort_prepare,
	.success = abort_success,
	.failure = abort_failure,
};

void s3_abort(struct s3_client *c, struct loop *l, struct s3_abort_call *a)
{
	control_start(c, l, &a->call, a->key, &abort_type, 0, NULL);
}
