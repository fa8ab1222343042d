/* SPDX-License-Identifier: Apache-2.0 */

/* Connections of s3_get: reuse, limit and order, cancelling and stopping in each state. */
#include "lib/get_scene.h"

#define SIZE 5000

static void kept_alive(void)
{
	struct script a = {0};
	struct scene s;

	for (unsigned i = 0; i < 3; i++)
		script_206(&a, i * 10, i * 10 + 9, SIZE);
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	for (unsigned i = 0; i < 3; i++) {
		scene_run(&s, i * 10, 10);
		check_whole(&s);
	}
	check_int(raw_server_connections(s.server), ==, 1);
	scene_close(&s);
}

/* Answers after which the connection must not carry another request. */
static void not_kept(void)
{
	static const struct {
		const char *version, *extra_head, *extra_body;
	} rows[] = {
		{"1.1", "Connection: close\r\n", ""},
		{"1.0", "", ""},
		{"1.1", "", "x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct script a = {0}, b = {0};
		struct scene s;

		script_request(&a);
		script_send(&a,
			    "HTTP/%s 206 x\r\nETag: \"e1\"\r\nContent-Range: bytes 0-0/5000\r\n"
			    "Content-Length: 1\r\n%s\r\n%c%s",
			    rows[i].version, rows[i].extra_head, object_byte(0),
			    rows[i].extra_body);
		script_stall(&a);
		script_206(&b, 0, 9, SIZE);
		scene_open(&s, (struct script *[]){&a, &b, NULL}, NULL);
		scene_run(&s, 0, 1);
		check_whole(&s);
		scene_run(&s, 0, 10);
		check_whole(&s);
		check_int(s.get.call.error.attempts, ==, 1);
		scene_close(&s);
	}
}

/* The server closes while the connection idles: before, or as the next request comes. */
static void stale(void)
{
	for (int late = 0; late < 2; late++) {
		struct script a = {0}, b = {0};
		struct scene s;

		script_206(&a, 0, 9, SIZE);
		if (late)
			script_request(&a);
		script_206(&b, 0, 9, SIZE);
		scene_open(&s, (struct script *[]){&a, &b, NULL}, NULL);
		scene_run(&s, 0, 10);
		check_whole(&s);
		scene_run(&s, 0, 10);
		check_whole(&s);
		check_int(s.get.call.error.attempts, ==, 1);
		scene_close(&s);
	}
}

/* A fresh connection that dies without an answer is a failure like any other. */
static void resent_only_once(void)
{
	struct script a = {0}, b = {0}, c = {0};
	struct scene s;

	script_206(&a, 0, 9, SIZE);
	script_request(&a);
	script_request(&b);
	script_206(&c, 0, 9, SIZE);
	scene_open(&s, (struct script *[]){&a, &b, &c, NULL}, NULL);
	scene_run(&s, 0, 10);
	scene_run(&s, 0, 10);
	check_whole(&s);
	check_int(s.get.call.error.attempts, ==, 2);
	scene_close(&s);
}

static void idle_ones_are_closed(void)
{
	static const struct get_limits limits = {
		.connect = 2 * NSEC_PER_SEC,
		.first_byte = 2 * NSEC_PER_SEC,
		.stall = 2 * NSEC_PER_SEC,
		.idle = 50 * NSEC_PER_MSEC,
		.connections = 8,
	};
	struct script a = {0}, b = {0};
	struct scene s;
	script_206(&a, 0, 9, SIZE);
	script_stall(&a); /* ends when the client closes */
	script_206(&b, 0, 9, SIZE);
	scene_open(&s, (struct script *[]){&a, &b, NULL}, &limits);
	scene_run(&s, 0, 10);
	/* Nothing to wait for but the time itself. */
	const struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
	(void)nanosleep(&pause, NULL);
	scene_run(&s, 0, 10);
	check_whole(&s);
	scene_close(&s);
}

/* --- several calls at once --- */

#define CALLS 6

struct crowd {
	struct scene *base;
	struct scene calls[CALLS];
	unsigned ended[CALLS], nended; /* order of done */
};

static struct crowd *crowd_now;

static void crowd_done(struct s3_call *c)
{
	struct scene *s = (struct scene *)c;

	crowd_now->ended[crowd_now->nended++] = (unsigned)(s - crowd_now->calls);
	s->dones++;
	gate_open(&crowd_now->base->over);
}

static void crowd_start(void *arg)
{
	struct crowd *c = arg;

	for (unsigned i = 0; i < CALLS; i++)
		s3_get(c->base->client, c->base->loop, &c->calls[i].get);
}

/* One connection for six calls: those of demand go first, each kind in order. */
static void limit_and_order(void)
{
	static const unsigned want[CALLS] = {0, 3, 5, 1, 2, 4};
	static const struct get_limits limits = {
		.connect = 2 * NSEC_PER_SEC,
		.first_byte = 5 * NSEC_PER_SEC,
		.stall = 5 * NSEC_PER_SEC,
		.idle = 4 * NSEC_PER_SEC,
		.connections = 1,
	};
	static struct crowd c;
	struct script a = {0};
	struct scene s;

	for (unsigned i = 0; i < CALLS; i++)
		script_206(&a, want[i] * 10, want[i] * 10 + 9, SIZE);
	scene_open(&s, (struct script *[]){&a, NULL}, &limits);
	c = (struct crowd){.base = &s};
	crowd_now = &c;
	for (unsigned i = 0; i < CALLS; i++) {
		struct scene *k = &c.calls[i];

		scene_prepare(k);
		k->get.call.done = crowd_done;
		k->get.offset = i * 10;
		k->get.length = 10;
		k->get.demand = i == 3 || i == 5;
	}
	check(on_loop(s.loop, crowd_start, &c));
	for (unsigned i = 0; i < CALLS; i++)
		check(gate_wait(&s.over));
	for (unsigned i = 0; i < CALLS; i++) {
		check_int(c.calls[i].get.call.error.err, ==, 0);
		check_int(c.calls[i].wrong, ==, 0);
		check_int(c.calls[i].placed, ==, 10);
		check_int(c.ended[i], ==, want[i]);
		(void)munmap(c.calls[i].data, SCENE_BYTES);
	}
	check_int(raw_server_connections(s.server), ==, 1);
	check_int(raw_server_errors(s.server), ==, 0);
	scene_close(&s);
}

/* --- cancelling and stopping --- */

static void in_callbacks(void)
{
	static const struct {
		enum scene_cancel where;
		uint64_t at;
		bool chunked;
	} rows[] = {
		{CANCEL_ON_HEAD, 0, false},	{CANCEL_ON_SPACE, 0, false},
		{CANCEL_ON_DATA, 0, false},	{CANCEL_ON_SPACE, 50000, false},
		{CANCEL_ON_DATA, 50000, false}, {CANCEL_ON_DATA, 100000, false},
		{CANCEL_ON_HEAD, 0, true},	{CANCEL_ON_SPACE, 0, true},
		{CANCEL_ON_DATA, 50, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct script a = {0};
		struct scene s;

		if (rows[i].chunked) {
			script_request(&a);
			script_send(&a, "HTTP/1.1 206 x\r\nETag: \"e1\"\r\n"
					"Content-Range: bytes 0-99999/5000000\r\n"
					"Transfer-Encoding: chunked\r\n\r\n186a0\r\n");
			script_bytes(&a, 0, 99999);
			script_send(&a, "\r\n0\r\n\r\n");
		} else {
			script_206(&a, 0, 99999, 5000000);
		}
		script_stall(&a);
		scene_open(&s, (struct script *[]){&a, NULL}, NULL);
		s.room = 10000;
		s.cancel = rows[i].where;
		s.cancel_at = rows[i].at;
		scene_run(&s, 0, 100000);
		end_loop(s.loop);
		s.loop = NULL;
		if (s.dones != 0)
			test_fail_("row %zu is told after all", i);
		check(!s.get.call.op);
		check_int(s.wrong, ==, 0);
		scene_close(&s);
	}
}

enum stage {
	AT_START,
	IN_QUEUE,
	CONNECTING,
	HEAD_NOTHING,
	HEAD_PART,
	BODY_NOTHING,
	BODY_PART,
	ERROR_BODY,
	BACKOFF,
	STAGES
};

/* Brings the call to a stage in which it stays. */
static void reach(struct scene *s, struct script *a, struct script *b, enum stage stage)
{
	static const struct get_limits none = {
		.connect = 10 * NSEC_PER_SEC,
		.first_byte = 10 * NSEC_PER_SEC,
		.stall = 10 * NSEC_PER_SEC,
		.idle = 4 * NSEC_PER_SEC,
		.connections = 0,
	};

	if (stage != CONNECTING)
		script_request(a);
	if (stage == HEAD_PART)
		script_send(a, "HTTP/1.1 206 x\r\n");
	if (stage == BODY_NOTHING || stage == BODY_PART)
		script_head(a, 0, 99999, 100000);
	if (stage == BODY_PART)
		script_bytes(a, 0, 49999);
	if (stage == ERROR_BODY)
		script_send(a, "HTTP/1.1 503 x\r\nContent-Length: 10\r\n\r\n12345");
	if (stage == BACKOFF)
		script_send(a, "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n");
	script_stall(a);
	script_stall(b);
	scene_open(s, (struct script *[]){a, b, NULL}, stage == IN_QUEUE ? &none : NULL);
	scene_start(s, 0, 100000);
	if (stage >= HEAD_NOTHING)
		check(raw_server_wait_requests(s->server, 1));
	while (stage == BODY_PART && s->placed < 50000)
		check(gate_wait(&s->moved));
	/* What the server has sent is there, or on its way: either is a good moment. */
}

static void cancel_in_each_stage(void)
{
	for (enum stage stage = AT_START; stage < STAGES; stage++) {
		struct script a = {0}, b = {0};
		struct scene s;

		reach(&s, &a, &b, stage);
		scene_stop(&s);
		end_loop(s.loop);
		s.loop = NULL;
		check_int(s.dones, ==, 0);
		check(!s.get.call.op);
		scene_close(&s);
	}
}

static void begin_and_cancel(void *arg)
{
	struct scene *s = arg;

	s3_get(s->client, s->loop, &s->get);
	s3_cancel(&s->get.call);
	s3_cancel(&s->get.call);
}

static void cancel_at_once(void)
{
	struct script a = {0};
	struct scene s;

	script_206(&a, 0, 9, SIZE);
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	s.get.offset = 0;
	s.get.length = 10;
	check(on_loop(s.loop, begin_and_cancel, &s));
	scene_run(&s, 0, 10);
	check_whole(&s);
	scene_close(&s);
}

static void stop_in_each_stage(void)
{
	for (enum stage stage = AT_START; stage < STAGES; stage++) {
		struct script a = {0}, b = {0};
		struct scene s;

		reach(&s, &a, &b, stage);
		end_loop(s.loop);
		s.loop = NULL;
		check_int(s.dones, ==, 1);
		check_int(s.get.call.error.err, ==, -ECANCELED);
		check(!s.get.call.op);
		scene_close(&s);
	}
}

/* The caller starts over from its `done` while the loop stops: it is told again. */
static void again_done(struct s3_call *c)
{
	struct scene *s = (struct scene *)c;

	if (++s->dones == 1)
		s3_get(s->client, s->loop, &s->get);
}

static void start_while_stopping(void)
{
	struct script a = {0}, b = {0};
	struct scene s;

	reach(&s, &a, &b, BODY_PART);
	s.get.call.done = again_done;
	end_loop(s.loop);
	s.loop = NULL;
	check_int(s.dones, ==, 2);
	check_int(s.get.call.error.err, ==, -ECANCELED);
	scene_close(&s);
}

/* A client outlives a loop; the next one with its number begins afresh. */
static void next_loop(void)
{
	struct script a = {0}, b = {0};
	struct scene s;

	script_206(&a, 0, 9, SIZE);
	script_stall(&a);
	script_206(&b, 0, 9, SIZE);
	scene_open(&s, (struct script *[]){&a, &b, NULL}, NULL);
	scene_run(&s, 0, 10);
	check_whole(&s);
	end_loop(s.loop);
	s.loop = start_loop(NULL);
	scene_run(&s, 0, 10);
	check_whole(&s);
	scene_close(&s);
}

/* Enough quick answers on one connection for the engine to know what is usual. */
static void script_usual(struct script *a)
{
	for (unsigned i = 0; i < HEDGE_SAMPLES_MIN; i++)
		script_206(a, 0, 9, SIZE);
}

static void run_usual(struct scene *s)
{
	for (unsigned i = 0; i < HEDGE_SAMPLES_MIN; i++) {
		scene_run(s, 0, 10);
		check_whole(s);
	}
}

static void late_answer_is_hedged(void)
{
	struct script a = {0}, b = {0};
	struct scene s;

	script_usual(&a);
	script_request(&a);
	script_stall(&a);
	script_206(&b, 10, 19, SIZE);
	scene_open(&s, (struct script *[]){&a, &b, NULL}, NULL);
	run_usual(&s);
	s.get.demand = true;
	scene_run(&s, 10, 10);
	check_whole(&s);
	check_int(s.get.call.error.attempts, ==, 1);
	check_request_has(&s, HEDGE_SAMPLES_MIN, "range: bytes=10-19\r\n");
	check_request_has(&s, HEDGE_SAMPLES_MIN + 1, "range: bytes=10-19\r\n");
	scene_close(&s);
}

/* The second one fails, the first one's answer counts. */
static void hedge_fails(void)
{
	struct script a = {0}, b = {0};
	struct scene s;

	script_usual(&a);
	script_request(&a);
	script_add(&a, RAW_ACT_DELAY, NULL, 300);
	script_head(&a, 10, 19, SIZE);
	script_bytes(&a, 10, 19);
	script_error(&b, "500 x", "InternalError");
	script_stall(&b);
	scene_open(&s, (struct script *[]){&a, &b, NULL}, NULL);
	run_usual(&s);
	s.get.demand = true;
	scene_run(&s, 10, 10);
	check_whole(&s);
	check_int(s.get.call.error.attempts, ==, 1);
	scene_close(&s);
}

/* Both fail: then it is a failed attempt, and the next one brings it. */
static void hedge_and_first_fail(void)
{
	struct script a = {0}, b = {0};
	struct scene s;

	script_usual(&a);
	script_request(&a);
	script_add(&a, RAW_ACT_DELAY, NULL, 200);
	script_send(&a, "HTTP/1.1 500 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	script_error(&b, "500 x", "InternalError");
	script_206(&b, 10, 19, SIZE);
	scene_open(&s, (struct script *[]){&a, &b, NULL}, NULL);
	run_usual(&s);
	s.get.demand = true;
	scene_run(&s, 10, 10);
	check_whole(&s);
	check_int(s.get.call.error.attempts, ==, 2);
	scene_close(&s);
}

static void stalled_body_moves_on(void)
{
	struct script a = {0}, b = {0};
	struct scene s;

	script_request(&a);
	script_head(&a, 10, 99, SIZE);
	script_bytes(&a, 10, 49);
	script_stall(&a);
	script_206(&b, 50, 99, SIZE);
	scene_open(&s, (struct script *[]){&a, &b, NULL}, NULL);
	s.get.demand = true;
	uint64_t begin = clock_now();
	scene_run(&s, 10, 90);
	check_whole(&s);
	check_int(clock_now() - begin, <, 3 * NSEC_PER_SEC); /* the stall limit is 5 s */
	scene_close(&s);
}

static void no_hedge_without_demand(void)
{
	struct script a = {0};
	struct scene s;

	script_usual(&a);
	script_request(&a);
	script_add(&a, RAW_ACT_DELAY, NULL, 300);
	script_head(&a, 10, 19, SIZE);
	script_bytes(&a, 10, 19);
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	run_usual(&s);
	scene_run(&s, 10, 10);
	check_whole(&s);
	check_int(raw_server_connections(s.server), ==, 1);
	scene_close(&s);
}

/* A name with two addresses of which the first may be dead: ::1 and 127.0.0.1. */
static void by_name(void)
{
	struct script a = {0};
	struct scene s;
	char url[64];

	script_206(&a, 0, 9, SIZE);
	script_206(&a, 0, 9, SIZE);
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	s3_client_free(s.client);
	(void)snprintf(url, sizeof(url), "http://localhost:%d", raw_server_port(s.server));
	s.client = scene_client(url, NULL, NULL);
	scene_run(&s, 0, 10);
	check_whole(&s);
	check_int(s.get.call.error.attempts, ==, 1);
	scene_run(&s, 0, 10);
	check_whole(&s);
	scene_close(&s);
}

static void unknown_name(void)
{
	struct script a = {0};
	struct scene s;

	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	s3_client_free(s.client);
	s.client = scene_client("http://localhost.invalid:80", NULL, NULL);
	s.get.call.deadline = clock_now() + 300 * NSEC_PER_MSEC;
	scene_run(&s, 0, 10);
	check_int(s.get.call.error.err, ==, -EIO);
	/* While a lookup runs, it is dropped with the loop. */
	scene_start(&s, 0, 10);
	scene_close(&s);
}

static void by_proxy(void)
{
	struct script a = {0};
	struct scene s;
	char url[64];

	script_expect(&a, "GET http://s3.example.test:81/b/key HTTP/1.1\r\nhost: ");
	script_head(&a, 0, 9, SIZE);
	script_bytes(&a, 0, 9);
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	s3_client_free(s.client);
	(void)snprintf(url, sizeof(url), "http://u:p%%40@127.0.0.1:%d", raw_server_port(s.server));
	(void)setenv("http_proxy", url, 1);
	s.client = scene_client("http://s3.example.test:81", NULL, NULL);
	scene_run(&s, 0, 10);
	check_whole(&s);
	check_request_has(&s, 0, "\r\nProxy-Authorization: Basic dTpwQA==\r\n");
	check_request_has(&s, 0, "host: s3.example.test:81\r\n");
	scene_close(&s);
	(void)unsetenv("http_proxy");
}

static void proxy_that_refuses(void)
{
	struct script a = {0};
	struct scene s;
	char url[64];

	script_expect(&a, "CONNECT s3.example.test:443 HTTP/1.1\r\n");
	script_send(&a, "HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n");
	scene_open(&s, (struct script *[]){&a, NULL}, NULL);
	s3_client_free(s.client);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", raw_server_port(s.server));
	(void)setenv("https_proxy", url, 1);
	s.client = scene_client("https://s3.example.test", NULL, NULL);
	s.get.call.deadline = clock_now() + 10 * NSEC_PER_MSEC;
	scene_run(&s, 0, 10);
	check_int(s.get.call.error.err, ==, -EIO);
	scene_close(&s);
	(void)unsetenv("https_proxy");
}

int main(void)
{
	if (no_backend())
		return 77;
	(void)setenv("no_proxy", "127.0.0.1,localhost", 1);
	return test_run((struct test[]){TEST(kept_alive),
					TEST(not_kept),
					TEST(stale),
					TEST(resent_only_once),
					TEST(idle_ones_are_closed),
					TEST(limit_and_order),
					TEST(in_callbacks),
					TEST(cancel_in_each_stage),
					TEST(cancel_at_once),
					TEST(stop_in_each_stage),
					TEST(start_while_stopping),
					TEST(next_loop),
					TEST(late_answer_is_hedged),
					TEST(hedge_fails),
					TEST(hedge_and_first_fail),
					TEST(stalled_body_moves_on),
					TEST(no_hedge_without_demand),
					TEST(by_name),
					TEST(unknown_name),
					TEST(by_proxy),
					TEST(proxy_that_refuses),
					{0}});
}
