/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The ends of HTTP calls that are not an answer: time limits, cancelling in
 * every state and inside callbacks, the end of the loop. Runs once per backend
 * (MOUNT_S3_LOOP).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/exchange.h"

/* --- time ---------------------------------------------------------------------- */

static uint64_t elapsed_ms(struct exchange *x)
{
	uint64_t before = clock_now();

	check(go(x));
	return (clock_now() - before) / NSEC_PER_MSEC;
}

#define LIMIT_MS 200
/* The looks come every quarter of a limit; the rest is for a busy machine. */
#define LATEST_MS 3000

static void check_timed_out(struct exchange *x, const char *detail)
{
	uint64_t ms = elapsed_ms(x);

	check_int(x->err, ==, -ETIMEDOUT);
	check_int(ms, >=, LIMIT_MS);
	check_int(ms, <, LATEST_MS);
	if (detail && !strstr(x->detail, detail))
		test_fail_("\"%s\" does not say \"%s\"", x->detail, detail);
	exchange_fini(x);
}

static void a_connection_that_is_never_answered_times_out(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int lfd = socket(AF_INET, SOCK_STREAM, 0), full[8];
	struct exchange x;

	require(bind(lfd, (struct sockaddr *)&a, len) == 0 && listen(lfd, 0) == 0 &&
		getsockname(lfd, (struct sockaddr *)&a, &len) == 0);
	for (unsigned i = 0; i < ARRAY_SIZE(full); i++) {
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(full[i], (struct sockaddr *)&a, sizeof(a));
	}
	loop = start_loop(NULL);
	exchange_init(&x, "GET");
	(void)snprintf(x.url, sizeof(x.url), "http://127.0.0.1:%d/", ntohs(a.sin_port));
	x.call.connect_timeout_ms = LIMIT_MS;
	check_timed_out(&x, NULL);
	exchange_init(&x, "GET");
	(void)snprintf(x.url, sizeof(x.url), "http://127.0.0.1:%d/", ntohs(a.sin_port));
	x.call.deadline = clock_now() + LIMIT_MS * NSEC_PER_MSEC;
	check_timed_out(&x, "deadline");
	end_loop(loop);
	for (unsigned i = 0; i < ARRAY_SIZE(full); i++)
		(void)close(full[i]);
	(void)close(lfd);
}

static void silence_times_out(void)
{
	static const char part[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort";
	static const struct {
		const char *method, *answer;
		unsigned first_byte, stall, deadline;
		const char *detail;
	} cases[] = {
		{"GET", "", LIMIT_MS, 0, 0, "no response head"},
		{"GET", "", LIMIT_MS, 10 * LATEST_MS, 0, "no response head"},
		{"PUT", "", LIMIT_MS, 10 * LATEST_MS, 0, "no response head"},
		{"GET", part, 10 * LATEST_MS, LIMIT_MS, 0, "no byte moved"},
		{"GET", part, 0, LIMIT_MS, 0, "no byte moved"},
		{"GET", "HTTP/1.1 200 OK\r\nCon", 0, LIMIT_MS, 0, "no byte moved"},
		{"GET", "", 0, 0, LIMIT_MS, "deadline"},
		{"GET", part, 10 * LATEST_MS, 10 * LATEST_MS, LIMIT_MS, "deadline"},
	};
	struct iovec body = {(char[]){"x"}, 1};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct raw_step script[] = {
			RAW_REQUEST,
			{RAW_ACT_SEND, cases[i].answer, strlen(cases[i].answer)},
			RAW_STALL,
		};
		struct exchange x;

		set_up(SCRIPTS(script), NULL);
		exchange_init(&x, cases[i].method);
		x.call.first_byte_timeout_ms = cases[i].first_byte;
		x.call.stall_timeout_ms = cases[i].stall;
		if (strcmp(cases[i].method, "PUT") == 0) {
			x.call.body = &body;
			x.call.nbody = 1;
		}
		if (cases[i].deadline)
			x.call.deadline = clock_now() + cases[i].deadline * NSEC_PER_MSEC;
		check_timed_out(&x, cases[i].detail);
		tear_down();
	}
}

