/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The control side, /_s3d/NAME: never signed, counted or faulted. What it
 * changes in the store is a change by "another client".
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "headers.h"
#include "ops.h"
#include "sigv4.h"
#include "text.h"
#include "upload.h"

#define GENERATED_START 4099u /* the i-th object starts there in the pattern, times i */

static void say(struct req *r, const char *text)
{
	buf_str(&r->reply.body, text);
	reply_header(r, "Content-Type", "application/json");
}

static void wrong(struct req *r, const char *what)
{
	req_fail_because(r, ERR_InvalidArgument, what);
}

/* The bucket= parameter; sets r->err. */
static bool take_bucket(struct req *r)
{
	const char *name = req_param(r, "bucket");

	r->bucket = name ? store_bucket(&r->srv->store, name) : NULL;
	if (!r->bucket)
		req_fail(r, ERR_NoSuchBucket);
	return r->bucket != NULL;
}

static void do_counters(struct req *r)
{
	log_counters(&r->srv->log, &r->reply.body);
	reply_header(r, "Content-Type", "application/json");
}

static void do_log(struct req *r)
{
	log_print(&r->srv->log, &r->reply.body);
	reply_header(r, "Content-Type", "application/x-ndjson");
}

static void do_reset(struct req *r)
{
	log_reset(&r->srv->log);
	say(r, "{}\n");
}

static bool parse_rate(const char *text, double *ret)
{
	char *end;

	if (!text) {
		*ret = 100;
		return true;
	}
	*ret = strtod(text, &end);
	return end != text && !*end && *ret >= 0 && *ret <= 100;
}

static void do_fault(struct req *r)
{
	const char *op = req_param(r, "op"), *kind = req_param(r, "kind");
	const char *key = req_param(r, "key"), *s3code = req_param(r, "s3code");
	_cleanup_(freep) struct fault_rule *rule = calloc(1, sizeof(*rule));
	struct fault_rule *added;

	if (!rule) {
		req_fail(r, ERR_InternalError);
		return;
	}
	rule->kind = kind ? fault_by_name(kind) : FAULT_NONE;
	rule->op = op && *op ? op_by_name(op) : OP_COUNT;
	rule->left = req_param_u64(r, "count", UINT64_MAX);
	rule->skip = req_param_u64(r, "skip", 0);
	rule->arg = req_param_u64(r, "arg", 0);
	rule->code = (unsigned)req_param_u64(r, "code", 0);
	if (rule->kind == FAULT_NONE)
		wrong(r, "kind is not known");
	if (op && *op && rule->op == OP_COUNT)
		wrong(r, "op is not known");
	if (rule->code && (rule->code < 200 || rule->code > 599))
		wrong(r, "code is not an HTTP status");
	if (!parse_rate(req_param(r, "rate"), &rule->rate))
		wrong(r, "rate is not a percentage");
	if (snprintf(rule->key, sizeof(rule->key), "%s", key ? key : "") >=
		    (int)sizeof(rule->key) ||
	    snprintf(rule->s3code, sizeof(rule->s3code), "%s", s3code ? s3code : "") >=
		    (int)sizeof(rule->s3code))
		wrong(r, "key or s3code is too long");
	if (r->err != ERR_NONE)
		return;
	added = take_ptr(&rule);
	say(r, req_printf(r, "{\"id\":%u}\n", faults_add(&r->srv->faults, added)));
}

static void do_faults_clear(struct req *r)
{
	faults_clear(&r->srv->faults);
	timers_release(&r->srv->timers);
	say(r, "{}\n");
}

static void do_seed(struct req *r)
{
	faults_seed(&r->srv->faults, req_param_u64(r, "n", 1));
	say(r, "{}\n");
}

