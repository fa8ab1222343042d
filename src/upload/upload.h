/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One sequential upload: bytes in, one object out. All of a mount share one `struct uploads`.
 *
 *	uploads_new(&config, &all);
 *	upload_new(all, key, &u);
 *	upload_write(u, &w);	... w.done(&w): accepted or failed
 *	upload_finish(u, &f);	... f.done(&f): the object is complete, or an error
 *	upload_unref(u);	(an unfinished one is aborted)
 *
 * What fits in one part is one PutObject at finish; the second part begins a
 * multipart upload whose parts are sent in parallel from the first full one.
 * An upload that appends sends its bytes one PutObject after another, each to the
 * end of the object that the one before has left; upload_commit sends what is
 * there without ending it.
 *
 * Any thread may call; callbacks come on a loop thread, possibly inside the
 * call, with no lock held. Writes must not overlap in time (the kernel
 * serialises them per file); each waits until its bytes have room.
 */
#ifndef UPLOAD_UPLOAD_H
#define UPLOAD_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"
#include "s3/s3.h"

struct budget;
struct upload;
struct uploads;

struct upload_config {
	struct s3_client *client; /* borrowed, as are budget and loops */
	struct budget *budget;
	struct loop **loops;
	unsigned nloops;
	uint64_t part_size;	      /* of the first parts; grows with the part number */
	unsigned parts_in_flight;     /* per upload, at first; see flight.h */
	unsigned parts_in_flight_max; /* of all, beyond the first ones of each */
	bool fixed_part_size;
	bool infer_content_type;   /* from the key, by the system's database */
	struct s3_put_attrs attrs; /* strings live as long as the uploads */
	/*
	 * Server and bucket, as the file names them (borrowed for the call) that remembers
	 * multipart uploads: what a crash has left is aborted. NULL: there is no file.
	 */
	const char *scope;
};

/* Copies `config`. 0 or -ENOMEM. */
int uploads_new(const struct upload_config *config, struct uploads **ret) must_check;
/* After the loops have stopped and the last upload is freed; NULL is fine. */
void uploads_free(struct uploads *all);
/* Multipart uploads that have begun and are neither complete nor aborted. */
unsigned uploads_at_server(const struct uploads *all);

/* Borrows `all`, which must outlive the upload. No request is sent. */
int upload_new(struct uploads *all, const char *key, struct upload **ret) must_check;
/* The object that an upload goes on with, as HEAD has told it. */
struct upload_base {
	struct s3_object object;
	struct s3_body_sum sum; /* of all of it */
};
/* One that appends. `base` NULL: the object is new, or replaced by the first bytes. */
int upload_append_new(struct uploads *all, const char *key, const struct upload_base *base,
		      struct upload **ret) must_check;
/* Before the first write: the key is known to be taken, attrs.if_none_match does not hold. */
void upload_may_replace(struct upload *u);
struct upload *upload_ref(struct upload *u);
/* The last reference of an unfinished upload aborts it in the background. */
void upload_unref(struct upload *u);

struct upload_write {
	/* set by the caller */
	uint64_t offset; /* must equal upload_size(), else -EINVAL, for good */
	const void *data;
	size_t len; /* at most 1 MiB */
	/*
	 * NULL, or where the caller keeps `data`, a whole slab of budget_keep, of
	 * which all is written: upload_write may put another slab in its place
	 * before it returns, and take this one.
	 */
	void **slab;
	/*
	 * err 0: all bytes accepted. -EINVAL: not sequential. -EFBIG: beyond the
	 * largest object. -EIO or another class's errno: the upload failed. After
	 * any error the upload is aborted and every later call gets that error.
	 * The data is copied out of `data` before upload_write returns.
	 */
	void (*done)(struct upload_write *w);
	int err;
	/* private */
	struct upload *upload;
	const char *from; /* bytes not yet copied into a part */
	size_t left;
	char *stash; /* memory that `from` points into once the write has waited */
};
void upload_write(struct upload *u, struct upload_write *w);
/*
 * Ends the wait of a write whose caller was killed: the upload
 * fails with -EIO, and so does the write. No-op when the write is not waiting.
 */
void upload_cancel_write(struct upload *u, struct upload_write *w);

struct upload_finish {
	void (*done)(struct upload_finish *f);
	int err; /* 0: the object is on the server, whole */
	struct s3_object object;
	/* private */
	struct list node;
	uint64_t mark; /* bytes that must be on the server */
};
/* Any number of callers, at any time; all get the one result. */
void upload_finish(struct upload *u, struct upload_finish *f);
/*
 * Only of one that appends: what was accepted until now is on the server, and there
 * is an object at all. The upload goes on, unless it has failed.
 */
void upload_commit(struct upload *u, struct upload_finish *f);
/* Fails the upload with `err` and aborts it at the server; later calls get `err`. */
void upload_abort(struct upload *u, int err);

/* Snapshot getters. */
uint64_t upload_size(struct upload *u);	   /* bytes accepted, with those of the base */
uint64_t upload_written(struct upload *u); /* without */
bool upload_appends(const struct upload *u);
int upload_error(struct upload *u);	 /* 0 or the sticky error */
bool upload_completed(struct upload *u); /* finished with success */
bool upload_started(struct upload *u);	 /* finish was asked for */

#endif
