/* SPDX-License-Identifier: Apache-2.0 */

/* What PutObject and the multipart calls share. */
#ifndef S3_UPLOAD_H
#define S3_UPLOAD_H

#include "s3/control.h"

/* Headers of a new object, If-None-Match excepted. NULL: none. */
void s3_upload_attrs(struct s3_request *r, const struct s3_put_attrs *a);
/* Whether the answer names the encryption that was asked for; if not, c->error says it. */
bool s3_upload_sse_matches(struct control *c, const struct s3_put_attrs *a);
uint64_t s3_upload_len(const struct iovec *body, unsigned nbody);
/* Sets c->sum and c->checksum: as the caller has it, or computed now. -ENOMEM. */
int s3_upload_sum(struct control *c, const struct s3_body_sum *sum, const struct iovec *body,
		  unsigned nbody) must_check;
/* The attempt sends `body`, with c->checksum. */
void s3_upload_body(struct control *c, const struct iovec *body, unsigned nbody);
/* The deadline of the attempts, when what follows an unclear end needs some of the time. */
uint64_t s3_upload_leave_time(uint64_t deadline);
/* s3_put with a write_offset (append.c). */
void s3_append(struct s3_client *c, struct loop *l, struct s3_put_call *p);
/* 412 and 409 of an If-None-Match: the caller's errno. */
void s3_upload_exists(struct s3_error *e);

#endif
