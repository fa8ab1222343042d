/* SPDX-License-Identifier: Apache-2.0 */

/* The form that mount(8) and fstab use: mount-s3 BUCKET DIR -o OPTIONS. */
#ifndef FSTAB_H
#define FSTAB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

/* True for exactly five arguments of which the fourth is "-o". */
bool fstab_style(int argc, char **argv);

struct fstab_args {
	int argc;
	char **argv; /* "--option=value" ..., BUCKET, DIR; NULL-terminated */
};

/* 0, -EINVAL with the reason (a usage error), -ENOMEM. */
int fstab_parse(char **argv, struct fstab_args *ret, char *why, size_t why_len) must_check;
void fstab_args_fini(struct fstab_args *a);

#endif
