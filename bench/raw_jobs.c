/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See raw_jobs.h. A job is two callbacks of the engine: one writes the next
 * request, the other judges its response.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raw_jobs.h"

enum { PARTS_MAX = 10000 };

static void set_target(struct raw_request *q, const char *key)
{
	(void)snprintf(q->target, sizeof(q->target), "%s", key);
}

/* ---- get ---- */

static bool get_next(void *ctx, struct raw_request *q, uint64_t *ret_id)
{
	struct raw *w = ctx;
	uint64_t parts = w->size ? (w->size + w->part - 1) / w->part : 1;
	uint64_t limit = w->ops ? w->ops : parts * w->nkeys;
	uint64_t i = w->next++;
	uint64_t part = w->random ? random_below(&w->state, w->size / w->part) : i % parts;

	if (i >= limit)
		return false;
	q->method = "GET";
	set_target(q, w->keys[(w->random ? i : i / parts) % w->nkeys]);
	if (w->size) {
		q->range_start = part * w->part;
		q->range_len =
			w->size - q->range_start < w->part ? w->size - q->range_start : w->part;
	}
	*ret_id = w->size ? q->range_len : 0;
	return true;
}

/* The id is the length that was asked for. */
static int get_done(void *ctx, uint64_t id, const struct raw_response *resp)
{
	return id != 0 && (resp->status != 206 || resp->length != id) ? -EIO : 0;
}

int run_get(struct raw *w, struct tally *tally)
{
	const struct raw_job job = {.ctx = w, .next = get_next, .done = get_done};

	return raw_run(&w->config, &job, tally);
}

/* ---- put ---- */

static uint64_t part_len(const struct raw *w, uint64_t i)
{
	uint64_t done = i * w->part;

	return w->size - done < w->part ? w->size - done : w->part;
}

static bool put_next(void *ctx, struct raw_request *q, uint64_t *ret_id)
{
	struct raw *w = ctx;
	uint64_t i = w->next++;

	if (i * w->part >= w->size)
		return false;
	q->method = "PUT";
	(void)snprintf(q->target, sizeof(q->target), "%s-%06llu", w->keys[0],
		       (unsigned long long)i);
	q->body = w->body;
	q->body_len = part_len(w, i);
	*ret_id = i;
	return true;
}

static int put_done(void *ctx, uint64_t id, const struct raw_response *resp)
{
	return resp->status == 200 ? 0 : -EIO;
}

int run_put(struct raw *w, struct tally *tally)
{
	const struct raw_job job = {.ctx = w, .next = put_next, .done = put_done};

	return raw_run(&w->config, &job, tally);
}

/* ---- multipart ---- */

/* A control request is a job of one request; its text is what we want. */
struct control {
	const char *method;
	char target[RAW_TARGET_MAX];
	char *body;
	size_t body_len;
	bool sent;
	char text[RAW_TEXT_MAX];
};

static bool control_next(void *ctx, struct raw_request *q, uint64_t *ret_id)
{
	struct control *c = ctx;

	if (c->sent)
		return false;
	c->sent = true;
	q->method = c->method;
	set_target(q, c->target);
	q->body = c->body;
	q->body_len = c->body_len;
	*ret_id = 0;
	return true;
}

static int control_done(void *ctx, uint64_t id, const struct raw_response *resp)
{
	struct control *c = ctx;

	(void)snprintf(c->text, sizeof(c->text), "%s", resp->text);
	return 0;
}

static int control_run(struct raw *w, struct control *c)
{
	const struct raw_job job = {
		.ctx = c, .want_text = true, .next = control_next, .done = control_done};
	struct tally *tally = calloc(1, sizeof(*tally));
	int r;

	if (!tally)
		return -ENOMEM;
	r = raw_run(&w->config, &job, tally);
	if (r == 0 && tally->errors > 0)
		r = -tally->first_error;
	free(tally);
	return r;
}

static int upload_begin(struct raw *w, struct control *c)
{
	char *id, *end;
	int r;

	*c = (struct control){.method = "POST"};
	(void)snprintf(c->target, sizeof(c->target), "%s?uploads", w->keys[0]);
	r = control_run(w, c);
	if (r < 0)
		return r;
	id = strstr(c->text, "<UploadId>");
	end = id ? strstr(id, "</UploadId>") : NULL;
	if (!end)
		return -EPROTO;
	*end = '\0';
	r = uri_encode(id + strlen("<UploadId>"), w->upload, sizeof(w->upload));
	return r < 0 ? r : 0;
}

static bool part_next(void *ctx, struct raw_request *q, uint64_t *ret_id)
{
	struct raw *w = ctx;
	uint64_t i = w->next++;

	if (i * w->part >= w->size)
		return false;
	q->method = "PUT";
	(void)snprintf(q->target, sizeof(q->target), "%s?partNumber=%llu&uploadId=%s", w->keys[0],
		       (unsigned long long)i + 1, w->upload);
	q->body = w->body;
	q->body_len = part_len(w, i);
	*ret_id = i;
	return true;
}

static int part_done(void *ctx, uint64_t id, const struct raw_response *resp)
{
	struct raw *w = ctx;

	if (resp->status != 200 || resp->etag[0] == '\0')
		return -EIO;
	(void)snprintf(w->etags[id], RAW_ETAG_ROOM, "%s", resp->etag);
	return 0;
}

static int upload_complete(struct raw *w, struct control *c, uint64_t parts)
{
	size_t room = 128 + parts * (RAW_ETAG_ROOM + 64), n = 0;
	int r;

	*c = (struct control){.method = "POST", .body = malloc(room)};
	if (!c->body)
		return -ENOMEM;
	(void)snprintf(c->target, sizeof(c->target), "%s?uploadId=%s", w->keys[0], w->upload);
	n += (size_t)snprintf(c->body, room, "<CompleteMultipartUpload>");
	for (uint64_t i = 0; i < parts; i++)
		n += (size_t)snprintf(c->body + n, room - n,
				      "<Part><PartNumber>%llu</PartNumber><ETag>%s</ETag></Part>",
				      (unsigned long long)i + 1, w->etags[i]);
	n += (size_t)snprintf(c->body + n, room - n, "</CompleteMultipartUpload>");
	c->body_len = n;
	r = control_run(w, c);
	free(c->body);
	if (r == 0 && !strstr(c->text, "<CompleteMultipartUploadResult"))
		r = -EIO;
	return r;
}

int run_multipart(struct raw *w, struct tally *tally)
{
	const struct raw_job job = {.ctx = w, .next = part_next, .done = part_done};
	uint64_t parts = (w->size + w->part - 1) / w->part;
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (parts > PARTS_MAX) {
		free(c);
		return -EINVAL;
	}
	w->etags = calloc(parts, sizeof(*w->etags));
	r = c && w->etags ? upload_begin(w, c) : -ENOMEM;
	if (r == 0)
		r = raw_run(&w->config, &job, tally);
	if (r == 0 && tally->errors == 0)
		r = upload_complete(w, c, parts);
	free(w->etags);
	free(c);
	return r;
}
