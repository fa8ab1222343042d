/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One FUSE request on its way to its one answer.
 *
 * A request that is answered inside its handler lives on the stack
 * (request_init). One that waits is the first member of a heap object, has a
 * `free`, and is watched for interrupts: when the caller is being killed it is
 * answered with EINTR at once and the work it waited for ends by itself, or by
 * `cancel`. Whoever claims the request first answers it (reply.h does that), so
 * a late result finds it claimed and only cleans up.
 */
#ifndef FUSE_REQUEST_H
#define FUSE_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "fuse/api.h"

struct fs;

struct request {
	/* set at creation */
	struct fs *fs;
	fuse_req_t req;
	const char *op; /* for the log */
	uint64_t ino;
	const char *name; /* in the directory `ino`, for the log; NULL: it is about `ino` itself */
	pid_t tid;	  /* the caller's thread, 0 when in another pid namespace */
	/* What ends the wait early; it must lead to an answer. NULL: reply_err(EINTR). */
	void (*cancel)(struct request *r);
	void (*free)(struct request *r); /* heap requests only */

	/* atomic */
	_Atomic unsigned refs;
	_Atomic bool claimed;

	bool watched; /* owner only, until it is shared */
	bool told;    /* the log has said before why this fails */

	/* under fs->watch.lock */
	struct list watch_node;
	bool interrupted;
};

void request_init(struct request *r, struct fs *fs, fuse_req_t req, const char *op, uint64_t ino);
/* Heap requests: from now on an interrupt is looked at. One reference is the caller's. */
void request_watch(struct request *r);
struct request *request_ref(struct request *r);
void request_unref(struct request *r);
/* True for the first caller, who must answer. */
bool request_claim(struct request *r);
bool request_answered(const struct request *r);

#endif
