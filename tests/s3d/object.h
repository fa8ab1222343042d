/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One version of an object: immutable once it is in a bucket, counted
 * references.
 */

#ifndef S3D_OBJECT_H
#define S3D_OBJECT_H

#include "blob.h"

#define ETAG_MAX 48

struct segment {
	struct blob *blob;
	uint64_t len; /* of the blob's start */
};

struct object {
	/* set at creation */
	uint64_t size;
	uint64_t mtime_ns;
	uint64_t pattern;    /* generated content starts here */
	char etag[ETAG_MAX]; /* without quotes */
	char *meta;	     /* "name\0value\0" ... "\0", headers to give back; may be NULL */
	char *tags;	     /* as in x-amz-tagging; may be NULL */
	char *checksum;	     /* "algorithm\0value\0type\0"; may be NULL */
	uint32_t part_count; /* 0: not multipart */
	uint32_t appended;   /* parts that came by appending */
	bool generated;

	/* atomic */
	atomic_uint refs;

	/* set at creation */
	uint32_t nseg;
	struct segment seg[];
};

must_check int object_new(uint32_t nseg, struct object **ret);
struct object *object_ref(struct object *o);
void object_unref(struct object *o);

/* Value of a stored header, NULL if absent. */
const char *object_meta(const struct object *o, const char *name);

/*
 * The longest run of bytes from `pos` that lies in one piece, at most `want`.
 * `file_fd` is the fd of the object's file where it has one. The fd that comes
 * back is borrowed.
 */
struct extent {
	int fd;
	uint64_t off, len;
};

must_check int object_map(const struct object *o, struct arena *a, int file_fd, uint64_t pos,
			  uint64_t want, struct extent *ret);
/* The file blob that must be opened for object_map(), or NULL. */
const struct blob *object_file(const struct object *o);

static inline void object_unrefp(struct object **o)
{
	object_unref(*o);
}

#endif
