/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A list that one loop works off: the due entry first, one abort at a time.
 *
 *   add        entry waits for FIRST_WAIT
 *   timer      the first due entry is aborted
 *   done       gone at the server: entry dropped; else its wait doubles
 *
 * At most ORPHANS_MAX wait; what is beyond is named in the log and left to the
 * bucket's lifecycle rule.
 */
#include "fuse/upload_orphan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/log.h"
#include "fuse/upload_journal.h"
#include "s3/s3.h"

#define ORPHANS_MAX 1000
#define FIRST_WAIT  NSEC_PER_SEC
#define WAIT_MAX    (300 * NSEC_PER_SEC)

struct orphan {
	struct list node;
	char *key, *upload_id;
	uint64_t due, wait;
};

struct upload_orphans {
	/* set at creation */
	struct s3_client *client;
	struct loop *loop;
	struct upload_journal *journal;

	struct lock lock;
	/* under lock */
	struct list list; /* in no order */
	unsigned count;
	bool posted;

	/* loop only */
	struct loop_task task;
	struct loop_timer timer;
	struct orphan *current;
	struct s3_abort_call call;
	bool stopping;
};

static void orphan_free(struct orphan *x)
{
	free(x->key);
	free(x->upload_id);
	free(x);
}

/* The entry that is due first, out of the list if that is now; *ret_due when not. */
static struct orphan *take_due(struct upload_orphans *o, uint64_t now, uint64_t *ret_due)
{
	struct orphan *best = NULL;
	struct list *n;

	WITH_LOCK(&o->lock);
	list_for_each (n, &o->list) {
		struct orphan *x = list_entry(n, struct orphan, node);

		if (!best || x->due < best->due)
			best = x;
	}
	*ret_due = best ? best->due : NO_DEADLINE;
	if (!best || best->due > now)
		return NULL;
	list_del(&best->node);
	return best;
}

static void work(struct upload_orphans *o);

static void on_aborted(struct s3_call *c)
{
	struct upload_orphans *o = container_of(c, struct upload_orphans, call.call);
	struct orphan *x = o->current;

	o->current = NULL;
	if (c->error.err == 0) {
		log_info(LOG_FUSE, "upload %s of %s was aborted late", x->upload_id, x->key);
		upload_journal_remove(o->journal, x->upload_id);
		orphan_free(x);
		WITH_LOCK(&o->lock);
		o->count--;
	} else {
		o->stopping = c->error.err == -ECANCELED;
		x->wait = min_u64(x->wait * 2, WAIT_MAX);
		x->due = clock_now() + x->wait;
		WITH_LOCK(&o->lock);
		list_append(&o->list, &x->node);
	}
	work(o);
}

/* Aborts what is due, else waits for it. */
static void work(struct upload_orphans *o)
{
	uint64_t now = clock_now(), due;

	if (o->current || o->stopping)
		return;
	o->current = take_due(o, now, &due);
	if (!o->current) {
		if (due != NO_DEADLINE && loop_timer_set(o->loop, &o->timer, due) < 0)
			log_warn(LOG_FUSE, "no memory for a timer: aborts are late");
		return;
	}
	o->call = (struct s3_abort_call){.call = {.done = on_aborted},
					 .key = o->current->key,
					 .upload_id = o->current->upload_id};
	s3_abort(o->client, o->loop, &o->call);
}

/* Fires early when the loop stops: then nothing is due, and no timer is set again. */
static void on_timer(struct loop_timer *t)
{
	struct upload_orphans *o = container_of(t, struct upload_orphans, timer);

	if (clock_now() < t->deadline)
		o->stopping = true;
	work(o);
}

static void on_task(struct loop_task *t)
{
	struct upload_orphans *o = container_of(t, struct upload_orphans, task);

	{
		WITH_LOCK(&o->lock);
		o->posted = false;
	}
	work(o);
}

void upload_orphans_add(struct upload_orphans *o, const char *key, const char *upload_id)
{
	struct orphan *x;
	bool full, post = false;

	if (!o)
		return;
	x = calloc(1, sizeof(*x));
	if (x) {
		x->key = strdup(key);
		x->upload_id = strdup(upload_id);
	}
	{
		WITH_LOCK(&o->lock);
		full = !x || !x->key || !x->upload_id || o->count >= ORPHANS_MAX;
		if (!full) {
			x->wait = FIRST_WAIT;
			x->due = clock_now() + x->wait;
			list_append(&o->list, &x->node);
			o->count++;
			post = !o->posted;
			o->posted = true;
		}
	}
	if (full && x)
		orphan_free(x);
	if (full)
		log_warn(LOG_FUSE, "upload %s of %s is left at the server", upload_id, key);
	if (post)
		loop_post(o->loop, &o->task);
}

int upload_orphans_new(struct s3_client *client, struct loop *loop, struct upload_journal *journal,
		       struct upload_orphans **ret)
{
	struct upload_orphans *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->client = client;
	o->loop = loop;
	o->journal = journal;
	lock_init(&o->lock, RANK_UPLOAD);
	list_init(&o->list);
	o->task.run = on_task;
	o->timer.fire = on_timer;
	*ret = o;
	return 0;
}

void upload_orphans_free(struct upload_orphans *o)
{
	struct list *n;

	if (!o)
		return;
	while ((n = list_pop(&o->list)))
		orphan_free(list_entry(n, struct orphan, node));
	if (o->current)
		orphan_free(o->current);
	lock_fini(&o->lock);
	free(o);
}
