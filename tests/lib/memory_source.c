/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The object's bytes repeat with a prime period, so that a piece that lands at
 * the wrong cell or slab differs. Each fetch lives on its loop; the records and
 * the way to held fetches are under one lock.
 */
#include "lib/memory_source.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"

#define PERIOD	    1048573
#define RECORDS_MAX 65536

struct served {
	struct list node; /* in `live` */
	struct memory_source *m;
	struct memory_script script; /* of the moment it came */
	struct source_fetch *f;
	struct loop *loop;
	struct loop_timer timer;
	struct loop_task task, nudge;
	unsigned number;
	uint64_t pos, fail_at, random;
	_Atomic uint64_t allowed;
	int err;
	bool head_seen, nudged, ended;
	bool task_posted, paused, unpaced; /* owner loop only */
};

struct memory_source {
	struct block_source source;
	struct lock lock;
	/* under lock */
	struct memory_script script;
	struct list live;
	struct memory_fetch_record *records;
	unsigned count;
	unsigned flips, described;
	uint64_t asked;
	uint64_t seed;
	/* atomic */
	_Atomic uint64_t served;
	_Atomic unsigned cancelled;
	_Atomic bool draining; /* nothing pauses any more */
	sem_t arrivals, cancels, ends;
};

static unsigned char pattern[PERIOD + 1024 * 1024];

unsigned char memory_byte(uint64_t pos)
{
	return pattern[pos % PERIOD];
}

bool memory_matches(const void *p, uint64_t pos, uint64_t len)
{
	const unsigned char *at = p;

	while (len > 0) {
		uint64_t n = min_u64(len, 1024 * 1024);

		if (memcmp(at, pattern + pos % PERIOD, n) != 0)
			return false;
		at += n;
		pos += n;
		len -= n;
	}
	return true;
}

static uint64_t draw(struct served *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random;
}

static uint64_t vary(struct served *s, uint64_t max)
{
	return s->script.jitter && max ? draw(s) % max + 1 : max;
}

static void end(struct served *s, int err)
{
	struct source_fetch *f = s->f;
	struct memory_source *m = s->m;
	bool free_now;

	loop_timer_cancel(s->loop, &s->timer);
	{
		WITH_LOCK(&s->m->lock);
		list_del(&s->node);
		s->ended = true;
		free_now = !s->nudged && !s->task_posted;
	}
	if (free_now)
		free(s);
	f->done(f, err);
	(void)sem_post(&m->ends);
}

static void again(struct served *s, uint64_t delay)
{
	if (delay == 0) {
		s->task_posted = true;
		loop_post(s->loop, &s->task);
		return;
	}
	if (loop_timer_set(s->loop, &s->timer, clock_now() + delay) < 0)
		abort();
}

static uint64_t served_to(const struct served *s)
{
	return s->f->offset + s->f->length;
}

/* One bit of what is served now, if the script says so. */
static void flip(struct served *s, char *at, uint64_t n)
{
	uint64_t where = s->script.flip_at;

	WITH_LOCK(&s->m->lock);
	if (s->m->flips == 0 || where < s->pos || where >= s->pos + n)
		return;
	s->m->flips--;
	at[where - s->pos] ^= 4;
}

static void serve_piece(struct served *s, uint64_t limit)
{
	struct source_fetch *f = s->f;
	struct iovec room = f->on_space(f, s->pos);
	uint64_t n = min_u64(room.iov_len, limit - s->pos);
	uint64_t piece = vary(s, s->script.piece_max), pos = s->pos;

	assert(room.iov_len > 0 && s->pos + room.iov_len <= served_to(s));
	if (piece)
		n = min_u64(n, piece);
	n = min_u64(n, 1024 * 1024);
	memcpy(room.iov_base, pattern + pos % PERIOD, n);
	flip(s, room.iov_base, n);
	s->pos += n;
	atomic_fetch_add(&s->m->served, n);
	f->on_data(f, pos, n);
}

static bool must_pause(struct served *s)
{
	if (!s->script.pause_max_ns || s->unpaced || atomic_load(&s->m->draining) ||
	    !s->f->on_pause(s->f, s->pos))
		return false;
	s->paused = true;
	again(s, s->script.pause_max_ns);
	return true;
}

