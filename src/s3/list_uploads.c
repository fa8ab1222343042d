/* SPDX-License-Identifier: Apache-2.0 */

/*
 * ListMultipartUploads: the first page for a prefix, which holds the key that equals
 * it. Directory buckets only take prefixes that end in '/': there it is the page of
 * the directory, and what does not begin with the prefix is left out.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "s3/control.h"

static struct s3_list_uploads_call *call_of(const struct control *c)
{
	return container_of(c->call, struct s3_list_uploads_call, call);
}

static int setup(struct control *c)
{
	const char *prefix = call_of(c)->prefix, *slash = prefix ? strrchr(prefix, '/') : NULL;

	if (!prefix)
		return 0;
	buf_append(&c->send, prefix,
		   !s3_client_is_directory(c->client) ? strlen(prefix)
		   : slash			      ? (size_t)(slash - prefix) + 1
						      : 0);
	return buf_error(&c->send);
}

static void prepare(struct control *c)
{
	s3_request_start(&c->request, "GET", NULL);
	s3_request_query(&c->request, "uploads", "");
	s3_request_query(&c->request, "prefix", c->send.len ? c->send.data : NULL);
	c->xml_kind = S3_XML_UPLOADS;
}

static void keep_prefix(struct s3_xml_result *r, const char *prefix)
{
	size_t len = prefix ? strlen(prefix) : 0;
	unsigned n = 0;

	for (unsigned i = 0; i < r->nuploads; i++) {
		if (len == 0 || strncmp(r->uploads[i].key, prefix, len) == 0) {
			r->uploads[n++] = r->uploads[i];
			continue;
		}
		free(r->uploads[i].key);
		free(r->uploads[i].id);
	}
	r->nuploads = n;
}

static enum control_result success(struct control *c)
{
	struct s3_list_uploads_call *u = call_of(c);

	keep_prefix(c->result, u->prefix);
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
	control_start(c, l, &u->call, NULL, &list_uploads_type, 0, setup);
}

void s3_uploads_free(struct s3_upload_info *uploads, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		free(uploads[i].key);
		free(uploads[i].id);
	}
	free(uploads);
}
