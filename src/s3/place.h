/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a bucket's name or an access point's ARN says of where it is and how its
 * requests are signed: the first half of endpoint.h's rules. Pure. Used by
 * endpoint.c only.
 */
#ifndef S3_PLACE_H
#define S3_PLACE_H

#include "s3/endpoint.h"

/* NAME "." SERVICE "." SUFFIX, and how to sign. */
struct s3_place {
	char name[2 * S3_HOST_MAX]; /* before the host, when it is not in the path */
	char service[S3_HOST_MAX];  /* host without the suffix; unused with an endpoint URL */
	char region[S3_REGION_MAX]; /* that signs */
	const char *signing, *suffix;
	bool virtual_only; /* cannot be in the path */
	bool arn;
	bool all_regions, no_checksums;
};

/* -EINVAL with a sentence in `why`. */
int s3_place_find(const struct s3_endpoint_input *in, char *why, size_t why_len,
		  struct s3_place *ret) must_check;

/* A name that can be one label of a host name. */
bool s3_place_is_label(const char *s);
/* Writes the sentence; -EINVAL. */
int s3_place_refuse(char *why, size_t why_len, const char *fmt, ...) printf_like(3, 4);

#endif
