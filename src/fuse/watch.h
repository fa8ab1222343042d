/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Interrupted requests. The kernel reports any signal, and reports it once; only
 * a caller that is dying may be answered early. So an interrupted request stays
 * on this list, and its caller is looked at now and every WATCH_MS until it is
 * answered or its caller was seen to be killed.
 */
#ifndef FUSE_WATCH_H
#define FUSE_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/lock.h"
#include "loop/loop.h"

#define WATCH_MS 100

struct request;

struct watch {
	/* set at creation */
	struct loop *loop;	    /* where the looking is done */
	const _Atomic bool *ending; /* no timer may be armed any more */

	struct lock lock;
	/* under lock */
	struct list requests; /* request.watch_node, each holds a reference */
	bool posted;

	struct loop_task task;
	struct loop_timer timer; /* owner loop only */
};

void watch_init(struct watch *w, struct loop *loop, const _Atomic bool *ending);
/* After the loops have stopped: drops what is left. */
void watch_fini(struct watch *w);
/* Any thread, any lock of libfuse held. */
void watch_add(struct watch *w, struct request *r);

#endif
