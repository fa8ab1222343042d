/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FACADE of cache/: where object bytes come from. The one vtable of the data
 * path; prefetch/ reads from a source and does not know which it is.
 *
 *   origin   S3 (implemented here on s3_get)
 *   memory   a test's bytes, with scripted delays and errors (tests/lib)
 *   disk     a layer over an inner source (later): looks up, else asks `inner`
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/macro.h"
#include "loop/loop.h"
#include "s3/s3.h"

struct block_source;

/*
 * One range of one object version. The struct is the caller's and stays valid
 * until `done`, which comes once, on the loop it was started on, never inside
 * fetch(), unless cancel() was called first. Same contract as struct
 * s3_get_call: on_head once before any byte, bytes in order.
 */
struct source_fetch {
	/* set by the caller */
	const char *key;  /* whole S3 key */
	const char *etag; /* with quotes: the version */
	uint64_t offset, length;
	bool demand;
	bool whole;	   /* the range is the object; its checksum is wanted */
	uint64_t deadline; /* absolute; 0: the source's default */
	void (*on_head)(struct source_fetch *f);
	struct iovec (*on_space)(struct source_fetch *f, uint64_t pos);
	void (*on_data)(struct source_fetch *f, uint64_t pos, size_t len);
	bool (*on_pause)(struct source_fetch *f, uint64_t pos); /* may be NULL */
	/* err: 0, -ESTALE (another version is there now), -ENOENT, -EACCES, -EIO, -ECANCELED */
	void (*done)(struct source_fetch *f, int err);
	/* result, from on_head on; with `whole` */
	struct s3_checksum checksum;
	/* private to the source */
	void *impl;
	struct loop_task task;
	int err;
};

/*
 * What the source knows of a version's checksum. `done` comes once, on the loop
 * it was started on, never inside describe(). There is no cancel: it ends with its
 * deadline, or with the loop.
 */
struct source_describe {
	/* set by the caller; valid until done */
	const char *key, *etag;
	void (*done)(struct source_describe *d, int err);
	/* result, when err is 0 */
	struct s3_checksum checksum;
	uint64_t first_part, last_part; /* their sizes, if the checksum is one of several parts */
	/* private to the source */
	struct block_source *source;
	struct loop *loop;
	struct s3_head_call head;
	unsigned part; /* that is asked for, 0: the object */
	char part_text[12];
};

struct block_source_ops {
	void (*fetch)(struct block_source *s, struct loop *l, struct source_fetch *f);
	/* After on_pause said that it must wait. On the fetch's loop. */
	void (*resume)(struct block_source *s, struct source_fetch *f);
	/* Must stop all callbacks; `done` is not called. On the fetch's loop. */
	void (*cancel)(struct block_source *s, struct source_fetch *f);
	void (*describe)(struct block_source *s, struct loop *l, struct source_describe *d);
	void (*free)(struct block_source *s);
};

struct block_source {
	const struct block_source_ops *ops;
};

static inline void source_free(struct block_source *s)
{
	if (s)
		s->ops->free(s);
}

/* S3 itself. Borrows the client. */
int origin_new(struct s3_client *client, struct block_source **ret) must_check;

#endif
