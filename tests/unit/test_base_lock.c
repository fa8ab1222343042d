/* SPDX-License-Identifier: Apache-2.0 */

/* Ranked locks: exclusion, and that a wrong order ends a checking build. */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/macro.h"
#include "lib/test.h"

static struct lock inode = LOCK_INIT(RANK_INODE), handle = LOCK_INIT(RANK_HANDLE);
static struct lock other_inode = LOCK_INIT(RANK_INODE), never_taken = LOCK_INIT(RANK_FS);

/* Whether the library was built with LOCK_CHECK: held ranks are known then. */
static bool checked(void)
{
	return !lock_held(&never_taken);
}

/* The signal that ended fn in a process of its own, 0 when it returned. */
static int ended_by(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct rlimit none = {0, 0};

		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		fn();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void upwards(void)
{
	WITH_LOCK(&inode);
	WITH_LOCK(&handle);
}

static void downwards(void)
{
	WITH_LOCK(&handle);
	WITH_LOCK(&inode);
}

static void same_rank(void)
{
	WITH_LOCK(&inode);
	WITH_LOCK(&other_inode);
}

static void one_after_the_other(void)
{
	{
		WITH_LOCK(&handle);
	}
	{
		WITH_LOCK(&inode);
	}
	upwards();
	upwards();
}

static void the_order_of_ranks_is_enforced(void)
{
	check_int(ended_by(upwards), ==, 0);
	check_int(ended_by(one_after_the_other), ==, 0);
	check_int(ended_by(downwards), ==, checked() ? SIGABRT : 0);
	check_int(ended_by(same_rank), ==, checked() ? SIGABRT : 0);
	if (!checked())
		printf("# built without LOCK_CHECK: violations are not looked for\n");
}

static void held_is_known_where_it_is_checked(void)
{
	{
		WITH_LOCK(&inode);
		check(lock_held(&inode));
		check(lock_held(&handle) == !checked());
	}
	check(lock_held(&inode) == !checked());
}

static long shared;

static void *count(void *arg)
{
	struct lock *l = arg;

	for (int i = 0; i < 100000; i++) {
		WITH_LOCK(l);
		shared++;
	}
	return NULL;
}

static void a_lock_excludes(void)
{
	pthread_t threads[4];
	struct lock l;

	lock_init(&l, RANK_LOG);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		require(pthread_create(&threads[i], NULL, count, &l) == 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		(void)pthread_join(threads[i], NULL);
	lock_fini(&l);
	check_int(shared, ==, 400000);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(the_order_of_ranks_is_enforced),
		TEST(held_is_known_where_it_is_checked),
		TEST(a_lock_excludes),
		{0},
	});
}
