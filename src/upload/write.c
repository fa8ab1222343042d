/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The writing side of an upload: copies the kernel's bytes into the part being
 * filled, waiting for memory (the first slab, then the rest of the part) or for
 * one of too many buffered parts to be sent. Runs on whichever thread brings
 * the write or grants the memory; one at a time per upload. A full part is sent
 * at once, so a write that is copied waits for nothing but the sending of others.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "upload/state.h"

#define PRESSURE_TICK	  (100 * NSEC_PER_MSEC)
#define OVERCOMMIT_APART  (10 * NSEC_PER_MSEC)
#define OVERCOMMIT_RECENT NSEC_PER_SEC
#define OVERCOMMIT_TELL	  (60 * NSEC_PER_SEC)

static void write_over(struct upload_write *w, int err)
{
	free(take_ptr(&w->stash));
	w->err = err;
	w->done(w);
}

static void add_slabs_locked(struct upload *u)
{
	upload_part_lend(u->filling, u->mem.slabs);
	u->waiting = NOTHING;
}

static void on_granted(struct budget_wait *m)
{
	struct upload *u = container_of(m, struct upload, mem);
	struct upload_write *w;

	{
		WITH_LOCK(&u->lock);
		add_slabs_locked(u);
		w = u->writing;
	}
	upload_advance(u, w);
}

/*
 * What is being sent ends, and then there is memory. Without that the half-filled
 * parts of all uploads hold each other up: one at a time goes beyond the budget.
 */
static bool may_overcommit(struct upload *u)
{
	uint64_t now = clock_now();
	uint64_t last = atomic_load(&u->all->overcommit_at);

	if (atomic_load(&u->all->sending))
		return false;
	if (now - last < OVERCOMMIT_APART ||
	    !atomic_compare_exchange_strong(&u->all->overcommit_at, &last, now))
		return false;
	if (now - last >= OVERCOMMIT_TELL)
		log_warn(
			LOG_UPLOAD,
			"memory for uploads is held by half-written files: %s and others go beyond "
			"the limit; a larger --memory-target avoids this",
			u->key);
	return true;
}

/*
 * The write is out of the budget's line: it goes on, with heap memory or to its
 * error. A part that has grown is cut back to the first parts' size.
 */
static void go_beyond(struct upload *u)
{
	uint64_t least = upload_part_capacity(1, u->first_part, u->max_part);
	struct after a;

	after_init(&a);
	lock_take(&u->lock);
	u->waiting = NOTHING;
	a.resume = u->writing;
	if (u->state != FAILED && upload_part_overcommit(u->filling, least) < 0)
		upload_fail_locked(u, -ENOMEM, &a);
	lock_drop(&u->lock);
	after_run(u, &a);
}

/* Holds no reference: who drops the last one while it is armed frees on this loop. */
static void on_pressure(struct loop_timer *t)
{
	struct upload *u = container_of(t, struct upload, timer);
	bool waits, failed;

	{
		WITH_LOCK(&u->lock);
		waits = u->waiting == MEMORY;
		failed = u->state == FAILED;
		u->timer_armed =
			waits && loop_timer_set(u->home, t, clock_now() + PRESSURE_TICK) == 0;
	}
	if (waits && (failed || may_overcommit(u)) && budget_cancel(u->all->config.budget, &u->mem))
		go_beyond(u);
}

static void arm_timer(struct loop_task *t)
{
	struct upload *u = container_of(t, struct upload, timer_task);
	uint64_t now = clock_now(), first = PRESSURE_TICK;

	/* Where the pressure is known, writers that come one by one need not wait long. */
	if (now - atomic_load(&u->all->overcommit_at) < OVERCOMMIT_RECENT)
		first = OVERCOMMIT_APART;
	u->timer.fire = on_pressure;
	if (loop_timer_set(u->home, &u->timer, now + first) < 0)
		on_pressure(&u->timer);
	upload_unref(u);
}

/* The kernel's buffer is gone once upload_write returns: keep the rest ourselves. */
static int stash(struct upload_write *w)
{
	if (w->stash || w->left == 0)
		return 0;
	w->stash = malloc(w->left);
	if (!w->stash)
		return -ENOMEM;
	memcpy(w->stash, w->from, w->left);
	w->from = w->stash;
	w->slab = NULL;
	return 0;
}

/* So many parts may exist before the next is begun: half the budget, however large they grow. */
static unsigned parts_allowed_locked(const struct upload *u)
{
	uint64_t size = upload_part_capacity(u->last_number + 1, u->first_part, u->max_part);
	uint64_t fit = budget_limit(u->all->config.budget) / 2 / max_u64(size, 1);

	return (unsigned)max_u64(1, min_u64(fit, u->flight.parts + 1));
}

