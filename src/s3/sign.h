/* SPDX-License-Identifier: Apache-2.0 */

/*
 * SigV4 with S3's single encoding. Pure: no clock, no credentials store, no heap.
 *
 * A signing key is good for one (secret, date, region, service); it is kept as
 * the two SHA-256 midstates of its HMAC, so that one signature costs the hash of
 * the canonical request and four compressions.
 */
#ifndef S3_SIGN_H
#define S3_SIGN_H

#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define S3_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define S3_EMPTY_SHA256	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* A header or query parameter; header names are lower case. */
struct s3_pair {
	const char *name, *value;
};

struct s3_sign_key {
	SHA256_CTX inner, outer;
};

/* `date` is YYYYMMDD...; only its first 8 characters are used. */
void s3_sign_key_init(struct s3_sign_key *k, const char *secret, const char *date,
		      const char *region, const char *service);

struct s3_sign_input {
	const char *method;
	const char *path;  /* percent-encoded, as sent, without the query */
	const char *query; /* percent-encoded, sorted by name; "" when none */
	/* Those that are signed, sorted by name, values trimmed. */
	const struct s3_pair *headers;
	unsigned nheaders;
	const char *payload_hash; /* hex or S3_UNSIGNED_PAYLOAD */
	const char *amz_date;	  /* YYYYMMDDTHHMMSSZ */
	const char *access_key, *region, *service;
};

/*
 * Value of the Authorization header into ret[len], -EMSGSIZE when it does not fit
 * (1 KiB is enough for 16 headers).
 */
int s3_sign(const struct s3_sign_key *k, const struct s3_sign_input *in, char *ret,
	    size_t len) must_check;

/*
 * Pieces that SigV4A has in common. The hash of the canonical request; the header's
 * value up to the signed names, *ret_at: its length.
 */
void s3_sign_canonical_hash(const struct s3_sign_input *in, char ret[65]);
int s3_sign_head(const struct s3_sign_input *in, const char *algorithm, const char *scope,
		 char *ret, size_t len, size_t *ret_at) must_check;

/* Lower-case hex SHA-256, for bodies of which the hash is to be signed. */
void s3_sha256_hex(const void *data, size_t len, char ret[65]);

#endif
