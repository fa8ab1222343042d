/* SPDX-License-Identifier: Apache-2.0 */

/* State of one upload, shared by upload.c, append.c, send.c and write.c. */
#ifndef UPLOAD_STATE_H
#define UPLOAD_STATE_H

#include <stdatomic.h>

#include "base/lock.h"
#include "upload/flight.h"
#include "upload/part.h"
#include "upload/stray.h"
#include "upload/upload.h"
#include "upload/uploads.h"

enum upload_state { OPEN, FINISHING, DONE, FAILED };
enum wait_for { NOTHING, MEMORY, TURN };

struct after;
struct append;

/* What an upload makes of its parts. */
struct upload_kind {
	/* Starts whatever the state allows now. With the lock held. */
	void (*pump_locked)(struct upload *u, struct after *a);
	unsigned parts_max;
};

extern const struct upload_kind upload_whole;	  /* upload.c: one object, complete or not at all */
extern const struct upload_kind upload_appending; /* append.c: the object grows */

struct upload {
	/* set at creation */
	const struct upload_kind *kind;
	struct append *append; /* of the second kind only */
	struct uploads *all;
	char *key;
	uint64_t first_part, max_part; /* sizes of the first and of the largest parts */
	struct s3_put_attrs attrs;
	struct loop *home; /* control requests and the timer */

	_Atomic int refs;

	struct lock lock;
	/* under lock */
	enum upload_state state;
	int error;
	uint64_t size;
	struct upload_part *filling;
	struct s3_body_sum whole; /* kind: set at creation; value: of whoever copies */
	struct list queue;	  /* full parts, not yet sent */
	unsigned buffered;	  /* parts that exist: filling, queued, in flight */
	unsigned in_flight; /* parts, and Create: those that begin together know of each other */
	struct flight flight;
	unsigned last_number;  /* of the newest part */
	struct s3_part *parts; /* results, by number - 1 */
	unsigned parts_cap;
	unsigned next_loop;
	bool requesting; /* a create, put, complete or abort is running */
	bool timer_armed;
	char *upload_id;
	struct list finishers;
	struct list committers; /* upload_commit */
	struct s3_object object;
	struct upload_write *writing; /* accepted, not all bytes copied */
	enum wait_for waiting;
	struct budget_wait mem;

	/* home loop only */
	uint64_t creating; /* when Create was sent */
	char intent[UPLOAD_INTENT_MAX];
	struct loop_task task, timer_task;
	struct loop_timer timer;
	union {
		struct s3_create_upload_call create;
		struct s3_complete_call complete;
		struct s3_abort_call abort;
	} call;
};

/* What must happen after the lock is dropped. */
struct after {
	struct list finishers; /* to be called back */
	struct list trash;     /* parts to be freed */
	struct upload_write *resume;
	bool cancel_memory; /* take the waiting write out of the budget's line */
};

void after_init(struct after *a);
/* Frees, resumes the writer, calls finishers back. No lock held. */
void after_run(struct upload *u, struct after *a);

void upload_fail_locked(struct upload *u, int err, struct after *a);
/* The server has the object: `object` is what it said. */
void upload_done_locked(struct upload *u, const struct s3_object *object, struct after *a);
/* The kind's pump. */
void upload_pump_locked(struct upload *u, struct after *a);
void upload_drop_part_locked(struct upload *u, struct upload_part *p, struct after *a);
/* A write that waits goes on (to its error, or into the next part). */
void upload_wake_writer_locked(struct upload *u, struct after *a);

/* An upload of a kind without the kind's own part. */
int upload_alloc(struct uploads *all, const char *key, const struct upload_kind *kind,
		 struct upload **ret) must_check;
/*
 * The end of a request, which has taken the lock and drops it here, as well as its
 * reference: a writer that waits for its turn looks again, and the next ones start.
 */
void upload_request_over(struct upload *u, struct after *a);

/* send.c: requests. Each runs on a loop, holds a reference and pumps at its end. */
void upload_create_locked(struct upload *u);
void upload_send_part_locked(struct upload *u, struct upload_part *p);
void upload_put_locked(struct upload *u, struct upload_part *p);
void upload_complete_locked(struct upload *u);
void upload_send_abort_locked(struct upload *u);

/* write.c: goes on copying a write. No lock held. */
void upload_advance(struct upload *u, struct upload_write *w);

#endif
