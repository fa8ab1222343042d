/* SPDX-License-Identifier: Apache-2.0 */

/*
 * SigV4 against the examples of S3's documentation ("Signature Calculations for
 * the Authorization Header"), and requests with awkward keys.
 */
#define OPENSSL_API_COMPAT 10100 /* the midstates of SHA-256 */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "lib/test.h"
#include "s3/client.h"
#include "s3/request.h"
#include "s3/sign.h"

#define ACCESS "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define DATE   "20130524T000000Z"
#define HOST   "examplebucket.s3.amazonaws.com"

static void check_signature(const char *method, const char *path, const char *query,
			    const struct s3_pair *headers, unsigned n, const char *payload,
			    const char *names, const char *signature)
{
	struct s3_sign_input in = {
		.method = method,
		.path = path,
		.query = query,
		.headers = headers,
		.nheaders = n,
		.payload_hash = payload,
		.amz_date = DATE,
		.access_key = ACCESS,
		.region = "us-east-1",
		.service = "s3",
	};
	char want[512], got[512];
	struct s3_sign_key key;

	(void)snprintf(want, sizeof(want),
		       "AWS4-HMAC-SHA256 Credential=" ACCESS
		       "/20130524/us-east-1/s3/aws4_request,SignedHeaders=%s,Signature=%s",
		       names, signature);
	s3_sign_key_init(&key, SECRET, DATE, "us-east-1", "s3");
	check_int(s3_sign(&key, &in, got, sizeof(got)), ==, 0);
	check_str(got, want);
	check_int(s3_sign(&key, &in, got, 100), ==, -EMSGSIZE);
	check_int(s3_sign(&key, &in, got, strlen(want)), ==, -EMSGSIZE);
}