static void serve(struct served *s)
{
	for (;;) {
		uint64_t limit = min_u64(atomic_load(&s->allowed), s->fail_at);

		if (!s->head_seen) {
			if (s->err && s->fail_at == s->f->offset) {
				end(s, s->err);
				return;
			}
			if (limit < s->f->offset || atomic_load(&s->allowed) == 0)
				return;
			s->head_seen = true;
			if (s->f->whole)
				s->f->checksum = s->script.checksum;
			if (s->f->on_head)
				s->f->on_head(s->f);
		}
		limit = min_u64(limit, served_to(s));
		if (s->pos < limit) {
			if (s->f->on_pause && must_pause(s))
				return;
			serve_piece(s, limit);
			if (s->pos < served_to(s) && s->script.step_delay_ns) {
				again(s, vary(s, s->script.step_delay_ns));
				return;
			}
			continue;
		}
		if (s->err && s->pos == s->fail_at)
			end(s, s->err);
		else if (s->pos == served_to(s))
			end(s, 0);
		return;
	}
}

static void on_task(struct loop_task *t)
{
	struct served *s = container_of(t, struct served, task);
	bool ended;

	s->task_posted = false;
	{
		WITH_LOCK(&s->m->lock);
		ended = s->ended;
		if (s->nudged)
			s = NULL; /* the other one will do it */
	}
	if (!s)
		return;
	if (ended)
		free(s);
	else
		serve(s);
}

static void on_timer(struct loop_timer *t)
{
	struct served *s = container_of(t, struct served, timer);

	s->unpaced = s->unpaced || s->paused;
	s->paused = false;
	serve(s);
}

static void on_nudge(struct loop_task *t)
{
	struct served *s = container_of(t, struct served, nudge);
	bool ended;

	{
		WITH_LOCK(&s->m->lock);
		s->nudged = false;
		ended = s->ended;
		if (s->task_posted)
			s = NULL; /* the other one will do it */
	}
	if (!s)
		return;
	if (ended)
		free(s);
	else
		serve(s);
}

static void fetch(struct block_source *source, struct loop *l, struct source_fetch *f)
{
	struct memory_source *m = container_of(source, struct memory_source, source);
	struct served *s = calloc(1, sizeof(*s));

	loop_assert_owner(l);
	assert(s);
	s->m = m;
	s->f = f;
	s->loop = l;
	s->pos = f->offset;
	s->fail_at = UINT64_MAX;
	s->timer.fire = on_timer;
	s->task.run = on_task;
	s->nudge.run = on_nudge;
	f->impl = s;
	{
		WITH_LOCK(&m->lock);
		s->script = m->script;
		s->random = (m->seed += 0x9e3779b97f4a7c15);
		atomic_init(&s->allowed,
			    s->script.hold && f->offset >= s->script.hold_from ? 0 : UINT64_MAX);
		s->number = m->count;
		if (m->count < RECORDS_MAX)
			m->records[m->count] = (struct memory_fetch_record){
				f->offset, f->length, loop_index(l), f->demand};
		m->count++;
		m->asked += f->length;
		list_append(&m->live, &s->node);
	}
	if (s->script.verdict)
		s->err = s->script.verdict(f, &s->fail_at);
	if (!s->err)
		s->fail_at = UINT64_MAX;
	again(s, vary(s, s->script.head_delay_ns));
	(void)sem_post(&m->arrivals);
}

static void resume(struct block_source *source, struct source_fetch *f)
{
	struct served *s = f->impl;

	(void)source;
	if (!s->paused)
		return;
	s->paused = false;
	loop_timer_cancel(s->loop, &s->timer);
	serve(s);
}

static void cancel(struct block_source *source, struct source_fetch *f)
{
	struct memory_source *m = container_of(source, struct memory_source, source);
	struct served *s = f->impl;
	bool free_now;

	loop_timer_cancel(s->loop, &s->timer);
	{
		WITH_LOCK(&m->lock);
		list_del(&s->node);
		s->ended = true;
		free_now = !s->nudged && !s->task_posted;
	}
	if (free_now)
		free(s);
	atomic_fetch_add(&m->cancelled, 1);
	(void)sem_post(&m->cancels);
	(void)sem_post(&m->ends);
}

struct told {
	struct loop_task task;
	struct memory_source *m;
	struct source_describe *d;
};

static void tell(struct loop_task *t)
{
	struct told *told = container_of(t, struct told, task);
	struct source_describe *d = told->d;
	int err;

	{
		WITH_LOCK(&told->m->lock);
		told->m->described++;
		d->checksum = told->m->script.checksum;
		d->first_part = told->m->script.first_part;
		d->last_part = told->m->script.last_part;
		err = told->m->script.describe_err;
	}
	free(told);
	d->done(d, err);
}

static void describe(struct block_source *source, struct loop *l, struct source_describe *d)
{
	struct told *told = calloc(1, sizeof(*told));

	assert(told);
	told->m = container_of(source, struct memory_source, source);
	told->d = d;
	told->task.run = tell;
	loop_post(l, &told->task);
}

