/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Multipart uploads of a bucket: the state between Create and Complete. A
 * request names an upload by id each time; nothing outside this file keeps a
 * pointer to one, so Abort needs to wait for nobody.
 */

#ifndef S3D_UPLOAD_H
#define S3D_UPLOAD_H

#include "checksum.h"
#include "store.h"

#define UPLOAD_PARTS_MAX 10000u
#define UPLOAD_ID_MAX	 40
#define PART_MIN	 (5u << 20)

struct part {
	struct blob *blob;
	uint64_t size;
	uint64_t mtime_ns;
	uint8_t md5[16];
	char etag[ETAG_MAX];
	struct checksum sum; /* kind CHECKSUM_NONE if none */
};

struct upload {
	/* set at creation */
	struct upload *next;
	char id[UPLOAD_ID_MAX];
	char *key;
	char *meta, *tags;
	enum checksum_kind sum_kind;
	bool sum_full_object;
	uint64_t created_ns;

	/* under the bucket's upload_lock */
	struct part *parts[UPLOAD_PARTS_MAX + 1];
	unsigned part_count, part_top; /* number of parts, highest number */
	/* where the next parts should lie so that the object is one piece */
	uint64_t slot_off, slot_size;
	bool slot_used[UPLOAD_PARTS_MAX + 1];
};

/* Takes meta and tags on success. */
must_check int upload_create(struct bucket *b, const char *key, char *meta, char *tags,
			     enum checksum_kind kind, bool full_object, char ret_id[UPLOAD_ID_MAX]);
/* -ENOENT: no such upload. */
must_check int upload_abort(struct bucket *b, const char *key, const char *id);
/* Place for the bytes of part n; -ENOENT. */
must_check int upload_blob(struct bucket *b, const char *key, const char *id, unsigned n,
			   uint64_t len, struct blob **ret);
/* Takes the part on success; replaces an earlier one; -ENOENT. */
must_check int upload_add(struct bucket *b, const char *key, const char *id, unsigned n,
			  struct part *p);

/* With upload_lock held: the upload or NULL. */
struct upload *upload_find_locked(struct bucket *b, const char *key, const char *id);

/*
 * Complete: _take hides the upload from everybody else and makes it the
 * caller's; _return puts it back, upload_free() ends it.
 */
must_check int upload_take(struct bucket *b, const char *key, const char *id, struct upload **ret);
void upload_return(struct bucket *b, struct upload *u);
void upload_free(struct upload *u);
void upload_free_all(struct bucket *b);

void part_free(struct part *p);

static inline void part_freep(struct part **p)
{
	part_free(*p);
}

#endif
