/* SPDX-License-Identifier: Apache-2.0 */

/* What an option's value must be beyond its syntax. */
#ifndef OPTIONS_CHECK_H
#define OPTIONS_CHECK_H

#include <stddef.h>

#include "base/macro.h"

struct options;

/* 0, or -EINVAL with the reason (a usage error). Splits s3:// URIs. */
int options_check(struct options *o, char *why, size_t why_len) must_check;
/*
 * What the peer finds out only after parsing, exit code 1: a URI with a prefix
 * beside --prefix, part sizes outside S3's limits, AES256 with a key.
 */
int options_check_values(const struct options *o, char *why, size_t why_len) must_check;

#endif
