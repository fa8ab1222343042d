/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where object bytes are: extents of sparse memory files (the arena), files of a
 * folder, or a fixed pattern for generated objects. The arena has several files
 * because the kernel lets one thread at a time write to each.
 *
 * An arena extent that was read is never used twice: its pages are given back
 * when the blob is freed, its addresses are not. So a reader that holds a
 * reference, or a socket that holds pages, never sees another object's bytes,
 * and an extent that is never written (--discard) reads as zeros and costs
 * nothing. With --reuse, what was never read is written again by a blob of the
 * same length: fresh memory costs more than all the rest of an upload.
 */

#ifndef S3D_BLOB_H
#define S3D_BLOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "util.h"

#define ARENA_FILES 4
#define SPARES_MAX  1024 /* extents kept by --reuse: 8 GiB in parts of 8 MiB */

enum blob_kind { BLOB_ARENA, BLOB_FILE };

struct blob {
	/* set at creation */
	enum blob_kind kind;
	uint64_t off, len; /* arena */
	bool discard;	   /* writes are dropped */
	bool alone;	   /* no other blob has bytes in its last page */
	bool borrowed;	   /* file: not ours to remove */
	struct arena *arena;

	/* the one writer, before the blob is shared */
	int fd;	    /* file being written, or -1 */
	char *path; /* file */
	bool temp;  /* file: goes away with the blob */
	ino_t ino;
	struct timespec mtime;

	/* atomic */
	atomic_uint refs;
	atomic_bool read; /* somebody was told where the bytes are */
};

struct arena {
	/* set at creation */
	int fds[ARENA_FILES]; /* the pattern is in the first */
	bool reuse;

	/* under lock */
	pthread_mutex_t lock;
	uint64_t next;
	struct {
		uint64_t off, len;
	} spares[SPARES_MAX];
	unsigned nspares;
	uint64_t pattern_off, pattern_len; /* what is filled */
};

must_check int arena_init(struct arena *a, bool reuse);
void arena_fini(struct arena *a);

/* The file of an extent that begins at `off`. */
int arena_fd(const struct arena *a, uint64_t off);
/* Address space for `len` bytes. */
uint64_t arena_reserve(struct arena *a, uint64_t len);

/* At arena_reserve()d addresses, or fresh ones if off is UINT64_MAX; elsewhere with reuse. */
must_check int blob_new_arena(struct arena *a, uint64_t off, uint64_t len, bool discard,
			      struct blob **ret);
/* A new temporary file in `dir`. */
must_check int blob_new_temp(const char *dir, uint64_t len, struct blob **ret);
/* A file that exists. */
must_check int blob_new_file(const char *path, const struct stat *st, bool borrowed,
			     struct blob **ret);

struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b);

must_check int blob_write(struct blob *b, uint64_t pos, const void *data, size_t len);
/* No more writes; a file is stat'ed and closed. */
must_check int blob_seal(struct blob *b);
/* File only; -ESTALE when somebody else changed it. */
must_check int blob_open(const struct blob *b, int *ret_fd);

/*
 * Generated content: byte i of the stream that starts at `start` is byte
 * (start + i) % PATTERN_PERIOD of the little-endian words mix64(0), mix64(1)...
 * The map gives an arena offset at which at most PATTERN_RUN bytes lie in a row.
 */
#define PATTERN_PERIOD 8388617u
#define PATTERN_RUN    (64u << 20)

must_check int arena_pattern(struct arena *a, uint64_t pos, uint64_t want, uint64_t *ret_off,
			     uint64_t *ret_len);

static inline void blob_unrefp(struct blob **b)
{
	blob_unref(*b);
}

#endif
