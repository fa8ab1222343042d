/* SPDX-License-Identifier: Apache-2.0 */

/*
 * s3_get when memory runs out: each scene is played again and again, and the n-th
 * allocation on the loop fails. The call ends once, well or with -ENOMEM.
 */
#include <stdatomic.h>

#include "lib/get_scene.h"

#define SWEEP_MAX 200

static atomic_long countdown = -1; /* allocations until the one that fails */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool fails(void)
{
	return loop_current() && countdown >= 0 && atomic_fetch_sub(&countdown, 1) == 0;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

/* Plays `first` (and another connection, should it be needed) until nothing fails any more. */
static void sweep(void (*first)(struct script *a), bool by_name)
{
	unsigned failed = 0;
	long n = 0;

	for (long left = -1; left < 0 && n < SWEEP_MAX; n++) {
		struct script a = {0}, b = {0};
		struct scene s;
		char url[64];

		first(&a);
		script_206(&b, 0, 9, 5000);
		scene_open(&s, (struct script *[]){&a, &b, NULL}, NULL);
		if (by_name) {
			s3_client_free(s.client);
			(void)snprintf(url, sizeof(url), "http://localhost:%d",
				       raw_server_port(s.server));
			s.client = scene_client(url, NULL, NULL);
		}
		atomic_store(&countdown, n);
		scene_run(&s, 0, 10);
		left = atomic_exchange(&countdown, -1);
		if (s.get.call.error.err != -ENOMEM)
			check_whole(&s);
		failed += s.get.call.error.err == -ENOMEM;
		check_int(s.dones, ==, 1);
		scene_close(&s);
	}
	check(failed > 3);
	check(n < SWEEP_MAX);
}

static void one_answer(struct script *a)
{
	script_206(a, 0, 9, 5000);
}

static void retry(struct script *a)
{
	script_error(a, "503 Slow Down", "SlowDown");
	script_206(a, 0, 9, 5000);
}

static void plain(void)
{
	sweep(one_answer, false);
}

static void with_a_retry(void)
{
	sweep(retry, false);
}

static void with_a_lookup(void)
{
	sweep(one_answer, true);
}

int main(void)
{
	if (no_backend())
		return 77;
	(void)setenv("no_proxy", "127.0.0.1,localhost", 1);
	return test_run((struct test[]){TEST(plain), TEST(with_a_retry), TEST(with_a_lookup), {0}});
}
