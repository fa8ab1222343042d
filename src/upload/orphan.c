/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A list that one loop works off, one abort at a time.
 *
 *   add        goes to the end; the first one is tried after FIRST_WAIT
 *   done       gone at the server: dropped, and the next one is tried at once
 *   failed     goes to the end; the next one is tried after a pause, which doubles
 *              with each failure in a row
 *
 * The pause is the list's, not the entry's: a server in trouble sees two requests
 * a minute however many wait, and PAUSE_MAX after it has recovered all are gone.
 *
 * At most ORPHANS_MAX wait; what is beyond is named in the log and left to the
 * bucket's lifecycle rule.
 */
#include "upload/orphan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/log.h"
#include "s3/s3.h"
#include "upload/journal.h"

#define ORPHANS_MAX 1000
#define FIRST_WAIT  NSEC_PER_SEC
#define PAUSE_MAX   (30 * NSEC_PER_SEC)

struct orphan {
	struct list node;
	char *key, *upload_id;
};

struct upload_orphans {
	/* set at creation */
	struct s3_client *client;
	struct loop *loop;
	struct upload_journal *journal;

	struct lock lock;
	/* under lock */
	struct list list;
	unsigned count;
	bool posted;

	/* loop only */
	struct loop_task task;
	struct loop_timer timer;
	struct orphan *current;
	struct s3_abort_call call;
	uint64_t pause, due; /* nothing is tried before `due` */
	bool stopping;
};

static void orphan_free(struct orphan *x)
{
	free(x->key);
	free(x->upload_id);
	free(x);
}

static struct orphan *take_first(struct upload_orphans *o)
{
	struct list *n;

	WITH_LOCK(&o->lock);
	n = list_pop(&o->list);
	return n ? list_entry(n, struct orphan, node) : NULL;
}

static void put_last(struct upload_orphans *o, struct orphan *x)
{
	WITH_LOCK(&o->lock);
	list_append(&o->list, &x->node);
}

static void work(struct upload_orphans *o);

static void on_aborted(struct s3_call *c)
{
	struct upload_orphans *o = container_of(c, struct upload_orphans, call.call);
	struct orphan *x = o->current;

	o->current = NULL;
	if (c->error.err == 0) {
		log_info(LOG_UPLOAD, "upload %s of %s was aborted late", x->upload_id, x->key);
		upload_journal_remove(o->journal, x->upload_id);
		orphan_free(x);
		o->pause = 0;
		WITH_LOCK(&o->lock);
		o->count--;
	} else {
		o->stopping = c->error.err == -ECANCELED;
		o->pause = min_u64(max_u64(o->pause * 2, FIRST_WAIT), PAUSE_MAX);
		put_last(o, x);
	}
	o->due = clock_now() + o->pause;
	work(o);
}

/* Aborts the first entry if it is time, else waits for that. */
static void work(struct upload_orphans *o)
{
	if (o->current || o->stopping)
		return;
	if (o->due > clock_now()) {
		if (loop_timer_set(o->loop, &o->timer, o->due) < 0)
			log_warn(LOG_UPLOAD, "no memory for a timer: aborts are late");
		return;
	}
	o->current = take_first(o);
	if (!o->current)
		return;
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
	uint64_t now = clock_now();

	{
		WITH_LOCK(&o->lock);
		o->posted = false;
	}
	if (o->due < now)
		o->due = now + FIRST_WAIT;
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
			list_append(&o->list, &x->node);
			o->count++;
			post = !o->posted;
			o->posted = true;
		}
	}
	if (full && x)
		orphan_free(x);
	if (full)
		log_warn(LOG_UPLOAD, "upload %s of %s is left at the server", upload_id, key);
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
