/* SPDX-License-Identifier: Apache-2.0 */

/* Which names and keys are files, and how one becomes the other. Pure. */
#ifndef FUSE_NAME_H
#define FUSE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

/* The kernel passes names up to this long; S3 keys end there as well. */
#define NAME_LEN_MAX 1024

/* Non-empty, not "." or "..", no '/' or NUL, valid UTF-8. */
bool name_valid(const char *name, size_t len);
/* 0, -EINVAL (not a valid name) or -ENAMETOOLONG, for a name from the kernel. */
int name_check(const char *name) must_check;
/* Bytewise order, shorter first; as strcmp but with lengths. */
int name_cmp(const char *a, size_t a_len, const char *b, size_t b_len);
/*
 * Compares "name/" with `key`: whether the directory called `name` would be
 * listed before (< 0), at or after `key`. Both without the directory's prefix.
 */
int name_cmp_as_dir(const char *name, size_t len, const char *key, size_t key_len);
/*
 * The largest usable start-after that is still below `name` and leaves few keys
 * in between: "f12" gives "f11" and a high character. Writes at most
 * len + 4 bytes with NUL; "" when nothing better is known.
 */
void name_before(const char *name, size_t len, char *ret);

#endif
