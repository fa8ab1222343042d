/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What all calls have in common: being cancelled, and failing before they begin.
 * A call is one of
 *
 *	running		op is set
 *	failed early	op is NULL, its task is posted
 *	not running	op is NULL, the task is not posted
 *
 * Owner loop only.
 */
#include "s3/op.h"

#include "s3/error.h"
#include "s3/s3.h"

static void on_task(struct loop_task *t)
{
	struct s3_call *c = container_of(t, struct s3_call, task);

	c->done(c);
}

void s3_call_fail(struct loop *l, struct s3_call *c, int err, const char *text)
{
	c->op = NULL;
	c->loop = l;
	c->error = (struct s3_error){0};
	s3_error_set(&c->error, S3_LOCAL, err, text);
	c->task.run = on_task;
	loop_post(l, &c->task);
}

void s3_cancel(struct s3_call *c)
{
	if (c->op)
		c->op->cancel(c->op);
	else if (c->loop)
		(void)loop_unpost(c->loop, &c->task);
}
