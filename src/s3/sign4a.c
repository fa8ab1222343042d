/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The private key is the first of HMAC(AWS4A + secret, block with counter 1, 2, ...),
 * a number of 256 bits, that is at most N - 2, plus one. (NIST SP 800-108, one block;
 * the second block is needed once in 2^32.)
 */
#include "s3/sign4a.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"

#define ALGORITHM     "AWS4-ECDSA-P256-SHA256"
#define SECRET_MAX    256
#define SIGNATURE_MAX 80 /* DER of two numbers of 33 bytes */

/* N - 2 of P-256. */
static const unsigned char order_minus_2[32] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
						0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
						0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
						0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x4f};

/* One candidate of the derivation. */
static int candidate(const char *access_key, const char *secret, unsigned char counter,
		     unsigned char ret[32])
{
	static const unsigned char one[4] = {0, 0, 0, 1}, bits[4] = {0, 0, 1, 0};
	_cleanup_(buf_fini) struct buf input = BUF_INIT(1024);
	char key[SECRET_MAX + 6];
	unsigned len = 32;
	int n = snprintf(key, sizeof(key), "AWS4A%s", secret);
	bool good;

	buf_append(&input, one, sizeof(one));
	buf_puts(&input, ALGORITHM);
	buf_putc(&input, '\0');
	buf_puts(&input, access_key);
	buf_append(&input, &counter, 1);
	buf_append(&input, bits, sizeof(bits));
	good = n > 0 && (size_t)n < sizeof(key) && buf_error(&input) == 0 &&
	       HMAC(EVP_sha256(), key, n, (const unsigned char *)input.data, input.len, ret,
		    &len) != NULL;
	OPENSSL_cleanse(key, sizeof(key));
	return good ? 0 : -ENOMEM;
}

static void add_one(unsigned char number[32])
{
	for (int i = 31; i >= 0 && ++number[i] == 0; i--)
		;
}

static int derive(const char *access_key, const char *secret, unsigned char ret[32])
{
	for (unsigned char counter = 1; counter < 255; counter++) {
		int r = candidate(access_key, secret, counter, ret);

		if (r < 0)
			return r;
		if (CRYPTO_memcmp(ret, order_minus_2, 32) == 0 ||
		    memcmp(ret, order_minus_2, 32) < 0) {
			add_one(ret);
			return 0;
		}
	}
	return -ENOMEM; /* cannot be: a chance of 2^-8000 */
}

/* The library's form of a private key. */
static int key_of(const BIGNUM *number, EVP_PKEY **ret)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (ctx && build &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, number) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	*ret = key;
	return key ? 0 : -ENOMEM;
}

int s3_sign4a_key_new(const char *access_key, const char *secret, EVP_PKEY **ret)
{
	unsigned char number[32];
	BIGNUM *bn = NULL;
	int r = derive(access_key, secret, number);

	if (r == 0) {
		bn = BN_bin2bn(number, sizeof(number), NULL);
		r = bn ? key_of(bn, ret) : -ENOMEM;
	}
	BN_clear_free(bn);
	OPENSSL_cleanse(number, sizeof(number));
	return r;
}

static int signature(EVP_PKEY *key, const char *text, char ret[2 * SIGNATURE_MAX + 1])
{
	unsigned char der[SIGNATURE_MAX];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t len = sizeof(der);
	bool good = md && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
		    EVP_DigestSign(md, der, &len, (const unsigned char *)text, strlen(text)) == 1;

	EVP_MD_CTX_free(md);
	if (!good)
		return -ENOMEM;
	hex_encode(der, len, ret);
	return 0;
}

int s3_sign4a(EVP_PKEY *key, const struct s3_sign_input *in, char *ret, size_t len)
{
	char scope[160], hash[65], text[512], sig[2 * SIGNATURE_MAX + 1];
	size_t at;
	int n;

	n = snprintf(scope, sizeof(scope), "%.8s/%s/aws4_request", in->amz_date, in->service);
	if (n < 0 || (size_t)n >= sizeof(scope))
		return -EMSGSIZE;
	s3_sign_canonical_hash(in, hash);
	(void)snprintf(text, sizeof(text), ALGORITHM "\n%s\n%s\n%s", in->amz_date, scope, hash);
	n = s3_sign_head(in, ALGORITHM, scope, ret, len, &at);
	if (n == 0)
		n = signature(key, text, sig);
	if (n < 0)
		return n;
	n = snprintf(ret + at, len - at, ",Signature=%s", sig);
	return n < 0 || (size_t)n >= len - at ? -EMSGSIZE : 0;
}
