/* SPDX-License-Identifier: Apache-2.0 */

#ifndef FUSE_UTF8_H
#define FUSE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, at most U+10FFFF. */
bool utf8_valid(const char *s, size_t len);

#endif
