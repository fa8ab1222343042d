/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Directory buckets: those named NAME--ZONE--x-s3, or all with the quirk.
 */

#ifndef S3D_DIRECTORY_H
#define S3D_DIRECTORY_H

#include <stdbool.h>

struct req;

/* By name: requests carry a session (session.h). */
bool directory_name(const char *bucket);
/* The request's bucket behaves as one. */
bool directory_is(struct req *r);
/* A listing's parameters that directory buckets do not take; sets r->err. */
void directory_check_list(struct req *r);

#endif
