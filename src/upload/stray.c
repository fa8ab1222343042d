/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An upload is ours, and lost, if all of this holds: it is of exactly our key; the
 * server began it while our call ran; its id is not one that this process knows;
 * LOOK_AFTER later it has not a single part. Who begins an upload of the same key
 * in the same seconds and then sends nothing would be mistaken for us; the bucket
 * is shared by that key already then, and the last to finish wins in any case.
 *
 * The journal has an intent from before a Create is sent until its id is known, so
 * that the mount after a crash looks for what was begun in that moment.
 *
 * One entry at a time, on one loop: ListMultipartUploads, then ListParts for each
 * candidate, then the orphans' list takes it.
 */
#include "upload/stray.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/parse.h"
#include "s3/s3.h"
#include "upload/journal.h"
#include "upload/orphan.h"

#define STRAYS_MAX 1000
#define LOOK_AFTER (20 * NSEC_PER_SEC)
#define TRIES	   5
#define SLACK_S	   2 /* the server tells whole seconds */
#define CALL_MAX   (120 * NSEC_PER_SEC)

struct stray {
	struct list node;
	char *key, *intent;
	char *prefix; /* under which the server lists its uploads */
	uint64_t since, until, due;
	unsigned tries;
};

struct upload_strays {
	/* set at creation */
	struct s3_client *client;
	struct loop *loop;
	struct upload_orphans *orphans;
	struct upload_journal *journal;

	struct lock lock;
	/* under lock */
	struct list list; /* in order of due */
	unsigned count;
	bool posted;

	/* loop only */
	struct loop_task task;
	struct loop_timer timer;
	struct stray *current;
	struct s3_list_uploads_call uploads;
	unsigned next; /* of uploads.uploads */
	struct s3_list_parts_call parts;
	bool stopping;
};

static void work(struct upload_strays *s);

static void stray_free(struct stray *x)
{
	free(x->key);
	free(x->intent);
	free(x->prefix);
	free(x);
}

static void over(struct upload_strays *s)
{
	s3_uploads_free(s->uploads.uploads, s->uploads.nuploads);
	s->uploads.uploads = NULL;
	s->uploads.nuploads = 0;
	upload_journal_remove(s->journal, s->current->intent);
	stray_free(s->current);
	s->current = NULL;
	{
		WITH_LOCK(&s->lock);
		s->count--;
	}
	work(s);
}

static bool is_candidate(const struct upload_strays *s, const struct s3_upload_info *u)
{
	const struct stray *x = s->current;
	uint64_t now = clock_now();
	int64_t from = s->uploads.date - (int64_t)((now - x->since) / NSEC_PER_SEC) - SLACK_S;
	int64_t to = s->uploads.date - (int64_t)((now - x->until) / NSEC_PER_SEC) + SLACK_S;

	return strcmp(u->key, x->key) == 0 && u->initiated >= from && u->initiated <= to &&
	       !upload_journal_has(s->journal, u->id);
}

static void next_candidate(struct upload_strays *s);

static void on_parts(struct s3_call *c)
{
	struct upload_strays *s = container_of(c, struct upload_strays, parts.call);
	const struct s3_upload_info *u = &s->uploads.uploads[s->next++];

	free(s->parts.parts);
	if (c->error.err == 0 && s->parts.nparts == 0) {
		log_info(LOG_UPLOAD, "upload %s of %s was begun by a lost request", u->id, u->key);
		upload_journal_add(s->journal, u->key, u->id);
		upload_orphans_add(s->orphans, u->key, u->id);
	}
	next_candidate(s);
}

static void next_candidate(struct upload_strays *s)
{
	while (s->next < s->uploads.nuploads && !is_candidate(s, &s->uploads.uploads[s->next]))
		s->next++;
	if (s->next == s->uploads.nuploads) {
		over(s);
		return;
	}
	s->parts = (struct s3_list_parts_call){.call = {.done = on_parts},
					       .key = s->current->key,
					       .upload_id = s->uploads.uploads[s->next].id};
	s3_list_parts(s->client, s->loop, &s->parts);
}

/* Puts it at the end of the line. */
static void wait_again(struct upload_strays *s)
{
	struct stray *x = s->current;

	s->current = NULL;
	x->due = clock_now() + LOOK_AFTER;
	{
		WITH_LOCK(&s->lock);
		list_append(&s->list, &x->node);
	}
	work(s);
}

static void on_uploads(struct s3_call *c)
{
	struct upload_strays *s = container_of(c, struct upload_strays, uploads.call);

	s->stopping = s->stopping || c->error.err == -ECANCELED;
	if (c->error.err < 0 && ++s->current->tries < TRIES) {
		wait_again(s);
	} else if (c->error.err < 0 || s->uploads.date == 0) {
		log_warn(LOG_UPLOAD, "%s: a lost request may have left an upload at the server",
			 s->current->key);
		over(s);
	} else {
		s->next = 0;
		next_candidate(s);
	}
}

