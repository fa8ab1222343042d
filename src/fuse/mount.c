/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mount(2) through libfuse (directly when we may, else by fusermount3), and
 * unmount. Nothing here looks into the mount: its answers would have to come
 * from ourselves. Main thread; mount_set_readahead on a loop.
 */
#include "fuse/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mountinfo.h"
#include "base/parse.h"
#include "fuse/api.h"
#include "fuse/fs.h"
#include "fuse/guard.h"

#include <fuse.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
/* fuse_open_channel never frees the argument vector it makes of the options. */
#define lsan_pause()  __lsan_disable()
#define lsan_resume() __lsan_enable()
#else
#define lsan_pause()  (void)0
#define lsan_resume() (void)0
#endif

#define MAX_READ_OPTION "max_read=1048576"
#define FUSERMOUNT	"fusermount3"
#define UNMOUNT_WAIT	(2 * NSEC_PER_SEC)
#define FD_DIR		"/dev/fd/"

extern char **environ;

const char *mount_session_options(void)
{
	return "-o" MAX_READ_OPTION;
}

/* What libfuse says while it mounts; the last line becomes the reason. */
static char *said;
static size_t said_len;

static void on_fuse_log(enum fuse_log_level level, const char *fmt, va_list ap) printf_like(2, 0);

static void on_fuse_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char line[512];

	(void)vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	if (said && said_len > 0 && line[0])
		(void)snprintf(said, said_len, "%s", line);
	if (level <= FUSE_LOG_ERR && !said)
		log_warn(LOG_FUSE, "libfuse: %s", line);
	else
		log_debug(LOG_FUSE, "libfuse: %s", line);
}

static int use_fd(const char *number, char *why, size_t why_len, int *ret_fd)
{
	char path[64], target[PATH_MAX];
	uint64_t fd;
	ssize_t n;
	int flags;

	if (parse_u64(number, 0, INT_MAX, &fd) < 0) {
		(void)snprintf(why, why_len, "%s%s is not a file descriptor", FD_DIR, number);
		return -EINVAL;
	}
	flags = fcntl((int)fd, F_GETFL);
	if (flags < 0) {
		(void)snprintf(why, why_len, "file descriptor %d is not open", (int)fd);
		return -EBADF;
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", (int)fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	if (strcmp(target, "/dev/fuse") != 0) {
		(void)snprintf(why, why_len, "file descriptor %d is not /dev/fuse", (int)fd);
		return -EINVAL;
	}
	if ((flags & O_ACCMODE) != O_RDWR) {
		(void)snprintf(why, why_len,
			       "file descriptor %d is not open for reading and "
			       "writing",
			       (int)fd);
		return -EINVAL;
	}
	*ret_fd = (int)fd;
	return 0;
}

static int mount_here(const struct fs_config *config, const char *dir, char *why, size_t why_len,
		      int *ret_fd)
{
	_cleanup_(buf_fini) struct buf options = BUF_INIT(1024);
	int r, fd;

	buf_puts(&options,
		 "fsname=mountpoint-s3,default_permissions,noatime,nosuid,nodev," MAX_READ_OPTION);
	if (config->read_only)
		buf_puts(&options, ",ro");
	/* allow_root is ours to check: the kernel must let all in */
	if (config->allow_other || config->allow_root)
		buf_puts(&options, ",allow_other");
	r = buf_error(&options);
	if (r < 0)
		return r;
	(void)snprintf(why, why_len, "cannot mount at %s", dir);
	said = why;
	said_len = why_len;
	errno = 0;
	lsan_pause();
	fd = fuse_open_channel(dir, buf_str(&options));
	lsan_resume();
	said = NULL;
	if (fd < 0)
		return errno > 0 ? -errno : -EIO;
	*ret_fd = fd;
	return 0;
}

int mount_open(const struct fs_config *config, const char *dir, char *why, size_t why_len,
	       char **ret_dir, int *ret_fd, int *ret_guard)
{
	_cleanup_(freep) char *real = NULL;
	int r, fd, flags, guard = -1;

	fuse_set_log_func(on_fuse_log);
	if (strncmp(dir, FD_DIR, strlen(FD_DIR)) == 0) {
		r = use_fd(dir + strlen(FD_DIR), why, why_len, &fd);
	} else {
		real = realpath(dir, NULL);
		if (!real) {
			r = -errno;
			(void)snprintf(why, why_len, "mount point %s: %s", dir, strerror(-r));
			return r;
		}
		r = mount_here(config, real, why, why_len, &fd);
	}
	if (r < 0)
		return r;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		r = -errno;
		(void)snprintf(why, why_len, "the FUSE device cannot be polled: %s", strerror(-r));
	} else if (config->auto_unmount) {
		r = guard_start(real, &guard);
		if (r < 0)
			(void)snprintf(why, why_len, "--auto-unmount: %s", strerror(-r));
	}
	if (r < 0) {
		if (real) {
			mount_close(real);
			(void)close(fd);
		}
		return r;
	}
	*ret_dir = take_ptr(&real);
	*ret_fd = fd;
	*ret_guard = guard;
	return 0;
}

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

static void fusermount(const char *dir)
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

void mount_close(const char *dir)
{
	if (umount2(dir, UMOUNT_NOFOLLOW) == 0)
		return;
	if (errno == EBUSY) {
		log_info(LOG_FUSE, "%s is in use: it disappears now, and ends with its last user",
			 dir);
		if (umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			return;
	}
	/* EINVAL, ENOENT: not mounted any more */
	if (errno == EPERM)
		fusermount(dir);
	else if (errno != EINVAL && errno != ENOENT)
		log_err(LOG_FUSE, "%s cannot be unmounted: %s", dir, strerror(errno));
}

void mount_set_readahead(const char *dir, unsigned kb)
{
	char path[128], value[16];
	struct mountinfo m;
	int r = mountinfo_find(dir, &m);
	_cleanup_(closep) int fd = -1;
	int n;

	if (r < 0) {
		log_info(LOG_FUSE, "read-ahead left as it is: the mount is not in mountinfo");
		return;
	}
	(void)snprintf(path, sizeof(path), "/sys/class/bdi/%s/read_ahead_kb", m.device);
	n = snprintf(value, sizeof(value), "%u", kb);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, (size_t)n) != n)
		log_info(LOG_FUSE, "read-ahead left at the kernel's default: %s: %s", path,
			 strerror(errno));
	else
		log_info(LOG_FUSE, "read-ahead of the mount set to %u KiB", kb);
}
