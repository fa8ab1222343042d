/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sessions of directory buckets: CreateSession gives short-lived credentials that
 * sign all other requests. One per client, shared by its loops.
 *
 *	creds = s3_session_creds(c);		(NULL: none that is good now)
 *	s3_session_wait(c, loop, deadline, &w);	(w.done comes later, on the loop)
 */
#ifndef S3_SESSION_H
#define S3_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"
#include "loop/loop.h"

struct s3_client;
struct s3_creds;
struct s3_error;
struct s3_session;

int s3_session_new(struct s3_session **ret) must_check;
void s3_session_free(struct s3_session *s); /* NULL is fine; all loops have ended */

/*
 * A reference to the session's credentials while they are good. When they are about
 * to expire, the calling loop asks for the next ones; the old ones serve meanwhile.
 */
struct s3_creds *s3_session_creds(struct s3_client *c);

struct s3_session_wait {
	/* set by the caller; `error` is NULL when there is a session, valid in the call only */
	void (*done)(struct s3_session_wait *w, const struct s3_error *error);
	/* private */
	struct list node; /* empty: posted, or done */
	struct loop *loop;
	struct loop_task task;
	struct s3_error *error; /* NULL: none */
};

/* `done` is called once, from the loop. `deadline`: when the caller loses patience. */
void s3_session_wait(struct s3_client *c, struct loop *l, uint64_t deadline,
		     struct s3_session_wait *w);
/* On the loop of the wait: `done` is not called. */
void s3_session_cancel(struct s3_client *c, struct s3_session_wait *w);

/* The server refused credentials of a session: they are not used again. Always true. */
bool s3_session_drop(struct s3_client *c, const struct s3_creds *used);

#endif