static void do_set(struct req *r)
{
	struct server *s = r->srv;
	uint64_t ttfb = req_param_u64(r, "ttfb_ms", atomic_load(&s->ttfb_ms));
	uint64_t bandwidth = req_param_u64(r, "bandwidth", atomic_load(&s->bandwidth));
	uint64_t session = req_param_u64(r, "session_ms", atomic_load(&s->session_ms));

	if (r->err != ERR_NONE)
		return;
	atomic_store(&s->ttfb_ms, ttfb);
	atomic_store(&s->bandwidth, bandwidth);
	atomic_store(&s->session_ms, session);
	say(r, req_printf(r, "{\"ttfb_ms\":%llu,\"bandwidth\":%llu,\"session_ms\":%llu}\n",
			  (unsigned long long)ttfb, (unsigned long long)bandwidth,
			  (unsigned long long)session));
}

static void do_sessions_clear(struct req *r)
{
	sessions_clear(r->srv);
	say(r, "{}\n");
}

static void do_quirk(struct req *r)
{
	const char *name = req_param(r, "name"), *on = req_param(r, "on");
	enum quirk q;

	if (!name || quirk_by_name(name, &q) < 0) {
		wrong(r, "name is not a quirk");
		return;
	}
	if (on && strcmp(on, "0") == 0)
		atomic_fetch_and(&r->srv->quirks, ~((uint64_t)1 << q));
	else
		atomic_fetch_or(&r->srv->quirks, (uint64_t)1 << q);
	say(r, "{}\n");
}

/* Three lines in the body: access key, secret key, session token (or nothing). */
static void do_credentials(struct req *r)
{
	const char *expired = req_param(r, "expired");
	struct credentials c = {.expired = expired && strcmp(expired, "1") == 0};
	const char *text = r->body.xml.data ? r->body.xml.data : "";
	struct {
		char *to;
		size_t size;
	} lines[] = {{c.access, sizeof(c.access)},
		     {c.secret, sizeof(c.secret)},
		     {c.token, sizeof(c.token)}};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		size_t n = strcspn(text, "\n");

		if (n >= lines[i].size) {
			wrong(r, "a line is too long");
			return;
		}
		memcpy(lines[i].to, text, n);
		text += n + (text[n] == '\n');
	}
	sigv4_set_credentials(r->srv, &c);
	say(r, "{}\n");
}

static int put_object(struct req *r, const char *key)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	const struct buf *body = &r->body.xml;
	uint8_t d[16];
	int e;

	e = object_new(1, &o);
	if (e < 0)
		return e;
	o->nseg = 0;
	e = store_blob(&r->srv->store, body->len, &o->seg[0].blob);
	if (e < 0)
		return e;
	o->nseg = 1;
	o->seg[0].len = o->size = body->len;
	e = blob_write(o->seg[0].blob, 0, body->data, body->len);
	if (e >= 0)
		e = blob_seal(o->seg[0].blob);
	if (e < 0)
		return e;
	hash_once(HASH_MD5, body->data ? body->data : "", body->len, d);
	text_hex(d, sizeof(d), o->etag);
	o->meta = headers_meta(r);
	e = bucket_put(r->bucket, key, o, NULL);
	if (e < 0)
		return e;
	say(r, req_printf(r, "{\"etag\":\"%s\"}\n", o->etag));
	o = NULL;
	return 0;
}

static void do_put(struct req *r)
{
	const char *key = req_param(r, "key");
	int e;

	if (!take_bucket(r))
		return;
	if (!key || !*key) {
		wrong(r, "key is missing");
		return;
	}
	e = put_object(r, key);
	if (e < 0)
		req_fail_errno(r, e);
}

static void do_create(struct req *r)
{
	const char *name = req_param(r, "bucket");
	int e = name ? store_create_bucket(&r->srv->store, name) : -EINVAL;

	if (e == -EEXIST)
		req_fail(r, ERR_BucketAlreadyOwnedByYou);
	else if (e < 0)
		req_fail(r, ERR_InvalidBucketName);
	else
		say(r, "{}\n");
}

static void do_delete(struct req *r)
{
	const char *key = req_param(r, "key");
	int e;

	if (!take_bucket(r))
		return;
	e = key ? bucket_delete(r->bucket, key, NULL) : -ENOENT;
	if (e < 0)
		req_fail_errno(r, e);
	say(r, "{}\n");
}

