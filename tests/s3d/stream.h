/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The body of an answer, piece by piece: for what sendfile cannot do.
 */

#ifndef S3D_STREAM_H
#define S3D_STREAM_H

#include <stdbool.h>
#include <stdint.h>

struct MHD_Response;
struct req;

/* Must the body go through here: a fault on it, a bandwidth limit? */
bool stream_needed(const struct req *r);
/* NULL: out of memory. `len`: what Content-Length says. */
struct MHD_Response *stream_response(struct req *r, uint64_t len);

#endif
