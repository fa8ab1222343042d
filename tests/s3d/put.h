/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Making objects: what PutObject, CopyObject and appends share.
 */

#ifndef S3D_PUT_H
#define S3D_PUT_H

#include "req.h"

/* An object of the blob; takes the blob's reference on success. */
must_check int put_object_of(struct blob *blob, struct object **ret);
/* The bytes of an object into a blob that is not sealed, from `at` on. */
must_check int put_bytes(struct req *r, const struct object *src, int fd, struct blob *to,
			 uint64_t at);
/* The kept headers of the source, malloc'ed. */
char *put_copy_meta(const struct object *src);

/* x-amz-write-offset-bytes: at the headers, and at the body's end. */
bool append_asked(const struct req *r);
void append_begin(struct req *r);
void append_finish(struct req *r);

#endif
