/* SPDX-License-Identifier: Apache-2.0 */

/*
 * ListObjectsV2, one page. Keys are asked for percent-encoded, since XML 1.0 has
 * no way to write most control characters; what comes back decides (xml_page.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "s3/control.h"

static struct s3_list_call *call_of(const struct control *c)
{
	return container_of(c->call, struct s3_list_call, call);
}

static void prepare(struct control *c)
{
	const struct s3_list_call *list = call_of(c);
	struct s3_request *r = &c->request;

	(void)snprintf(c->number, sizeof(c->number), "%u", list->max_keys);
	s3_request_start(r, "GET", NULL);
	s3_request_query(r, "list-type", "2");
	s3_request_query(r, "encoding-type", "url");
	s3_request_query(r, "max-keys", c->number);
	s3_request_query(r, "prefix", list->prefix && list->prefix[0] ? list->prefix : NULL);
	s3_request_query(r, "delimiter", list->delimiter ? "/" : NULL);
	s3_request_query(r, "continuation-token", list->token);
	s3_request_query(r, "start-after", list->token ? NULL : list->start_after);
	/* Whether an archived object was restored; few servers but AWS's know it. */
	control_optional(c, &c->client->no_restore_status, "x-amz-optional-object-attributes",
			 "RestoreStatus");
	c->xml_kind = S3_XML_LIST;
}

static enum control_result success(struct control *c)
{
	struct s3_list_call *list = call_of(c);
	const struct s3_page *p = c->result->page;

	/* A server that hands out the same token for ever would keep us for ever. */
	if (p->truncated && list->token && strcmp(p->next_token, list->token) == 0) {
		s3_error_set(&c->error, S3_PROTOCOL, -EIO, "the listing does not advance");
		return CONTROL_FAIL;
	}
	list->page = take_ptr(&c->result->page);
	return CONTROL_DONE;
}

/* 404 without a code: there is no key in the request, so it is the bucket. */
static enum control_result failure(struct control *c, bool last)
{
	if (c->error.cls == S3_NOT_FOUND) {
		c->error.cls = S3_NO_BUCKET;
		c->error.err = -EIO;
	}
	return CONTROL_FAIL;
}

static const struct control_type list_type = {
	.name = "LIST",
	.prepare = prepare,
	.success = success,
	.failure = failure,
};

void s3_list(struct s3_client *c, struct loop *l, struct s3_list_call *list)
{
	list->page = NULL;
	control_start(c, l, &list->call, NULL, &list_type, 0, NULL);
}
