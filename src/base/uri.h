/* SPDX-License-Identifier: Apache-2.0 */

/* Percent-encoding as S3 and SigV4 want it (RFC 3986 unreserved set, upper-case hex). */
#ifndef BASE_URI_H
#define BASE_URI_H

#include <stddef.h>

#include "base/buf.h"

enum uri_slash { URI_ENCODE_SLASH, URI_KEEP_SLASH };

/* Appends `len` bytes of s, encoded; a key's path keeps '/', a query value does not. */
void uri_encode(struct buf *b, const char *s, size_t len, enum uri_slash slash);
/*
 * Decodes in place ('+' stays '+'; S3's url encoding type writes %20 for space,
 * but some servers write '+': `plus_is_space`). Returns the new length, or
 * -EINVAL on a broken escape.
 */
long uri_decode(char *s, size_t len, int plus_is_space) must_check;

#endif
