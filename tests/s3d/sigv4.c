/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Check of the request signature: see sigv4.h. The canonical request is built
 * anew from what arrived (path and query decoded, then encoded the one S3 way),
 * so a client that encodes differently from what it signs is caught.
 */

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "directory.h"
#include "req.h"
#include "sigv4.h"

#define SKEW_MAX 900 /* seconds */

struct auth {
	char *access_key, *date, *region, *service, *end;
	char *signed_headers, *signature;
	const char *amz_date, *payload;
	bool express, in_session;
	struct session session;
};

static const char *last_seen(const char *s, const char *name)
{
	const char *p = strstr(s, name);

	return p ? p + strlen(name) : NULL;
}

static char *field(struct req *r, const char *header, const char *name)
{
	const char *p = last_seen(header, name);

	return p ? req_printf(r, "%.*s", (int)strcspn(p, ", "), p) : NULL;
}

/* Cut at the next slash; NULL if there is none. */
static char *cut(char **s)
{
	char *start = *s, *slash = start ? strchr(start, '/') : NULL;

	if (!slash)
		return NULL;
	*slash = '\0';
	*s = slash + 1;
	return start;
}

static bool parse(struct req *r, const char *header, struct auth *a)
{
	char *cred;

	if (strncmp(header, "AWS4-HMAC-SHA256", 16) != 0) {
		req_fail_because(r, ERR_InvalidArgument, "Unsupported Authorization Type");
		return false;
	}
	cred = field(r, header, "Credential=");
	a->signed_headers = field(r, header, "SignedHeaders=");
	a->signature = field(r, header, "Signature=");
	a->access_key = cut(&cred);
	a->date = cut(&cred);
	a->region = cut(&cred);
	a->service = cut(&cred);
	a->end = cred;
	if (a->service && a->signed_headers && a->signature &&
	    strcmp(a->service, a->express ? "s3express" : "s3") == 0 &&
	    strcmp(a->end, "aws4_request") == 0 && strlen(a->date) == 8)
		return true;
	req_fail(r, ERR_AuthorizationHeaderMalformed);
	return false;
}

static void check_region(struct req *r, const struct auth *a)
{
	const char *region = r->srv->opt.region;

	if (strcmp(a->region, region) == 0)
		return;
	req_fail_because(r, ERR_AuthorizationHeaderMalformed,
			 req_printf(r,
				    "The authorization header is malformed; the region '%s' is "
				    "wrong; expecting '%s'",
				    a->region, region));
	r->err_extra = req_printf(r, "<Region>%s</Region>", region);
	reply_header(r, "x-amz-bucket-region", region);
}

static void check_time(struct req *r, struct auth *a)
{
	time_t t, now = (time_t)(clock_real_ns() / 1000000000u);

	a->amz_date = req_header(r, "x-amz-date");
	if (!a->amz_date || text_parse_amz_date(a->amz_date, &t) < 0)
		req_fail_because(r, ERR_AccessDenied, "A valid x-amz-date header is required");
	else if (t > now + SKEW_MAX || t < now - SKEW_MAX)
		req_fail(r, ERR_RequestTimeTooSkewed);
	else if (strncmp(a->amz_date, a->date, 8) != 0)
		req_fail(r, ERR_SignatureDoesNotMatch);
}

/* Is the lower-case name in the list "a;b;c"? */
static bool listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; *p;) {
		size_t len = strcspn(p, ";");

		if (len == n && strncasecmp(p, name, n) == 0)
			return true;
		p += len + (p[len] == ';');
	}
	return false;
}

static void check_headers(struct req *r, const struct auth *a)
{
	if (!listed(a->signed_headers, "host"))
		req_fail_because(r, ERR_AccessDenied, "The Host header must be signed");
	for (unsigned i = 0; i < r->nheaders; i++) {
		const char *name = r->headers[i].name;

		if (strncasecmp(name, "x-amz-", 6) != 0 || listed(a->signed_headers, name))
			continue;
		req_fail_because(r, ERR_AccessDenied,
				 "There were headers present in the request which were not signed");
		r->err_extra = req_printf(r, "<HeadersNotSigned>%s</HeadersNotSigned>", name);
	}
}

