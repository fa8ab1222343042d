/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The operations and how a request is mapped to one.
 */

#ifndef S3D_OP_H
#define S3D_OP_H

#include "util.h"

enum op {
#define OP(name, method, level, param, body) OP_##name,
#include "ops.tbl"
#undef OP
	OP_UploadPartCopy,
	OP_Unknown,
	OP_Admin,
	OP_COUNT,
};

enum body_kind { BODY_NONE, BODY_XML, BODY_DATA };

struct req;

/* Work at the headers (places for the body) and at the body's end. */
typedef void (*op_fn)(struct req *r);

const char *op_name(enum op op);
/* OP_COUNT if unknown. */
enum op op_by_name(const char *name);
enum body_kind op_body(enum op op);
op_fn op_begin(enum op op); /* may be NULL */
op_fn op_finish(enum op op);

/* Fill bucket, key and op of the request. */
void route(struct req *r);

#endif
