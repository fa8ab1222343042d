/* SPDX-License-Identifier: Apache-2.0 */

/* Strict parsers: the whole string must match. 0, -EINVAL (not a number) or -ERANGE. */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret) must_check;
/* The same on `len` bytes without a terminator. */
int parse_u64n(const char *s, size_t len, uint64_t *ret) must_check;
int parse_octal(const char *s, uint64_t max, uint64_t *ret) must_check;

#endif
