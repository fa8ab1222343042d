/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Command line of s3d. Strings point into argv or the environment.
 */

#ifndef S3D_OPTIONS_H
#define S3D_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define OPTIONS_LIST_MAX 32

struct options {
	const char *dir; /* NULL: memory */
	const char *listen_host;
	uint16_t listen_port;
	const char *port_file;
	const char *buckets[OPTIONS_LIST_MAX];
	unsigned bucket_count;
	const char *access_key, *secret_key;
	const char *region;
	const char *domain; /* virtual-host style: BUCKET.domain */
	const char *tls_cert, *tls_key;
	const char *import;
	unsigned threads;
	uint64_t quirks; /* bit set of enum quirk */
	bool anonymous, discard, reuse, fast_etag;
};

/*
 * 0 to go on; otherwise 1 with the exit status in *ret_status, after the help
 * or one line about what is wrong.
 */
must_check int options_parse(struct options *o, int argc, char **argv, int *ret_status);

#endif
