/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Signature version 4 as the server checks it, in the Authorization header.
 */

#ifndef S3D_SIGV4_H
#define S3D_SIGV4_H

struct credentials;
struct req;
struct server;

/* From now on only these pass. */
void sigv4_set_credentials(struct server *s, const struct credentials *c);

/* Sets r->err when the request may not pass; r->body.signature when it may. */
void sigv4_check(struct req *r);

#endif
