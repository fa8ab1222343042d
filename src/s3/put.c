/* SPDX-License-Identifier: Apache-2.0 */

/*
 * PutObject of whole objects (appends: append.c). To send it again does no harm. But an answer can
 *get lost after the object was made: then to give up would mean not to know, and a retry with
 * If-None-Match or If-Match finds our own object and is refused with 412. Then
 *
 *	step	request					decides
 *	PUT	the object				-
 *	VERIFY	HEAD with its checksum			same bytes: ours, done; else the error
 *
 * The attempts of PUT end early enough to leave VERIFY a sixth of the time.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "s3/upload.h"

#define CHECK_TIME_MAX (10 * NSEC_PER_SEC)

enum { STEP_PUT, STEP_VERIFY };

static struct s3_put_call *call_of(const struct control *c)
{
	return container_of(c->call, struct s3_put_call, call);
}

void s3_upload_attrs(struct s3_request *r, const struct s3_put_attrs *a)
{
	if (!a)
		return;
	s3_request_header(r, "content-type", a->content_type);
	s3_request_header(r, "x-amz-storage-class", a->storage_class);
	s3_request_header(r, "x-amz-server-side-encryption", a->sse);
	s3_request_header(r, "x-amz-server-side-encryption-aws-kms-key-id", a->sse_kms_key_id);
	s3_request_header(r, "cache-control", a->cache_control);
	s3_request_header(r, "x-amz-acl", a->acl);
	s3_request_header(r, "x-amz-tagging", a->tagging);
	for (unsigned i = 0; i < a->nmetadata; i++)
		s3_request_header(r, a->metadata[i].name, a->metadata[i].value);
}

bool s3_upload_sse_matches(struct control *c, const struct s3_put_attrs *a)
{
	if (!a || !a->sse)
		return true;
	if (strcmp(c->head.sse, a->sse) == 0 &&
	    (!a->sse_kms_key_id || strcmp(c->head.sse_key, a->sse_kms_key_id) == 0))
		return true;
	s3_error_set(&c->error, S3_PROTOCOL, -EIO, "");
	(void)snprintf(c->error.message, sizeof(c->error.message),
		       "the server encrypts with \"%.40s\", key \"%.120s\": not as asked",
		       c->head.sse, c->head.sse_key);
	(void)snprintf(c->error.code, sizeof(c->error.code), "EncryptionMismatch");
	return false;
}

uint64_t s3_upload_len(const struct iovec *body, unsigned nbody)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < nbody; i++)
		n += body[i].iov_len;
	return n;
}

void s3_upload_body(struct control *c, const struct iovec *body, unsigned nbody)
{
	c->net.body = body;
	c->net.nbody = nbody;
	c->net.first_byte_timeout_ms = S3_STORE_TIMEOUT_MS;
	control_optional(c, &c->client->no_checksum, s3_sum_header(c->sum), c->checksum);
}

int s3_upload_sum(struct control *c, const struct s3_body_sum *sum, const struct iovec *body,
		  unsigned nbody)
{
	c->sum = sum ? sum->kind : s3_client_sum(c->client);
	if (s3_sum_is_digest(c->sum))
		return s3_sum_digest_text(c->sum, body, nbody, c->checksum);
	c->sum_value = sum && !sum->no_value ? sum->value : s3_sum_iov(c->sum, body, nbody);
	s3_sum_text(c->sum, c->sum_value, c->checksum);
	return 0;
}

uint64_t s3_upload_leave_time(uint64_t deadline)
{
	uint64_t now = clock_now();

	if (deadline <= now || deadline == NO_DEADLINE)
		return deadline;
	return deadline - min_u64((deadline - now) / 6, CHECK_TIME_MAX);
}

void s3_upload_exists(struct s3_error *e)
{
	if (e->cls == S3_PRECONDITION)
		e->err = -EEXIST;
}

static bool if_none_match(const struct control *c)
{
	const struct s3_put_attrs *a = call_of(c)->attrs;

	return a && a->if_none_match;
}

static int setup(struct control *c)
{
	const struct s3_put_call *p = call_of(c);

	c->whole = c->deadline;
	c->deadline = s3_upload_leave_time(c->deadline);
	return s3_upload_sum(c, p->sum, p->body, p->nbody);
}

static void prepare(struct control *c)
{
	const struct s3_put_call *p = call_of(c);

	if (c->step == STEP_VERIFY) {
		s3_request_start(&c->request, "HEAD", c->key);
		s3_request_header(&c->request, "x-amz-checksum-mode", "ENABLED");
		return;
	}
	s3_request_start(&c->request, "PUT", c->key);
	s3_upload_attrs(&c->request, p->attrs);
	if (if_none_match(c))
		s3_request_header(&c->request, "if-none-match", "*");
	s3_request_header(&c->request, "if-match", p->if_match);
	s3_upload_body(c, p->body, p->nbody);
}

/* "\"hex MD5\"" of the body, which is the ETag of plain objects; "" if there is no MD5. */
static void body_etag(const struct s3_put_call *p, char ret[36])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool good = md && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1;
	unsigned len = 0;

	for (unsigned i = 0; good && i < p->nbody; i++)
		good = EVP_DigestUpdate(md, p->body[i].iov_base, p->body[i].iov_len) == 1;
	good = good && EVP_DigestFinal_ex(md, digest, &len) == 1 && len == 16;
	EVP_MD_CTX_free(md);
	ret[0] = '\0';
	if (!good)
		return;
	hex_encode(digest, len, hex);
	(void)snprintf(ret, 36, "\"%.32s\"", hex);
}

