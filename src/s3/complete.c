/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CompleteMultipartUpload, idempotent.
 *
 * An answer can get lost after the object was made. A retry then meets
 * NoSuchUpload, or 412 with If-None-Match, and to give up means not to know. So,
 * once an attempt was unclear, the end of the attempts is not the end:
 *
 *	step	request		outcome
 *	POST	Complete	InvalidPart: REVIEW. Unclear in the end: HEAD
 *	REVIEW	ListParts	all parts are there as we sent them: POST once more, a
 *				few times; not: error. NoSuchUpload: HEAD if unclear
 *	HEAD	the object	size and ETag that these parts give: done. The size with
 *				another ETag, maybe the server's own kind: PARTS.
 *				Else: ABORT
 *	PARTS	ListParts	NoSuchUpload: done. The upload is still there: ABORT
 *	ABORT	Abort		done: there will be no object, error. NoSuchUpload: a
 *				slow Complete came through, AGAIN
 *	AGAIN	the object	as HEAD, or the size and another ETag than HEAD saw: done
 *
 * Size alone would not do: the key may have held an object of that size before.
 * ABORT settles it: what is aborted cannot become an object after we said that it
 * did not. The attempts of POST end early enough to leave the checks a sixth of
 * the time.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/hex.h"
#include "base/log.h"
#include "s3/upload.h"

enum { STEP_POST, STEP_REVIEW, STEP_HEAD, STEP_PARTS, STEP_ABORT, STEP_AGAIN };

#define REVIEWS_MAX 3

struct complete {
	struct s3_object object; /* what HEAD saw */
	bool plain;		 /* without checksums: the server did not take them */
	unsigned reviews;
	unsigned reviewed; /* parts seen by this one */
};

static struct s3_complete_call *call_of(const struct control *c)
{
	return container_of(c->call, struct s3_complete_call, call);
}

static uint64_t total_size(const struct s3_complete_call *u)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < u->nparts; i++)
		n += u->parts[i].size;
	return n;
}

/* An ETag as XML text; quotes are the only character that needs care. */
static void put_etag(struct buf *b, const char *etag)
{
	for (const char *p = etag; *p; p++) {
		switch (*p) {
		case '"':
			buf_puts(b, "&quot;");
			break;
		case '&':
			buf_puts(b, "&amp;");
			break;
		case '<':
			buf_puts(b, "&lt;");
			break;
		default:
			buf_putc(b, *p);
			break;
		}
	}
}

