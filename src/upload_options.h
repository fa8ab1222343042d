/* SPDX-License-Identifier: Apache-2.0 */

/* What the command line says of new objects, checked and in the client's terms. */
#ifndef UPLOAD_OPTIONS_H
#define UPLOAD_OPTIONS_H

#include <stddef.h>

#include "base/buf.h"
#include "s3/s3.h"

struct options;

struct upload_options {
	struct s3_put_attrs attrs; /* points into the rest, and into the options */
	struct s3_metadata metadata[S3_METADATA_MAX];
	struct buf tags;
	char *names[S3_METADATA_MAX], *values[S3_METADATA_MAX];
};

/* -EINVAL with a sentence in `why`, or -ENOMEM. *u began zeroed. */
int upload_options_make(const struct options *o, struct upload_options *u, char *why,
			size_t why_len) must_check;
void upload_options_fini(struct upload_options *u);
enum s3_sum_kind upload_options_sum(const struct options *o);

#endif