static void source_end(struct block_source *source)
{
	struct memory_source *m = container_of(source, struct memory_source, source);

	lock_fini(&m->lock);
	(void)sem_destroy(&m->arrivals);
	(void)sem_destroy(&m->cancels);
	(void)sem_destroy(&m->ends);
	free(m->records);
	free(m);
}

static const struct block_source_ops ops = {
	.fetch = fetch,
	.resume = resume,
	.cancel = cancel,
	.describe = describe,
	.free = source_end,
};

int memory_source_new(const struct memory_script *script, struct memory_source **ret)
{
	struct memory_source *m = calloc(1, sizeof(*m));
	uint64_t x = 88172645463325252;

	if (!m)
		return -ENOMEM;
	m->records = calloc(RECORDS_MAX, sizeof(*m->records));
	if (!m->records) {
		free(m);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < PERIOD; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		pattern[i] = (unsigned char)x;
	}
	for (unsigned i = PERIOD; i < sizeof(pattern); i++)
		pattern[i] = pattern[i - PERIOD];
	m->source.ops = &ops;
	m->script = *script;
	m->flips = script->flips;
	m->seed = 42;
	lock_init(&m->lock, RANK_CLIENT);
	list_init(&m->live);
	(void)sem_init(&m->arrivals, 0, 0);
	(void)sem_init(&m->cancels, 0, 0);
	(void)sem_init(&m->ends, 0, 0);
	*ret = m;
	return 0;
}

struct block_source *memory_source_base(struct memory_source *m)
{
	return &m->source;
}

void memory_source_set(struct memory_source *m, const struct memory_script *script)
{
	WITH_LOCK(&m->lock);
	m->script = *script;
	m->flips = script->flips;
}

unsigned memory_source_count(struct memory_source *m)
{
	WITH_LOCK(&m->lock);
	return m->count;
}

unsigned memory_source_described(struct memory_source *m)
{
	WITH_LOCK(&m->lock);
	return m->described;
}

uint64_t memory_source_asked(struct memory_source *m)
{
	WITH_LOCK(&m->lock);
	return m->asked;
}

uint64_t memory_source_served(struct memory_source *m)
{
	return atomic_load(&m->served);
}

struct memory_fetch_record memory_source_record(struct memory_source *m, unsigned i)
{
	WITH_LOCK(&m->lock);
	assert(i < m->count && i < RECORDS_MAX);
	return m->records[i];
}

void memory_source_reset(struct memory_source *m)
{
	WITH_LOCK(&m->lock);
	m->count = 0;
	m->asked = 0;
	atomic_store(&m->served, 0);
	while (sem_trywait(&m->arrivals) == 0)
		;
}

static bool wait_until(sem_t *sem, const struct timespec *t)
{
	return sem_timedwait(sem, t) == 0 || errno == EINTR;
}

static struct timespec in_10_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 10;
	return t;
}

bool memory_source_wait(struct memory_source *m, unsigned n)
{
	struct timespec t = in_10_s();

	while (memory_source_count(m) < n)
		if (!wait_until(&m->arrivals, &t))
			return false;
	return true;
}

bool memory_source_wait_cancelled(struct memory_source *m, unsigned n)
{
	struct timespec t = in_10_s();

	while (atomic_load(&m->cancelled) < n)
		if (!wait_until(&m->cancels, &t))
			return false;
	return true;
}

static void allow_locked(struct served *s, uint64_t pos)
{
	atomic_store(&s->allowed, pos);
	if (s->nudged)
		return;
	s->nudged = true;
	loop_post(s->loop, &s->nudge);
}

void memory_source_allow(struct memory_source *m, unsigned i, uint64_t pos)
{
	struct list *n;

	WITH_LOCK(&m->lock);
	list_for_each (n, &m->live) {
		struct served *s = list_entry(n, struct served, node);

		if (s->number == i) {
			allow_locked(s, pos);
			return;
		}
	}
}

static bool allow_all(struct memory_source *m)
{
	struct list *n;

	WITH_LOCK(&m->lock);
	m->script.hold = false;
	list_for_each (n, &m->live)
		allow_locked(list_entry(n, struct served, node), UINT64_MAX);
	return !list_empty(&m->live);
}

bool memory_source_drain(struct memory_source *m)
{
	struct timespec t = in_10_s();
	bool ended = true;

	atomic_store(&m->draining, true);
	while (ended && allow_all(m))
		ended = wait_until(&m->ends, &t);
	atomic_store(&m->draining, false);
	return ended;
}
