/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The first bytes of an object, whatever its version. One attempt: who asks does so
 * on the chance that it saves a round trip, and can do without.
 */
#include <errno.h>

#include "s3/control.h"
#include "s3/http_head.h"

static struct s3_peek_call *call_of(const struct control *c)
{
	return container_of(c->call, struct s3_peek_call, call);
}

static void prepare(struct control *c)
{
	struct s3_peek_call *p = call_of(c);

	p->ranged = p->bad_range = false;
	c->object_bytes = true;
	c->body.max = max_u64(p->length, c->body.max);
	(void)snprintf(p->range, sizeof(p->range), "bytes=0-%llu",
		       (unsigned long long)p->length - 1);
	s3_request_start(&c->request, "GET", c->key);
	s3_request_header(&c->request, "range", p->range);
}

static void header(struct control *c, const char *name, size_t name_len, const char *value,
		   size_t value_len)
{
	struct s3_peek_call *p = call_of(c);
	struct http_range r;

	if (!s3_name_is(name, name_len, "content-range"))
		return;
	if (p->ranged || http_range_parse((struct http_str){value, value_len}, &r) < 0 || !r.some ||
	    r.first != 0 || r.size == HTTP_SIZE_ANY) {
		p->bad_range = true;
		return;
	}
	p->ranged = true;
	p->end = r.last + 1;
	p->size = r.size;
}

/* The bytes are those that were asked for, of an object of that size. */
static bool fits(const struct control *c, uint64_t *ret_size)
{
	const struct s3_peek_call *p = call_of(c);
	uint64_t size = p->ranged ? p->size : c->received;

	if (c->head.bad || !c->head.has_etag || p->bad_range ||
	    p->ranged != (c->error.status == 206) || c->received != min_u64(p->length, size) ||
	    (p->ranged && p->end != c->received) ||
	    (c->head.has_size && c->head.object.size != c->received))
		return false;
	*ret_size = size;
	return true;
}

static enum control_result success(struct control *c)
{
	struct s3_peek_call *p = call_of(c);
	uint64_t size;
	int r = buf_error(&c->body);

	if (r < 0 || !fits(c, &size)) {
		s3_error_set(&c->error, r < 0 ? S3_LOCAL : S3_PROTOCOL, r < 0 ? r : -EIO,
			     "the answer does not fit what was asked for");
		return CONTROL_FAIL;
	}
	p->object = c->head.object;
	p->object.size = size;
	p->data = buf_take(&c->body);
	return CONTROL_DONE;
}

static enum control_result failure(struct control *c, bool last)
{
	return CONTROL_DONE;
}

static const struct control_type peek_type = {
	.name = "GET of first bytes",
	.prepare = prepare,
	.header = header,
	.success = success,
	.failure = failure,
};

void s3_peek(struct s3_client *c, struct loop *l, struct s3_peek_call *p)
{
	p->data = NULL;
	control_start(c, l, &p->call, p->key, &peek_type, 0, NULL);
}
