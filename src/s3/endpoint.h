/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where requests of a bucket go. Pure: bucket, region, endpoint URL and style in,
 * scheme, host, port and path prefix out.
 *
 *	endpoint	bucket			result
 *	none		DNS name without dots	https://BUCKET.s3.REGION.amazonaws.com
 *	none		other, or path style	https://s3.REGION.amazonaws.com/BUCKET
 *	host name	DNS name without dots	scheme://BUCKET.host[:port][/path]
 *	host name	other, or path style	scheme://host[:port][/path]/BUCKET
 *	IP, localhost	any			scheme://host[:port][/path]/BUCKET
 *
 * Without an endpoint URL, also (SUFFIX is the partition's, amazonaws.com):
 *
 *	bucket or option			host
 *	--dual-stack				BUCKET.s3.dualstack.REGION.SUFFIX
 *	--transfer-acceleration			BUCKET.s3-accelerate[.dualstack].SUFFIX
 *	NAME--ZONE--x-s3			BUCKET.s3express-ZONE[.dualstack].REGION.SUFFIX
 *	...--op-s3				BUCKET.op-OUTPOST.s3-outposts.REGION.SUFFIX
 *	arn:...:s3:R:ACCOUNT:accesspoint/N	N-ACCOUNT.s3-accesspoint[.dualstack].R.SUFFIX
 *	arn:...:s3::ACCOUNT:accesspoint/N	N.accesspoint.s3-global.SUFFIX
 *	arn:...:s3-object-lambda:...		N-ACCOUNT.s3-object-lambda.R.SUFFIX
 *	arn:...:s3-outposts:...			N-ACCOUNT.OUTPOST.s3-outposts.R.SUFFIX
 *
 * With one, the part before the service's name stands before its host. The region
 * of an ARN is the one that signs.
 */
#ifndef S3_ENDPOINT_H
#define S3_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define S3_HOST_MAX   254
#define S3_REGION_MAX 64

struct s3_endpoint {
	bool tls;
	bool path_style;
	bool custom; /* from an endpoint URL: does not follow the region */
	uint16_t port;
	char host[S3_HOST_MAX];		 /* to resolve and for TLS; IPv6 without brackets */
	char authority[S3_HOST_MAX + 8]; /* the Host header: default port left out */
	char origin[S3_HOST_MAX + 16];	 /* scheme://authority */
	char base[512];			 /* percent-encoded path before "/KEY": "" or "/BUCKET" */
	char region[S3_REGION_MAX];	 /* that signs */
	const char *service;		 /* the same: "s3", "s3express", ... */
	bool fixed_region;		 /* an ARN's: no answer of a server corrects it */
	bool all_regions;		 /* of a multi-region access point: SigV4A */
	bool no_checksums;		 /* the service takes none */
};

struct s3_endpoint_input {
	const char *bucket;
	const char *region;
	const char *url; /* NULL: AWS's rules */
	bool force_path_style;
	bool dual_stack, accelerate;
};

/* -EINVAL with a sentence in `why`. */
int s3_endpoint_resolve(const struct s3_endpoint_input *in, char *why, size_t why_len,
			struct s3_endpoint *ret) must_check;

/* The name of a directory bucket, NAME--ZONE--x-s3, or of an access point to one, --xa-s3. */
bool s3_bucket_is_express(const char *name);
/* A name that may stand in a credential scope: letters, digits, "-_.". */
bool s3_region_valid(const char *s);

#endif
