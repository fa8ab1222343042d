/* SPDX-License-Identifier: Apache-2.0 */

/*
 * fusermount3 as a child. Mounting: it sends the device over the socket that
 * _FUSE_COMMFD names; with auto_unmount it then stays, waits for the socket's end
 * and unmounts what is dead. libfuse 3.18 leaves that to an option that older
 * versions of the program do not have, as soon as it can mount by itself; this
 * way works with all of version 3. Main thread.
 */
#include "fuse/fusermount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define FUSERMOUNT   "fusermount3"
#define UNMOUNT_WAIT (2 * NSEC_PER_SEC)
#define MOUNT_WAIT_S 10
#define SOCKET	     3 /* in the child */

extern char **environ;

/* Waits for a child, at most until the deadline; then it is killed. */
static void reap(pid_t pid, uint64_t deadline)
{
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (clock_now() >= deadline) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
			return;
		}
		(void)poll(NULL, 0, 10);
	}
}

void fusermount_unmount(const char *dir)
{
	char *argv[] = {(char *)(uintptr_t)FUSERMOUNT,
			(char *)(uintptr_t) "-u",
			(char *)(uintptr_t) "-q",
			(char *)(uintptr_t) "-z",
			(char *)(uintptr_t) "--",
			(char *)(uintptr_t)dir,
			NULL};
	pid_t pid;
	int r = posix_spawnp(&pid, FUSERMOUNT, NULL, NULL, argv, environ);

	if (r == 0)
		reap(pid, clock_now() + UNMOUNT_WAIT);
	else
		log_err(LOG_FUSE, "%s stays mounted: %s cannot be run: %s", dir, FUSERMOUNT,
			strerror(r));
}

/* The descriptor that comes over the socket, or -errno. */
static int receive_fd(int sock)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = sizeof(control.bytes)};
	const struct cmsghdr *c;
	ssize_t n;
	int fd;

	do {
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -EIO;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Our environment and the name of the socket; the strings are not copied. */
static char **environment(char *socket_name)
{
	size_t n = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 2, sizeof(*env));
	if (!env)
		return NULL;
	env[0] = socket_name;
	memcpy(env + 1, environ, n * sizeof(*env));
	return env;
}

/* Nothing of ours stays open in it: it outlives the caller of a background mount. */
static int start(const char *dir, const char *options, int sock, int errors, pid_t *ret)
{
	char name[] = "_FUSE_COMMFD=3";
	char *argv[] = {(char *)(uintptr_t)FUSERMOUNT, (char *)(uintptr_t) "-o",
			(char *)(uintptr_t)options,    (char *)(uintptr_t) "--",
			(char *)(uintptr_t)dir,	       NULL};
	_cleanup_(freep) char **env = environment(name);
	posix_spawn_file_actions_t a;
	int r;

	if (!env)
		return -ENOMEM;
	r = posix_spawn_file_actions_init(&a);
	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&a, errors, STDERR_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&a, sock, SOCKET);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&a, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&a, STDIN_FILENO, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawnp(ret, FUSERMOUNT, &a, NULL, argv, env);
	(void)posix_spawn_file_actions_destroy(&a);
	return -r;
}

/* The first line of what it said. */
static void read_reason(int errors, char *why, size_t why_len)
{
	ssize_t n = read(errors, why, why_len - 1);

	if (n <= 0)
		return;
	why[n] = '\0';
	why[strcspn(why, "\n")] = '\0';
}

int fusermount_mount_guarded(const char *dir, const char *options, char *why, size_t why_len,
			     int *ret_fd, int *ret_guard)
{
	const struct timeval wait = {.tv_sec = MOUNT_WAIT_S};
	int socks[2], errors[2], fd, r;
	_cleanup_(closep) int ours = -1;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0)
		return -errno;
	ours = socks[0];
	if (pipe2(errors, O_CLOEXEC) < 0) {
		r = -errno;
		(void)close(socks[1]);
		return r;
	}
	(void)setsockopt(ours, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	r = start(dir, options, socks[1], errors[1], &pid);
	(void)close(socks[1]);
	(void)close(errors[1]);
	fd = r < 0 ? r : receive_fd(ours);
	if (r < 0) {
		(void)snprintf(why, why_len, "%s cannot be run: %s", FUSERMOUNT, strerror(-r));
	} else if (fd < 0) {
		reap(pid, clock_now() + UNMOUNT_WAIT);
		read_reason(errors[0], why, why_len);
	}
	(void)close(errors[0]);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	*ret_guard = take_fd(&ours);
	return 0;
}