static void check_strictness(struct req *r, const struct auth *a)
{
	if (!server_quirk(r->srv, QUIRK_STRICT_SIGNED_HEADERS))
		return;
	for (const char *p = a->signed_headers; *p;) {
		size_t n = strcspn(p, ";");
		char *name = req_printf(r, "%.*s", (int)n, p);

		if (strncmp(name, "x-amz-", 6) != 0 &&
		    !listed("host;content-type;content-md5", name))
			req_fail_because(r, ERR_InvalidRequest,
					 req_printf(r, "Header %s must not be signed", name));
		p += n + (p[n] == ';');
	}
}

static int compare_params(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->value, y->value);
}

static void add_query(struct req *r, struct buf *out)
{
	struct pair sorted[REQ_PARAMS_MAX];

	for (unsigned i = 0; i < r->nparams; i++) {
		struct buf name = {0}, value = {0};

		buf_uri(&name, r->params[i].name, false, false);
		buf_uri(&value, r->params[i].value, false, false);
		sorted[i].name = req_strdup(r, name.data ? name.data : "");
		sorted[i].value = req_strdup(r, value.data ? value.data : "");
		buf_fini(&name);
		buf_fini(&value);
	}
	qsort(sorted, r->nparams, sizeof(sorted[0]), compare_params);
	for (unsigned i = 0; i < r->nparams; i++)
		buf_printf(out, "%s%s=%s", i ? "&" : "", sorted[i].name, sorted[i].value);
	buf_char(out, '\n');
}

/* Value with runs of spaces made one. */
static void add_trimmed(struct buf *out, const char *s)
{
	size_t n;

	s += strspn(s, " \t");
	for (n = strlen(s); n && (s[n - 1] == ' ' || s[n - 1] == '\t'); n--)
		;
	for (size_t i = 0; i < n; i++)
		if (s[i] != ' ' || s[i + 1] != ' ')
			buf_char(out, s[i]);
}

static void add_header(struct req *r, const char *name, struct buf *out)
{
	bool first = true;

	buf_printf(out, "%s:", name);
	for (unsigned i = 0; i < r->nheaders; i++) {
		if (strcasecmp(r->headers[i].name, name) != 0)
			continue;
		if (!first)
			buf_char(out, ',');
		first = false;
		add_trimmed(out, r->headers[i].value);
	}
	if (strcmp(name, "accept-encoding") == 0 &&
	    server_quirk(r->srv, QUIRK_REWRITE_ACCEPT_ENCODING))
		buf_str(out, ",gzip(proxy)");
	buf_char(out, '\n');
}

static void canonical_request(struct req *r, const struct auth *a, struct buf *out)
{
	buf_printf(out, "%s\n", r->method);
	buf_uri(out, r->path, true, false);
	buf_char(out, '\n');
	add_query(r, out);
	for (const char *p = a->signed_headers; *p;) {
		size_t n = strcspn(p, ";");

		add_header(r, req_printf(r, "%.*s", (int)n, p), out);
		p += n + (p[n] == ';');
	}
	buf_printf(out, "\n%s\n%s", a->signed_headers, a->payload);
}

void sigv4_set_credentials(struct server *s, const struct credentials *c)
{
	WITH_LOCK(&s->key_lock);

	s->cred = *c;
	s->signing_key.date[0] = '\0';
}

static void derive_key(const struct server *s, const char *key, const char *date,
		       const char *service, uint8_t out[32])
{
	char secret[CREDENTIAL_MAX + 4];
	uint8_t k[32];

	(void)snprintf(secret, sizeof(secret), "AWS4%s", key);
	hash_hmac256(secret, strlen(secret), date, 8, k);
	hash_hmac256(k, 32, s->opt.region, strlen(s->opt.region), k);
	hash_hmac256(k, 32, service, strlen(service), k);
	hash_hmac256(k, 32, "aws4_request", 12, out);
	OPENSSL_cleanse(secret, sizeof(secret));
}

