/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The upload state machine on real loops against an S3 and a budget that are
 * functions of this file: each request is recorded and answered on its loop in
 * the next turn, or held back, or failed, as the test says. One program includes it.
 */
#ifndef TESTS_LIB_UPLOAD_SCENE_H
#define TESTS_LIB_UPLOAD_SCENE_H

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"
#include "lib/scripted_upload.h"
#include "lib/test.h"
#include "prefetch/prefetch.h"
#include "upload/uploads.h"

#define PART  (5 * MIB)
#define NLOOP 2

enum kind { PUT, CREATE, PART_SENT, COMPLETE, ABORT, NKINDS };

struct budget {
	struct lock lock;
	unsigned free;
	struct list line;
};

static struct loop *loops[NLOOP];
static struct budget budget = {.lock = LOCK_INIT(RANK_BUDGET)};
static _Atomic unsigned counts[NKINDS];
static _Atomic int fail_kind, fail_number; /* fail the n-th (from 1) of a kind; 0: none */
static _Atomic bool misplace;		   /* the next part has another sum */
static _Atomic bool wrong_bytes;
static _Atomic bool unchecked;	  /* do not look at the bytes */
static _Atomic bool invalid_part; /* the code of what is failed */
static _Atomic bool hold_parts;	  /* no answer to UploadPart while set */
static _Atomic uint64_t delay;	  /* of the server, ns */
static _Atomic uint64_t stored;	  /* size of the object that was completed or put */
static _Atomic uint64_t part_bytes;

/* ---- the budget ---- */

static void take_slabs_locked(struct budget_wait *w)
{
	budget.free -= w->slabs;
	for (unsigned i = 0; i < w->slabs; i++)
		w->mem[i] = malloc(PF_SLAB);
}

uint64_t budget_limit(const struct budget *b)
{
	(void)b;
	return 64 * MIB;
}

static bool try_locked(struct budget *b, struct budget_wait *w)
{
	bool now = list_empty(&b->line) && w->slabs <= b->free;

	if (now)
		take_slabs_locked(w);
	return now;
}

bool budget_try_get(struct budget *b, struct budget_wait *w)
{
	WITH_LOCK(&b->lock);
	return try_locked(b, w);
}

bool budget_get(struct budget *b, struct budget_wait *w)
{
	WITH_LOCK(&b->lock);
	if (try_locked(b, w))
		return true;
	w->queued = true;
	list_append(&b->line, &w->node);
	return false;
}

bool budget_cancel(struct budget *b, struct budget_wait *w)
{
	bool was;

	WITH_LOCK(&b->lock);
	was = w->queued;
	if (was)
		list_del(&w->node);
	w->queued = false;
	return was;
}

void budget_put(struct budget *b, void **mem, unsigned slabs)
{
	struct list granted, *n;

	list_init(&granted);
	for (unsigned i = 0; i < slabs; i++)
		free(mem[i]);
	{
		WITH_LOCK(&b->lock);
		b->free += slabs;
		while (!list_empty(&b->line)) {
			struct budget_wait *w = list_entry(b->line.next, struct budget_wait, node);

			if (w->slabs > b->free)
				break;
			list_del(&w->node);
			w->queued = false;
			take_slabs_locked(w);
			list_append(&granted, &w->node);
		}
	}
	while ((n = list_pop(&granted))) {
		struct budget_wait *w = list_entry(n, struct budget_wait, node);

		w->granted(w);
	}
}

/* ---- S3 ---- */

static void answer(struct loop *l, struct s3_call *c, enum kind kind)
{
	int n = (int)atomic_fetch_add(&counts[kind], 1) + 1;

	if (atomic_load(&fail_kind) == (int)kind && atomic_load(&fail_number) == n)
		c->error = (struct s3_error){.err = -EIO, .status = 503, .code = "SlowDown"};
	if (c->error.err < 0 && atomic_load(&invalid_part))
		(void)snprintf(c->error.code, sizeof(c->error.code), "InvalidPart");
	post_answer(l, c, kind == PART_SENT && atomic_load(&hold_parts) ? &hold_parts : &hold);
}

static uint64_t check_body(const struct iovec *iov, unsigned n, uint64_t pos)
{
	uint64_t start = pos;

	if (atomic_load(&unchecked)) {
		for (unsigned i = 0; i < n; i++)
			pos += iov[i].iov_len;
		return pos - start;
	}
	for (unsigned i = 0; i < n; i++)
		for (size_t j = 0; j < iov[i].iov_len; j++, pos++)
			if (((const char *)iov[i].iov_base)[j] != pattern(pos))
				atomic_store(&wrong_bytes, true);
	return pos - start;
}

enum s3_sum_kind s3_client_sum(const struct s3_client *c)
{
	return S3_SUM_CRC32C;
}

uint64_t s3_client_delay(const struct s3_client *c)
{
	return atomic_load(&delay);
}

