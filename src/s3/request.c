/* SPDX-License-Identifier: Apache-2.0 */

/*
 * From method, key, query and headers to what goes over the wire. The path is
 * encoded once and the query is sorted before it is sent, so that the canonical
 * request of the signature is what the server sees, byte for byte.
 *
 * Only host, content-type and x-amz-* are signed: those that a proxy has no
 * business to touch.
 */
#include "s3/request.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/date.h"
#include "base/uri.h"
#include "s3/client.h"
#include "s3/session.h"

#define OWN_HEADERS 8 /* host, authorization, x-amz-...: what _sign may add */

void s3_request_start(struct s3_request *r, const char *method, const char *key)
{
	s3_creds_unref(r->creds);
	r->creds = NULL;
	r->target = NULL;
	r->method = method;
	r->key = key;
	r->payload_hash = NULL;
	r->own_creds = false;
	r->nheader = r->nquery = r->nsent = 0;
	buf_reset(&r->url);
	buf_reset(&r->text);
}

void s3_request_fini(struct s3_request *r)
{
	s3_creds_unref(r->creds);
	r->creds = NULL;
	buf_fini(&r->url);
	buf_fini(&r->text);
}

void s3_request_header(struct s3_request *r, const char *name, const char *value)
{
	if (!value)
		return;
	assert(r->nheader < S3_REQUEST_HEADERS - OWN_HEADERS);
	r->header[r->nheader++] = (struct s3_pair){name, value};
}

/* Kept sorted by name; our names need no encoding. */
void s3_request_query(struct s3_request *r, const char *name, const char *value)
{
	unsigned i = r->nquery;

	if (!value)
		return;
	assert(r->nquery < S3_REQUEST_QUERY);
	for (; i > 0 && strcmp(r->query[i - 1].name, name) > 0; i--)
		r->query[i] = r->query[i - 1];
	r->query[i] = (struct s3_pair){name, value};
	r->nquery++;
}

static void sent_add(struct s3_request *r, const char *name, const char *value)
{
	unsigned i = r->nsent;

	assert(r->nsent < S3_REQUEST_HEADERS);
	for (; i > 0 && strcmp(r->sent[i - 1].name, name) > 0; i--)
		r->sent[i] = r->sent[i - 1];
	r->sent[i] = (struct s3_pair){name, value};
	r->nsent++;
}

/* Returns where the query begins in the URL (after '?'), 0 when there is none. */
static size_t build_url(struct s3_request *r)
{
	const struct s3_endpoint *e = &r->target->endpoint;
	size_t query_at = 0;

	buf_reset(&r->url);
	buf_puts(&r->url, e->origin);
	r->path_at = r->url.len;
	buf_puts(&r->url, e->base);
	if (r->key || e->base[0] == '\0')
		buf_putc(&r->url, '/');
	if (r->key)
		uri_encode(&r->url, r->key, strlen(r->key), URI_KEEP_SLASH);
	for (unsigned i = 0; i < r->nquery; i++) {
		buf_putc(&r->url, i ? '&' : '?');
		if (i == 0)
			query_at = r->url.len;
		buf_puts(&r->url, r->query[i].name);
		buf_putc(&r->url, '=');
		uri_encode(&r->url, r->query[i].value, strlen(r->query[i].value), URI_ENCODE_SLASH);
	}
	return query_at;
}

static bool is_signed(const char *name)
{
	return strncmp(name, "x-amz-", 6) == 0 || strcmp(name, "host") == 0 ||
	       strcmp(name, "content-type") == 0;
}

