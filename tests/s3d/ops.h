/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The functions behind the operations. Each runs on the thread that serves the
 * connection, when the body is complete and the request has no error; it sets
 * the reply, or r->err.
 */

#ifndef S3D_OPS_H
#define S3D_OPS_H

struct req;

#define OP(name, method, level, param, body) void op_##name(struct req *r);
#include "ops.tbl"
#undef OP

void op_not_implemented(struct req *r);
void op_admin(struct req *r);

/* At the headers: make a place for the body. */
void begin_PutObject(struct req *r);
void begin_UploadPart(struct req *r);

#endif
