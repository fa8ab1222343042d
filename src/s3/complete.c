/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CompleteMultipartUpload, idempotent.
 *
 * An answer can get lost after the object was made. A retry then meets
 * NoSuchUpload, or 412 with If-None-Match, and to give up means not to know. So,
 * once an attempt was unclear, the end of the attempts is not the end:
 *
 *	step	request		the object has the size of the parts and
 *	POST	Complete	-
 *	HEAD	the object	the ETag that these parts give: done. Another ETag:
 *				it may be the server's own kind, so PARTS. Else: error
 *	PARTS	ListParts	NoSuchUpload: done. The upload is still there: error
 *
 * Size alone would not do: the key may have held an object of that size before.
 * The attempts of POST end early enough to leave the checks a sixth of the time.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "s3/upload.h"

enum { STEP_POST, STEP_HEAD, STEP_PARTS };

#define CHECK_TIME_MAX (10 * NSEC_PER_SEC)

struct complete {
	uint64_t deadline; /* of the whole call */
	struct s3_object object;
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
	struct buf *b = &c->send;

	buf_puts(b, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (unsigned i = 0; i < u->nparts; i++) {
		buf_puts(b, "<Part>");
		if (u->parts[i].crc32c[0])
			buf_printf(b, "<ChecksumCRC32C>%s</ChecksumCRC32C>", u->parts[i].crc32c);
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
	uint64_t now = clock_now();

	if (u->nparts < 1 || u->nparts > S3_PARTS_MAX)
		return -EINVAL;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	c->extra = x;
	x->deadline = c->deadline;
	if (c->deadline > now && c->deadline != NO_DEADLINE)
		c->deadline -= min_u64((c->deadline - now) / 6, CHECK_TIME_MAX);
	return write_document(c);
}

static void prepare(struct control *c)
{
	const struct s3_complete_call *u = call_of(c);

	switch (c->step) {
	case STEP_POST:
		s3_request_start(&c->request, "POST", c->key);
		s3_request_query(&c->request, "uploadId", u->upload_id);
		s3_request_header(&c->request, "content-type", "application/xml");
		if (u->if_none_match)
			s3_request_header(&c->request, "if-none-match", "*");
		c->net.body = &c->send_iov;
		c->net.nbody = 1;
		c->net.first_byte_timeout_ms = c->net.stall_timeout_ms = S3_JOIN_TIMEOUT_MS;
		c->xml_kind = S3_XML_COMPLETE;
		break;
	case STEP_HEAD:
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

static enum control_result on_posted(struct control *c)
{
	struct s3_object object = {.mtime = c->retry.date};

	(void)snprintf(object.etag, sizeof(object.etag), "%s",
		       c->result->etag[0] ? c->result->etag : c->head.object.etag);
	return give_result(c, &object);
}

static enum control_result on_headed(struct control *c)
{
	const struct s3_complete_call *u = call_of(c);
	struct complete *x = c->extra;
	char etag[S3_ETAG_MAX];

	if (!c->head.has_size || c->head.object.size != total_size(u))
		return not_made(c);
	if (expected_etag(u, etag) && strcasecmp(etag, c->head.object.etag) == 0)
		return give_result(c, &c->head.object);
	x->object = c->head.object;
	c->step = STEP_PARTS;
	return CONTROL_STEP;
}

static enum control_result success(struct control *c)
{
	if (c->step == STEP_POST)
		return on_posted(c);
	if (c->step == STEP_HEAD)
		return on_headed(c);
	return not_made(c);
}

static enum control_result failure(struct control *c, bool last)
{
	const struct s3_complete_call *u = call_of(c);
	struct complete *x = c->extra;

	if (c->step == STEP_PARTS && c->error.cls == S3_NOT_FOUND)
		return give_result(c, &x->object);
	if (c->step != STEP_POST)
		return last ? not_made(c) : CONTROL_FAIL;
	if (u->if_none_match)
		s3_upload_exists(&c->error);
	if (!c->unclear || (!last && c->error.cls != S3_NOT_FOUND && c->error.status != 412)) {
		if (c->error.cls == S3_NOT_FOUND)
			c->error.err = -EIO;
		return CONTROL_FAIL;
	}
	log_info(LOG_S3, "CompleteMultipartUpload \"%s\": the answer is unclear, looking", c->key);
	c->saved = c->error;
	c->deadline = x->deadline;
	c->step = STEP_HEAD;
	return CONTROL_STEP;
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
