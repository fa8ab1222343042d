/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Request documents: the bodies of DeleteObjects and CompleteMultipartUpload.
 */

#ifndef S3D_XMLIN_H
#define S3D_XMLIN_H

#include "req.h"

struct xml_key {
	struct xml_key *next;
	char *key, *etag; /* etag NULL if not given */
};

struct xml_part {
	unsigned number;
	char *etag;	      /* without quotes */
	struct pair checksum; /* name "crc32c", value; NULL if not given */
};

/* All memory is the request's. Set r->err for a malformed document. */
struct xml_key *xmlin_delete(struct req *r, bool *ret_quiet, unsigned *ret_count);
struct xml_part *xmlin_complete(struct req *r, unsigned *ret_count);

#endif
