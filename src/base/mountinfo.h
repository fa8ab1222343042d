/* SPDX-License-Identifier: Apache-2.0 */

/* What is mounted at a path, from /proc/self/mountinfo. */
#ifndef BASE_MOUNTINFO_H
#define BASE_MOUNTINFO_H

#include <stdio.h>

#include "base/macro.h"

struct mountinfo {
	char device[32]; /* "major:minor" */
	char type[64];
};

/*
 * The mount on top at exactly this absolute path without symbolic links. 0,
 * -ENOENT when nothing is mounted there, or why the table cannot be read.
 */
int mountinfo_find(const char *path, struct mountinfo *ret) must_check;
/* The same from an open table of that format. */
int mountinfo_read(FILE *f, const char *path, struct mountinfo *ret) must_check;

#endif
