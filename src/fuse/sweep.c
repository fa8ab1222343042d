/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The slow timer runs on the first loop, only while there are pages. Pages that
 * never expire stay: listing.c bounds their number.
 */
#include "fuse/sweep.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "fuse/listing.h"
#include "fuse/state.h"

#define PERIOD (2 * NSEC_PER_SEC)

static void arm(struct sweep *s)
{
	struct loop *l = s->fs->config.loops[0];

	if (atomic_load(&s->fs->ending))
		return;
	if (loop_timer_set(l, &s->timer, clock_now() + PERIOD) < 0) {
		atomic_store(&s->armed, false); /* the next page tries again */
		log_warn(LOG_FUSE, "out of memory: listings are dropped late");
	}
}

static void on_timer(struct loop_timer *t)
{
	struct sweep *s = container_of(t, struct sweep, timer);
	struct list dead = LIST_INIT(dead);
	bool more;

	/* before the look: a page that comes after it arms again */
	atomic_store(&s->armed, false);
	{
		WITH_LOCK(&s->fs->lock);
		listing_sweep_locked(s->fs, clock_now(), &dead);
		more = s->fs->npages > 0;
	}
	listing_free_dead(&dead);
	if (more && !atomic_exchange(&s->armed, true))
		arm(s);
}

static void on_task(struct loop_task *t)
{
	arm(container_of(t, struct sweep, task));
}

void sweep_init(struct fs *fs)
{
	fs->sweep = (struct sweep){.fs = fs, .task.run = on_task, .timer.fire = on_timer};
}

void sweep_later(struct fs *fs)
{
	if (!atomic_exchange(&fs->sweep.armed, true))
		loop_post(fs->config.loops[0], &fs->sweep.task);
}
