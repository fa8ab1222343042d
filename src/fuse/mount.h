/* SPDX-License-Identifier: Apache-2.0 */

/* Putting the file system into the tree and taking it out. Private to fuse/. */
#ifndef FUSE_MOUNT_H
#define FUSE_MOUNT_H

#include <stddef.h>

#include "base/macro.h"

struct fs_config;

/*
 * *ret_fd: the FUSE device, non-blocking. *ret_dir: heap string of the absolute
 * mount point, NULL when `dir` names a descriptor (/dev/fd/N) that the caller has
 * mounted. *ret_guard: with auto_unmount, for guard_end when all is over, else -1.
 * `why` gets a sentence on failure.
 */
int mount_open(const struct fs_config *config, const char *dir, char *why, size_t why_len,
	       char **ret_dir, int *ret_fd, int *ret_guard) must_check;
/* Unmounts; lazily when it is busy. Bounded in time. */
void mount_close(const char *dir);
/* Options that libfuse must be told as well as the kernel. */
const char *mount_session_options(void);
/*
 * Raises the read-ahead of the mount at `dir` to `kb` in /sys. Touches neither
 * the mount point nor anything below it. The outcome is logged.
 */
void mount_set_readahead(const char *dir, unsigned kb);

#endif
