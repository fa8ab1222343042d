/* SPDX-License-Identifier: Apache-2.0 */

/* HeadObject. A 404 has no body, so a missing bucket looks like a missing key. */
#include <errno.h>

#include "s3/control.h"

static struct s3_head_call *call_of(const struct control *c)
{
	return container_of(c->call, struct s3_head_call, call);
}

static void prepare(struct control *c)
{
	s3_request_start(&c->request, "HEAD", c->key);
	s3_request_query(&c->request, "partNumber", call_of(c)->part);
	s3_request_header(&c->request, "if-match", call_of(c)->if_match);
	if (call_of(c)->checksum)
		s3_request_header(&c->request, "x-amz-checksum-mode", "ENABLED");
	if (call_of(c)->on_attempt)
		call_of(c)->on_attempt(call_of(c));
}

static void header(struct control *c, const char *name, size_t name_len, const char *value,
		   size_t value_len)
{
	if (call_of(c)->on_header)
		call_of(c)->on_header(call_of(c), name, name_len, value, value_len);
}

static enum control_result success(struct control *c)
{
	if (c->head.bad || !c->head.has_size) {
		s3_error_set(&c->error, S3_PROTOCOL, -EIO,
			     "HEAD without a usable Content-Length or ETag");
		return CONTROL_FAIL;
	}
	call_of(c)->object = c->head.object;
	s3_object_sum(&c->head, &call_of(c)->sum);
	return CONTROL_DONE;
}

static const struct control_type head_type = {
	.name = "HEAD",
	.prepare = prepare,
	.header = header,
	.success = success,
};

void s3_head(struct s3_client *c, struct loop *l, struct s3_head_call *h)
{
	control_start(c, l, &h->call, h->key, &head_type, 0, NULL);
}