/* The usual key of a day is derived once. */
static void signing_key(struct server *s, const struct auth *a, uint8_t out[32])
{
	WITH_LOCK(&s->key_lock);

	if (a->express) {
		derive_key(s, a->in_session ? a->session.secret : s->cred.secret, a->date,
			   "s3express", out);
		return;
	}
	if (strcmp(s->signing_key.date, a->date) != 0) {
		derive_key(s, s->cred.secret, a->date, "s3", s->signing_key.key);
		memcpy(s->signing_key.date, a->date, 9);
	}
	memcpy(out, s->signing_key.key, 32);
}

static void check_signature(struct req *r, const struct auth *a)
{
	struct signature *sig = req_alloc(r, sizeof(*sig));
	struct buf canon = {0};
	char hex[65], *text;
	uint8_t d[32];

	canonical_request(r, a, &canon);
	hash_once(HASH_SHA256, canon.data, canon.len, d);
	text_hex(d, sizeof(d), hex);
	(void)snprintf(sig->date, sizeof(sig->date), "%s", a->amz_date);
	(void)snprintf(sig->scope, sizeof(sig->scope), "%s/%s/%s/aws4_request", a->date,
		       r->srv->opt.region, a->service);
	text = req_printf(r, "AWS4-HMAC-SHA256\n%s\n%s\n%s", sig->date, sig->scope, hex);
	signing_key(r->srv, a, sig->key);
	hash_hmac256(sig->key, sizeof(sig->key), text, strlen(text), d);
	text_hex(d, sizeof(d), sig->text);
	if (strlen(a->signature) == 64 && CRYPTO_memcmp(sig->text, a->signature, 64) == 0) {
		r->body.signature = sig;
	} else {
		struct buf x = {0};

		buf_elem(&x, "StringToSign", text);
		buf_elem(&x, "CanonicalRequest", canon.failed ? "" : canon.data);
		r->err_extra = req_strdup(r, x.failed ? "" : x.data);
		buf_fini(&x);
		req_fail(r, ERR_SignatureDoesNotMatch);
	}
	buf_fini(&canon);
}

static void check_identity(struct req *r, const struct auth *a)
{
	const char *token = req_header(r, "x-amz-security-token");
	const struct credentials *c = &r->srv->cred;
	WITH_LOCK(&r->srv->key_lock);

	if (strcmp(a->access_key, c->access) != 0)
		req_fail(r, ERR_InvalidAccessKeyId);
	else if (c->token[0] && (!token || strcmp(token, c->token) != 0))
		req_fail(r, ERR_InvalidToken);
	else if (c->expired)
		req_fail(r, ERR_ExpiredToken);
}

/* What the session's credentials must be good for. */
static void check_session(struct req *r, struct auth *a)
{
	const char *token = req_header(r, "x-amz-s3session-token");
	const struct session *x = &a->session;

	if (!token)
		req_fail_because(r, ERR_AccessDenied, "Directory buckets need a session");
	else if (!session_find(r->srv, a->access_key, &a->session))
		req_fail(r, ERR_InvalidToken);
	else if (strcmp(token, x->token) != 0 || strcmp(r->bucket_name, x->bucket) != 0)
		req_fail(r, ERR_InvalidToken);
	else if (clock_real_ns() >= x->expires_ns)
		req_fail(r, ERR_ExpiredToken);
	else if (x->read_only && strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0)
		req_fail(r, ERR_AccessDenied);
}

/* These come before there is a session. */
static bool without_session(enum op op)
{
	return op == OP_CreateSession || op == OP_CreateBucket || op == OP_DeleteBucket;
}

void sigv4_check(struct req *r)
{
	const char *header = req_header(r, "authorization");
	struct auth a = {.express = directory_name(r->bucket_name)};

	if (r->srv->opt.anonymous)
		return;
	if (!header) {
		req_fail(r, ERR_AccessDenied);
		return;
	}
	if (!parse(r, header, &a))
		return;
	a.in_session = a.express && !without_session(r->op);
	if (a.in_session)
		check_session(r, &a);
	else
		check_identity(r, &a);
	check_region(r, &a);
	check_time(r, &a);
	a.payload = req_header(r, "x-amz-content-sha256");
	if (!a.payload)
		req_fail_because(r, ERR_InvalidRequest,
				 "Missing required header for this request: x-amz-content-sha256");
	check_headers(r, &a);
	check_strictness(r, &a);
	if (r->err == ERR_NONE)
		check_signature(r, &a);
}
