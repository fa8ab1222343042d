/* SPDX-License-Identifier: Apache-2.0 */

/*
 * PutObject with an offset: the body goes behind an object of exactly that size.
 * To send it twice could add it twice, so an attempt that may have had its effect
 * is followed by a look at the object:
 *
 *	step	request		outcome
 *	PUT	the append	unclear: LOOK after the usual wait. 412 or a wrong offset
 *				after an unclear one: LOOK now, it may have been ours
 *	LOOK	HEAD		as it was before: PUT again, or the error when there is no
 *				time. Longer by our bytes, ETag changed: done. Else: the
 *				object is somebody else's, error
 *
 * Another writer may have added just as many bytes. Where the caller knows the
 * checksum of what was before, the whole object's checksum tells the two apart.
 * An answer that does not name the new size is looked at, too: a server that does
 * not know appends has then replaced the object, and says nothing.
 * The attempts of PUT end early enough to leave the last LOOK a sixth of the time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "s3/upload.h"

enum { STEP_PUT, STEP_LOOK };

struct append {
	char offset[24];
	bool unclear; /* an attempt of PUT may have had its effect */
	bool look;    /* before the next one */
	bool last;    /* what LOOK finds is the end */
};

static struct s3_put_call *call_of(const struct control *c)
{
	return container_of(c->call, struct s3_put_call, call);
}

static uint64_t new_size(const struct s3_put_call *p)
{
	return p->write_offset + s3_upload_len(p->body, p->nbody);
}

static int setup(struct control *c)
{
	const struct s3_put_call *p = call_of(c);
	struct append *a;

	if (s3_upload_len(p->body, p->nbody) == 0)
		return -EINVAL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	c->extra = a;
	(void)snprintf(a->offset, sizeof(a->offset), "%llu", (unsigned long long)p->write_offset);
	c->whole = c->deadline;
	c->deadline = s3_upload_leave_time(c->deadline);
	return s3_upload_sum(c, p->sum, p->body, p->nbody);
}

static void prepare_look(struct control *c)
{
	s3_request_start(&c->request, "HEAD", c->key);
	s3_request_header(&c->request, "x-amz-checksum-mode", "ENABLED");
}

static void prepare(struct control *c)
{
	const struct s3_put_call *p = call_of(c);
	struct append *a = c->extra;

	if (a->look)
		c->step = STEP_LOOK;
	a->look = false;
	if (c->step == STEP_LOOK) {
		prepare_look(c);
		return;
	}
	c->unclear = false;
	s3_request_start(&c->request, "PUT", c->key);
	s3_request_header(&c->request, "x-amz-write-offset-bytes", a->offset);
	s3_request_header(&c->request, "if-match", p->if_match);
	s3_upload_attrs(&c->request, p->attrs);
	s3_upload_body(c, p->body, p->nbody);
}

/* The sum of the object with our bytes behind it, when all that it takes is known. */
static void whole_sum(const struct control *c, struct s3_body_sum *ret)
{
	const struct s3_put_call *p = call_of(c);

	*ret = (struct s3_body_sum){.kind = c->sum, .no_value = true};
	if (!p->before || p->before->no_value || p->before->kind != c->sum ||
	    c->sum == S3_SUM_OFF || s3_sum_is_digest(c->sum))
		return;
	ret->value = s3_sum_join(c->sum, p->before->value, c->sum_value,
				 s3_upload_len(p->body, p->nbody));
	ret->no_value = false;
}

/* HEAD has seen our bytes at the object's end. */
static bool is_applied(const struct control *c)
{
	const struct s3_put_call *p = call_of(c);
	struct s3_body_sum want, got;

	if (!c->head.has_etag || c->head.object.size != new_size(p) ||
	    (p->if_match && strcmp(c->head.object.etag, p->if_match) == 0))
		return false;
	whole_sum(c, &want);
	s3_object_sum(&c->head, &got);
	return want.no_value || got.no_value || got.kind != want.kind || got.value == want.value;
}

