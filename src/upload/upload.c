/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Upload state machine. Any thread calls; the lock covers the state, bytes are
 * copied outside it (the kernel serialises the writes of a file, so the part
 * being filled has one owner).
 *
 *   state      write          finish                 part or request failed
 *   OPEN       fill, send     FINISHING              FAILED
 *   FINISHING  -EIO           join                   FAILED
 *   DONE       -EIO           0 at once              -
 *   FAILED     sticky error   sticky error           -
 *
 * FINISHING sends what is left: one PutObject when no second part was begun,
 * else the last part and, with nothing in flight, Complete. FAILED waits for
 * what is in flight, then aborts the multipart upload. Whatever is in flight
 * holds a reference. A write waits for memory (first slab, then the rest of its
 * part) or for one of too many buffered parts to be sent.
 *
 * If every upload waits for memory that other half-filled parts hold, nobody
 * would ever move (a program may write to hundreds of files in turn): while no
 * part of any upload is being sent, one part after another gets memory from the
 * heap, beyond the budget, and the log says so.
 */
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "upload/mime.h"
#include "upload/state.h"

void after_init(struct after *a)
{
	list_init(&a->finishers);
	list_init(&a->trash);
	a->resume = NULL;
	a->cancel_memory = false;
}

void after_run(struct upload *u, struct after *a)
{
	struct list *n;

	while ((n = list_pop(&a->trash)))
		upload_part_free(list_entry(n, struct upload_part, node), u->all->config.budget);
	if (a->cancel_memory && budget_cancel(u->all->config.budget, &u->mem)) {
		WITH_LOCK(&u->lock);
		u->waiting = NOTHING;
		a->resume = u->writing;
	}
	if (a->resume)
		upload_advance(u, a->resume);
	while ((n = list_pop(&a->finishers))) {
		struct upload_finish *f = list_entry(n, struct upload_finish, node);

		f->done(f);
	}
}

/* The upload has ended: all who wait for it, or for a part of it, are told. */
static void answer_finishers_locked(struct upload *u, struct after *a)
{
	struct list *n;

	list_splice(&u->finishers, &u->committers);
	list_for_each (n, &u->finishers) {
		struct upload_finish *f = list_entry(n, struct upload_finish, node);

		f->err = u->error;
		f->object = u->object;
	}
	list_splice(&a->finishers, &u->finishers);
}

void upload_drop_part_locked(struct upload *u, struct upload_part *p, struct after *a)
{
	if (p->sending)
		(void)atomic_fetch_sub(&u->all->sending, 1);
	list_append(&a->trash, &p->node);
	u->buffered--;
}

/* A write that waits goes on (to its error, or into the next part). */
void upload_wake_writer_locked(struct upload *u, struct after *a)
{
	/* One that is granted memory meanwhile goes on by itself. */
	if (u->waiting == MEMORY)
		a->cancel_memory = true;
	if (u->waiting != TURN)
		return;
	u->waiting = NOTHING;
	a->resume = u->writing;
}

void upload_fail_locked(struct upload *u, int err, struct after *a)
{
	struct list *n;

	if (u->state == FAILED || u->state == DONE)
		return;
	u->state = FAILED;
	u->error = err;
	/* A part whose writer waits or copies is dropped by the writer itself. */
	if (u->filling && !u->writing)
		upload_drop_part_locked(u, take_ptr(&u->filling), a);
	while ((n = list_pop(&u->queue)))
		upload_drop_part_locked(u, list_entry(n, struct upload_part, node), a);
	upload_wake_writer_locked(u, a);
	answer_finishers_locked(u, a);
}

static void send_queued_locked(struct upload *u)
{
	while (u->in_flight < u->flight.parts && !list_empty(&u->queue))
		upload_send_part_locked(u,
					list_entry(list_pop(&u->queue), struct upload_part, node));
}

/* Everything fits in one part: no multipart upload. */
static void put_locked(struct upload *u, struct after *a)
{
	struct list *n = list_pop(&u->queue);
	struct upload_part *p = n ? list_entry(n, struct upload_part, node) : take_ptr(&u->filling);
	int r;

	if (!p) {
		r = upload_part_new(u, 1, 0, &p);
		if (r < 0) {
			upload_fail_locked(u, r, a);
			return;
		}
		u->buffered++;
	}
	upload_put_locked(u, p);
}

/*
 * One full part may be the whole object: the multipart upload begins with the
 * second part.
 */
static void pump_whole_locked(struct upload *u, struct after *a)
{
	bool ending = u->state == FINISHING && !u->writing;

	if (u->requesting || u->state == DONE)
		return;
	if (u->state == FAILED) {
		if (u->upload_id && u->in_flight == 0)
			upload_send_abort_locked(u);
		return;
	}
	if (ending && u->last_number <= 1) {
		put_locked(u, a);
		return;
	}
	if (ending && u->filling)
		list_append(&u->queue, &take_ptr(&u->filling)->node);
	if (!u->upload_id) {
		if (u->last_number > 1)
			upload_create_locked(u);
		return;
	}
	send_queued_locked(u);
	if (ending && u->in_flight == 0 && list_empty(&u->queue))
		upload_complete_locked(u);
}

