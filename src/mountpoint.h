/* SPDX-License-Identifier: Apache-2.0 */

/* Checks of the mount point before anything else is started. */
#ifndef MOUNTPOINT_H
#define MOUNTPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

/*
 * 0, or -errno with a sentence in `why`: absent, not a directory, a dead mount
 * (told how to clean it up), mounted already, or a /dev/fd/N that is not a FUSE
 * device. Never blocks on a dead file server.
 */
int mountpoint_check(const char *dir, bool ignored_options_given, char *why,
		     size_t why_len) must_check;
bool mountpoint_is_fd(const char *dir);

#endif
