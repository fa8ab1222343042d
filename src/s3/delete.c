/* SPDX-License-Identifier: Apache-2.0 */

/* DeleteObject. A key that is gone already is a success, as S3 itself has it. */
#include "s3/control.h"

static void prepare(struct control *c)
{
	s3_request_start(&c->request, "DELETE", c->key);
}

static enum control_result success(struct control *c)
{
	return CONTROL_DONE;
}

static enum control_result failure(struct control *c, bool last)
{
	if (c->error.cls != S3_NOT_FOUND)
		return CONTROL_FAIL;
	c->error.cls = S3_OK;
	return CONTROL_DONE;
}

static const struct control_type delete_type = {
	.name = "DELETE",
	.prepare = prepare,
	.success = success,
	.failure = failure,
};

void s3_delete(struct s3_client *c, struct loop *l, struct s3_delete_call *d)
{
	control_start(c, l, &d->call, d->key, &delete_type, 0, NULL);
}
