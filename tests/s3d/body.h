/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The incoming body of a request: decoded from aws-chunked if it is, hashed as
 * its headers ask, and kept (XML) or written to a blob (data) as it arrives.
 */

#ifndef S3D_BODY_H
#define S3D_BODY_H

#include "buf.h"
#include "checksum.h"
#include "chunked.h"
#include "op.h"

#define BODY_XML_MAX (16u << 20)

struct blob;

struct body {
	enum body_kind kind;
	struct buf xml;
	struct blob *blob; /* data; NULL until body_open_data() */
	uint64_t expected; /* decoded length; UINT64_MAX if not known */
	uint64_t received; /* decoded */
	uint64_t wire;	   /* as it came */

	struct hash md5; /* ctx NULL: not needed */
	struct hash sha;
	struct summer sum;
	uint64_t etag_crc;
	bool has_md5, has_sha, fast_etag;
	uint8_t want_md5[16], want_sha[32], md5_value[16];
	struct checksum want_sum; /* kind NONE: nothing to compare */
	struct checksum got_sum;

	struct chunked *chunked; /* NULL: plain */
	struct signature *signature;
};

/* At the headers: which hashes, which encoding. Sets r->err. */
void body_begin(struct req *r);
/* Length of the data, from the headers. False (and r->err) if there is none. */
bool body_length(struct req *r, uint64_t *ret);
/* Data goes to the blob (takes the reference); `kind` is summed in any case. */
void body_open_data(struct req *r, struct blob *blob, enum checksum_kind kind);
void body_add(struct req *r, const char *data, size_t len);
/* Compare lengths and hashes; sets r->err. */
void body_end(struct req *r);
void body_fini(struct body *b);

/* After body_end(): "md5 as hex", or another unique value with --etag crc. */
void body_etag(const struct body *b, char *out);

#endif
