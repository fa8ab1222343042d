/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Message digests on OpenSSL: a running digest, and one-shot SHA-256 and
 * HMAC-SHA256 for signatures. Algorithms are fetched once at start.
 */

#ifndef S3D_HASH_H
#define S3D_HASH_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

enum hash_kind { HASH_MD5, HASH_SHA1, HASH_SHA256, HASH_KINDS };

#define HASH_MAX 32

struct hash {
	EVP_MD_CTX *ctx;
	enum hash_kind kind;
};

must_check int hash_start(void);
void hash_stop(void);

size_t hash_size(enum hash_kind kind);
must_check int hash_init(struct hash *h, enum hash_kind kind);
void hash_fini(struct hash *h);
void hash_add(struct hash *h, const void *data, size_t len);
void hash_end(struct hash *h, uint8_t *out);

void hash_once(enum hash_kind kind, const void *data, size_t len, uint8_t *out);
void hash_hmac256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[32]);

#endif
