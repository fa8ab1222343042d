/* SPDX-License-Identifier: Apache-2.0 */

/* ListMultipartUploads: the first page for a prefix, which holds the key that equals it. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "s3/control.h"

static struct s3_list_uploads_call *call_of(const struct control *c)
{
	return container_of(c->call, struct s3_list_uploads_call, call);
}

static void prepare(struct control *c)
{
	s3_request_start(&c->request, "GET", NULL);
	s3_request_query(&c->request, "uploads", "");
	s3_request_query(&c->request, "prefix", call_of(c)->prefix);
	c->xml_kind = S3_XML_UPLOADS;
}

static enum control_result success(struct control *c)
{
	struct s3_list_uploads_call *u = call_of(c);

	u->uploads = take_ptr(&c->result->uploads);
	u->nuploads = c->result->nuploads;
	c->result->nuploads = 0;
	u->date = c->retry.date;
	return CONTROL_DONE;
}

static const struct control_type list_uploads_type = {
	.name = "ListMultipartUploads",
	.prepare = prepare,
	.success = success,
};

void s3_list_uploads(struct s3_client *c, struct loop *l, struct s3_list_uploads_call *u)
{
	u->uploads = NULL;
	u->nuploads = 0;
	u->date = 0;
	control_start(c, l, &u->call, NULL, &list_uploads_type, 0, NULL);
}

void s3_uploads_free(struct s3_upload_info *uploads, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		free(uploads[i].key);
		free(uploads[i].id);
	}
	free(uploads);
}
