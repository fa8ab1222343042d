/* SPDX-License-Identifier: Apache-2.0 */

/*
 * SigV4A: a signature that is good in several regions, for multi-region access
 * points. An ECDSA key on P-256 is derived from the secret; the scope names no region,
 * the signed header x-amz-region-set does. Pure.
 */
#ifndef S3_SIGN4A_H
#define S3_SIGN4A_H

#include <openssl/evp.h>

#include "s3/sign.h"

/* The caller's, EVP_PKEY_free(). -ENOMEM, also when the library refuses. */
int s3_sign4a_key_new(const char *access_key, const char *secret, EVP_PKEY **ret) must_check;
/* As s3_sign(); in->region is not used. */
int s3_sign4a(EVP_PKEY *key, const struct s3_sign_input *in, char *ret, size_t len) must_check;

#endif