static void do_object(struct req *r)
{
	const char *key = req_param(r, "key");
	int e;

	if (!take_bucket(r))
		return;
	e = key ? bucket_get(r->bucket, key, &r->object, &r->object_fd) : -ENOENT;
	if (e < 0) {
		req_fail_errno(r, e);
		return;
	}
	headers_of_object(r, r->object);
	r->reply.from_object = true;
	r->reply.len = r->object->size;
}

static int generate_one(struct req *r, const char *key, uint64_t i, uint64_t size)
{
	struct object *o;
	uint64_t id[3] = {i, size, 1};
	uint8_t d[16];
	int e = object_new(0, &o);

	if (e < 0)
		return e;
	o->generated = true;
	o->pattern = i * GENERATED_START % PATTERN_PERIOD;
	o->size = size;
	hash_once(HASH_MD5, id, sizeof(id), d);
	text_other_etag(d, o->etag);
	e = bucket_put(r->bucket, key, o, NULL);
	if (e < 0)
		object_unref(o);
	return e;
}

static void do_generate(struct req *r)
{
	const char *prefix = req_param(r, "prefix");
	uint64_t count = req_param_u64(r, "count", 1), size = req_param_u64(r, "size", 0);
	uint64_t start = req_param_u64(r, "start", 0);
	char key[KEY_MAX + 32];

	if (!take_bucket(r) || r->err != ERR_NONE)
		return;
	if (prefix && strlen(prefix) > KEY_MAX - 20) {
		wrong(r, "prefix is too long");
		return;
	}
	for (uint64_t i = start; i < start + count; i++) {
		int e;

		(void)snprintf(key, sizeof(key), "%s%06llu", prefix ? prefix : "",
			       (unsigned long long)i);
		e = generate_one(r, key, i, size);
		if (e < 0) {
			req_fail_errno(r, e);
			return;
		}
	}
	say(r, "{}\n");
}

static void add_uploads(struct bucket *b, struct buf *x, bool *first)
{
	WITH_LOCK(&b->upload_lock);

	for (struct upload *u = b->uploads; u; u = u->next) {
		uint64_t bytes = 0;

		for (unsigned n = 1; n <= u->part_top; n++)
			bytes += u->parts[n] ? u->parts[n]->size : 0;
		buf_str(x, *first ? "{\"bucket\":" : ",{\"bucket\":");
		buf_json(x, b->name);
		buf_str(x, ",\"key\":");
		buf_json(x, u->key);
		buf_printf(x, ",\"id\":\"%s\",\"parts\":%u,\"bytes\":%llu}", u->id, u->part_count,
			   (unsigned long long)bytes);
		*first = false;
	}
}

static void do_uploads(struct req *r)
{
	struct bucket **list;
	bool first = true;
	size_t count;

	if (store_buckets(&r->srv->store, &list, &count) < 0) {
		req_fail(r, ERR_InternalError);
		return;
	}
	say(r, "[");
	for (size_t i = 0; i < count; i++) {
		add_uploads(list[i], &r->reply.body, &first);
		bucket_unref(list[i]);
	}
	free(list);
	buf_str(&r->reply.body, "]\n");
}

static const struct {
	const char *method, *name;
	op_fn fn;
} commands[] = {
	{"GET", "counters", do_counters},
	{"GET", "log", do_log},
	{"GET", "object", do_object},
	{"GET", "uploads", do_uploads},
	{"POST", "reset", do_reset},
	{"POST", "fault", do_fault},
	{"POST", "faults/clear", do_faults_clear},
	{"POST", "seed", do_seed},
	{"POST", "create", do_create},
	{"POST", "set", do_set},
	{"POST", "sessions/clear", do_sessions_clear},
	{"POST", "quirk", do_quirk},
	{"POST", "credentials", do_credentials},
	{"POST", "put", do_put},
	{"POST", "delete", do_delete},
	{"POST", "generate", do_generate},
};

void op_admin(struct req *r)
{
	const char *name = r->path + strlen("/_s3d/");

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0 &&
		    strcmp(commands[i].method, r->method) == 0) {
			commands[i].fn(r);
			return;
		}
	req_fail(r, ERR_MethodNotAllowed);
}
