/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The writing side of an upload: copies the kernel's bytes into the part being
 * filled, waiting for memory (the first slab, then the rest of the part) or for
 * one of too many buffered parts to be sent. Runs on whichever thread brings
 * the write or grants the memory; one at a time per upload.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fuse/upload_state.h"

#define OVERCOMMIT_AFTER NSEC_PER_SEC

static void write_over(struct upload_write *w, int err)
{
	free(take_ptr(&w->stash));
	w->err = err;
	w->done(w);
}

static void on_granted(struct budget_wait *m)
{
	struct upload *u = container_of(m, struct upload, mem);
	struct upload_write *w;

	{
		WITH_LOCK(&u->lock);
		u->filling->nslabs += m->slabs;
		u->filling->borrowed += m->slabs;
		u->waiting = NOTHING;
		w = u->writing;
	}
	upload_advance(u, w);
}

/* At most one part per OVERCOMMIT_AFTER goes beyond the budget, of all uploads together. */
static bool may_overcommit(struct upload *u)
{
	uint64_t now = clock_now();
	uint64_t last = atomic_load(u->config->overcommit_at);

	return now - last >= OVERCOMMIT_AFTER &&
	       atomic_compare_exchange_strong(u->config->overcommit_at, &last, now);
}

/* Holds no reference: who drops the last one while it is armed frees on this loop. */
static void on_pressure(struct loop_timer *t)
{
	struct upload *u = container_of(t, struct upload, timer);
	struct after a;

	after_init(&a);
	lock_take(&u->lock);
	if (u->waiting == MEMORY && may_overcommit(u) &&
	    budget_cancel(u->config->budget, &u->mem)) {
		log_warn(LOG_FUSE,
			 "memory for uploads is held by half-written files: %s goes beyond the "
			 "limit; a larger --memory-target avoids this",
			 u->key);
		u->waiting = NOTHING;
		a.resume = u->writing;
		if (upload_part_overcommit(u->filling) < 0)
			upload_fail_locked(u, -ENOMEM, &a);
	}
	u->timer_armed = u->waiting == MEMORY &&
			 loop_timer_set(u->home, t, clock_now() + OVERCOMMIT_AFTER) == 0;
	lock_drop(&u->lock);
	after_run(u, &a);
}

static void arm_timer(struct loop_task *t)
{
	struct upload *u = container_of(t, struct upload, timer_task);

	u->timer.fire = on_pressure;
	if (loop_timer_set(u->home, &u->timer, clock_now() + OVERCOMMIT_AFTER) < 0)
		on_pressure(&u->timer);
	upload_unref(u);
}

/* Memory for stash(), had before the write starts to wait. */
static int stash_ready(struct upload_write *w)
{
	if (!w->stash)
		w->stash = malloc(w->left);
	return w->stash ? 0 : -ENOMEM;
}

/* The kernel's buffer is gone once upload_write returns: keep the rest ourselves. */
static void stash(struct upload_write *w)
{
	if (!w->stashed)
		memcpy(w->stash, w->from, w->left);
	w->from = w->stashed ? w->from : w->stash;
	w->stashed = true;
}

static int begin_part_locked(struct upload *u)
{
	unsigned number = u->last_number + 1;
	int r;

	if (number > S3_PARTS_MAX)
		return -EFBIG;
	r = upload_part_new(u, number,
			    upload_part_capacity(number, u->config->part_size, u->max_part),
			    &u->filling);
	if (r < 0)
		return r;
	u->last_number = number;
	u->buffered++;
	return 0;
}

static void wait_for_memory_locked(struct upload *u, struct upload_write *w)
{
	stash(w);
	u->waiting = MEMORY;
	if (u->timer_armed)
		return;
	u->timer_armed = true;
	(void)upload_ref(u);
	u->timer_task.run = arm_timer;
	loop_post(u->home, &u->timer_task);
}

/* 1: room to copy into. 0: the write waits. Or -errno. */
static int find_room_locked(struct upload *u, struct upload_write *w)
{
	int r;

	if (u->filling && upload_part_room(u->filling))
		return 1;
	r = stash_ready(w);
	if (r < 0)
		return r;
	if (!u->filling && u->buffered > u->config->parts_in_flight) {
		stash(w);
		u->waiting = TURN;
		return 0;
	}
	r = u->filling ? 0 : begin_part_locked(u);
	if (r < 0)
		return r;
	u->mem = (struct budget_wait){.slabs = upload_part_wants(u->filling),
				      .granted = on_granted,
				      .mem = u->filling->slabs + u->filling->nslabs};
	if (!budget_get(u->config->budget, &u->mem)) {
		/* on_granted needs our lock: it finds the write waiting. */
		wait_for_memory_locked(u, w);
		return 0;
	}
	u->filling->nslabs += u->mem.slabs;
	u->filling->borrowed += u->mem.slabs;
	return 1;
}

/* Copies one piece of the write; true when the write is over, with *ret_err. */
static bool advance_once(struct upload *u, struct upload_write *w, struct after *a, bool *ret_waits,
			 int *ret_err)
{
	struct upload_part *p;
	size_t n;
	int r;

	lock_take(&u->lock);
	r = u->error;
	if (r == 0 && w->left) {
		r = find_room_locked(u, w);
		*ret_waits = r == 0;
		if (r == 0) {
			lock_drop(&u->lock);
			return false;
		}
	}
	if (r < 0) {
		upload_fail_locked(u, r, a);
		*ret_err = u->error;
	}
	if (r < 0 || w->left == 0) {
		u->writing = NULL;
		if (u->error && u->filling)
			upload_drop_part_locked(u, take_ptr(&u->filling), a);
		upload_pump_locked(u, a);
		lock_drop(&u->lock);
		return true;
	}
	p = u->filling;
	lock_drop(&u->lock);

	n = upload_part_fill(p, w->from, w->left);
	w->from += n;
	w->left -= n;

	lock_take(&u->lock);
	u->size += n;
	if (p->used == p->capacity && u->state != FAILED) {
		list_append(&u->queue, &p->node);
		u->filling = NULL;
	}
	upload_pump_locked(u, a);
	lock_drop(&u->lock);
	return false;
}

void upload_advance(struct upload *u, struct upload_write *w)
{
	bool over = false, waits = false;
	struct after a;
	int err = 0;

	(void)upload_ref(u);
	after_init(&a);
	while (!over && !waits)
		over = advance_once(u, w, &a, &waits, &err);
	after_run(u, &a);
	if (over)
		write_over(w, err);
	upload_unref(u);
}

void upload_write(struct upload *u, struct upload_write *w)
{
	struct after a;
	int err = 0;

	after_init(&a);
	w->upload = u;
	w->from = w->data;
	w->left = w->len;
	w->stash = NULL;
	w->stashed = false;
	lock_take(&u->lock);
	if (u->error)
		err = u->error;
	else if (u->state != OPEN)
		err = -EIO;
	else if (w->offset != u->size || u->writing)
		upload_fail_locked(u, err = -EINVAL, &a);
	else
		u->writing = w;
	upload_pump_locked(u, &a);
	lock_drop(&u->lock);
	after_run(u, &a);
	if (err)
		write_over(w, err);
	else
		upload_advance(u, w);
}

void upload_cancel_write(struct upload *u, struct upload_write *w)
{
	struct after a;

	after_init(&a);
	lock_take(&u->lock);
	if (u->writing == w && u->waiting != NOTHING)
		upload_fail_locked(u, -EIO, &a);
	upload_pump_locked(u, &a);
	lock_drop(&u->lock);
	after_run(u, &a);
}
