/* SPDX-License-Identifier: Apache-2.0 */

/*
 * SigV4 (header form, one chunk). The canonical request is hashed piece by piece
 * and never stored. Uses OpenSSL's SHA256_* functions, deprecated since 3.0: they
 * need neither a heap object nor an algorithm fetch per signature. Pure.
 */
#define OPENSSL_API_COMPAT 10100 /* SHA256_*: see above */
#include "s3/sign.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"

#define DIGEST SHA256_DIGEST_LENGTH
#define BLOCK  SHA256_CBLOCK

static void feed(SHA256_CTX *h, const char *s)
{
	(void)SHA256_Update(h, s, strlen(s));
}

/* `len` is at most BLOCK. */
static void hmac_init(struct s3_sign_key *k, const void *key, size_t len)
{
	unsigned char pad[BLOCK] = {0};

	memcpy(pad, key, len);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36;
	(void)SHA256_Init(&k->inner);
	(void)SHA256_Update(&k->inner, pad, BLOCK);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	(void)SHA256_Init(&k->outer);
	(void)SHA256_Update(&k->outer, pad, BLOCK);
	OPENSSL_cleanse(pad, sizeof(pad));
}

/* Ends the HMAC of which `inner` has taken in key and message. */
static void hmac_final(const struct s3_sign_key *k, SHA256_CTX *inner, unsigned char ret[DIGEST])
{
	SHA256_CTX outer = k->outer;

	(void)SHA256_Final(ret, inner);
	(void)SHA256_Update(&outer, ret, DIGEST);
	(void)SHA256_Final(ret, &outer);
}

/* k becomes the key HMAC(k, text). */
static void hmac_derive(struct s3_sign_key *k, const char *text, size_t len)
{
	unsigned char digest[DIGEST];
	SHA256_CTX inner = k->inner;

	(void)SHA256_Update(&inner, text, len);
	hmac_final(k, &inner, digest);
	hmac_init(k, digest, sizeof(digest));
	OPENSSL_cleanse(digest, sizeof(digest));
}

void s3_sign_key_init(struct s3_sign_key *k, const char *secret, const char *date,
		      const char *region, const char *service)
{
	unsigned char first[BLOCK] = {'A', 'W', 'S', '4'};
	size_t len = strnlen(secret, sizeof(first) - 4);

	/* The first key is "AWS4" + secret; one that is longer than a block is hashed. */
	if (secret[len] == '\0') {
		memcpy(first + 4, secret, len);
		hmac_init(k, first, len + 4);
	} else {
		SHA256_CTX h;

		(void)SHA256_Init(&h);
		(void)SHA256_Update(&h, first, 4);
		feed(&h, secret);
		(void)SHA256_Final(first, &h);
		hmac_init(k, first, DIGEST);
	}
	OPENSSL_cleanse(first, sizeof(first));
	hmac_derive(k, date, 8);
	hmac_derive(k, region, strlen(region));
	hmac_derive(k, service, strlen(service));
	hmac_derive(k, "aws4_request", 12);
}

/* A header's value without blanks at its ends, runs of blanks as one. */
static void feed_value(SHA256_CTX *h, const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	while (*s) {
		size_t n = strcspn(s, " \t");

		(void)SHA256_Update(h, s, n);
		s += n;
		s += strspn(s, " \t");
		if (*s)
			feed(h, " ");
	}
}

static void feed_names(SHA256_CTX *h, const struct s3_sign_input *in)
{
	for (unsigned i = 0; i < in->nheaders; i++) {
		if (i)
			feed(h, ";");
		feed(h, in->headers[i].name);
	}
}

void s3_sign_canonical_hash(const struct s3_sign_input *in, char ret[2 * DIGEST + 1])
{
	unsigned char digest[DIGEST];
	SHA256_CTX h;

	(void)SHA256_Init(&h);
	feed(&h, in->method);
	feed(&h, "\n");
	feed(&h, in->path);
	feed(&h, "\n");
	feed(&h, in->query);
	feed(&h, "\n");
	for (unsigned i = 0; i < in->nheaders; i++) {
		feed(&h, in->headers[i].name);
		feed(&h, ":");
		feed_value(&h, in->headers[i].value);
		feed(&h, "\n");
	}
	feed(&h, "\n");
	feed_names(&h, in);
	feed(&h, "\n");
	feed(&h, in->payload_hash);
	(void)SHA256_Final(digest, &h);
	hex_encode(digest, sizeof(digest), ret);
}

static void signature(const struct s3_sign_key *k, const struct s3_sign_input *in,
		      const char *scope, char ret[2 * DIGEST + 1])
{
	unsigned char digest[DIGEST];
	SHA256_CTX inner = k->inner;
	char hash[2 * DIGEST + 1];

	s3_sign_canonical_hash(in, hash);
	feed(&inner, "AWS4-HMAC-SHA256\n");
	feed(&inner, in->amz_date);
	feed(&inner, "\n");
	feed(&inner, scope);
	feed(&inner, "\n");
	feed(&inner, hash);
	hmac_final(k, &inner, digest);
	hex_encode(digest, sizeof(digest), ret);
}

int s3_sign_head(const struct s3_sign_input *in, const char *algorithm, const char *scope,
		 char *ret, size_t len, size_t *ret_at)
{
	size_t at;
	int n;

	n = snprintf(ret, len, "%s Credential=%s/%s,SignedHeaders=", algorithm, in->access_key,
		     scope);
	if (n < 0 || (size_t)n >= len)
		return -EMSGSIZE;
	at = (size_t)n;
	for (unsigned i = 0; i < in->nheaders; i++) {
		n = snprintf(ret + at, len - at, "%s%s", i ? ";" : "", in->headers[i].name);
		if (n < 0 || (size_t)n >= len - at)
			return -EMSGSIZE;
		at += (size_t)n;
	}
	*ret_at = at;
	return 0;
}

int s3_sign(const struct s3_sign_key *k, const struct s3_sign_input *in, char *ret, size_t len)
{
	char scope[160], sig[2 * DIGEST + 1];
	size_t at;
	int n;

	n = snprintf(scope, sizeof(scope), "%.8s/%s/%s/aws4_request", in->amz_date, in->region,
		     in->service);
	if (n < 0 || (size_t)n >= sizeof(scope))
		return -EMSGSIZE;
	n = s3_sign_head(in, "AWS4-HMAC-SHA256", scope, ret, len, &at);
	if (n < 0)
		return n;
	signature(k, in, scope, sig);
	n = snprintf(ret + at, len - at, ",Signature=%s", sig);
	return n < 0 || (size_t)n >= len - at ? -EMSGSIZE : 0;
}

void s3_sha256_hex(const void *data, size_t len, char ret[65])
{
	unsigned char digest[DIGEST];

	(void)SHA256(data, len, digest);
	hex_encode(digest, sizeof(digest), ret);
}
