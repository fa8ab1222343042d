/* SPDX-License-Identifier: Apache-2.0 */

/* s3_get against scripted answers: right bytes, or the right error, never anything else. */
#include "lib/get_scene.h"

#define SIZE 5000

static void a_range(void)
{
	struct script a = {0};
	struct scene s;
	char host[64];

	script_206(&a, 1000, 1999, SIZE);
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	scene_run(&s, 1000, 1000);
	check_whole(&s);
	check_int(s.get.call.error.attempts, ==, 1);
	check_int(s.get.object.size, ==, SIZE);
	check_str(s.get.object.etag, SCENE_ETAG);
	(void)snprintf(host, sizeof(host), "HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n",
		       raw_server_port(s.server));
	check_request_has(&s, 0, host);
	check_request_has(&s, 0, "\r\nrange: bytes=1000-1999\r\n");
	check_request_has(&s, 0, "\r\nif-match: \"e1\"\r\n");
	check(!strcasestr(raw_server_request(s.server, 0), "content-length"));
	scene_close(&s);
}

static void large_and_in_small_rooms(void)
{
	struct script a = {0}, b = {0};
	struct scene s;

	script_206(&a, 0, SCENE_BYTES - 1, SCENE_BYTES);
	script_206(&b, 7, 70006, SCENE_BYTES);
	b.n--; /* the body in two pieces, the first along with the head */
	script_bytes(&b, 7, 1000);
	script_add(&b, RAW_ACT_DELAY, NULL, 20);
	script_bytes(&b, 1001, 70006);
	scene_open(&s, (struct script *[]){&a, &b, NULL}, NULL);
	scene_run(&s, 0, SCENE_BYTES);
	check_whole(&s);
	s.room = 100;
	scene_run(&s, 7, 70000);
	check_whole(&s);
	scene_close(&s);
}

#define PAUSE_AT (MIB / 2)

struct pausing {
	struct scene s; /* first: callbacks get it */
	bool resumed;
	unsigned pauses;
	struct gate paused;
};

static bool pause_in_the_middle(struct s3_get_call *g, uint64_t pos)
{
	struct pausing *p = (struct pausing *)g;

	if (pos < PAUSE_AT || p->resumed)
		return false;
	p->pauses++;
	gate_open(&p->paused);
	return true;
}

static void go_on(void *arg)
{
	struct pausing *p = arg;

	p->resumed = true;
	s3_get_resume(&p->s.get);
}

static void open_pausing(struct pausing *p, struct script *a)
{
	script_206(a, 0, MIB - 1, SCENE_BYTES);
	p->resumed = false;
	p->pauses = 0;
	gate_init(&p->paused);
	scene_open(&p->s, (struct script *[]){a, NULL}, NULL);
	p->s.room = 64 * KIB;
	p->s.get.on_pause = pause_in_the_middle;
	scene_start(&p->s, 0, MIB);
	require(gate_wait(&p->paused));
}

static void pauses_and_goes_on(void)
{
	struct script a = {0};
	struct pausing p;

	open_pausing(&p, &a);
	/* What is received in one piece is not cut. */
	check_int(p.s.placed, >=, PAUSE_AT);
	check_int(p.s.placed, <=, PAUSE_AT + 64 * KIB);
	require(on_loop(p.s.loop, go_on, &p));
	require(gate_wait(&p.s.over));
	check_whole(&p.s);
	check_int(p.pauses, ==, 1);
	check_int(p.s.get.call.error.attempts, ==, 1);
	scene_close(&p.s);
}

static void a_pause_is_not_for_ever(void)
{
	uint64_t begin = clock_now();
	struct script a = {0};
	struct pausing p;

	open_pausing(&p, &a);
	require(gate_wait(&p.s.over));
	check_whole(&p.s);
	check_int(p.pauses, ==, 1); /* not asked again */
	check_int(clock_now() - begin, >=, GET_PAUSE_MAX);
	scene_close(&p.s);
}

static void whole_object_by_200(void)
{
	struct script a = {0};
	struct scene s;

	script_request(&a);
	script_send(&a, "HTTP/1.1 200 OK\r\nETag: e1\r\nContent-Length: %d\r\n\r\n", SIZE);
	script_bytes(&a, 0, SIZE - 1);
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	scene_run(&s, 0, SIZE);
	check_whole(&s);
	check_int(s.get.object.size, ==, SIZE);
	scene_close(&s);
}

static void empty_object(void)
{
	struct script a = {0};
	struct scene s;

	script_request(&a);
	script_send(&a, "HTTP/1.1 200 OK\r\nETag: " SCENE_ETAG "\r\nContent-Length: 0\r\n\r\n");
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	scene_run(&s, 0, 0);
	check_whole(&s);
	check(!strstr(raw_server_request(s.server, 0), "range:"));
	scene_close(&s);
}

