/* SPDX-License-Identifier: Apache-2.0 */

/*
 * GETs of one loop: those in flight and those in line; private to prefetch/.
 */
#ifndef PREFETCH_LANE_H
#define PREFETCH_LANE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/list.h"

struct fetch;
struct loop;
struct pf;

struct lane {
	/* set at creation */
	struct loop *loop;

	/* owner loop only */
	struct list demand, ahead; /* struct fetch, not started */
	unsigned running_demand, running_ahead;

	/* atomic: bytes handed to this lane and not done */
	_Atomic uint64_t load;
};

void lane_init(struct lane *l, struct loop *loop);
/* Starts the fetch or puts it in line; here if it may be, else on another loop. */
void lane_launch(struct pf *pf, struct fetch *f);
/* The loop for something that somebody waits for. */
struct loop *lane_loop(struct pf *pf);
/* The fetch has ended; starts the next. On the lane's loop. */
void lane_ended(struct lane *l, struct fetch *f);

#endif
