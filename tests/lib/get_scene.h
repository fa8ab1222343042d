/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One s3_get against a scripted server, and its answers.
 *
 *	struct scene s;
 *	struct script a = {0};
 *	script_request(&a);
 *	script_206(&a, 10, 19, 5000);
 *	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
 *	scene_run(&s, 10, 10);		(starts, waits for done)
 *	check_int(s.get.call.error.err, ==, 0);
 *	scene_close(&s);
 *
 * Byte i of the object is object_byte(i). on_space gives at most `room` bytes of
 * a mapping of its own, so that a write after its end is seen.
 */
#ifndef TESTS_LIB_GET_SCENE_H
#define TESTS_LIB_GET_SCENE_H

#include <sys/mman.h>

#include "lib/on_loop.h"
#include "lib/raw_server.h"
#include "lib/test.h"
#include "s3/client.h"
#include "s3/get.h"

#define SCENE_ETAG   "\"e1\""
#define SCENE_BYTES  (4 * MIB)
#define SCRIPT_STEPS 32

static inline char object_byte(uint64_t i)
{
	return (char)(i * 31 + i / 251);
}

/* The object's first SCENE_BYTES. */
static inline const char *object_bytes(void)
{
	static char *bytes;

	if (!bytes) {
		bytes = malloc(SCENE_BYTES);
		if (!bytes)
			abort();
		for (uint64_t i = 0; i < SCENE_BYTES; i++)
			bytes[i] = object_byte(i);
	}
	return bytes;
}

struct script {
	const struct raw_step *raw;		 /* played instead, if set */
	struct raw_step steps[SCRIPT_STEPS + 1]; /* ends by zero: RAW_ACT_END */
	unsigned n;
	char text[8192];
	size_t len;
};

static inline void script_add(struct script *s, enum raw_action action, const char *data, size_t n)
{
	if (s->n == SCRIPT_STEPS)
		abort();
	s->steps[s->n++] = (struct raw_step){action, data, n};
}

/* A request that begins with `text`, which is a literal. */
static inline void script_expect(struct script *s, const char *text)
{
	script_add(s, RAW_ACT_EXPECT, text, strlen(text));
}

static inline void script_request(struct script *s)
{
	script_expect(s, "GET /b/key HTTP/1.1\r\n");
}

static inline void script_send(struct script *s, const char *fmt, ...) printf_like(2, 3);
static inline void script_send(struct script *s, const char *fmt, ...)
{
	char *at = s->text + s->len;
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(at, sizeof(s->text) - s->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(s->text) - s->len)
		abort();
	s->len += (size_t)n;
	script_add(s, RAW_ACT_SEND, at, (size_t)n);
}

static inline void script_bytes(struct script *s, uint64_t first, uint64_t last)
{
	script_add(s, RAW_ACT_SEND, object_bytes() + first, last - first + 1);
}

static inline void script_head(struct script *s, uint64_t first, uint64_t last, uint64_t size)
{
	script_send(s,
		    "HTTP/1.1 206 Partial Content\r\nETag: " SCENE_ETAG "\r\n"
		    "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n"
		    "Content-Length: %" PRIu64 "\r\n\r\n",
		    first, last, size, last - first + 1);
}

static inline void script_206(struct script *s, uint64_t first, uint64_t last, uint64_t size)
{
	script_request(s);
	script_head(s, first, last, size);
	script_bytes(s, first, last);
}

static inline void script_error(struct script *s, const char *status, const char *code)
{
	char body[256];

	int n = snprintf(body, sizeof(body),
			 "<?xml version=\"1.0\"?><Error><Code>%s</Code>"
			 "<Message>m</Message></Error>",
			 code);
	script_request(s);
	script_send(s, "HTTP/1.1 %s\r\nx-amz-request-id: R1\r\nContent-Length: %d\r\n\r\n%s",
		    status, n, body);
}

static inline void script_stall(struct script *s)
{
	script_add(s, RAW_ACT_STALL, NULL, 0);
}

static inline void script_reset(struct script *s)
{
	script_add(s, RAW_ACT_RESET, NULL, 0);
}

/* Where a callback cancels its own call. */
enum scene_cancel { CANCEL_NEVER, CANCEL_ON_HEAD, CANCEL_ON_SPACE, CANCEL_ON_DATA };

struct scene {
	struct s3_get_call get; /* first: callbacks get it */
	struct loop *loop;
	struct s3_client *client;
	struct raw_server *server;
	const struct raw_step *scripts[64];

	char *data; /* mapping of SCENE_BYTES: byte i is the object's byte offset + i */
	size_t room;
	_Atomic uint64_t placed; /* end of what on_data told, from 0 */
	unsigned heads, dones, wrong;
	enum scene_cancel cancel;
	uint64_t cancel_at; /* not before so many bytes are placed */
	struct gate over;
	struct gate moved; /* each on_data */
};

static inline void scene_on_head(struct s3_get_call *g)
{
	struct scene *s = (struct scene *)g;

	s->heads++;
	if (s->cancel == CANCEL_ON_HEAD) {
		s3_cancel(&g->call);
		gate_open(&s->over);
	}
}

