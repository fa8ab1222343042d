/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Uploads that append, on real loops and a real budget, against an S3 that is one
 * function of this file: it checks that each PutObject goes to the end of the object
 * which the one before has left, and answers in the next turn, or when it is let.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "lib/scripted_upload.h"
#include "lib/test.h"
#include "prefetch/prefetch.h"
#include "upload/uploads.h"

#define PART  (5 * MIB)
#define NLOOP 2

static struct loop *loops[NLOOP];
static _Atomic unsigned nputs;
static _Atomic unsigned fail_at; /* the n-th PutObject, from 1; 0: none */
static _Atomic bool wrong;	 /* a request that must not be, or its bytes */
static _Atomic uint64_t stored;	 /* size of the object */
static _Atomic int version;	 /* its ETag */

static struct uploads uploads = {
	.config = {.loops = loops, .nloops = NLOOP, .part_size = PART, .parts_in_flight = 2}};

/* ---- S3 ---- */

static uint64_t check_body(const struct s3_put_call *p)
{
	uint64_t pos = p->write_offset;

	for (unsigned i = 0; i < p->nbody; i++)
		for (size_t j = 0; j < p->body[i].iov_len; j++, pos++)
			if (((const char *)p->body[i].iov_base)[j] != pattern(pos))
				atomic_store(&wrong, true);
	return pos;
}

void s3_put(struct s3_client *c, struct loop *l, struct s3_put_call *p)
{
	char etag[16];

	(void)c;
	(void)snprintf(etag, sizeof(etag), "\"%d\"", atomic_load(&version));
	if (p->write_offset > 0 && (p->write_offset != atomic_load(&stored) || !p->if_match))
		atomic_store(&wrong, true);
	if (p->if_match && strcmp(p->if_match, etag) != 0)
		atomic_store(&wrong, true);
	p->object.size = check_body(p);
	(void)snprintf(p->object.etag, sizeof(p->object.etag), "\"%d\"",
		       atomic_fetch_add(&version, 1) + 1);
	atomic_store(&stored, p->object.size);
	if (atomic_fetch_add(&nputs, 1) + 1 == atomic_load(&fail_at))
		p->call.error = (struct s3_error){.err = -ESTALE, .status = 412};
	post_answer(l, &p->call, &hold);
}

enum s3_sum_kind s3_client_sum(const struct s3_client *c)
{
	return S3_SUM_CRC32C;
}

uint64_t s3_client_delay(const struct s3_client *c)
{
	return 0;
}

bool s3_client_is_directory(const struct s3_client *c)
{
	return true;
}

void s3_error_format(const struct s3_error *e, char *ret, size_t len)
{
	(void)snprintf(ret, len, "%d", e->status);
}

/* What only other uploads ask for. */
#define NEVER(name, type)                                                 \
	void name(struct s3_client *c, struct loop *l, struct type *call) \
	{                                                                 \
		abort();                                                  \
	}
NEVER(s3_create_upload, s3_create_upload_call)
NEVER(s3_upload_part, s3_upload_part_call)
NEVER(s3_complete, s3_complete_call)
NEVER(s3_abort, s3_abort_call)
NEVER(s3_list_uploads, s3_list_uploads_call)
NEVER(s3_list_parts, s3_list_parts_call)

void s3_uploads_free(struct s3_upload_info *all, unsigned n)
{
}

/* ---- the tests ---- */

static void wait_puts(unsigned n)
{
	uint64_t deadline = clock_now() + 5 * NSEC_PER_SEC;

	while (atomic_load(&nputs) < n && clock_now() < deadline) {
		struct timespec ts = {.tv_nsec = 1000000};

		(void)nanosleep(&ts, NULL);
	}
	check_int(atomic_load(&nputs), ==, n);
}

static int commit(struct upload *u)
{
	struct waiter x = {.f.done = on_finished};

	(void)sem_init(&x.sem, 0, 0);
	upload_commit(u, &x.f);
	return wait_sem(&x.sem, WAIT_SECONDS) ? x.f.err : -ETIMEDOUT;
}

