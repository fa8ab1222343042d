/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a request's headers say about an object: metadata to keep, conditions,
 * ranges, checksums; and giving it back.
 */

#ifndef S3D_HEADERS_H
#define S3D_HEADERS_H

#include "req.h"

/* The headers to keep with the object, as struct object has them; malloc'ed. */
char *headers_meta(struct req *r);
/* x-amz-tagging, malloc'ed, or NULL. */
char *headers_tags(struct req *r);
/* Condition of a write; sets r->err. */
void headers_condition(struct req *r, struct condition *ret);
/* "algorithm\0value\0type\0", malloc'ed. */
char *headers_checksum(const char *algorithm, const char *value, const char *type);

/* Of an object, for GET and HEAD. */
void headers_of_object(struct req *r, const struct object *o);
void headers_checksum_of(struct req *r, const struct object *o);
void headers_encryption(struct req *r, const char *meta);

/*
 * Conditions of a read: 0 to go on, else the status 304 or 412.
 */
unsigned headers_read_condition(struct req *r, const struct object *o);

/*
 * Range of a read. False: no (valid) range, or it is to be ignored. A range that
 * cannot be satisfied sets r->err.
 */
bool headers_range(struct req *r, uint64_t size, uint64_t *ret_off, uint64_t *ret_len);

#endif