static int begin_part_locked(struct upload *u)
{
	unsigned number = u->last_number + 1;
	int r;

	if (number > u->kind->parts_max) {
		log_err(LOG_UPLOAD,
			"%s does not fit into %u parts: it ends at %llu bytes; parts grow to half "
			"of "
			"--memory-target, and a larger --write-part-size takes them further; the "
			"upload is given up",
			u->key, u->kind->parts_max, (unsigned long long)u->size);
		return -EFBIG;
	}
	r = upload_part_new(u, number, upload_part_capacity(number, u->first_part, u->max_part),
			    &u->filling);
	if (r < 0)
		return r;
	u->last_number = number;
	u->buffered++;
	return 0;
}

static void arm_timer_locked(struct upload *u)
{
	if (u->timer_armed)
		return;
	u->timer_armed = true;
	(void)upload_ref(u);
	u->timer_task.run = arm_timer;
	loop_post(u->home, &u->timer_task);
}

enum step { COPY, OVER, WAITS, NEEDS_MEMORY };

/*
 * What the write does next; `filling` has room when it is COPY. A writer that is
 * ahead is held back after its bytes were copied: into the first slab of a part
 * too many, which costs less than to keep them elsewhere and copy them again.
 */
static enum step next_step_locked(struct upload *u, struct upload_write *w, int *ret_err)
{
	int r = u->error;

	if (r == 0 && w->left == 0) {
		if (u->buffered <= parts_allowed_locked(u))
			return OVER;
		u->waiting = TURN;
		flight_held(&u->flight);
		return WAITS;
	}
	if (r == 0 && !u->filling)
		r = begin_part_locked(u);
	if (r < 0) {
		*ret_err = r;
		return OVER;
	}
	return upload_part_room(u->filling) ? COPY : NEEDS_MEMORY;
}

/* False when the write waits: on_granted goes on. No lock held. */
static bool get_memory(struct upload *u, struct upload_write *w, int *ret_err)
{
	struct budget *b = u->all->config.budget;
	struct after a;

	u->mem = (struct budget_wait){.slabs = upload_part_wants(u->filling),
				      .granted = on_granted,
				      .mem = u->filling->slabs + u->filling->nslabs};
	if (!budget_try_get(b, &u->mem)) {
		*ret_err = stash(w);
		if (*ret_err < 0)
			return true;
		after_init(&a);
		lock_take(&u->lock);
		u->waiting = MEMORY;
		arm_timer_locked(u);
		upload_pump_locked(u,
				   &a); /* a first part waited to see whether there is a second */
		lock_drop(&u->lock);
		after_run(u, &a);
		if (!budget_get(b, &u->mem))
			return false;
	}
	WITH_LOCK(&u->lock);
	add_slabs_locked(u);
	return true;
}

static void copy_piece(struct upload *u, struct upload_write *w)
{
	struct upload_part *p = u->filling;
	size_t n = PF_SLAB;
	struct after a;

	if (!w->slab || w->left != PF_SLAB || !upload_part_swap(p, w->slab, &u->whole.value))
		n = upload_part_fill(p, w->from, w->left, &u->whole.value);
	w->from += n;
	w->left -= n;
	after_init(&a);
	lock_take(&u->lock);
	u->size += n;
	if (p->used == p->capacity && u->state != FAILED) {
		list_append(&u->queue, &p->node);
		u->filling = NULL;
	}
	upload_pump_locked(u, &a);
	lock_drop(&u->lock);
	after_run(u, &a);
}

/* The write is over, with `err` or the error that the upload got before. */
static void end_write(struct upload *u, struct upload_write *w, int err)
{
	struct after a;

	after_init(&a);
	lock_take(&u->lock);
	if (err < 0)
		upload_fail_locked(u, err, &a);
	err = u->error;
	u->writing = NULL;
	if (err && u->filling)
		upload_drop_part_locked(u, take_ptr(&u->filling), &a);
	upload_pump_locked(u, &a);
	lock_drop(&u->lock);
	after_run(u, &a);
	write_over(w, err);
}

/* While `writing` is this write, `filling` is touched by nobody else. */
void upload_advance(struct upload *u, struct upload_write *w)
{
	enum step step = COPY;
	int err = 0;

	(void)upload_ref(u);
	while (step != OVER && step != WAITS) {
		{
			WITH_LOCK(&u->lock);
			step = next_step_locked(u, w, &err);
		}
		if (step == NEEDS_MEMORY && !get_memory(u, w, &err))
			step = WAITS;
		if (step == NEEDS_MEMORY && err < 0)
			step = OVER;
		if (step == COPY)
			copy_piece(u, w);
	}
	if (step == OVER)
		end_write(u, w, err);
	upload_unref(u);
}

/* The rule that was broken is named once: after this no write comes through. */
static void refuse_locked(struct upload *u, const struct upload_write *w, int err, struct after *a)
{
	log_warn(
		LOG_UPLOAD,
		"write of %zu bytes at %llu of %s, which has %llu: new files are written in order, "
		"each byte once; the upload is given up",
		w->len, (unsigned long long)w->offset, u->key, (unsigned long long)u->size);
	upload_fail_locked(u, err, a);
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
	lock_take(&u->lock);
	if (u->error)
		err = u->error;
	else if (u->state != OPEN)
		err = -EIO;
	else if (w->offset != u->size || u->writing)
		refuse_locked(u, w, err = -EINVAL, &a);
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
