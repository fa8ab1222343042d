/* SPDX-License-Identifier: Apache-2.0 */

/* What s3_cancel needs of a running operation: the first member of each kind. */
#ifndef S3_OP_H
#define S3_OP_H

struct loop;
struct s3_call;

struct s3_op {
	/* Ends it without `done`; s3_call.op is NULL afterwards. */
	void (*cancel)(struct s3_op *op);
};

/*
 * For a call that could not begin: `done` comes later from the loop, with class
 * S3_LOCAL and `err` (-ENOMEM, -EINVAL). Cannot fail; s3_cancel takes it back.
 */
void s3_call_fail(struct loop *l, struct s3_call *c, int err, const char *text);

#endif
