/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Encodings and dates: hex, base64, percent, HTTP and ISO dates, numbers.
 * Pure functions.
 */

#ifndef S3D_TEXT_H
#define S3D_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define TEXT_DATE_MAX 40

/* out holds 2 * len + 1 bytes. */
void text_hex(const void *data, size_t len, char *out);
must_check int text_unhex(const char *s, size_t len, uint8_t *ret_out);

/* out holds 4 * ((len + 2) / 3) + 1 bytes. */
void text_base64(const void *data, size_t len, char *out);
/* An ETag that is no MD5: hex of 16 bytes, "-1". `out` holds 35 bytes. */
void text_other_etag(const uint8_t raw[16], char *out);
/* Exactly `len` bytes are expected. */
must_check int text_unbase64(const char *s, size_t len, uint8_t *ret_out);

/* Decode %XX in place; -EINVAL for a broken escape or a NUL byte. */
must_check int text_uri_decode(char *s, bool plus_is_space);

/* Digits only, the whole string. */
must_check int text_u64(const char *s, uint64_t *ret);

void text_http_date(time_t t, char out[TEXT_DATE_MAX]);
void text_iso_date(uint64_t ns, char out[TEXT_DATE_MAX]);
must_check int text_parse_http_date(const char *s, time_t *ret);
/* 20130524T000000Z */
must_check int text_parse_amz_date(const char *s, time_t *ret);

#endif