/* A server that takes nothing more of a big body. */
static void an_upload_that_stalls_times_out(void)
{
	size_t len = 64 * MIB;
	char *data = calloc(1, len);
	struct iovec body = {data, len};
	struct exchange x;

	set_up(SCRIPTS(SCRIPT(RAW_HEAD, RAW_DELAY(60000))), NULL);
	exchange_init(&x, "PUT");
	x.call.body = &body;
	x.call.nbody = 1;
	x.call.stall_timeout_ms = LIMIT_MS;
	x.call.first_byte_timeout_ms = 10 * LATEST_MS;
	check_timed_out(&x, "no byte moved");
	tear_down();
	free(data);
}

static void slow_but_steady_bytes_are_no_stall(void)
{
	struct exchange x;
	struct raw_step script[2 + 2 * 8 + 1] = {
		RAW_REQUEST, RAW_SEND("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")};

	for (unsigned i = 0; i < 8; i++) {
		script[2 + 2 * i] = (struct raw_step)RAW_DELAY(150);
		script[3 + 2 * i] = (struct raw_step)RAW_SEND("x");
	}
	script[18] = (struct raw_step)RAW_END;
	set_up(SCRIPTS(script), NULL);
	exchange_init(&x, "GET");
	x.call.stall_timeout_ms = 500;
	x.call.first_byte_timeout_ms = 500;
	check(go(&x));
	check_int(x.err, ==, 0);
	check_str(buf_str(&x.body), "xxxxxxxx");
	exchange_fini(&x);
	tear_down();
}

/* --- cancelling ---------------------------------------------------------------- */

/* After a cancel the next call on the loop works and the first is silent. */
static void check_cancelled(struct exchange *x)
{
	struct exchange y;
	unsigned before;

	check(on_loop(loop, cancel, x));
	before = x->callbacks;
	check(x->call.transfer == NULL);
	memset(x->url, 'x', sizeof(x->url) - 1); /* it is the caller's again */
	exchange_init(&y, "GET");
	check(go(&y));
	check_int(y.err, ==, 0);
	exchange_fini(&y);
	check_int(x->callbacks, ==, before);
	check_int(x->done, ==, 0);
	exchange_fini(x);
}

static void a_call_can_be_cancelled_in_every_state(void)
{
	static const struct raw_step waits[] = {RAW_REQUEST, RAW_STALL};
	static const struct raw_step sends[] = {
		RAW_REQUEST, RAW_SEND("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
		RAW_STALL};
	static const struct raw_step answers[] = {RAW_REQUEST, RAW_SEND(OK_2), RAW_END};
	struct exchange x;

	/* waiting for the head */
	set_up(SCRIPTS(waits, answers), NULL);
	exchange_init(&x, "GET");
	check(start(&x));
	check(raw_server_wait_requests(server, 1));
	check_cancelled(&x);
	tear_down();

	/* inside the body */
	set_up(SCRIPTS(sends, answers), NULL);
	exchange_init(&x, "GET");
	check(start(&x));
	check(gate_wait(&x.body_began));
	check_cancelled(&x);
	tear_down();

	/* waiting for a connection: the only one is taken */
	set_up(SCRIPTS(waits, answers), &(struct net_config){.max_connections_per_host = 1});
	exchange_init(&x, "GET");
	check(start(&x));
	check(raw_server_wait_requests(server, 1));
	{
		struct exchange second;

		exchange_init(&second, "GET");
		check(start(&second));
		check(on_loop(loop, cancel, &second));
		check_int(second.callbacks, ==, 0);
		exchange_fini(&second);
	}
	check_cancelled(&x);
	tear_down();

	/* over already, and never begun */
	set_up(SCRIPTS(answers, answers), NULL);
	exchange_init(&x, "GET");
	check(on_loop(loop, cancel, &x));
	check(go(&x));
	check_int(x.done, ==, 1);
	check(on_loop(loop, cancel, &x));
	exchange_fini(&x);
	tear_down();
}

static void begin_and_cancel(void *arg)
{
	begin(arg);
	cancel(arg);
}

static void a_call_can_be_cancelled_before_anything_happened(void)
{
	struct exchange x;

	set_up(SCRIPTS(SCRIPT(RAW_REQUEST, RAW_SEND(OK_2)), SCRIPT(RAW_REQUEST, RAW_SEND(OK_2))),
	       NULL);
	exchange_init(&x, "GET");
	check(on_loop(loop, begin_and_cancel, &x));
	check_cancelled(&x);
	tear_down();
}

static void cancel_self(struct exchange *x)
{
	net_cancel(&x->call);
	gate_open(&x->over);
}

static void cancel_other(struct exchange *x)
{
	net_cancel(&x->other->call);
}

static void start_other(struct exchange *x)
{
	if (x->other->started == 1)
		x->other->started = net_start(loop_current(), &x->other->call);
}

static void start_and_cancel_other(struct exchange *x)
{
	start_other(x);
	cancel_other(x);
}

static void a_call_may_cancel_itself_in_its_callbacks(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct exchange x;

		set_up(SCRIPTS(SCRIPT(RAW_REQUEST, RAW_SEND(OK_2 OK_2)),
			       SCRIPT(RAW_REQUEST, RAW_SEND(OK_2))),
		       NULL);
		exchange_init(&x, "GET");
		if (i == 0)
			x.in_header = cancel_self;
		else
			x.in_body = cancel_self;
		check(go(&x));
		check_cancelled(&x);
		tear_down();
	}
}