static void work(struct upload_strays *s)
{
	uint64_t now = clock_now(), due = NO_DEADLINE;

	if (s->current || s->stopping)
		return;
	{
		WITH_LOCK(&s->lock);
		if (!list_empty(&s->list)) {
			struct stray *x = list_entry(s->list.next, struct stray, node);

			due = x->due;
			if (due <= now) {
				list_del(&x->node);
				s->current = x;
			}
		}
	}
	if (!s->current) {
		if (due != NO_DEADLINE && loop_timer_set(s->loop, &s->timer, due) < 0)
			log_warn(LOG_UPLOAD,
				 "no memory for a timer: lost uploads are not looked for");
		return;
	}
	s->uploads = (struct s3_list_uploads_call){.call = {.done = on_uploads},
						   .prefix = s->current->prefix};
	s3_list_uploads(s->client, s->loop, &s->uploads);
}

static void on_timer(struct loop_timer *t)
{
	struct upload_strays *s = container_of(t, struct upload_strays, timer);

	if (clock_now() < t->deadline)
		s->stopping = true;
	work(s);
}

static void on_task(struct loop_task *t)
{
	struct upload_strays *s = container_of(t, struct upload_strays, task);

	{
		WITH_LOCK(&s->lock);
		s->posted = false;
	}
	work(s);
}

/* Directory buckets list only what is below a prefix that ends in '/', or everything. */
static char *prefix_of(const struct upload_strays *s, const char *key)
{
	const char *slash = strrchr(key, '/');

	if (!s3_client_is_directory(s->client))
		return strdup(key);
	return strndup(key, slash ? (size_t)(slash - key) + 1 : 0);
}

static struct stray *stray_new(const struct upload_strays *s, const char *key, const char *intent,
			       uint64_t since)
{
	struct stray *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->key = strdup(key);
	x->intent = strdup(intent);
	x->prefix = prefix_of(s, key);
	x->since = since;
	x->until = clock_now();
	x->due = x->until + LOOK_AFTER;
	if (x->key && x->intent && x->prefix)
		return x;
	stray_free(x);
	return NULL;
}

static void add(struct upload_strays *s, struct stray *x)
{
	bool post;

	{
		WITH_LOCK(&s->lock);
		list_append(&s->list, &x->node);
		s->count++;
		post = !s->posted;
		s->posted = true;
	}
	if (post)
		loop_post(s->loop, &s->task);
}

static bool full(struct upload_strays *s)
{
	WITH_LOCK(&s->lock);
	return s->count >= STRAYS_MAX;
}

void upload_strays_add(struct upload_strays *s, const char *key, uint64_t since, const char *intent)
{
	struct stray *x;

	if (!s)
		return;
	x = full(s) ? NULL : stray_new(s, key, intent, since);
	if (x)
		add(s, x);
	else
		log_warn(LOG_UPLOAD, "%s: a lost request may have left an upload at the server",
			 key);
}

void upload_intent(char ret[UPLOAD_INTENT_MAX])
{
	static _Atomic unsigned count;

	(void)snprintf(ret, UPLOAD_INTENT_MAX, "%c%lld.%u.%d", UPLOAD_INTENT,
		       (long long)clock_wall(), atomic_fetch_add(&count, 1), (int)getpid());
}

/* The process may have died at any time since; its call cannot have lasted longer than calls do. */
void upload_strays_left(struct upload_strays *s, const char *key, const char *intent)
{
	uint64_t wall = (uint64_t)clock_wall(), now = clock_now(), then, ago;
	struct stray *x = NULL;

	if (parse_u64n(intent + 1, strcspn(intent + 1, "."), &then) == 0 && !full(s)) {
		ago = wall > then ? wall - then : 0;
		x = stray_new(s, key, intent, now - min_u64(now, ago * NSEC_PER_SEC));
	}
	if (!x) {
		upload_journal_remove(s->journal, intent);
		log_warn(LOG_UPLOAD, "%s: a crash may have left an upload at the server", key);
		return;
	}
	x->until = min_u64(now, x->since + CALL_MAX);
	add(s, x);
}

int upload_strays_new(struct s3_client *client, struct loop *loop, struct upload_orphans *orphans,
		      struct upload_journal *journal, struct upload_strays **ret)
{
	struct upload_strays *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->client = client;
	s->loop = loop;
	s->orphans = orphans;
	s->journal = journal;
	lock_init(&s->lock, RANK_UPLOAD);
	list_init(&s->list);
	s->task.run = on_task;
	s->timer.fire = on_timer;
	*ret = s;
	return 0;
}

void upload_strays_free(struct upload_strays *s)
{
	struct list *n;

	if (!s)
		return;
	s3_uploads_free(s->uploads.uploads, s->uploads.nuploads);
	while ((n = list_pop(&s->list)))
		stray_free(list_entry(n, struct stray, node));
	if (s->current)
		stray_free(s->current);
	lock_fini(&s->lock);
	free(s);
}
