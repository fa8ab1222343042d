/* SPDX-License-Identifier: Apache-2.0 */

/* The program fusermount3, which may mount and unmount where we may not. Private to fuse/. */
#ifndef FUSE_FUSERMOUNT_H
#define FUSE_FUSERMOUNT_H

#include <stddef.h>

#include "base/macro.h"

/*
 * Mounts so that the mount goes away when this process ends in any way. *ret_fd:
 * the FUSE device; *ret_guard: as long as it is open, the mount stays. `why` gets
 * what the program says when it fails.
 */
int fusermount_mount_guarded(const char *dir, const char *options, char *why, size_t why_len,
			     int *ret_fd, int *ret_guard) must_check;
/* Lazily; the outcome is logged. Bounded in time. */
void fusermount_unmount(const char *dir);

#endif