const struct upload_kind upload_whole = {
	.pump_locked = pump_whole_locked,
	.parts_max = S3_PARTS_MAX,
};

void upload_pump_locked(struct upload *u, struct after *a)
{
	u->kind->pump_locked(u, a);
}

void upload_done_locked(struct upload *u, const struct s3_object *object, struct after *a)
{
	u->state = DONE;
	u->object = *object;
	answer_finishers_locked(u, a);
}

void upload_finish(struct upload *u, struct upload_finish *f)
{
	struct after a;

	after_init(&a);
	lock_take(&u->lock);
	list_append(&u->finishers, &f->node);
	if (u->state == OPEN)
		u->state = FINISHING;
	if (u->state == DONE || u->state == FAILED)
		answer_finishers_locked(u, &a);
	upload_pump_locked(u, &a);
	lock_drop(&u->lock);
	after_run(u, &a);
}

void upload_commit(struct upload *u, struct upload_finish *f)
{
	struct after a;

	after_init(&a);
	lock_take(&u->lock);
	f->mark = u->size;
	list_append(&u->committers, &f->node);
	if (u->state == DONE || u->state == FAILED)
		answer_finishers_locked(u, &a);
	upload_pump_locked(u, &a);
	lock_drop(&u->lock);
	after_run(u, &a);
}

void upload_abort(struct upload *u, int err)
{
	struct after a;

	after_init(&a);
	lock_take(&u->lock);
	upload_fail_locked(u, err, &a);
	upload_pump_locked(u, &a);
	lock_drop(&u->lock);
	after_run(u, &a);
}

static bool parts_are_fixed(const struct uploads *all)
{
	return all->config.fixed_part_size || atomic_load(&all->equal_parts);
}

int upload_alloc(struct uploads *all, const char *key, const struct upload_kind *kind,
		 struct upload **ret)
{
	const struct upload_config *config = &all->config;
	struct upload *u = calloc(1, sizeof(*u));
	uint64_t most;

	if (!u)
		return -ENOMEM;
	u->key = strdup(key);
	if (!u->key) {
		free(u);
		return -ENOMEM;
	}
	u->kind = kind;
	u->all = all;
	/* Parts wait in memory until the server has them, and the budget gives no more at once. */
	most = min_u64(round_down(budget_limit(config->budget) / 2, PF_SLAB), S3_PART_MAX);
	u->first_part = min_u64(config->part_size, most);
	u->max_part = parts_are_fixed(all) ? u->first_part : most;
	flight_init(&u->flight, config->parts_in_flight);
	u->attrs = config->attrs;
	if (all->mime)
		u->attrs.content_type = mime_type(all->mime, key);
	u->home = config->loops[hash_bytes(key, strlen(key), 0) % config->nloops];
	u->whole.kind = s3_client_sum(config->client);
	u->refs = 1;
	lock_init(&u->lock, RANK_UPLOAD);
	list_init(&u->queue);
	list_init(&u->finishers);
	list_init(&u->committers);
	*ret = u;
	return 0;
}

int upload_new(struct uploads *all, const char *key, struct upload **ret)
{
	return upload_alloc(all, key, &upload_whole, ret);
}

enum s3_sum_kind upload_sum_kind(const struct upload *u)
{
	return u->whole.kind;
}

void upload_may_replace(struct upload *u)
{
	u->attrs.if_none_match = false;
}

struct upload *upload_ref(struct upload *u)
{
	(void)atomic_fetch_add(&u->refs, 1);
	return u;
}

static void free_upload(struct upload *u)
{
	upload_part_free(u->filling, u->all->config.budget);
	free(u->append);
	free(u->parts);
	free(u->upload_id);
	free(u->key);
	lock_fini(&u->lock);
	free(u);
}

static void free_on_home(struct loop_task *t)
{
	struct upload *u = container_of(t, struct upload, timer_task);

	loop_timer_cancel(u->home, &u->timer);
	free_upload(u);
}

void upload_unref(struct upload *u)
{
	bool armed;

	if (!u || atomic_fetch_sub(&u->refs, 1) != 1)
		return;
	if (u->upload_id && u->state != DONE) {
		/* Given up by its last user: comes back here when the abort is over. */
		atomic_store(&u->refs, 1);
		upload_abort(u, -EIO);
		upload_unref(u);
		return;
	}
	{
		WITH_LOCK(&u->lock);
		armed = u->timer_armed;
	}
	if (armed) {
		u->timer_task.run = free_on_home;
		loop_post(u->home, &u->timer_task);
	} else {
		free_upload(u);
	}
}

uint64_t upload_size(struct upload *u)
{
	WITH_LOCK(&u->lock);
	return u->size;
}

int upload_error(struct upload *u)
{
	WITH_LOCK(&u->lock);
	return u->error;
}

bool upload_completed(struct upload *u)
{
	WITH_LOCK(&u->lock);
	return u->state == DONE;
}

bool upload_started(struct upload *u)
{
	WITH_LOCK(&u->lock);
	return u->state != OPEN;
}
