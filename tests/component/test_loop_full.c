/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A ring that takes no submissions for a while, as under memory pressure:
 * io_uring_submit is wrapped by the linker. Operations and cancels that do not
 * fit must wait and come through later.
 */
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include "lib/probe.h"

#define CROWD 1000 /* several times the submission queue */

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);

static bool refusing; /* loop thread only */
static unsigned refused;

int __wrap_io_uring_submit(struct io_uring *ring)
{
	if (refusing) {
		refused++;
		return -EBUSY;
	}
	return __real_io_uring_submit(ring);
}

static struct probe crowd[CROWD];
static int fds[2];

static void begin_and_cancel_half(void *arg)
{
	struct loop *l = loop_current();

	refusing = true;
	for (unsigned i = 0; i < CROWD; i++) {
		probe_init(&crowd[i]);
		loop_poll(l, &crowd[i].op, fds[0], POLLIN);
	}
	for (unsigned i = 0; i < CROWD; i += 2)
		loop_cancel(l, &crowd[i].op);
	refusing = false;
}

static void what_does_not_fit_comes_through_later(void)
{
	unsigned wrong = 0;

	require(pipe(fds) == 0);
	loop = start_loop(NULL);
	require(on_loop(loop, begin_and_cancel_half, NULL));
	for (unsigned i = 0; i < CROWD; i += 2)
		wrong += probe_wait(&crowd[i]) != -ECANCELED;
	check_int(wrong, ==, 0);
	START(.what = CANCEL, .p = &crowd[CROWD - 1]); /* one that came through late */
	check_int(probe_wait(&crowd[CROWD - 1]), ==, -ECANCELED);
	check_int(write(fds[1], "x", 1), ==, 1);
	for (unsigned i = 1; i < CROWD - 2; i += 2)
		wrong += probe_wait(&crowd[i]) != POLLIN;
	check_int(wrong, ==, 0);
	check_int(refused, >, 0);
	end_loop(loop);
	for (unsigned i = 0; i < CROWD; i++)
		wrong += crowd[i].ended != 1;
	check_int(wrong, ==, 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void begin_crowd(void *arg)
{
	refusing = true;
	for (unsigned i = 0; i < CROWD; i++) {
		probe_init(&crowd[i]);
		loop_poll(loop_current(), &crowd[i].op, fds[0], POLLIN);
	}
}

static void stop_ends_what_never_fitted(void)
{
	unsigned wrong = 0;

	require(pipe(fds) == 0);
	loop = start_loop(NULL);
	require(on_loop(loop, begin_crowd, NULL));
	end_loop(loop);
	refusing = false;
	for (unsigned i = 0; i < CROWD; i++)
		wrong += crowd[i].ended != 1 || crowd[i].res != -ECANCELED;
	check_int(wrong, ==, 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
	if (setenv("MOUNT_S3_LOOP", "uring", 1) < 0)
		return 1;
	if (no_backend()) {
		printf("1..0 # SKIP this kernel does not give a ring\n");
		return 0;
	}
	return test_run((struct test[]){
		TEST(what_does_not_fit_comes_through_later),
		TEST(stop_ends_what_never_fitted),
		{0},
	});
}
