/* SPDX-License-Identifier: Apache-2.0 */

/* Mount point checks. Main thread, before the fork. */
#include "mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mountinfo.h"
#include "base/parse.h"

bool mountpoint_is_fd(const char *dir)
{
	return strncmp(dir, "/dev/fd/", 8) == 0;
}

static int check_fd(const char *dir, bool ignored_options_given, char *why, size_t why_len)
{
	char link[64], target[PATH_MAX];
	uint64_t fd;
	ssize_t n;
	int flags;

	if (parse_u64(dir + 8, 0, INT_MAX, &fd) < 0 || fcntl((int)fd, F_GETFD) < 0) {
		(void)snprintf(why, why_len, "mount point %s is not a valid file descriptor", dir);
		return -EBADF;
	}
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", (int)fd);
	n = readlink(link, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	flags = fcntl((int)fd, F_GETFL);
	if (strcmp(target, "/dev/fuse") != 0 || flags < 0 || (flags & O_ACCMODE) != O_RDWR) {
		(void)snprintf(
			why, why_len,
			"expected mount point %s to be a /dev/fuse device file descriptor open for "
			"reading and writing but got %s",
			dir, target);
		return -EINVAL;
	}
	if (ignored_options_given) {
		(void)snprintf(
			why, why_len,
			"Mount options: --read-only, --auto-unmount are ignored with FUSE fd mount "
			"point; give them to the mount(2) that opened it");
		return -EINVAL;
	}
	return 0;
}

/* Whether a file system other than autofs is mounted exactly on `path`. */
static bool is_mounted(const char *path)
{
	struct mountinfo m;

	return mountinfo_find(path, &m) == 0 && strcmp(m.type, "autofs") != 0;
}

int mountpoint_check(const char *dir, bool ignored_options_given, char *why, size_t why_len)
{
	char real[PATH_MAX];
	struct stat st;

	if (mountpoint_is_fd(dir))
		return check_fd(dir, ignored_options_given, why, why_len);
	if (lstat(dir, &st) < 0 && errno == ENOENT) {
		(void)snprintf(why, why_len, "mount point %s does not exist", dir);
		return -ENOENT;
	}
	if (stat(dir, &st) < 0 && errno == ENOTCONN) {
		(void)snprintf(
			why, why_len,
			"mount point %s holds a mount whose process is gone; clean it up with "
			"'umount %s'",
			dir, dir);
		return -ENOTCONN;
	}
	if (!realpath(dir, real)) {
		(void)snprintf(why, why_len, "mount point %s: %s", dir, strerror(errno));
		return -errno;
	}
	if (!S_ISDIR(st.st_mode)) {
		(void)snprintf(why, why_len, "mount point %s is not a directory", dir);
		return -ENOTDIR;
	}
	if (is_mounted(real)) {
		(void)snprintf(why, why_len, "mount point %s is already mounted", dir);
		return -EBUSY;
	}
	return 0;
}