static int write_document(struct control *c)
{
	const struct s3_complete_call *u = call_of(c);
	const struct complete *x = c->extra;
	struct buf *b = &c->send;

	buf_reset(b);
	buf_puts(b, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (unsigned i = 0; i < u->nparts; i++) {
		buf_puts(b, "<Part>");
		if (u->parts[i].checksum[0] && !x->plain)
			buf_printf(b, "<%s>%s</%s>", s3_sum_element(u->parts[i].kind),
				   u->parts[i].checksum, s3_sum_element(u->parts[i].kind));
		buf_puts(b, "<ETag>");
		put_etag(b, u->parts[i].etag);
		buf_printf(b, "</ETag><PartNumber>%u</PartNumber></Part>", i + 1);
	}
	buf_puts(b, "</CompleteMultipartUpload>");
	c->send_iov = (struct iovec){b->data, b->len};
	return buf_error(b);
}

static int setup(struct control *c)
{
	const struct s3_complete_call *u = call_of(c);
	struct complete *x;

	if (u->nparts < 1 || u->nparts > S3_PARTS_MAX)
		return -EINVAL;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	c->extra = x;
	c->whole = c->deadline;
	c->deadline = s3_upload_leave_time(c->deadline);
	return write_document(c);
}

static void prepare_review(struct control *c)
{
	const struct complete *x = c->extra;

	(void)snprintf(c->number, sizeof(c->number), "%u", x->reviewed);
	s3_request_start(&c->request, "GET", c->key);
	s3_request_query(&c->request, "uploadId", call_of(c)->upload_id);
	s3_request_query(&c->request, "part-number-marker", x->reviewed ? c->number : NULL);
	c->xml_kind = S3_XML_PARTS;
}

static void prepare(struct control *c)
{
	const struct s3_complete_call *u = call_of(c);
	const struct complete *x = c->extra;

	switch (c->step) {
	case STEP_POST:
		s3_request_start(&c->request, "POST", c->key);
		s3_request_query(&c->request, "uploadId", u->upload_id);
		s3_request_header(&c->request, "content-type", "application/xml");
		if (u->if_none_match)
			s3_request_header(&c->request, "if-none-match", "*");
		if (u->sum && u->sum->kind == S3_SUM_CRC64NVME && u->parts[0].checksum[0] &&
		    !x->plain) {
			s3_sum_text(u->sum->kind, u->sum->value, c->checksum);
			s3_request_header(&c->request, "x-amz-checksum-type", "FULL_OBJECT");
			s3_request_header(&c->request, s3_sum_header(u->sum->kind), c->checksum);
		}
		c->net.body = &c->send_iov;
		c->net.nbody = 1;
		c->net.first_byte_timeout_ms = c->net.stall_timeout_ms = S3_JOIN_TIMEOUT_MS;
		c->xml_kind = S3_XML_COMPLETE;
		break;
	case STEP_REVIEW:
		prepare_review(c);
		break;
	case STEP_ABORT:
		s3_request_start(&c->request, "DELETE", c->key);
		s3_request_query(&c->request, "uploadId", u->upload_id);
		break;
	case STEP_HEAD:
	case STEP_AGAIN:
		s3_request_start(&c->request, "HEAD", c->key);
		break;
	case STEP_PARTS:
		s3_request_start(&c->request, "GET", c->key);
		s3_request_query(&c->request, "uploadId", u->upload_id);
		s3_request_query(&c->request, "max-parts", "1");
		c->xml_kind = S3_XML_PARTS;
		break;
	}
}

/* The MD5 in an ETag of the usual kind. */
static bool etag_digest(const char *etag, unsigned char ret[16])
{
	unsigned v;

	if (strlen(etag) != 34)
		return false;
	for (int i = 0; i < 16; i++) {
		char two[3] = {etag[1 + 2 * i], etag[2 + 2 * i], '\0'};

		if (strspn(two, "0123456789abcdefABCDEF") != 2 || sscanf(two, "%2x", &v) != 1)
			return false;
		ret[i] = (unsigned char)v;
	}
	return true;
}

/* S3's ETag of an object of parts: MD5 of their MD5s, "-", their number. */
static bool expected_etag(const struct s3_complete_call *u, char ret[S3_ETAG_MAX])
{
	unsigned char digest[EVP_MAX_MD_SIZE], *all = calloc(u->nparts, 16);
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	bool good = all != NULL;
	unsigned len = 0;

	for (unsigned i = 0; good && i < u->nparts; i++)
		good = etag_digest(u->parts[i].etag, all + (size_t)16 * i);
	good = good && EVP_Digest(all, (size_t)16 * u->nparts, digest, &len, EVP_md5(), NULL) == 1;
	free(all);
	if (!good)
		return false;
	hex_encode(digest, len, hex);
	(void)snprintf(ret, S3_ETAG_MAX, "\"%.32s-%u\"", hex, u->nparts);
	return true;
}

static enum control_result give_result(struct control *c, const struct s3_object *object)
{
	struct s3_complete_call *u = call_of(c);

	u->object = *object;
	u->object.size = total_size(u);
	c->error.cls = S3_OK;
	return CONTROL_DONE;
}

/* The checks say no: the call ends with what POST met. */
static enum control_result not_made(struct control *c)
{
	c->error = c->saved;
	if (c->error.cls == S3_NOT_FOUND)
		c->error.err = -EIO; /* the upload is gone and the object is not there */
	return CONTROL_DONE;
}

/* What the server must say of the object's checksum, or of its parts'; "" when we do not know. */
static void expected_checksum(const struct s3_complete_call *u, bool by_parts, char ret[24])
{
	enum s3_sum_kind kind = u->parts[0].kind;
	uint64_t sum = 0;

	ret[0] = '\0';
	if (!by_parts) {
		if (u->sum && u->sum->kind == kind && u->parts[0].checksum[0])
			s3_sum_text(kind, u->sum->value, ret);
		return;
	}
	for (unsigned i = 0; i < u->nparts; i++) {
		unsigned char b[8];

		if (!u->parts[i].checksum[0] || u->parts[i].kind != kind)
			return;
		s3_sum_bytes(kind, u->parts[i].sum, b);
		sum = s3_sum(kind, sum, b, s3_sum_len(kind));
	}
	s3_sum_text(kind, sum, ret);
	(void)snprintf(ret + strlen(ret), 24 - strlen(ret), "-%u", u->nparts);
}

/* A server may give the sum of sums, of the whole, or none; only the first's kind is comparable. */
static bool checksum_is_wrong(const struct control *c)
{
	const struct s3_complete_call *u = call_of(c);
	const char *got = c->result->checksum[u->parts[0].kind % S3_SUM_OFF];
	char want[24];

	expected_checksum(u, /* by_parts= */ false, want);
	if (!got[0] || (!strchr(got, '-') && (!want[0] || strcmp(got, want) == 0)))
		return false;
	/* Some leave the number of parts out. */
	expected_checksum(u, /* by_parts= */ true, want);
	return want[0] && strncmp(got, want, strchr(got, '-') ? sizeof(want) : strlen(got)) != 0;
}

static enum control_result on_posted(struct control *c)
{
	struct s3_object object = {.mtime = c->retry.date};

	(void)snprintf(object.etag, sizeof(object.etag), "%s",
		       c->result->etag[0] ? c->result->etag : c->head.object.etag);
	if (checksum_is_wrong(c)) {
		s3_error_set(&c->error, S3_PROTOCOL, -EIO, "the object has another checksum");
		(void)snprintf(c->error.code, sizeof(c->error.code), "ChecksumMismatch");
		return CONTROL_DONE;
	}
	return give_result(c, &object);
}

static enum control_result go_to(struct control *c, unsigned step)
{
	c->step = step;
	return CONTROL_STEP;
}

/* POST is over without a clear answer. */
static enum control_result look(struct control *c)
{
	log_info(LOG_S3, "CompleteMultipartUpload \"%s\": the answer is unclear, looking", c->key);
	c->saved = c->error;
	c->deadline = c->whole;
	return go_to(c, STEP_HEAD);
}

static bool page_is_ours(const struct control *c)
{
	const struct s3_complete_call *u = call_of(c);
	struct complete *x = c->extra;

	for (unsigned i = 0; i < c->result->nparts; i++, x->reviewed++) {
		const struct s3_xml_part *p = &c->result->parts[i];

		if (x->reviewed >= u->nparts || p->number != x->reviewed + 1 ||
		    p->part.size != u->parts[x->reviewed].size ||
		    strcasecmp(p->part.etag, u->parts[x->reviewed].etag) != 0)
			return false;
	}
	return c->result->nparts > 0;
}

static enum control_result on_reviewed(struct control *c)
{
	struct complete *x = c->extra;

	if (!page_is_ours(c))
		return not_made(c);
	if (c->result->truncated)
		return go_to(c, STEP_REVIEW);
	if (x->reviewed != call_of(c)->nparts)
		return not_made(c);
	return go_to(c, STEP_POST);
}

static enum control_result on_headed(struct control *c)
{
	const struct s3_complete_call *u = call_of(c);
	struct complete *x = c->extra;
	char etag[S3_ETAG_MAX];
	bool size = c->head.has_size && c->head.object.size == total_size(u);

	if (size && expected_etag(u, etag) && strcasecmp(etag, c->head.object.etag) == 0)
		return give_result(c, &c->head.object);
	if (c->step == STEP_AGAIN)
		return size && strcmp(x->object.etag, c->head.object.etag) != 0
			       ? give_result(c, &c->head.object)
			       : not_made(c);
	x->object = c->head.object;
	return go_to(c, size ? STEP_PARTS : STEP_ABORT);
}

static enum control_result success(struct control *c)
{
	switch (c->step) {
	case STEP_POST:
		return on_posted(c);
	case STEP_REVIEW:
		return on_reviewed(c);
	case STEP_HEAD:
	case STEP_AGAIN:
		return on_headed(c);
	case STEP_PARTS:
		return go_to(c, STEP_ABORT);
	default:
		return not_made(c); /* it is aborted */
	}
}

/* Some servers take checksums with the parts, but not here. */
static bool dislikes_checksums(const struct control *c)
{
	const struct complete *x = c->extra;
	const char *code = c->error.code;

	return !x->plain && call_of(c)->parts[0].checksum[0] &&
	       (c->error.status == 400 || c->error.status == 501) &&
	       (strcmp(code, "InvalidRequest") == 0 || strcmp(code, "InvalidArgument") == 0 ||
		strcmp(code, "MalformedXML") == 0 || strcmp(code, "NotImplemented") == 0);
}

static enum control_result post_failed(struct control *c, bool last)
{
	struct complete *x = c->extra;

	if (call_of(c)->if_none_match)
		s3_upload_exists(&c->error);
	if (dislikes_checksums(c)) {
		x->plain = true;
		if (write_document(c) == 0)
			return go_to(c, STEP_POST);
	}
	if (strcmp(c->error.code, "InvalidPart") == 0 && x->reviews < REVIEWS_MAX) {
		x->reviews++;
		x->reviewed = 0;
		c->saved = c->error;
		return go_to(c, STEP_REVIEW);
	}
	if (c->unclear && (last || c->error.cls == S3_NOT_FOUND || c->error.status == 412))
		return look(c);
	if (c->error.cls == S3_NOT_FOUND)
		c->error.err = -EIO;
	return CONTROL_FAIL;
}

static enum control_result failure(struct control *c, bool last)
{
	struct complete *x = c->extra;
	bool gone = c->error.cls == S3_NOT_FOUND;

	switch (c->step) {
	case STEP_POST:
		return post_failed(c, last);
	case STEP_REVIEW:
		if (gone && c->unclear)
			return look(c);
		break;
	case STEP_HEAD:
		if (gone)
			return go_to(c, STEP_ABORT);
		break;
	case STEP_PARTS:
		if (gone)
			return give_result(c, &x->object);
		break;
	case STEP_ABORT:
		if (gone)
			return go_to(c, STEP_AGAIN);
		break;
	}
	return last ? not_made(c) : CONTROL_FAIL;
}

static void end(struct control *c)
{
	free(c->extra);
}

static const struct control_type complete_type = {
	.name = "CompleteMultipartUpload",
	.prepare = prepare,
	.success = success,
	.failure = failure,
	.end = end,
};

void s3_complete(struct s3_client *c, struct loop *l, struct s3_complete_call *u)
{
	control_start(c, l, &u->call, u->key, &complete_type, 0, setup);
}