static void calls_may_be_started_and_cancelled_in_callbacks(void)
{
	static const struct raw_step answers[] = {RAW_REQUEST, RAW_SEND(OK_2), RAW_REQUEST,
						  RAW_SEND(OK_2), RAW_END};
	static const struct raw_step waits[] = {RAW_REQUEST, RAW_STALL};
	struct exchange x, y;

	for (unsigned i = 0; i < 3; i++) {
		set_up(SCRIPTS(answers, answers), NULL);
		exchange_init(&x, "GET");
		exchange_init(&y, "GET");
		y.started = 1; /* not yet */
		x.other = &y;
		*(i == 0 ? &x.in_header : i == 1 ? &x.in_body : &x.in_done) = start_other;
		check(go(&x));
		check(gate_wait(&y.over));
		check_int(x.err, ==, 0);
		check_int(y.err, ==, 0);
		exchange_fini(&x);
		exchange_fini(&y);
		tear_down();
	}
	for (unsigned i = 0; i < 3; i++) {
		set_up(SCRIPTS(answers, answers), NULL);
		exchange_init(&x, "GET");
		exchange_init(&y, "GET");
		y.started = 1;
		x.other = &y;
		*(i == 0   ? &x.in_header
		  : i == 1 ? &x.in_body
			   : &x.in_done) = start_and_cancel_other;
		check(go(&x));
		check_int(y.callbacks, ==, 0);
		exchange_fini(&x);
		check_cancelled(&y);
		tear_down();
	}
	for (unsigned i = 0; i < 3; i++) {
		set_up(SCRIPTS(waits, answers, answers), NULL);
		exchange_init(&y, "GET");
		check(start(&y));
		check(raw_server_wait_requests(server, 1));
		exchange_init(&x, "GET");
		x.other = &y;
		*(i == 0 ? &x.in_header : i == 1 ? &x.in_body : &x.in_done) = cancel_other;
		check(go(&x));
		check_int(x.err, ==, 0);
		exchange_fini(&x);
		check_cancelled(&y);
		tear_down();
	}
}

static void begin_late(struct exchange *x)
{
	x->started = net_start(loop_current(), &x->call);
}

static void stop_ends_the_calls(void)
{
	static const struct raw_step waits[] = {RAW_REQUEST, RAW_STALL};
	struct exchange x[3];

	set_up(SCRIPTS(waits), &(struct net_config){.max_connections_per_host = 1});
	for (unsigned i = 0; i < ARRAY_SIZE(x); i++) {
		exchange_init(&x[i], "GET");
		x[i].in_done = begin_late;
		check(start(&x[i]));
	}
	check(raw_server_wait_requests(server, 1));
	end_loop(loop);
	for (unsigned i = 0; i < ARRAY_SIZE(x); i++) {
		check_int(x[i].err, ==, -ECANCELED);
		check_int(x[i].done, ==, 1);
		check_int(x[i].started, ==, -ECANCELED);
		exchange_fini(&x[i]);
	}
	raw_server_free(server);
	server = NULL;
}

int main(void)
{
	if (no_backend()) {
		printf("1..0 # SKIP this kernel does not give a ring\n");
		return 0;
	}
	return test_run((struct test[]){
		TEST(a_connection_that_is_never_answered_times_out),
		TEST(silence_times_out),
		TEST(an_upload_that_stalls_times_out),
		TEST(slow_but_steady_bytes_are_no_stall),
		TEST(a_call_can_be_cancelled_in_every_state),
		TEST(a_call_can_be_cancelled_before_anything_happened),
		TEST(a_call_may_cancel_itself_in_its_callbacks),
		TEST(calls_may_be_started_and_cancelled_in_callbacks),
		TEST(stop_ends_the_calls),
		{0},
	});
}