/* Of an object of `size` bytes that is there; 0: there is none. */
static struct upload *appending(uint64_t size)
{
	struct upload_base base = {.object = {.size = size, .etag = "\"9\""},
				   .sum = {.kind = S3_SUM_CRC32C}};
	struct upload *u = NULL;

	atomic_store(&nputs, 0);
	atomic_store(&fail_at, 0);
	atomic_store(&wrong, false);
	atomic_store(&stored, size);
	atomic_store(&version, 9);
	if (upload_append_new(&uploads, "dir/key", size ? &base : NULL, &u) < 0)
		abort();
	return u;
}

static void appends_one_part_after_another(void)
{
	struct upload *u = appending(0);

	atomic_store(&hold, true);
	check_int(write_all(u, 2 * PART + 7), ==, 0);
	wait_puts(1);
	check_int(atomic_load(&stored), ==, PART);
	atomic_store(&hold, false);
	wait_puts(2);
	check_int(finish(u), ==, 0);
	check_int(atomic_load(&nputs), ==, 3);
	check_int(atomic_load(&stored), ==, 2 * PART + 7);
	check(!atomic_load(&wrong));
	upload_unref(u);
}

static void append_goes_on_where_the_object_ends(void)
{
	struct upload *u = appending(1000);

	check_int(upload_size(u), ==, 1000);
	check_int(write_pattern(u, 1000, 5), ==, 0);
	check_int(upload_written(u), ==, 5);
	check_int(commit(u), ==, 0);
	check_int(atomic_load(&stored), ==, 1005);
	check_int(commit(u), ==, 0); /* nothing new: no request */
	check_int(write_pattern(u, 1005, 5), ==, 0);
	check_int(finish(u), ==, 0);
	check_int(atomic_load(&stored), ==, 1010);
	check_int(atomic_load(&nputs), ==, 2);
	check_int(commit(u), ==, 0);
	check_int(write_pattern(u, 1010, 5), ==, -EIO);
	check(!atomic_load(&wrong));
	upload_unref(u);
}

static void append_of_nothing(void)
{
	struct upload *u = appending(1000);

	check_int(commit(u), ==, 0);
	check_int(finish(u), ==, 0);
	check_int(atomic_load(&nputs), ==, 0);
	upload_unref(u);
	u = appending(0);
	check_int(commit(u), ==, 0);
	check_int(atomic_load(&nputs), ==, 1);
	check_int(write_pattern(u, 0, 5), ==, 0);
	check_int(finish(u), ==, 0);
	check_int(atomic_load(&nputs), ==, 2);
	check_int(atomic_load(&stored), ==, 5);
	check(!atomic_load(&wrong));
	upload_unref(u);
}

static void append_that_fails_stays_failed(void)
{
	struct upload *u = appending(1000);

	atomic_store(&fail_at, 2);
	check_int(write_pattern(u, 1000, 5), ==, 0);
	check_int(commit(u), ==, 0);
	check_int(write_pattern(u, 1005, 5), ==, 0);
	check_int(commit(u), ==, -EIO);
	check_int(commit(u), ==, -EIO);
	check_int(write_pattern(u, 1010, 5), ==, -EIO);
	check_int(finish(u), ==, -EIO);
	check_int(atomic_load(&nputs), ==, 2);
	upload_unref(u);
}

int main(void)
{
	struct budget *budget;
	int r;

	if (budget_new(64 * MIB, &budget) < 0)
		return 1;
	uploads.config.budget = budget;
	for (unsigned i = 0; i < NLOOP; i++)
		if (loop_new(&(struct loop_config){.index = i}, &loops[i]) < 0 ||
		    loop_start(loops[i]) < 0)
			return 1;
	r = test_run((struct test[]){TEST(appends_one_part_after_another),
				     TEST(append_goes_on_where_the_object_ends),
				     TEST(append_of_nothing),
				     TEST(append_that_fails_stays_failed),
				     {0}});
	for (unsigned i = 0; i < NLOOP; i++) {
		loop_stop(loops[i]);
		loop_free(loops[i]);
	}
	budget_free(budget);
	return r;
}
