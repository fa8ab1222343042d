/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS signature version 4 for the raw engine: body not hashed, headers host,
 * x-amz-content-sha256, x-amz-date and, with temporary keys, the token. The
 * key of the day is kept; the engine has one thread, so a static will do.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "raw.h"

enum { MAC_SIZE = 32, TEXT_MAX = RAW_TARGET_MAX + 4096 };

static const char *const payload = "UNSIGNED-PAYLOAD";

int uri_encode(const char *text, char *out, size_t room)
{
	static const char keep[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789-._~";
	size_t n = 0;

	for (; *text; text++) {
		if (n + 4 > room)
			return -ENOSPC;
		if (strchr(keep, *text))
			out[n++] = *text;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", (unsigned char)*text);
	}
	out[n] = '\0';
	return (int)n;
}

static void to_hex(const unsigned char *in, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", in[i]);
}

static void mac(const unsigned char *key, size_t key_len, const char *text, unsigned char *out)
{
	unsigned int len = MAC_SIZE;

	(void)HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), out,
		   &len);
}

static void day_key(const struct raw_config *c, const char *day, unsigned char *out)
{
	static unsigned char cached[MAC_SIZE];
	static char cached_day[16];
	unsigned char a[MAC_SIZE], b[MAC_SIZE];
	char first[256];
	int n;

	if (strcmp(day, cached_day) != 0) {
		n = snprintf(first, sizeof(first), "AWS4%s", c->secret_key);
		mac((unsigned char *)first, (size_t)n, day, a);
		mac(a, MAC_SIZE, c->region, b);
		mac(b, MAC_SIZE, "s3", a);
		mac(a, MAC_SIZE, "aws4_request", cached);
		(void)snprintf(cached_day, sizeof(cached_day), "%s", day);
	}
	memcpy(out, cached, MAC_SIZE);
}

/* "partNumber=1&uploads" needs a '=' behind the bare name. */
static void canonical_query(const char *query, char *out, size_t room)
{
	bool bare = *query && !strchr(query, '=');

	(void)snprintf(out, room, "%s%s", query, bare ? "=" : "");
}

static int canonical_hash(const struct raw_config *c, const struct raw_request *req,
			  const char *date, char *ret_hex)
{
	static char text[TEXT_MAX], query[RAW_TARGET_MAX + 1];
	const char *mark = strchrnul(req->target, '?');
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	int n;

	canonical_query(*mark ? mark + 1 : "", query, sizeof(query));
	n = snprintf(text, sizeof(text),
		     "%s\n%.*s\n%s\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n%s%s%s\n"
		     "host;x-amz-content-sha256;x-amz-date%s\n%s",
		     req->method, (int)(mark - req->target), req->target, query, c->host, payload,
		     date, c->session_token ? "x-amz-security-token:" : "",
		     c->session_token ? c->session_token : "", c->session_token ? "\n" : "",
		     c->session_token ? ";x-amz-security-token" : "", payload);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -E2BIG;
	if (EVP_Digest(text, (size_t)n, hash, &len, EVP_sha256(), NULL) != 1)
		return -EIO;
	to_hex(hash, len, ret_hex);
	return 0;
}

int sigv4_headers(const struct raw_config *c, const struct raw_request *req, char *out, size_t room)
{
	char date[32], day[16], hash[2 * MAC_SIZE + 1], text[512], signature[2 * MAC_SIZE + 1];
	unsigned char key[MAC_SIZE], sum[MAC_SIZE];
	time_t now = time(NULL);
	struct tm tm;
	int r, n;

	(void)gmtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
	(void)strftime(day, sizeof(day), "%Y%m%d", &tm);
	r = canonical_hash(c, req, date, hash);
	if (r < 0)
		return r;
	n = snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", date,
		     day, c->region, hash);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -E2BIG;
	day_key(c, day, key);
	mac(key, MAC_SIZE, text, sum);
	to_hex(sum, MAC_SIZE, signature);
	n = snprintf(out, room,
		     "x-amz-content-sha256: %s\r\nx-amz-date: %s\r\n%s%s%s"
		     "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/%s/s3/aws4_request, "
		     "SignedHeaders=host;x-amz-content-sha256;x-amz-date%s, Signature=%s\r\n",
		     payload, date, c->session_token ? "x-amz-security-token: " : "",
		     c->session_token ? c->session_token : "", c->session_token ? "\r\n" : "",
		     c->access_key, day, c->region, c->session_token ? ";x-amz-security-token" : "",
		     signature);
	return n < 0 || (size_t)n >= room ? -E2BIG : n;
}
