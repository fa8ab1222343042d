/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Connections that wait: a parked connection costs no thread and is woken at
 * its deadline by the one timer thread, or earlier by timers_release().
 */

#ifndef S3D_TIMERS_H
#define S3D_TIMERS_H

#include <stdbool.h>

#include "util.h"

struct MHD_Connection;

struct parked {
	uint64_t deadline_ns;
	struct MHD_Connection *con;
	bool stalled; /* woken by timers_release() */
};

struct timers {
	/* set at creation */
	pthread_t thread;
	bool started;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* under lock */
	struct parked *heap;
	size_t count, cap;
	bool stopping;
};

must_check int timers_start(struct timers *t);
/* Wake everybody; later timers_park() calls are refused. */
void timers_drain(struct timers *t);
void timers_stop(struct timers *t);

/*
 * From a connection's own callback: suspend it until the deadline. False when
 * the server stops; then the connection must be closed.
 */
bool timers_park(struct timers *t, struct MHD_Connection *con, uint64_t deadline_ns, bool stalled);
/* Wake all that are stalled. */
void timers_release(struct timers *t);

#endif