static void head_byte_by_byte(void)
{
	static struct raw_step steps[1024] = {{RAW_ACT_EXPECT, "", 0}};
	static const char head[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 x\r\nETag: \"e1\"\r\n"
				   "Content-Range: bytes 0-1/5000\r\nContent-Length: 2\r\n\r\n";
	struct script a = {.raw = steps};
	struct scene s;
	unsigned n = 1;

	for (size_t i = 0; i < sizeof(head) - 1; i++) {
		steps[n++] = (struct raw_step){RAW_ACT_SEND, head + i, 1};
		steps[n++] = (struct raw_step){RAW_ACT_DELAY, NULL, 1};
	}
	steps[n++] = (struct raw_step){RAW_ACT_SEND, object_bytes(), 1};
	steps[n++] = (struct raw_step){RAW_ACT_DELAY, NULL, 1};
	steps[n++] = (struct raw_step){RAW_ACT_SEND, object_bytes() + 1, 1};
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	scene_run(&s, 0, 2);
	check_whole(&s);
	scene_close(&s);
}

static void chunked(void)
{
	struct script a = {0};
	struct scene s;

	script_request(&a);
	script_send(&a, "HTTP/1.1 206 x\r\nETag: \"e1\"\r\nContent-Range: bytes 0-299/5000\r\n"
			"Transfer-Encoding: chunked\r\n\r\n64\r\n");
	script_bytes(&a, 0, 99);
	script_send(&a, "\r\nC8;x=1\r\n");
	script_bytes(&a, 100, 299);
	script_send(&a, "\r\n0\r\n\r\n");
	script_206(&a, 300, 399, SIZE); /* the connection is still good */
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	s.room = 30;
	scene_run(&s, 0, 300);
	check_whole(&s);
	scene_run(&s, 300, 100);
	check_whole(&s);
	scene_close(&s);
}

/* Each breaks the connection in another place; the rest comes by another. */
static void broken_connections(void)
{
	static const struct {
		const char *name;
		unsigned sent; /* bytes of the body before the break, of 1000 */
		bool head, reset;
	} rows[] = {
		{"reset before the head", 0, false, true},
		{"closed before the head", 0, false, false},
		{"reset after the head", 0, true, true},
		{"closed after the head", 0, true, false},
		{"closed in the body", 600, true, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct script a = {0}, b = {0};
		struct scene s;
		char range[64];

		script_request(&a);
		if (rows[i].head)
			script_head(&a, 1000, 1999, SIZE);
		if (rows[i].sent)
			script_bytes(&a, 1000, 1000 + rows[i].sent - 1);
		if (rows[i].reset)
			script_reset(&a);
		script_206(&b, 1000 + rows[i].sent, 1999, SIZE);
		scene_open(&s, (struct script *[]){&a, &b, NULL}, NULL);
		scene_run(&s, 1000, 1000);
		printf("# %s\n", rows[i].name);
		check_whole(&s);
		check_int(s.get.call.error.attempts, ==, 2);
		(void)snprintf(range, sizeof(range), "\r\nrange: bytes=%u-1999\r\n",
			       1000 + rows[i].sent);
		check_request_has(&s, 1, range);
		check_request_has(&s, 1, "\r\nif-match: \"e1\"\r\n");
		scene_close(&s);
	}
}

/* What was received before a reset may be less than was sent: asked for from there. */
static void reset_in_the_body(void)
{
	struct script a = {0};
	struct scene s;

	script_request(&a);
	script_head(&a, 0, 99999, 100000);
	script_bytes(&a, 0, 49999);
	script_stall(&a);
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	scene_start(&s, 0, 100000);
	while (s.placed < 50000 && gate_wait(&s.moved))
		;
	check_int(s.placed, ==, 50000);
	scene_stop(&s);
	check_int(s.dones, ==, 0);
	scene_close(&s);
}

static void answers_that_break_the_rules(void)
{
	static const struct {
		const char *name, *head;
		int err;
		unsigned requests;
	} rows[] = {
		{"200 for a range", "200 OK\r\nETag: \"e1\"\r\nContent-Length: 5000\r\n", -EIO, 3},
		{"200 of the range's length", "200 OK\r\nETag: \"e1\"\r\nContent-Length: 1000\r\n",
		 -EIO, 3},
		{"another range",
		 "206 x\r\nETag: \"e1\"\r\nContent-Range: bytes 1001-2000/5000\r\n"
		 "Content-Length: 1000\r\n",
		 -EIO, 3},
		{"no Content-Range", "206 x\r\nETag: \"e1\"\r\nContent-Length: 1000\r\n", -EIO, 3},
		{"size unknown",
		 "206 x\r\nETag: \"e1\"\r\nContent-Range: bytes 1000-1999/*\r\n"
		 "Content-Length: 1000\r\n",
		 -EIO, 3},
		{"length does not match",
		 "206 x\r\nETag: \"e1\"\r\nContent-Range: bytes 1000-1999/5000\r\n"
		 "Content-Length: 999\r\n",
		 -EIO, 3},
		{"no length", "206 x\r\nETag: \"e1\"\r\nContent-Range: bytes 1000-1999/5000\r\n",
		 -EIO, 3},
		{"no ETag",
		 "206 x\r\nContent-Range: bytes 1000-1999/5000\r\nContent-Length: 1000\r\n", -EIO,
		 3},
		{"an error document as success",
		 "200 OK\r\nContent-Type: application/xml\r\nContent-Length: 61\r\n", -EIO, 3},
		{"204", "204 No Content\r\nETag: \"e1\"\r\n", -EIO, 3},
		{"101", "101 Switching Protocols\r\n", -EIO, 3},
		{"not HTTP", "2000 x\r\n", -EIO, 3},
		{"another version",
		 "206 x\r\nETag: \"e2\"\r\nContent-Range: bytes 1000-1999/5000\r\n"
		 "Content-Length: 1000\r\n",
		 -ESTALE, 1},
		{"a weak ETag",
		 "206 x\r\nETag: W/\"e1\"\r\nContent-Range: bytes 1000-1999/5000\r\n"
		 "Content-Length: 1000\r\n",
		 -ESTALE, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct script a[3] = {{.n = 0}};
		struct scene s;

		for (unsigned k = 0; k < 3; k++) {
			script_request(&a[k]);
			script_send(&a[k], "HTTP/1.1 %s\r\n<Error><Code>InternalError</Code>",
				    rows[i].head);
			script_bytes(&a[k], 1000, 1999);
		}
		scene_open(&s, (struct script *[]){&a[0], &a[1], &a[2], NULL}, NULL);
		scene_run(&s, 1000, 1000);
		printf("# %s: %s\n", rows[i].name, s.get.call.error.message);
		check_int(s.get.call.error.err, ==, rows[i].err);
		check_int(s.get.call.error.attempts, ==, rows[i].requests);
		check_int(s.placed, ==, 0);
		check_int(s.heads, ==, 0);
		check_int(raw_server_connections(s.server), ==, rows[i].requests);
		scene_close(&s);
	}
}

/* The version is the same, the size is not: a server that mixes things up. */
static void size_changes_between_attempts(void)
{
	struct script a = {0}, b[3] = {{.n = 0}};
	struct scene s;

	script_request(&a);
	script_head(&a, 0, 999, SIZE);
	script_bytes(&a, 0, 99);
	for (unsigned i = 0; i < 3; i++)
		script_206(&b[i], 100, 999, SIZE + 1);
	scene_open(&s, (struct script *[]){&a, &b[0], &b[1], &b[2], NULL}, NULL);
	scene_run(&s, 0, 1000);
	check_int(s.get.call.error.err, ==, -EIO);
	check_int(s.placed, ==, 100);
	check_int(s.wrong, ==, 0);
	scene_close(&s);
}

static void errors(void)
{
	static const struct {
		const char *status, *code;
		int err;
		enum s3_class cls;
	} rows[] = {
		{"404 Not Found", "NoSuchKey", -ENOENT, S3_NOT_FOUND},
		{"403 Forbidden", "AccessDenied", -EACCES, S3_FORBIDDEN},
		{"412 Precondition Failed", "PreconditionFailed", -ESTALE, S3_PRECONDITION},
		{"416 Range Not Satisfiable", "InvalidRange", -EIO, S3_INVALID},
		{"403 Forbidden", "InvalidObjectState", -EACCES, S3_FORBIDDEN},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct script a = {0};
		struct scene s;

		script_error(&a, rows[i].status, rows[i].code);
		script_206(&a, 0, 9, SIZE); /* the connection outlives the error */
		scene_open(&s, (struct script *[]){&a, NULL}, NULL);
		scene_run(&s, 0, 10);
		check_int(s.get.call.error.err, ==, rows[i].err);
		check_int(s.get.call.error.cls, ==, rows[i].cls);
		check_str(s.get.call.error.code, rows[i].code);
		check_str(s.get.call.error.request_id, "R1");
		check_int(s.placed, ==, 0);
		scene_run(&s, 0, 10);
		check_whole(&s);
		scene_close(&s);
	}
}

/* Bodies of error answers in other forms: chunked, until the end, endless. */
static void error_bodies(void)
{
	static const char xml[] = "<Error><Code>AccessDenied</Code></Error>";
	struct script a = {0}, b = {0}, c = {0};
	struct scene s;

	script_request(&a);
	script_send(&a,
		    "HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
		    sizeof(xml) - 1, xml);
	script_request(&a);
	script_send(&a, "HTTP/1.1 403 x\r\nConnection: close\r\n\r\n%s", xml);
	script_request(&b);
	script_send(&b, "HTTP/1.1 404 x\r\n\r\n");
	script_bytes(&b, 0, 200000);
	script_stall(&b);
	script_request(&c);
	script_send(&c, "HTTP/1.1 404 x\r\nContent-Length: 100000000\r\n\r\n");
	script_bytes(&c, 0, 200000);
	script_stall(&c);
	scene_open(&s, (struct script *[]){&a, &b, &c, NULL}, NULL);
	scene_run(&s, 0, 10);
	check_str(s.get.call.error.code, "AccessDenied");
	scene_run(&s, 0, 10);
	check_str(s.get.call.error.code, "AccessDenied");
	check_int(raw_server_connections(s.server), ==, 1);
	scene_run(&s, 0, 10);
	check_int(s.get.call.error.err, ==, -ENOENT);
	scene_run(&s, 0, 10);
	check_int(s.get.call.error.err, ==, -ENOENT);
	check_int(raw_server_errors(s.server), ==, 0);
	scene_close(&s);
}

static void throttled_three_times(void)
{
	struct script a = {0};
	struct scene s;

	for (int i = 0; i < 3; i++)
		script_error(&a, "503 Slow Down", "SlowDown");
	script_206(&a, 0, 9, SIZE);
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	scene_run(&s, 0, 10);
	check_whole(&s);
	check_int(s.get.call.error.attempts, ==, 4);
	check_int(raw_server_connections(s.server), ==, 1);
	scene_close(&s);
}

static void too_slow(void)
{
	static const struct get_limits limits = {
		.connect = 2 * NSEC_PER_SEC,
		.first_byte = 200 * NSEC_PER_MSEC,
		.stall = 200 * NSEC_PER_MSEC,
		.idle = 4 * NSEC_PER_SEC,
		.connections = 8,
	};
	struct script a = {0}, b = {0}, c = {0};
	struct scene s;

	script_request(&a);
	script_send(&a, "HTTP/1.1 206 x\r\n");
	script_stall(&a);
	script_request(&b);
	script_head(&b, 0, 999, SIZE);
	script_bytes(&b, 0, 99);
	script_stall(&b);
	script_206(&c, 100, 999, SIZE);
	scene_open(&s, (struct script *[]){&a, &b, &c, NULL}, &limits);
	scene_run(&s, 0, 1000);
	check_whole(&s);
	check_int(s.get.call.error.attempts, ==, 3);
	scene_close(&s);
}

static void deadline_without_progress(void)
{
	struct script a = {0};
	struct scene s;

	script_request(&a);
	script_head(&a, 0, 999, SIZE);
	script_bytes(&a, 0, 99);
	script_stall(&a);
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	s.get.call.deadline = clock_now() + 300 * NSEC_PER_MSEC;
	scene_run(&s, 0, 1000);
	check_int(s.get.call.error.err, ==, -EIO);
	check_str(s.get.call.error.code, "Timeout");
	check_int(s.placed, ==, 100);
	s.get.call.deadline = 1; /* long ago */
	scene_run(&s, 0, 1000);
	check_int(s.get.call.error.err, ==, -EIO);
	check_int(raw_server_connections(s.server), ==, 1);
	scene_close(&s);
}

static void nobody_listens(void)
{
	struct script a = {0};
	struct scene s;

	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	s3_client_free(s.client);
	s.client = scene_client("http://127.0.0.1:1", NULL, NULL);
	s.get.call.deadline = clock_now() + 500 * NSEC_PER_MSEC;
	scene_run(&s, 0, 10);
	check_int(s.get.call.error.err, ==, -EIO);
	check_str(s.get.call.error.code, "ConnectionRefused");
	check(s.get.call.error.attempts > 1);
	scene_close(&s);
}

int main(void)
{
	if (no_backend())
		return 77;
	return test_run((struct test[]){TEST(a_range),
					TEST(pauses_and_goes_on),
					TEST(a_pause_is_not_for_ever),
					TEST(large_and_in_small_rooms),
					TEST(whole_object_by_200),
					TEST(empty_object),
					TEST(head_byte_by_byte),
					TEST(chunked),
					TEST(broken_connections),
					TEST(reset_in_the_body),
					TEST(answers_that_break_the_rules),
					TEST(size_changes_between_attempts),
					TEST(errors),
					TEST(error_bodies),
					TEST(throttled_three_times),
					TEST(too_slow),
					TEST(deadline_without_progress),
					TEST(nobody_listens),
					{0}});
}
