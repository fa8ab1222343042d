/* SPDX-License-Identifier: Apache-2.0 */

/* Dates on the wire; all in seconds since the epoch, UTC. */
#ifndef BASE_DATE_H
#define BASE_DATE_H

#include <stdint.h>

#include "base/macro.h"

/* "Wed, 21 Oct 2015 07:28:00 GMT" (RFC 9110 5.6.7); -EINVAL otherwise. */
int date_parse_http(const char *s, int64_t *ret) must_check;
/* "2015-10-21T07:28:00.000Z", fraction optional (ListObjectsV2 LastModified). */
int date_parse_iso(const char *s, int64_t *ret) must_check;
/* "20151021T072800Z" as SigV4 wants it; the first 8 characters are the date. */
void date_format_amz(int64_t t, char ret[17]);

#endif