static inline struct iovec scene_on_space(struct s3_get_call *g, uint64_t pos)
{
	struct scene *s = (struct scene *)g;
	uint64_t at = pos - g->offset;

	s->wrong += at != s->placed || at >= g->length;
	if (s->cancel == CANCEL_ON_SPACE && s->placed >= s->cancel_at) {
		s3_cancel(&g->call);
		gate_open(&s->over);
	}
	return (struct iovec){s->data + at, min_u64(s->room, g->length - at)};
}

static inline void scene_on_data(struct s3_get_call *g, uint64_t pos, size_t len)
{
	struct scene *s = (struct scene *)g;

	s->wrong += pos != g->offset + s->placed || len == 0 || len > s->room || s->heads != 1;
	for (size_t i = 0; i < len; i++)
		s->wrong += s->data[pos - g->offset + i] != object_byte(pos + i);
	s->placed += len;
	gate_open(&s->moved);
	if (s->cancel == CANCEL_ON_DATA && s->placed >= s->cancel_at) {
		s3_cancel(&g->call);
		gate_open(&s->over);
	}
}

static inline void scene_on_done(struct s3_call *c)
{
	struct scene *s = (struct scene *)c;

	s->dones++;
	gate_open(&s->over);
}

static const struct get_limits scene_limits = {
	.connect = 2 * NSEC_PER_SEC,
	.first_byte = 5 * NSEC_PER_SEC,
	.stall = 5 * NSEC_PER_SEC,
	.idle = 4 * NSEC_PER_SEC,
	.connections = 8,
};

static inline struct s3_client *scene_client(const char *url, const char *ca_bundle,
					     const struct get_limits *limits)
{
	const struct s3_config config = {.bucket = "b",
					 .region = "us-east-1",
					 .endpoint_url = url,
					 .ca_bundle = ca_bundle,
					 .force_path_style = true,
					 .no_sign_request = true};
	struct s3_client *c;
	char why[256];

	if (s3_client_new(&config, why, sizeof(why), &c) < 0 ||
	    s3_gets_limit(c, limits ? limits : &scene_limits) < 0)
		abort();
	return c;
}

/* Everything but the server and the client. */
static inline void scene_prepare(struct scene *s)
{
	s->room = SCENE_BYTES;
	s->data =
		mmap(NULL, SCENE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->data == MAP_FAILED)
		abort();
	gate_init(&s->over);
	gate_init(&s->moved);
	s->get.call.done = scene_on_done;
	s->get.key = "key";
	s->get.if_match = SCENE_ETAG;
	s->get.on_head = scene_on_head;
	s->get.on_space = scene_on_space;
	s->get.on_data = scene_on_data;
}

static inline void scene_open(struct scene *s, struct script *const *scripts,
			      const struct get_limits *limits)
{
	char url[64];
	unsigned n = 0;

	*s = (struct scene){.cancel = CANCEL_NEVER};
	(void)object_bytes();
	for (; scripts[n]; n++)
		s->scripts[n] = scripts[n]->raw ? scripts[n]->raw : scripts[n]->steps;
	s->server = raw_server_new(s->scripts);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", raw_server_port(s->server));
	s->client = scene_client(url, NULL, limits);
	s->loop = start_loop(NULL);
	scene_prepare(s);
}

static inline void scene_close(struct scene *s)
{
	if (s->loop)
		end_loop(s->loop);
	s3_client_free(s->client);
	raw_server_free(s->server);
	if (s->data)
		(void)munmap(s->data, SCENE_BYTES);
}

static inline void scene_begin_(void *arg)
{
	struct scene *s = arg;

	s3_get(s->client, s->loop, &s->get);
}

static inline void scene_start(struct scene *s, uint64_t offset, uint64_t length)
{
	s->get.offset = offset;
	s->get.length = length;
	s->placed = s->heads = s->dones = 0;
	if (!on_loop(s->loop, scene_begin_, s))
		abort();
}

static inline void scene_cancel_(void *arg)
{
	struct scene *s = arg;

	s3_cancel(&s->get.call);
	/* The memory goes at once: nobody may write into it any more. */
	(void)munmap(s->data, SCENE_BYTES);
	s->data = NULL;
}

/* From outside a callback. */
static inline void scene_stop(struct scene *s)
{
	if (!on_loop(s->loop, scene_cancel_, s))
		abort();
}

static inline void scene_run(struct scene *s, uint64_t offset, uint64_t length)
{
	scene_start(s, offset, length);
	if (!gate_wait(&s->over))
		test_fail_("the call did not end");
}

#define check_whole(s)                                            \
	do {                                                      \
		check_int((s)->get.call.error.err, ==, 0);        \
		check_str((s)->get.call.error.message, "");       \
		check_int((s)->placed, ==, (s)->get.length);      \
		check_int((s)->wrong, ==, 0);                     \
		check_int((s)->heads, ==, 1);                     \
		check_int((s)->dones, ==, 1);                     \
		check_int(raw_server_errors((s)->server), ==, 0); \
	} while (0)

#define check_request_has(s, index, text)                                      \
	do {                                                                   \
		const char *request_ = raw_server_request((s)->server, index); \
		if (!request_ || !strstr(request_, text))                      \
			test_fail_("request %d lacks \"%s\": %s", index, text, \
				   request_ ? request_ : "(there is none)");   \
	} while (0)

#endif
