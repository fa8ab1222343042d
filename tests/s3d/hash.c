/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Message digests: see hash.h. The fetched algorithms are read-only after
 * hash_start(). OpenSSL fails here only for want of memory, which ends the
 * server: a wrong digest must never be sent.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hash.h"

static EVP_MD *algorithms[HASH_KINDS]; /* set by hash_start() */

int hash_start(void)
{
	static const char *const names[HASH_KINDS] = {"MD5", "SHA1", "SHA256"};

	for (int i = 0; i < HASH_KINDS; i++) {
		algorithms[i] = EVP_MD_fetch(NULL, names[i], NULL);
		if (!algorithms[i])
			return -ENOSYS;
	}
	return 0;
}

void hash_stop(void)
{
	for (int i = 0; i < HASH_KINDS; i++)
		EVP_MD_free(take_ptr(&algorithms[i]));
}

size_t hash_size(enum hash_kind kind)
{
	return kind == HASH_MD5 ? 16 : kind == HASH_SHA1 ? 20 : 32;
}

static void check(int ok)
{
	if (ok)
		return;
	fputs("s3d: digest failed\n", stderr);
	abort();
}

int hash_init(struct hash *h, enum hash_kind kind)
{
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx)
		return -ENOMEM;
	h->kind = kind;
	check(EVP_DigestInit_ex2(h->ctx, algorithms[kind], NULL));
	return 0;
}

void hash_fini(struct hash *h)
{
	EVP_MD_CTX_free(take_ptr(&h->ctx));
}

void hash_add(struct hash *h, const void *data, size_t len)
{
	check(EVP_DigestUpdate(h->ctx, data, len));
}

void hash_end(struct hash *h, uint8_t *out)
{
	check(EVP_DigestFinal_ex(h->ctx, out, NULL));
}

void hash_once(enum hash_kind kind, const void *data, size_t len, uint8_t *out)
{
	struct hash h;

	check(hash_init(&h, kind) == 0);
	hash_add(&h, data, len);
	hash_end(&h, out);
	hash_fini(&h);
}

void hash_hmac256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[32])
{
	uint8_t block[64] = {0}, pad[64], inner[32];
	struct hash h;

	if (key_len > sizeof(block))
		hash_once(HASH_SHA256, key, key_len, block);
	else
		memcpy(block, key, key_len);

	check(hash_init(&h, HASH_SHA256) == 0);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] = block[i] ^ 0x36;
	hash_add(&h, pad, sizeof(pad));
	hash_add(&h, data, len);
	hash_end(&h, inner);

	check(EVP_DigestInit_ex2(h.ctx, algorithms[HASH_SHA256], NULL));
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] = block[i] ^ 0x5c;
	hash_add(&h, pad, sizeof(pad));
	hash_add(&h, inner, sizeof(inner));
	hash_end(&h, out);
	hash_fini(&h);
}
