/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Is this response head the answer to that range of that version? Pure. Nothing
 * of a body is placed before it said so.
 */
#ifndef S3_GET_CHECK_H
#define S3_GET_CHECK_H

#include <stdint.h>

#include "base/macro.h"
#include "s3/http_head.h"
#include "s3/s3.h"

#define GET_SIZE_UNKNOWN UINT64_MAX

struct get_expect {
	uint64_t first, end; /* bytes asked for: [first, end); both 0: no Range was sent */
	uint64_t size;	     /* of the object, as an earlier answer of this call said */
	const char *if_match;
	bool whole; /* asked without Range: the length is that of the object */
};

/*
 * 0 and the object's description; -ESTALE: another version; -EPROTO: anything
 * else that does not fit. *ret_why (static) says what, on error.
 */
int get_check(const struct http_head *h, const struct get_expect *e, struct s3_object *ret,
	      const char **ret_why) must_check;

#endif