static bool is_untouched(const struct control *c)
{
	const struct s3_put_call *p = call_of(c);

	return c->head.object.size == p->write_offset &&
	       (!p->if_match || strcmp(c->head.object.etag, p->if_match) == 0);
}

static enum control_result applied(struct control *c)
{
	struct s3_put_call *p = call_of(c);

	p->object = c->head.object;
	p->object.size = new_size(p);
	if (!c->head.has_mtime)
		p->object.mtime = c->retry.date;
	whole_sum(c, &p->whole);
	c->error.cls = S3_OK;
	return CONTROL_DONE;
}

static enum control_result looked(struct control *c)
{
	const struct append *a = c->extra;

	if (is_applied(c))
		return applied(c);
	if (is_untouched(c) && !a->last) {
		c->step = STEP_PUT;
		return CONTROL_SAME;
	}
	if (is_untouched(c)) {
		c->error = c->saved;
		return CONTROL_DONE;
	}
	s3_error_set(&c->error, S3_PRECONDITION, -EIO,
		     "the object is not what was appended to: another client wrote, or the server "
		     "does not know appends");
	return CONTROL_DONE;
}

/* The last word is LOOK's; when that is "untouched", it is what PUT met. */
static enum control_result look_last(struct control *c)
{
	struct append *a = c->extra;

	log_info(LOG_S3, "append to \"%s\": the answer is unclear, looking", c->key);
	if (c->step == STEP_PUT)
		c->saved = c->error;
	c->deadline = c->whole;
	c->step = STEP_LOOK;
	a->look = false;
	a->last = true;
	return CONTROL_STEP;
}

static enum control_result success(struct control *c)
{
	const struct s3_put_call *p = call_of(c);

	if (c->step == STEP_LOOK)
		return looked(c);
	if (c->head.whole_size == new_size(p) && c->head.has_etag)
		return s3_upload_sse_matches(c, p->attrs) ? applied(c) : CONTROL_DONE;
	s3_error_set(&c->error, S3_PROTOCOL, -EIO, "the append's answer does not tell the size");
	return look_last(c);
}

/* The server says that the object is not as it must be. */
static bool about_object(const struct s3_error *e)
{
	return (e->cls == S3_PRECONDITION && e->status != 409) || e->cls == S3_NOT_FOUND ||
	       strcmp(e->code, "InvalidWriteOffset") == 0;
}

static enum control_result changed(struct control *c)
{
	c->error.cls = S3_PRECONDITION;
	c->error.err = -EIO;
	return CONTROL_DONE;
}

static enum control_result look_failed(struct control *c, bool last)
{
	const struct append *a = c->extra;

	if (c->error.cls == S3_NOT_FOUND)
		return changed(c);
	if (!last)
		return CONTROL_FAIL;
	if (!a->last)
		return look_last(c);
	c->error = c->saved;
	return CONTROL_DONE;
}

static enum control_result put_failed(struct control *c, bool last)
{
	struct append *a = c->extra;

	a->unclear = a->unclear || c->unclear;
	a->look = c->unclear;
	if (about_object(&c->error))
		return a->unclear ? look_last(c) : changed(c);
	c->saved = c->error;
	if (c->error.err == -ESTALE)
		c->saved.err = c->error.err = -EIO;
	return c->unclear && last ? look_last(c) : CONTROL_FAIL;
}

static enum control_result failure(struct control *c, bool last)
{
	return c->step == STEP_LOOK ? look_failed(c, last) : put_failed(c, last);
}

static void end(struct control *c)
{
	free(c->extra);
}

static const struct control_type append_type = {
	.name = "append",
	.prepare = prepare,
	.success = success,
	.failure = failure,
	.end = end,
};

void s3_append(struct s3_client *c, struct loop *l, struct s3_put_call *p)
{
	if (!s3_client_is_directory(c)) {
		s3_call_fail(l, &p->call, -EIO, "only directory buckets take appends");
		p->call.error.cls = S3_UNSUPPORTED;
		return;
	}
	control_start(c, l, &p->call, p->key, &append_type, s3_upload_len(p->body, p->nbody),
		      setup);
}