static bool value_clean(const char *s)
{
	for (; *s; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

static int sign(const struct s3_request *r, struct s3_client *c, const struct s3_sign_input *in,
		char *ret, size_t len)
{
	struct s3_sign_key key;
	EVP_PKEY *key4a;
	int x;

	if (!r->target->endpoint.all_regions) {
		s3_client_sign_key(c, r->creds, r->target, r->amz_date, &key);
		return s3_sign(&key, in, ret, len);
	}
	x = s3_client_sign4a_key(c, r->creds, &key4a);
	if (x < 0)
		return x;
	x = s3_sign4a(key4a, in, ret, len);
	EVP_PKEY_free(key4a);
	return x;
}

static int authorize(struct s3_request *r, struct s3_client *c, size_t query_at)
{
	struct s3_pair list[S3_REQUEST_HEADERS];
	struct s3_sign_input in = {
		.method = r->method,
		.path = r->url.data + r->path_at,
		.query = query_at ? r->url.data + query_at : "",
		.headers = list,
		.payload_hash = r->payload_hash ? r->payload_hash : S3_UNSIGNED_PAYLOAD,
		.amz_date = r->amz_date,
		.access_key = r->creds->access_key,
		.region = r->target->region,
		.service = r->target->endpoint.service,
	};
	int x;

	for (unsigned i = 0; i < r->nsent; i++)
		if (is_signed(r->sent[i].name))
			list[in.nheaders++] = r->sent[i];
	if (query_at)
		r->url.data[query_at - 1] = '\0'; /* path and query as two strings */
	x = sign(r, c, &in, r->authorization, sizeof(r->authorization));
	if (query_at)
		r->url.data[query_at - 1] = '?';
	return x;
}

int s3_request_sign(struct s3_request *r, struct s3_client *c)
{
	size_t query_at;
	int x;

	s3_creds_unref(r->creds);
	r->creds = NULL;
	r->target = s3_client_target(c);
	r->nsent = 0;
	if (c->express && !r->own_creds) {
		r->creds = s3_session_creds(c);
		if (!r->creds)
			return -EAGAIN;
	} else {
		r->creds = s3_client_creds(c);
	}
	for (unsigned i = 0; i < r->nheader; i++)
		sent_add(r, r->header[i].name, r->header[i].value);
	sent_add(r, "host", r->target->endpoint.authority);
	if (c->requester_pays)
		sent_add(r, "x-amz-request-payer", "requester");
	if (c->expected_owner)
		sent_add(r, "x-amz-expected-bucket-owner", c->expected_owner);
	query_at = build_url(r);
	if (buf_error(&r->url) < 0)
		return buf_error(&r->url);
	if (r->creds) {
		date_format_amz(s3_client_time(c), r->amz_date);
		sent_add(r, "x-amz-date", r->amz_date);
		sent_add(r, "x-amz-content-sha256",
			 r->payload_hash ? r->payload_hash : S3_UNSIGNED_PAYLOAD);
		if (r->creds->token)
			sent_add(r,
				 r->creds->session ? "x-amz-s3session-token"
						   : "x-amz-security-token",
				 r->creds->token);
		if (r->target->endpoint.all_regions)
			sent_add(r, "x-amz-region-set", r->target->region);
		x = authorize(r, c, query_at);
		if (x < 0)
			return x;
		sent_add(r, "authorization", r->authorization);
	}
	for (unsigned i = 0; i < r->nsent; i++)
		if (!value_clean(r->sent[i].value))
			return -EINVAL;
	return 0;
}

int s3_request_lines(struct s3_request *r)
{
	size_t at[S3_REQUEST_HEADERS];
	unsigned n = 0;

	buf_reset(&r->text);
	for (unsigned i = 0; i < r->nsent; i++) {
		if (strcmp(r->sent[i].name, "host") == 0)
			continue;
		at[n++] = r->text.len;
		buf_puts(&r->text, r->sent[i].name);
		buf_puts(&r->text, ": ");
		buf_puts(&r->text, r->sent[i].value);
		buf_putc(&r->text, '\0');
	}
	if (buf_error(&r->text) < 0)
		return buf_error(&r->text);
	for (unsigned i = 0; i < n; i++)
		r->line[i] = r->text.data + at[i];
	r->line[n] = NULL;
	return 0;
}

int s3_request_head(const struct s3_request *r, const char *user_agent, struct buf *out)
{
	buf_puts(out, r->method);
	buf_putc(out, ' ');
	buf_puts(out, r->url.data + r->path_at);
	buf_puts(out, " HTTP/1.1\r\nhost: ");
	buf_puts(out, r->target->endpoint.authority);
	buf_puts(out, "\r\n");
	if (user_agent) {
		buf_puts(out, "user-agent: ");
		buf_puts(out, user_agent);
		buf_puts(out, "\r\n");
	}
	for (unsigned i = 0; i < r->nsent; i++) {
		if (strcmp(r->sent[i].name, "host") == 0)
			continue;
		buf_puts(out, r->sent[i].name);
		buf_puts(out, ": ");
		buf_puts(out, r->sent[i].value);
		buf_puts(out, "\r\n");
	}
	buf_puts(out, "\r\n");
	return buf_error(out);
}
