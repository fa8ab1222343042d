/* SPDX-License-Identifier: Apache-2.0 */

/* Drops listing pages that have expired, on a slow timer, so that an idle mount is small. */
#ifndef FUSE_SWEEP_H
#define FUSE_SWEEP_H

#include <stdbool.h>

#include "loop/loop.h"

struct fs;

struct sweep {
	/* set at creation */
	struct fs *fs;
	struct loop_task task;
	struct loop_timer timer; /* the first loop's only */
	/* atomic */
	_Atomic bool armed;
};

void sweep_init(struct fs *fs);
/* There is something that will expire. Any thread, no lock held. */
void sweep_later(struct fs *fs);

#endif
