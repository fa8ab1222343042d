/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The fork and its handshake: one byte through a pipe means that the mount is
 * up; end of file means that the child died or gave up, having said why on the
 * shared stderr. Unlike the peer the child leaves the terminal's session and
 * keeps descriptors 0-2 on /dev/null, so that nothing else is opened there.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define READY_TIMEOUT_MS 30000

static void wait_for_child(pid_t child, int fd, const char *success) __attribute__((noreturn));

static void wait_for_child(pid_t child, int fd, const char *success)
{
	uint64_t deadline = clock_now() + READY_TIMEOUT_MS * NSEC_PER_MSEC;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;
	int n;

	do {
		uint64_t now = clock_now();

		n = poll(&p, 1, now < deadline ? (int)((deadline - now) / NSEC_PER_MSEC) : 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0) {
		(void)fprintf(stderr,
			      "Error: Timeout after 30 seconds while waiting for mount process "
			      "to be ready\n");
		(void)kill(child, SIGTERM);
		exit(1);
	}
	if (read(fd, &byte, 1) == 1) {
		(void)puts(success);
		(void)fflush(stdout);
		_exit(0);
	}
	(void)waitpid(child, NULL, 0);
	(void)fprintf(stderr, "Error: Failed to create mount process\n");
	_exit(1);
}

int daemon_fork(const char *success, int *ret_ready)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0) {
		int r = -errno;

		closep(&fds[0]);
		closep(&fds[1]);
		return r;
	}
	if (child > 0) {
		closep(&fds[1]);
		wait_for_child(child, fds[0], success);
	}
	closep(&fds[0]);
	/* EPERM only when already a group leader, which a fresh child is not. */
	(void)setsid();
	*ret_ready = fds[1];
	return 0;
}

void daemon_ready(int ready_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		closep(&null);
	if (write(ready_fd, "0", 1) != 1)
		log_warn(LOG_MAIN, "the parent process is gone");
	closep(&ready_fd);
}
