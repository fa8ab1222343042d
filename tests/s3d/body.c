/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The incoming body of a request: see body.h. Once the request has an error
 * the rest of its body is read and dropped, so that the answer gets through.
 */

#include <errno.h>
#include <microhttpd.h>
#include <string.h>

#include "req.h"

#define PUT_MAX ((uint64_t)5 << 30)

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static void begin_chunked(struct req *r, const char *payload)
{
	struct body *b = &r->body;
	bool is_signed = starts(payload, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
	bool trailer = strstr(payload, "-TRAILER") != NULL;

	if (!is_signed && strcmp(payload, "STREAMING-UNSIGNED-PAYLOAD-TRAILER") != 0) {
		req_fail(r, ERR_InvalidRequest);
		return;
	}
	if (server_quirk(r->srv, QUIRK_NO_AWS_CHUNKED)) {
		req_fail(r, ERR_NotImplemented);
		return;
	}
	/* An anonymous server did not look at the signature. */
	if (chunked_new(is_signed ? b->signature : NULL, trailer, &b->chunked) < 0)
		req_fail(r, ERR_InternalError);
}

static void begin_payload_hash(struct req *r)
{
	const char *payload = req_header(r, "x-amz-content-sha256");
	struct body *b = &r->body;

	if (!payload || strcmp(payload, "UNSIGNED-PAYLOAD") == 0)
		return;
	if (starts(payload, "STREAMING-"))
		begin_chunked(r, payload);
	else if (text_unhex(payload, sizeof(b->want_sha), b->want_sha) < 0)
		req_fail_because(r, ERR_InvalidArgument, "x-amz-content-sha256 is not valid");
	else
		b->has_sha = true;
}

static void begin_md5(struct req *r)
{
	const char *md5 = req_header(r, "content-md5");

	if (!md5)
		return;
	if (text_unbase64(md5, sizeof(r->body.want_md5), r->body.want_md5) < 0)
		req_fail(r, ERR_InvalidDigest);
	r->body.has_md5 = true;
}

/* A checksum of the body in the head, or the promise of one in the trailer. */
static void begin_checksum(struct req *r)
{
	const char *trailer = req_header(r, "x-amz-trailer");
	struct body *b = &r->body;

	for (unsigned i = 0; i < r->nheaders; i++) {
		const struct pair *h = &r->headers[i];
		enum checksum_kind k;

		if (strncasecmp(h->name, "x-amz-checksum-", 15) != 0)
			continue;
		if (server_quirk(r->srv, QUIRK_UNKNOWN_CHECKSUM)) {
			req_fail(r, ERR_NotImplemented);
			return;
		}
		k = checksum_by_name(h->name + 15);
		if (k == CHECKSUM_NONE || r->op == OP_CompleteMultipartUpload)
			continue;
		if (b->want_sum.kind != CHECKSUM_NONE) {
			req_fail_because(r, ERR_InvalidRequest,
					 "Expecting a single x-amz-checksum- header.");
			return;
		}
		b->want_sum.kind = k;
		if (text_unbase64(h->value, checksum_size(k), b->want_sum.raw) < 0)
			req_fail_because(
				r, ERR_InvalidRequest,
				req_printf(r, "Value for x-amz-checksum-%s header is invalid.",
					   checksum_lower(k)));
	}
	if (summer_init(&b->sum, b->want_sum.kind) < 0)
		req_fail(r, ERR_InternalError);
	if (trailer && b->chunked && strncasecmp(trailer, "x-amz-checksum-", 15) == 0) {
		summer_fini(&b->sum);
		if (summer_init(&b->sum, checksum_by_name(trailer + 15)) < 0)
			req_fail(r, ERR_InternalError);
	}
}

void body_begin(struct req *r)
{
	r->body.kind = op_body(r->op);
	r->body.expected = UINT64_MAX;
	r->body.xml.max = r->op == OP_Admin ? BUF_MAX : BODY_XML_MAX;
	r->body.fast_etag = r->srv->opt.fast_etag;
	begin_payload_hash(r);
	begin_md5(r);
	begin_checksum(r);
}

bool body_length(struct req *r, uint64_t *ret)
{
	const char *text =
		req_header(r, r->body.chunked ? "x-amz-decoded-content-length" : "content-length");

	if (!text || text_u64(text, ret) < 0)
		req_fail(r, ERR_MissingContentLength);
	else if (*ret > PUT_MAX)
		req_fail(r, ERR_EntityTooLarge);
	return r->err == ERR_NONE;
}

void body_open_data(struct req *r, struct blob *blob, enum checksum_kind kind)
{
	struct body *b = &r->body;

	b->blob = blob;
	b->expected = blob->len;
	if (b->sum.kind == CHECKSUM_NONE && summer_init(&b->sum, kind) < 0)
		req_fail(r, ERR_InternalError);
	if ((!b->fast_etag || b->has_md5) && hash_init(&b->md5, HASH_MD5) < 0)
		req_fail(r, ERR_InternalError);
	if (b->has_sha && hash_init(&b->sha, HASH_SHA256) < 0)
		req_fail(r, ERR_InternalError);
}

/* Hashes of a body that is not data start with its first byte. */
static void start_hashes(struct req *r)
{
	struct body *b = &r->body;

	if (b->has_md5 && !b->md5.ctx && hash_init(&b->md5, HASH_MD5) < 0)
		req_fail(r, ERR_InternalError);
	if (b->has_sha && !b->sha.ctx && hash_init(&b->sha, HASH_SHA256) < 0)
		req_fail(r, ERR_InternalError);
}

static void keep(struct req *r, const char *data, size_t len)
{
	struct body *b = &r->body;
	int e;

	if (b->kind == BODY_XML) {
		buf_add(&b->xml, data, len);
		if (b->xml.failed)
			req_fail(r, ERR_MalformedXML);
	} else if (b->blob) {
		e = blob_write(b->blob, b->received, data, len);
		if (e == -EFBIG)
			req_fail(r, ERR_IncompleteBody);
		else if (e < 0)
			req_fail_errno(r, e);
	}
	b->received += len;
}

/* A piece of decoded data. */
static void on_data(void *arg, const char *data, size_t len)
{
	struct req *r = arg;
	struct body *b = &r->body;

	if (r->err != ERR_NONE)
		return;
	if (b->received == 0)
		start_hashes(r);
	if (b->md5.ctx)
		hash_add(&b->md5, data, len);
	if (b->sha.ctx)
		hash_add(&b->sha, data, len);
	if (b->fast_etag && b->kind == BODY_DATA)
		b->etag_crc = crc_add(CRC_32C, b->etag_crc, data, len);
	summer_add(&b->sum, data, len);
	keep(r, data, len);
}

void body_add(struct req *r, const char *data, size_t len)
{
	struct body *b = &r->body;
	int e;

	b->wire += len;
	if (r->err != ERR_NONE)
		return;
	if (!b->chunked) {
		on_data(r, data, len);
		return;
	}
	e = chunked_feed(b->chunked, data, len, on_data, r);
	if (e == -EKEYREJECTED)
		req_fail(r, ERR_SignatureDoesNotMatch);
	else if (e < 0)
		req_fail_because(r, ERR_InvalidRequest, "The chunked encoding is broken.");
}

static void end_trailers(struct req *r)
{
	struct body *b = &r->body;

	if (!chunked_complete(b->chunked)) {
		req_fail(r, ERR_IncompleteBody);
		return;
	}
	for (unsigned i = 0; i < b->chunked->ntrailers; i++) {
		const char *name = b->chunked->trailers[i].name;
		enum checksum_kind k = CHECKSUM_NONE;

		if (strncasecmp(name, "x-amz-checksum-", 15) == 0)
			k = checksum_by_name(name + 15);
		if (k == CHECKSUM_NONE || k != b->sum.kind)
			continue;
		b->want_sum.kind = k;
		if (text_unbase64(b->chunked->trailers[i].value, checksum_size(k),
				  b->want_sum.raw) < 0)
			req_fail(r, ERR_InvalidRequest);
	}
}

static void end_hash(struct hash *h, enum hash_kind kind, uint8_t *out)
{
	if (h->ctx)
		hash_end(h, out);
	else
		hash_once(kind, "", 0, out);
}

void body_end(struct req *r)
{
	struct body *b = &r->body;
	uint8_t sha[32];

	if (r->err != ERR_NONE)
		return;
	if (b->chunked)
		end_trailers(r);
	if (b->expected != UINT64_MAX && b->received != b->expected)
		req_fail(r, ERR_IncompleteBody);
	if (b->has_sha) {
		end_hash(&b->sha, HASH_SHA256, sha);
		if (memcmp(sha, b->want_sha, sizeof(sha)) != 0)
			req_fail(r, ERR_XAmzContentSHA256Mismatch);
	}
	if (b->has_md5 || b->md5.ctx)
		end_hash(&b->md5, HASH_MD5, b->md5_value);
	if (b->has_md5 && memcmp(b->md5_value, b->want_md5, sizeof(b->want_md5)) != 0)
		req_fail(r, ERR_BadDigest);
	summer_end(&b->sum, &b->got_sum);
	if (b->want_sum.kind != CHECKSUM_NONE &&
	    memcmp(b->got_sum.raw, b->want_sum.raw, checksum_size(b->sum.kind)) != 0)
		req_fail_because(r, ERR_BadDigest,
				 req_printf(r,
					    "The %s you specified did not match the calculated "
					    "checksum.",
					    checksum_upper(b->sum.kind)));
	if (b->blob && r->err == ERR_NONE && blob_seal(b->blob) < 0)
		req_fail(r, ERR_InternalError);
}

void body_etag(const struct body *b, char *out)
{
	uint64_t v[2];

	if (!b->fast_etag) {
		text_hex(b->md5_value, sizeof(b->md5_value), out);
		return;
	}
	v[0] = mix64(b->etag_crc);
	v[1] = mix64(b->received + 1);
	text_hex(v, sizeof(v), out);
}

void body_fini(struct body *b)
{
	buf_fini(&b->xml);
	blob_unref(b->blob);
	hash_fini(&b->md5);
	hash_fini(&b->sha);
	summer_fini(&b->sum);
	chunked_free(b->chunked);
}
