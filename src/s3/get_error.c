/* SPDX-License-Identifier: Apache-2.0 */

/*
 * State ERROR of a leg: the body of an answer that is not 2xx, by length, chunked
 * or until the end, is read up to GET_ERROR_BODY_MAX and searched for S3's code.
 * What cannot be read does not matter: then the status alone speaks.
 */
#include <errno.h>

#include "s3/get.h"
#include "s3/xml.h"

static void recv_error(struct get_leg *leg);

static void finish_error(struct get_leg *leg, bool whole)
{
	struct get_op *op = leg->op;
	struct s3_error *e = &op->call->call.error;

	s3_error_document(e, buf_str(&leg->error_body), leg->error_body.len);
	s3_error_classify(e, leg->status);
	get_leg_release(leg, leg->keep_alive && whole);
	get_op_failed(op, leg);
}

/* True when the body is complete or beyond what is looked at. */
static bool take_error_bytes(struct get_leg *leg, const char *p, size_t len)
{
	const char *end = p + len;

	if (!leg->chunked) {
		size_t n = min_u64(leg->left, len);
		buf_append(&leg->error_body, p, n);
		if (leg->left != UINT64_MAX)
			leg->left -= n;
		leg->keep_alive = leg->keep_alive && n == len;
		return leg->left == 0;
	}
	while (p < end && !leg->chunks.done) {
		const char *data;
		size_t n;
		ssize_t used = http_chunks_next(&leg->chunks, p, (size_t)(end - p), &data, &n);

		if (used < 0) {
			leg->keep_alive = false;
			return true;
		}
		p += used;
		if (data)
			buf_append(&leg->error_body, data, n);
	}
	leg->keep_alive = leg->keep_alive && p == end;
	return leg->chunks.done;
}

static void on_error_bytes(struct conn *c, int res)
{
	struct get_leg *leg = get_leg_of(c);

	if (res == -ECANCELED) {
		get_leg_broken(leg, res);
		return;
	}
	leg->since = clock_now();
	if (res <= 0 || take_error_bytes(leg, leg->pc->buf, (size_t)res))
		finish_error(leg, /* whole= */ res > 0);
	else
		recv_error(leg);
}

static void recv_error(struct get_leg *leg)
{
	if (buf_error(&leg->error_body) < 0)
		finish_error(leg, /* whole= */ false);
	else
		conn_recv(&leg->pc->conn, leg->pc->buf, sizeof(leg->pc->buf), on_error_bytes);
}

void get_leg_error(struct get_leg *leg, const struct http_head *h, size_t at)
{
	struct conn_pool_conn *pc = leg->pc;

	leg->state = LEG_ERROR;
	leg->since = clock_now();
	leg->left = h->has_length ? h->length : UINT64_MAX;
	if (h->status == 304 || h->status == 204)
		leg->left = 0;
	leg->chunks = (struct http_chunks){0};
	buf_reset(&leg->error_body);
	if (!h->has_length && !h->chunked)
		leg->keep_alive = false;
	if (take_error_bytes(leg, pc->buf + at, pc->len - at))
		finish_error(leg, /* whole= */ true);
	else
		recv_error(leg);
}