static void example_get_with_range(void)
{
	const struct s3_pair h[] = {{"host", HOST},
				    {"range", "bytes=0-9"},
				    {"x-amz-content-sha256", S3_EMPTY_SHA256},
				    {"x-amz-date", DATE}};

	check_signature("GET", "/test.txt", "", h, 4, S3_EMPTY_SHA256,
			"host;range;x-amz-content-sha256;x-amz-date",
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void example_put(void)
{
	char hash[65];

	s3_sha256_hex("Welcome to Amazon S3.", 21, hash);
	check_str(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");

	const struct s3_pair h[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
				    {"host", HOST},
				    {"x-amz-content-sha256", hash},
				    {"x-amz-date", DATE},
				    {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};

	check_signature("PUT", "/test%24file.text", "", h, 5, hash,
			"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static const struct s3_pair plain[] = {
	{"host", HOST}, {"x-amz-content-sha256", S3_EMPTY_SHA256}, {"x-amz-date", DATE}};

static void example_lifecycle(void)
{
	check_signature("GET", "/", "lifecycle=", plain, 3, S3_EMPTY_SHA256,
			"host;x-amz-content-sha256;x-amz-date",
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void example_list(void)
{
	check_signature("GET", "/", "max-keys=2&prefix=J", plain, 3, S3_EMPTY_SHA256,
			"host;x-amz-content-sha256;x-amz-date",
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* Blanks around and inside a value do not change the signature. */
static void values_are_trimmed(void)
{
	const struct s3_pair h[] = {{"host", "  " HOST " "},
				    {"range", "\tbytes=0-9  "},
				    {"x-amz-content-sha256", S3_EMPTY_SHA256},
				    {"x-amz-date", DATE}};

	check_signature("GET", "/test.txt", "", h, 4, S3_EMPTY_SHA256,
			"host;range;x-amz-content-sha256;x-amz-date",
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

/* `want` is the HMAC key of which k must hold the two midstates. */
static void check_key(const struct s3_sign_key *k, const unsigned char want[32])
{
	unsigned char inner[64] = {0}, outer[64] = {0};
	SHA256_CTX a, b;

	for (int i = 0; i < 64; i++) {
		inner[i] = (unsigned char)((i < 32 ? want[i] : 0) ^ 0x36);
		outer[i] = (unsigned char)((i < 32 ? want[i] : 0) ^ 0x5c);
	}
	(void)SHA256_Init(&a);
	(void)SHA256_Update(&a, inner, 64);
	(void)SHA256_Init(&b);
	(void)SHA256_Update(&b, outer, 64);
	check_mem(k->inner.h, a.h, sizeof(a.h));
	check_mem(k->outer.h, b.h, sizeof(b.h));
}

/* Secrets around the block size of HMAC, where they begin to be hashed: against OpenSSL's. */
static void long_secrets(void)
{
	static const char *const steps[] = {"20130524", "r", "s3", "aws4_request"};
	char secret[300], text[310];
	unsigned char want[32];
	struct s3_sign_key k;
	unsigned len;

	for (size_t n = 0; n < sizeof(secret); n += n < 56 || n > 70 ? 7 : 1) {
		memset(secret, 'k', n);
		secret[n] = '\0';
		(void)snprintf(text, sizeof(text), "AWS4%s", secret);
		(void)HMAC(EVP_sha256(), text, (int)strlen(text), (const unsigned char *)steps[0],
			   8, want, &len);
		for (int i = 1; i < 4; i++)
			(void)HMAC(EVP_sha256(), want, 32, (const unsigned char *)steps[i],
				   strlen(steps[i]), want, &len);
		s3_sign_key_init(&k, secret, DATE, "r", "s3");
		check_key(&k, want);
	}
}

static struct s3_client *client_new(const char *bucket, bool sign)
{
	const struct s3_config config = {.bucket = bucket,
					 .region = "us-east-1",
					 .endpoint_url = "http://127.0.0.1:9000",
					 .no_sign_request = !sign};
	struct s3_client *c = NULL;
	char why[256];

	(void)setenv("AWS_ACCESS_KEY_ID", ACCESS, 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	(void)setenv("AWS_SESSION_TOKEN", "TOKEN/+=", 1);
	if (s3_client_new(&config, why, sizeof(why), &c) < 0)
		printf("# %s\n", why);
	return c;
}

static void odd_keys(void)
{
	static const struct {
		const char *key, *path;
	} cases[] = {
		{"a b", "/bucket/a%20b"},
		{"a+b", "/bucket/a%2Bb"},
		{"100%", "/bucket/100%25"},
		{"a%20b", "/bucket/a%2520b"},
		{"\xc3\xa9\xe2\x82\xac", "/bucket/%C3%A9%E2%82%AC"},
		{"a//b", "/bucket/a//b"},
		{"dir/", "/bucket/dir/"},
		{"//", "/bucket///"},
		{"/lead", "/bucket//lead"},
		{".", "/bucket/."},
		{"../up", "/bucket/../up"},
		{"~-_.", "/bucket/~-_."},
		{"!*'();:@&=$,?#[]", "/bucket/%21%2A%27%28%29%3B%3A%40%26%3D%24%2C%3F%23%5B%5D"},
		{"\x01\x7f\xff", "/bucket/%01%7F%FF"},
		{"\\\"<>^`{|}", "/bucket/%5C%22%3C%3E%5E%60%7B%7C%7D"},
	};
	struct s3_client *c = client_new("bucket", true);
	struct s3_request r = S3_REQUEST_INIT;

	require(c);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		s3_request_start(&r, "GET", cases[i].key);
		check_int(s3_request_sign(&r, c), ==, 0);
		check_str(r.url.data + r.path_at, cases[i].path);
	}
	s3_request_fini(&r);
	s3_client_free(c);
}

static void query_is_sorted_and_encoded(void)
{
	struct s3_client *c = client_new("bucket", true);
	struct s3_request r = S3_REQUEST_INIT;

	require(c);
	s3_request_start(&r, "GET", NULL);
	s3_request_query(&r, "prefix", "a/b c+&=");
	s3_request_query(&r, "list-type", "2");
	s3_request_query(&r, "delimiter", "/");
	s3_request_query(&r, "start-after", NULL);
	s3_request_query(&r, "uploads", "");
	check_int(s3_request_sign(&r, c), ==, 0);
	check_str(r.url.data, "http://127.0.0.1:9000/bucket?delimiter=%2F&list-type=2&"
			      "prefix=a%2Fb%20c%2B%26%3D&uploads=");
	s3_request_fini(&r);
	s3_client_free(c);
}

/* What the signature covers: host, content-type, x-amz-*, nothing else. */
static void signed_headers(void)
{
	struct s3_client *c = client_new("bucket", true);
	struct s3_request r = S3_REQUEST_INIT;

	require(c);
	s3_request_start(&r, "PUT", "k");
	s3_request_header(&r, "range", "bytes=0-1");
	s3_request_header(&r, "if-match", "\"e\"");
	s3_request_header(&r, "content-type", "text/plain");
	s3_request_header(&r, "x-amz-storage-class", "STANDARD");
	s3_request_header(&r, "if-none-match", NULL);
	check_int(s3_request_sign(&r, c), ==, 0);
	check(strstr(r.authorization,
		     "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;"
		     "x-amz-security-token;x-amz-storage-class,") != NULL);
	check_int(s3_request_lines(&r), ==, 0);
	check(strstr(r.line[0], "authorization: AWS4-HMAC-SHA256 ") == r.line[0]);
	check_str(r.line[1], "content-type: text/plain");
	check_str(r.line[2], "if-match: \"e\"");
	check_str(r.line[3], "range: bytes=0-1");
	check_str(r.line[4], "x-amz-content-sha256: UNSIGNED-PAYLOAD");
	check_str(r.line[6], "x-amz-security-token: TOKEN/+=");
	check_str(r.line[7], "x-amz-storage-class: STANDARD");
	check(r.line[8] == NULL);
	s3_request_fini(&r);
	s3_client_free(c);
}

static void request_head_bytes(void)
{
	struct s3_client *c = client_new("bucket", false);
	struct s3_request r = S3_REQUEST_INIT;
	_cleanup_(buf_fini) struct buf out = BUF_INIT(4096);

	require(c);
	s3_request_start(&r, "GET", "a b");
	s3_request_header(&r, "range", "bytes=0-1");
	check_int(s3_request_sign(&r, c), ==, 0);
	check_int(s3_request_head(&r, "agent/1", &out), ==, 0);
	check_str(buf_str(&out), "GET /bucket/a%20b HTTP/1.1\r\nhost: 127.0.0.1:9000\r\n"
				 "user-agent: agent/1\r\nrange: bytes=0-1\r\n\r\n");
	check(r.creds == NULL);
	s3_request_fini(&r);
	s3_client_free(c);
}

static void header_injection_is_refused(void)
{
	struct s3_client *c = client_new("bucket", true);
	struct s3_request r = S3_REQUEST_INIT;

	require(c);
	s3_request_start(&r, "PUT", "k");
	s3_request_header(&r, "content-type", "text/plain\r\nx: y");
	check_int(s3_request_sign(&r, c), ==, -EINVAL);
	s3_request_fini(&r);
	s3_client_free(c);
}

/* The cache must follow date and credentials: two clients, two dates, same signatures. */
static void key_cache(void)
{
	struct s3_client *c = client_new("bucket", true);
	struct s3_sign_key a, b, fresh;
	struct s3_creds *creds;

	require(c);
	creds = s3_client_creds(c);
	s3_client_sign_key(c, creds, s3_client_target(c), "20130524T000000Z", &a);
	s3_client_sign_key(c, creds, s3_client_target(c), "20130525T000000Z", &b);
	s3_sign_key_init(&fresh, SECRET, "20130525", "us-east-1", "s3");
	check_mem(b.inner.h, fresh.inner.h, sizeof(fresh.inner.h));
	check(memcmp(a.inner.h, b.inner.h, sizeof(a.inner.h)) != 0);
	s3_client_sign_key(c, creds, s3_client_target(c), "20130525T000001Z", &a);
	check_mem(a.inner.h, b.inner.h, sizeof(a.inner.h));
	check_mem(a.outer.h, b.outer.h, sizeof(a.outer.h));
	s3_creds_unref(creds);
	s3_client_free(c);
}

/* --- SigV4A --- */

static EVP_PKEY *public_key(const unsigned char point[65])
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){"P-256"}, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, 65),
		OSSL_PARAM_construct_end()};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static bool verifies(EVP_PKEY *key, const char *text, const char *hex)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char der[80];
	size_t n = strlen(hex) / 2;
	bool good;

	for (size_t i = 0; i < n && i < sizeof(der); i++)
		(void)sscanf(hex + 2 * i, "%2hhx", &der[i]);
	good = EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
	       EVP_DigestVerify(md, der, n, (const unsigned char *)text, strlen(text)) == 1;
	EVP_MD_CTX_free(md);
	return good;
}

/* AWS's example of the derivation: the public key that belongs to these credentials. */
static void sigv4a(void)
{
	static const unsigned char point[65] = {
		0x04, 0x15, 0xd2, 0x42, 0xce, 0xeb, 0xf8, 0xd8, 0x16, 0x9f, 0xd6, 0xa8, 0xb5,
		0xa7, 0x46, 0xc4, 0x11, 0x40, 0x41, 0x4c, 0x3b, 0x07, 0x57, 0x90, 0x38, 0xda,
		0x06, 0xaf, 0x89, 0x19, 0x0f, 0xff, 0xcb, 0x05, 0x15, 0x24, 0x2c, 0xed, 0xd8,
		0x2e, 0x94, 0x79, 0x94, 0x82, 0xe4, 0xc0, 0x51, 0x4b, 0x50, 0x5a, 0xfc, 0xcf,
		0x2c, 0x0c, 0x98, 0xd6, 0xa5, 0x53, 0xbf, 0x53, 0x9f, 0x42, 0x4c, 0x5e, 0xc0};
	const struct s3_pair h[] = {
		{"host", HOST}, {"x-amz-date", DATE}, {"x-amz-region-set", "*"}};
	const struct s3_sign_input in = {.method = "GET",
					 .path = "/k",
					 .query = "",
					 .headers = h,
					 .nheaders = 3,
					 .payload_hash = S3_EMPTY_SHA256,
					 .amz_date = DATE,
					 .access_key = "AKISORANDOMAASORANDOM",
					 .region = "*",
					 .service = "s3"};
	static const char head[] =
		"AWS4-ECDSA-P256-SHA256 Credential=AKISORANDOMAASORANDOM/20130524/s3/aws4_request,"
		"SignedHeaders=host;x-amz-date;x-amz-region-set,Signature=";
	char got[512], hash[65], text[512];
	EVP_PKEY *key = NULL, *public = public_key(point);

	require(public);
	require(s3_sign4a_key_new("AKISORANDOMAASORANDOM",
				  "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom", &key) == 0);
	require(s3_sign4a(key, &in, got, sizeof(got)) == 0);
	check_mem(got, head, sizeof(head) - 1);
	s3_sign_canonical_hash(&in, hash);
	(void)snprintf(text, sizeof(text),
		       "AWS4-ECDSA-P256-SHA256\n" DATE "\n20130524/s3/aws4_request\n%s", hash);
	check(verifies(public, text, got + sizeof(head) - 1));
	text[0] = 'B';
	check(!verifies(public, text, got + sizeof(head) - 1));
	check_int(s3_sign4a(key, &in, got, sizeof(head)), ==, -EMSGSIZE);
	EVP_PKEY_free(key);
	EVP_PKEY_free(public);
}

static void multi_region_request(void)
{
	const struct s3_config config = {
		.bucket = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
		.region = "us-west-2"};
	struct s3_request r = S3_REQUEST_INIT;
	struct s3_client *c;
	char why[256];
	bool set = false;

	(void)setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
	require(s3_client_new(&config, why, sizeof(why), &c) == 0);
	for (int i = 0; i < 2; i++) { /* the second time with the cached key */
		s3_request_start(&r, "GET", "a b");
		require(s3_request_sign(&r, c) == 0);
		check_str(r.url.data,
			  "https://mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com/a%20b");
		check(strstr(r.authorization, "AWS4-ECDSA-P256-SHA256 Credential=AK/") != NULL);
		check(strstr(r.authorization, ";x-amz-region-set") != NULL);
		check(strstr(r.authorization, ",Signature=30") != NULL);
		for (unsigned k = 0; k < r.nsent; k++)
			set |= strcmp(r.sent[k].name, "x-amz-region-set") == 0 &&
			       strcmp(r.sent[k].value, "*") == 0;
		check(set);
	}
	s3_request_fini(&r);
	s3_client_free(c);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(example_get_with_range),
		TEST(example_put),
		TEST(example_lifecycle),
		TEST(example_list),
		TEST(values_are_trimmed),
		TEST(long_secrets),
		TEST(odd_keys),
		TEST(query_is_sorted_and_encoded),
		TEST(signed_headers),
		TEST(request_head_bytes),
		TEST(header_injection_is_refused),
		TEST(key_cache),
		TEST(sigv4a),
		TEST(multi_region_request),
		{0},
	});
}
