/* SPDX-License-Identifier: Apache-2.0 */

/*
 * ListParts over all its pages. The numbers must be 1, 2, 3, ...: that is how the
 * parts are handed to CompleteMultipartUpload. Each page is a step.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "s3/control.h"

static struct s3_list_parts_call *call_of(const struct control *c)
{
	return container_of(c->call, struct s3_list_parts_call, call);
}

static void prepare(struct control *c)
{
	const struct s3_list_parts_call *p = call_of(c);

	(void)snprintf(c->number, sizeof(c->number), "%u", p->nparts);
	s3_request_start(&c->request, "GET", c->key);
	s3_request_query(&c->request, "uploadId", p->upload_id);
	s3_request_query(&c->request, "part-number-marker", p->nparts ? c->number : NULL);
	c->xml_kind = S3_XML_PARTS;
}

static enum control_result broken(struct control *c, int err, const char *text)
{
	s3_error_set(&c->error, err == -ENOMEM ? S3_LOCAL : S3_PROTOCOL, err, text);
	return CONTROL_DONE;
}

static enum control_result success(struct control *c)
{
	struct s3_list_parts_call *p = call_of(c);
	const struct s3_xml_result *r = c->result;
	struct s3_part *parts;

	if (r->truncated && r->nparts == 0)
		return broken(c, -EIO, "the list of parts does not advance");
	if (p->nparts + r->nparts > S3_PARTS_MAX)
		return broken(c, -EIO, "more parts than there can be");
	parts = reallocarray(p->parts, p->nparts + r->nparts + 1, sizeof(*parts));
	if (!parts)
		return broken(c, -ENOMEM, "out of memory");
	p->parts = parts;
	for (unsigned i = 0; i < r->nparts; i++) {
		if (r->parts[i].number != p->nparts + 1)
			return broken(c, -EIO, "the numbers of the parts have gaps");
		p->parts[p->nparts++] = r->parts[i].part;
		p->total += r->parts[i].part.size;
	}
	return r->truncated ? CONTROL_STEP : CONTROL_DONE;
}

/* On an error nothing is handed out. */
static void end(struct control *c)
{
	struct s3_list_parts_call *p = call_of(c);

	if (c->error.cls == S3_OK)
		return;
	free(p->parts);
	p->parts = NULL;
	p->nparts = 0;
	p->total = 0;
}

static const struct control_type list_parts_type = {
	.name = "ListParts",
	.prepare = prepare,
	.success = success,
	.end = end,
};

void s3_list_parts(struct s3_client *c, struct loop *l, struct s3_list_parts_call *p)
{
	p->parts = NULL;
	p->nparts = 0;
	p->total = 0;
	control_start(c, l, &p->call, p->key, &list_parts_type, 0, NULL);
}