bool s3_client_is_directory(const struct s3_client *c)
{
	return false;
}

void s3_error_format(const struct s3_error *e, char *ret, size_t len)
{
	(void)snprintf(ret, len, "%d %s", e->status, e->code);
}

void s3_put(struct s3_client *c, struct loop *l, struct s3_put_call *p)
{
	(void)c;
	atomic_store(&stored, check_body(p->body, p->nbody, 0));
	answer(l, &p->call, PUT);
}

void s3_create_upload(struct s3_client *c, struct loop *l, struct s3_create_upload_call *u)
{
	(void)c;
	answer(l, &u->call, CREATE);
	if (u->call.error.err == 0)
		u->upload_id = strdup("id");
}

void s3_upload_part(struct s3_client *c, struct loop *l, struct s3_upload_part_call *u)
{
	uint64_t sum = 0;

	(void)c;
	u->part.size = check_body(u->body, u->nbody, (u->number - 1) * PART);
	(void)snprintf(u->part.etag, sizeof(u->part.etag), "\"%u\"", u->number);
	u->part.kind = u->sum->kind;
	u->part.sum = u->sum->value;
	for (unsigned i = 0; i < u->nbody; i++)
		sum = s3_sum(u->sum->kind, sum, u->body[i].iov_base, u->body[i].iov_len);
	if (sum != u->sum->value)
		atomic_store(&wrong_bytes, true);
	if (atomic_exchange(&misplace, false))
		u->part.sum ^= 1;
	atomic_fetch_add(&part_bytes, u->part.size);
	answer(l, &u->call, PART_SENT);
}

void s3_complete(struct s3_client *c, struct loop *l, struct s3_complete_call *u)
{
	uint64_t total = 0;

	(void)c;
	for (unsigned i = 0; i < u->nparts; i++) {
		char etag[16];

		(void)snprintf(etag, sizeof(etag), "\"%u\"", i + 1);
		if (strcmp(u->parts[i].etag, etag) != 0)
			atomic_store(&wrong_bytes, true);
		total += u->parts[i].size;
	}
	atomic_store(&stored, total);
	answer(l, &u->call, COMPLETE);
}

void s3_abort(struct s3_client *c, struct loop *l, struct s3_abort_call *a)
{
	(void)c;
	answer(l, &a->call, ABORT);
}

void s3_list_uploads(struct s3_client *c, struct loop *l, struct s3_list_uploads_call *u)
{
	abort(); /* nothing here loses an answer */
}

void s3_list_parts(struct s3_client *c, struct loop *l, struct s3_list_parts_call *p)
{
	abort();
}

void s3_uploads_free(struct s3_upload_info *uploads, unsigned n)
{
}

/* ---- for the tests ---- */

static struct uploads uploads = {.config = {.budget = &budget,
					    .loops = loops,
					    .nloops = NLOOP,
					    .part_size = PART,
					    .parts_in_flight = 2}};

static void reset(unsigned slabs)
{
	budget.free = slabs;
	list_init(&budget.line);
	for (int i = 0; i < NKINDS; i++)
		atomic_store(&counts[i], 0);
	atomic_store(&fail_number, 0);
	atomic_store(&hold, false);
	atomic_store(&wrong_bytes, false);
	atomic_store(&stored, 0);
	atomic_store(&part_bytes, 0);
}

static struct upload *fresh(void)
{
	struct upload *u = NULL;

	if (upload_new(&uploads, "dir/key", &u) < 0)
		abort();
	return u;
}

/* Everything given back, in time: the last references drop on the loops. */
static void check_all_freed(unsigned slabs)
{
	uint64_t deadline = clock_now() + 5 * NSEC_PER_SEC;
	unsigned free_now;

	do {
		struct timespec ts = {.tv_nsec = 1000000};

		(void)nanosleep(&ts, NULL);
		WITH_LOCK(&budget.lock);
		free_now = budget.free;
	} while (free_now != slabs && clock_now() < deadline);
	check_int(free_now, ==, slabs);
}

static inline void wait_count(enum kind k, unsigned n)
{
	uint64_t deadline = clock_now() + 5 * NSEC_PER_SEC;

	while (atomic_load(&counts[k]) < n && clock_now() < deadline) {
		struct timespec ts = {.tv_nsec = 1000000};

		(void)nanosleep(&ts, NULL);
	}
	check_int(atomic_load(&counts[k]), ==, n);
}

static int run_tests(const struct test *tests)
{
	int r;

	for (unsigned i = 0; i < NLOOP; i++)
		if (loop_new(&(struct loop_config){.index = i}, &loops[i]) < 0 ||
		    loop_start(loops[i]) < 0)
			return 1;
	r = test_run(tests);
	for (unsigned i = 0; i < NLOOP; i++) {
		loop_stop(loops[i]);
		loop_free(loops[i]);
	}
	return r;
}

#endif