static bool is_ours(const struct control *c)
{
	const struct s3_put_call *p = call_of(c);
	char etag[36];

	if (!c->head.has_size || c->head.object.size != s3_upload_len(p->body, p->nbody))
		return false;
	if (c->sum != S3_SUM_OFF && c->head.checksum[c->sum][0])
		return strcmp(c->head.checksum[c->sum], c->checksum) == 0;
	body_etag(p, etag);
	return etag[0] && strcasecmp(c->head.object.etag, etag) == 0;
}

static enum control_result success(struct control *c)
{
	struct s3_put_call *p = call_of(c);

	if (c->step == STEP_VERIFY && !is_ours(c)) {
		c->error = c->saved;
		return CONTROL_DONE;
	}
	if (c->step == STEP_PUT && !control_checksum_matches(c))
		return CONTROL_FAIL;
	if (c->step == STEP_PUT && !s3_upload_sse_matches(c, p->attrs))
		return CONTROL_DONE;
	p->object = c->head.object;
	p->object.size = s3_upload_len(p->body, p->nbody);
	if (!c->head.has_mtime)
		p->object.mtime = c->retry.date;
	p->whole = (struct s3_body_sum){.kind = c->sum, .value = c->sum_value};
	p->whole.no_value = c->sum == S3_SUM_OFF || s3_sum_is_digest(c->sum);
	return CONTROL_DONE;
}

static enum control_result failure(struct control *c, bool last)
{
	if (c->step == STEP_VERIFY) {
		if (last)
			c->error = c->saved;
		return last ? CONTROL_DONE : CONTROL_FAIL;
	}
	if (if_none_match(c))
		s3_upload_exists(&c->error);
	if (!c->unclear || (!last && c->error.status != 412))
		return CONTROL_FAIL;
	log_info(LOG_S3, "PUT \"%s\": the answer is unclear, looking", c->key);
	c->saved = c->error;
	c->deadline = c->whole;
	c->step = STEP_VERIFY;
	return CONTROL_STEP;
}

static const struct control_type put_type = {
	.name = "PUT",
	.prepare = prepare,
	.success = success,
	.failure = failure,
};

void s3_put(struct s3_client *c, struct loop *l, struct s3_put_call *p)
{
	if (p->write_offset)
		s3_append(c, l, p);
	else
		control_start(c, l, &p->call, p->key, &put_type, s3_upload_len(p->body, p->nbody),
			      setup);
}
