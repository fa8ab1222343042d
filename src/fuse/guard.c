/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The guard is this program under another name, in a session of its own, and
 * holds one end of a pipe:
 *
 *   a byte comes        ended in order, the mount is gone: ends
 *   end of file         ended in any other way: a dead mount is unmounted, a mount
 *                       that answers is somebody else's
 *
 * fusermount3 has a guard too. It asks once whether the mount is dead, and the
 * kernel may still be taking down our io_uring then, which holds the device: the
 * answer "aborted" instead of "not connected" makes it go away. Versions before
 * 3.17 also cannot guard what they have not mounted.
 */
#include "fuse/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fuse/fs.h"
#include "fuse/mount.h"

#define GUARD "unmount-guard"

extern char **environ;

static int set_attributes(posix_spawnattr_t *a)
{
	sigset_t all;
	int r;

	/* a signal to us all, as at the end of a service, must not end it */
	(void)sigfillset(&all);
	r = posix_spawnattr_setsigmask(a, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(a, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	return r;
}

static int spawn(const char *dir, int leash)
{
	char *argv[] = {(char *)(uintptr_t)GUARD, (char *)(uintptr_t)dir, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	pid_t pid;
	int r = posix_spawn_file_actions_init(&files);

	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r != 0) {
		(void)posix_spawn_file_actions_destroy(&files);
		return -r;
	}
	r = set_attributes(&attributes);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, leash, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn(&pid, "/proc/self/exe", &files, &attributes, argv, environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&files);
	return -r;
}

int guard_start(const char *dir, int *ret)
{
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = spawn(dir, ends[0]);
	(void)close(ends[0]);
	if (r < 0)
		(void)close(ends[1]);
	else
		*ret = ends[1];
	return r;
}

void guard_end(int leash)
{
	if (leash < 0)
		return;
	/* A guard that is gone itself needs no word. */
	while (write(leash, "x", 1) < 0 && errno == EINTR)
		;
	(void)close(leash);
}

bool fs_is_guard(int argc, char **argv)
{
	return argc == 2 && strcmp(argv[0], GUARD) == 0;
}

int fs_guard(char **argv)
{
	_cleanup_(closep) int fd = -1;
	char byte;
	ssize_t n;

	/* Nothing of the daemon or of its caller is kept open. */
	(void)close_range(STDOUT_FILENO, ~0U, 0);
	(void)prctl(PR_SET_NAME, GUARD);
	do {
		n = read(STDIN_FILENO, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n != 0)
		return 0;
	fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOTCONN || errno == ECONNABORTED))
		mount_close(argv[1]);
	return 0;
}
