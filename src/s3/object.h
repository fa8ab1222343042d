/* SPDX-License-Identifier: Apache-2.0 */

/* What the headers of a HEAD, GET or PUT answer say of an object. Pure. */
#ifndef S3_OBJECT_H
#define S3_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3/s3.h"

#define S3_KMS_KEY_MAX 256

struct s3_object_head {
	struct s3_object object; /* size is Content-Length's */
	bool has_size, has_etag, has_mtime;
	bool archived, restored; /* by storage class, by x-amz-restore; _done combines them */
	bool bad;		 /* a header was there and made no sense, or twice and different */
	char sse[24], sse_key[S3_KMS_KEY_MAX]; /* encryption that was used; "" when absent */
	/* x-amz-checksum-..., by kind; "" when absent. Composite ones end in "-N". */
	char checksum[S3_SUM_OFF][S3_SUM_TEXT_MAX + 8];
	uint64_t whole_size; /* x-amz-object-size of an append's answer, 0: absent */
};

/* Takes in one header line; names are matched without case. */
void s3_object_header(struct s3_object_head *h, const char *name, size_t name_len,
		      const char *value, size_t value_len);
/* After the last line: sets object.storage. */
void s3_object_done(struct s3_object_head *h);
/*
 * The object's checksum; kind S3_SUM_OFF: none that we know, or not asked. Without a
 * value when it is a digest or composite.
 */
void s3_object_sum(const struct s3_object_head *h, struct s3_body_sum *ret);

/* True when `name` (as sent) is `want` (lower case). */
bool s3_name_is(const char *name, size_t name_len, const char *want);
/* S3's name of a storage class that must be restored before a read. */
bool s3_class_is_archived(const char *name, size_t len);

/* An ETag as If-Match wants it, quotes added where the server left them out. False: not usable. */
bool s3_etag_copy(char ret[S3_ETAG_MAX], const char *value, size_t len);

#endif
