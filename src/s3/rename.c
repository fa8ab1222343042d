/* SPDX-License-Identifier: Apache-2.0 */

/*
 * RenameObject. An answer can get lost after the object has its new name; the server
 * knows the operation again by its token and answers a repetition as the first time.
 * One that has forgotten the token says that the source is gone:
 *
 *	step	request		outcome
 *	PUT	the rename	404 after an unclear attempt, source_if_match given: LOOK
 *	LOOK	HEAD of key	the source's ETag: done. Else -ENOENT
 */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/uri.h"
#include "s3/control.h"

enum { STEP_PUT, STEP_LOOK };

struct rename {
	char token[37];
	struct buf source; /* encoded */
};

static struct s3_rename_call *call_of(const struct control *c)
{
	return container_of(c->call, struct s3_rename_call, call);
}

/* A UUID of version 4. */
static int make_token(char ret[37])
{
	unsigned char b[16];
	char hex[33];

	if (RAND_bytes(b, sizeof(b)) != 1)
		return -EIO;
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	hex_encode(b, sizeof(b), hex);
	(void)snprintf(ret, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
		       hex + 20);
	return 0;
}

static int setup(struct control *c)
{
	const char *source = call_of(c)->source;
	struct rename *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	c->extra = x;
	buf_init(&x->source, (size_t)3 * S3_KEY_MAX);
	uri_encode(&x->source, source, strlen(source), URI_KEEP_SLASH);
	r = buf_error(&x->source);
	return r < 0 ? r : make_token(x->token);
}

static void prepare(struct control *c)
{
	const struct s3_rename_call *r = call_of(c);
	const struct rename *x = c->extra;

	if (c->step == STEP_LOOK) {
		s3_request_start(&c->request, "HEAD", c->key);
		return;
	}
	s3_request_start(&c->request, "PUT", c->key);
	s3_request_query(&c->request, "renameObject", "");
	s3_request_header(&c->request, "x-amz-rename-source", buf_str(&x->source));
	s3_request_header(&c->request, "x-amz-client-token", x->token);
	s3_request_header(&c->request, "x-amz-rename-source-if-match", r->source_if_match);
	if (r->if_none_match)
		s3_request_header(&c->request, "if-none-match", "*");
}

static enum control_result success(struct control *c)
{
	if (c->step == STEP_LOOK && strcmp(c->head.object.etag, call_of(c)->source_if_match) != 0)
		c->error = c->saved;
	return CONTROL_DONE;
}

static void set_errno(struct control *c)
{
	struct s3_error *e = &c->error;

	if (e->cls == S3_UNSUPPORTED)
		e->err = -ENOSYS;
	else if (strncmp(e->code, "KeyTooLong", strlen("KeyTooLong")) == 0)
		e->err = -ENAMETOOLONG;
	else if (e->cls == S3_PRECONDITION && e->status == 412 && call_of(c)->if_none_match)
		e->err = -EEXIST;
	else if (e->cls != S3_NOT_FOUND && (e->cls != S3_PRECONDITION || e->status == 409))
		e->err = -EIO;
}

static enum control_result failure(struct control *c, bool last)
{
	if (c->step == STEP_LOOK) {
		if (!last && c->error.cls != S3_NOT_FOUND)
			return CONTROL_FAIL;
		c->error = c->saved;
		return CONTROL_DONE;
	}
	set_errno(c);
	if (c->error.cls != S3_NOT_FOUND || !c->unclear || !call_of(c)->source_if_match)
		return CONTROL_FAIL;
	c->saved = c->error;
	c->step = STEP_LOOK;
	return CONTROL_STEP;
}

static void end(struct control *c)
{
	struct rename *x = c->extra;

	if (x)
		buf_fini(&x->source);
	free(x);
}

static const struct control_type rename_type = {
	.name = "RenameObject",
	.prepare = prepare,
	.success = success,
	.failure = failure,
	.end = end,
};

void s3_rename(struct s3_client *c, struct loop *l, struct s3_rename_call *r)
{
	if (!s3_client_is_directory(c))
		s3_call_fail(l, &r->call, -ENOSYS, "only directory buckets rename objects");
	else if (strlen(r->key) > S3_KEY_MAX || strlen(r->source) > S3_KEY_MAX)
		s3_call_fail(l, &r->call, -ENAMETOOLONG, "the key is longer than 1024 bytes");
	else
		control_start(c, l, &r->call, r->key, &rename_type, 0, setup);
}
