/* SPDX-License-Identifier: Apache-2.0 */

/*
 * HTTP calls of a loop against a scripted server: what goes over the wire, byte
 * by byte, what each kind of answer turns into, and connections. Runs once per
 * backend (MOUNT_S3_LOOP).
 */
#include "lib/exchange.h"

/* --- the wire ------------------------------------------------------------------ */

static void check_request(unsigned index, const char *line, const char *rest)
{
	struct buf want = BUF_INIT(4096);

	buf_printf(&want, "%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s", line, raw_server_port(server),
		   rest);
	check_str(raw_server_request(server, index), buf_str(&want));
	buf_fini(&want);
}

static void requests_have_just_the_headers_they_need(void)
{
	static char one[] = "one", two[] = "-two";
	static const struct iovec body[] = {{one, 3}, {NULL, 0}, {two, 4}};
	static const char *const headers[] = {"x-amz-date: 20260101T000000Z", "Range: bytes=0-9",
					      NULL};
	static const struct {
		const char *method, *path;
		bool headers, body;
		const char *answer, *line, *rest;
	} cases[] = {
		{"GET", "/a", 0, 0, OK_2, "GET /a", "\r\n"},
		{"GET", "/a/../b//c/.%20%2F?x=1&y=", 1, 0, OK_2, "GET /a/../b//c/.%20%2F?x=1&y=",
		 "x-amz-date: 20260101T000000Z\r\nRange: bytes=0-9\r\n\r\n"},
		{"HEAD", "/a", 0, 0, "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", "HEAD /a",
		 "\r\n"},
		{"DELETE", "/a", 0, 0, "HTTP/1.1 204 No Content\r\n\r\n", "DELETE /a", "\r\n"},
		{"PUT", "/a", 1, 1, OK_NONE, "PUT /a",
		 "x-amz-date: 20260101T000000Z\r\nRange: bytes=0-9\r\nContent-Length: 7\r\n\r\n"
		 "one-two"},
		{"PUT", "/a", 0, 0, OK_NONE, "PUT /a", "Content-Length: 0\r\n\r\n"},
		{"POST", "/a?uploads", 0, 0, OK_NONE, "POST /a?uploads",
		 "Content-Length: 0\r\n\r\n"},
		{"POST", "/a", 0, 1, OK_NONE, "POST /a", "Content-Length: 7\r\n\r\none-two"},
		{"GET", "/after", 0, 0, OK_2, "GET /after", "\r\n"},
	};

	/* one connection for all of them: handles and connections are reused */
	struct raw_step script[2 * ARRAY_SIZE(cases) + 1];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		script[2 * i] = (struct raw_step)RAW_REQUEST;
		script[2 * i + 1] =
			(struct raw_step){RAW_ACT_SEND, cases[i].answer, strlen(cases[i].answer)};
	}
	script[2 * ARRAY_SIZE(cases)] = (struct raw_step)RAW_END;
	set_up(SCRIPTS(script), NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct exchange x;

		exchange_init(&x, cases[i].method);
		(void)snprintf(x.url, sizeof(x.url), "http://127.0.0.1:%d%s",
			       raw_server_port(server), cases[i].path);
		x.call.headers = cases[i].headers ? headers : NULL;
		x.call.body = cases[i].body ? body : NULL;
		x.call.nbody = cases[i].body ? ARRAY_SIZE(body) : 0;
		check(go(&x));
		check_int(x.err, ==, 0);
		check_int(x.status, ==, i == 3 ? 204 : 200);
		check_str(x.detail, "");
		check_request(i, cases[i].line, cases[i].rest);
		exchange_fini(&x);
	}
	check_int(raw_server_connections(server), ==, 1);
	tear_down();
}

static void the_user_agent_is_the_configured_one(void)
{
	struct exchange x;

	set_up(SCRIPTS(SCRIPT(RAW_REQUEST, RAW_SEND(OK_2))),
	       &(struct net_config){.user_agent = "mount-s3/0.1 x"});
	exchange_init(&x, "GET");
	check(go(&x));
	check_request(0, "GET /a", "User-Agent: mount-s3/0.1 x\r\n\r\n");
	exchange_fini(&x);
	tear_down();
}

static void bad_calls_are_refused_at_once(void)
{
	static const char *const no_value[] = {"x-amz-a:", NULL};
	static const char *const broken[] = {"x-amz-a: b\r\nc: d", NULL};
	struct iovec body = {(char[]){"x"}, 1};
	struct exchange x;

	set_up(SCRIPTS(SCRIPT(RAW_REQUEST)), NULL);
	for (unsigned i = 0; i < 6; i++) {
		exchange_init(&x, i == 0 ? "PATCH" : "GET");
		if (i == 1)
			(void)snprintf(x.url, sizeof(x.url), "file:///etc/passwd");
		if (i == 2)
			(void)snprintf(x.url, sizeof(x.url), "http://a/b c");
		if (i == 3) {
			x.call.body = &body;
			x.call.nbody = 1;
		}
		if (i >= 4)
			x.call.headers = i == 4 ? no_value : broken;
		require(on_loop(loop, begin, &x));
		check_int(x.started, ==, -EINVAL);
		check_int(x.callbacks, ==, 0);
		check(x.call.transfer == NULL);
		exchange_fini(&x);
	}
	tear_down();
}

/* --- answers ------------------------------------------------------------------- */

#define CHUNKED                                                                             \
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n" \
	"4;x=y\r\ndefg\r\n0\r\nX-T: trailer\r\n\r\n"
#define ENCODED "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz"

static void answers_become_results(void)
{
	static const struct {
		bool reset;
		const char *answer;
		int err, status;
		const char *headers, *body;
	} cases[] = {
		{false, OK_2, 0, 200, "Content-Length=2;", "ok"},
		{false,
		 "HTTP/1.1 200 OK\r\nETag:  \"a:b\" \r\nx-Empty:\r\ncontent-length: 0\r\n\r\n", 0,
		 200, "ETag=\"a:b\";x-Empty=;content-length=0;", ""},
		{false, CHUNKED, 0, 200, "Transfer-Encoding=chunked;Trailer=X-T;", "abcdefg"},
		{false, ENCODED, 0, 200, "Content-Encoding=gzip;Content-Length=3;", "xyz"},
		{false,
		 "HTTP/1.1 100 Continue\r\nX-I: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
		 "X-J: 1\r\n\r\n" OK_2,
		 0, 200, "Content-Length=2;", "ok"},
		{false, "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n<err>", 0, 404,
		 "Content-Length=5;", "<err>"},
		{false,
		 "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
		 0, 301, "Location=http://127.0.0.1:1/;Content-Length=0;", ""},
		{false, "HTTP/1.1 200 OK\r\n\r\nuntil the end", 0, 200, "", "until the end"},
		{false, "HTTP/1.0 200 OK\r\n\r\nold", 0, 200, "", "old"},
		/* from here on: failures */
		{false, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", -EPROTO, 200,
		 "Content-Length=9;", "short"},
		{false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", -EPROTO,
		 200, "Transfer-Encoding=chunked;", "abc"},
		{false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", -EPROTO, 200,
		 "Transfer-Encoding=chunked;", ""},
		{false, "nonsense\r\n\r\n", -EPROTO, 0, "", ""},
		{false, "", -ECONNRESET, 0, "", ""},
		{true, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", -ECONNRESET, 200,
		 "Content-Length=9;", "short"},
		{true, "", -ECONNRESET, 0, "", ""},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct raw_step script[] = {
			RAW_REQUEST,
			{RAW_ACT_SEND, cases[i].answer, strlen(cases[i].answer)},
			/* a reset may overtake bytes that were not read yet */
			{RAW_ACT_DELAY, NULL, cases[i].reset ? 50 : 0},
			{cases[i].reset ? RAW_ACT_RESET : RAW_ACT_END, NULL, 0},
		};
		struct exchange x;

		set_up(SCRIPTS(script), NULL);
		exchange_init(&x, "GET");
		check(go(&x));
		if (x.err != cases[i].err)
			printf("# case %u: %s\n", i, x.detail);
		check_int(x.err, ==, cases[i].err);
		check_int(x.status, ==, cases[i].status);
		check_int(x.done, ==, 1);
		check_str(buf_str(&x.headers), cases[i].headers);
		check_str(buf_str(&x.body), cases[i].body);
		check((x.err != 0) == (x.detail[0] != '\0'));
		exchange_fini(&x);
		tear_down();
	}
}

static void a_head_without_end_is_cut_off(void)
{
	static char line[4096 + 1];
	struct raw_step script[130];
	struct exchange x;

	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "X-Long: ", 8);
	memcpy(line + 4094, "\r\n", 2);
	script[0] = (struct raw_step)RAW_REQUEST;
	script[1] = (struct raw_step)RAW_SEND("HTTP/1.1 200 OK\r\n");
	for (unsigned i = 2; i < ARRAY_SIZE(script) - 1; i++)
		script[i] = (struct raw_step){RAW_ACT_SEND, line, 4096};
	script[ARRAY_SIZE(script) - 1] = (struct raw_step)RAW_STALL;
	set_up(SCRIPTS(script), NULL);
	exchange_init(&x, "GET");
	x.call.on_header = NULL;
	check(go(&x));
	check_int(x.err, ==, -EPROTO);
	exchange_fini(&x);
	tear_down();
}

static void a_big_body_arrives_whole(void)
{
	enum { LEN = 9000001 };
	struct exchange x;
	unsigned wrong = 0;

	set_up(SCRIPTS(SCRIPT(RAW_REQUEST,
			      RAW_SEND("HTTP/1.1 200 OK\r\nContent-Length: 9000001\r\n\r\n"),
			      RAW_FILL(LEN))),
	       NULL);
	exchange_init(&x, "GET");
	x.call.stall_timeout_ms = 5000;
	check(go(&x));
	check_int(x.err, ==, 0);
	check_int(x.body.len, ==, LEN);
	for (size_t i = 0; i < x.body.len; i++)
		wrong += (unsigned char)x.body.data[i] != i % 251;
	check_int(wrong, ==, 0);
	exchange_fini(&x);
	tear_down();
}

static void a_big_upload_arrives_whole(void)
{
	enum { LEN = 5000003 };
	char *data = malloc(LEN);
	struct iovec body[] = {{data, 1}, {data + 1, 3000000}, {data + 3000001, LEN - 3000001}};
	struct exchange x;
	size_t head;

	for (size_t i = 0; i < LEN; i++)
		data[i] = (char)(i % 249);
	set_up(SCRIPTS(SCRIPT(RAW_REQUEST, RAW_SEND(OK_NONE))), NULL);
	exchange_init(&x, "PUT");
	x.call.body = body;
	x.call.nbody = ARRAY_SIZE(body);
	x.call.stall_timeout_ms = x.call.first_byte_timeout_ms = 5000;
	check(go(&x));
	check_int(x.err, ==, 0);
	head = raw_server_request_len(server, 0) - LEN;
	check_mem(raw_server_request(server, 0) + head, data, LEN);
	exchange_fini(&x);
	tear_down();
	free(data);
}

/* The server answers and closes although the body was not taken. */
static void an_early_error_answer_is_seen(void)
{
	size_t len = 64 * 1024;
	char *data = calloc(1, len);
	struct iovec body = {data, len};
	struct exchange x;

	set_up(SCRIPTS(SCRIPT(RAW_HEAD,
			      RAW_SEND("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n"
				       "Content-Length: 2\r\n\r\nno"),
			      RAW_STALL)),
	       NULL);
	exchange_init(&x, "PUT");
	x.call.body = &body;
	x.call.nbody = 1;
	check(go(&x));
	check_int(x.err, ==, 0);
	check_int(x.status, ==, 403);
	check_str(buf_str(&x.body), "no");
	exchange_fini(&x);
	tear_down();
	free(data);
}

static void the_caller_may_refuse_the_body(void)
{
	struct exchange x;

	set_up(SCRIPTS(SCRIPT(RAW_REQUEST,
			      RAW_SEND("HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n"),
			      RAW_FILL(900000), RAW_STALL)),
	       NULL);
	exchange_init(&x, "GET");
	x.body_cap = 100000;
	check(go(&x));
	check_int(x.err, ==, -EMSGSIZE);
	check_int(x.body.len, <=, 100000);
	exchange_fini(&x);
	tear_down();
}

/* --- connections --------------------------------------------------------------- */

static void a_kept_connection_that_was_closed_is_replaced(void)
{
	struct exchange x;

	/* the reset comes when all of the second request was sent */
	set_up(SCRIPTS(SCRIPT(RAW_REQUEST, RAW_SEND(OK_2), RAW_REQUEST, RAW_RESET),
		       SCRIPT(RAW_REQUEST, RAW_SEND(OK_2))),
	       NULL);
	exchange_init(&x, "GET");
	check(go(&x));
	check_int(x.err, ==, 0);
	exchange_fini(&x);
	exchange_init(&x, "GET");
	check(go(&x));
	check_int(x.err, ==, 0);
	check_int(raw_server_connections(server), ==, 2);
	exchange_fini(&x);
	tear_down();
}

/* It may have had its effect: the caller is told, curl does not repeat it. */
static void a_change_is_not_repeated_unseen(void)
{
	struct iovec body = {(char[]){"again"}, 5};
	struct exchange x;

	set_up(SCRIPTS(SCRIPT(RAW_REQUEST, RAW_SEND(OK_2), RAW_REQUEST, RAW_RESET),
		       SCRIPT(RAW_STALL)),
	       NULL);
	exchange_init(&x, "GET");
	check(go(&x));
	check_int(x.err, ==, 0);
	exchange_fini(&x);
	exchange_init(&x, "PUT");
	x.call.body = &body;
	x.call.nbody = 1;
	check(go(&x));
	check_int(x.err, ==, -ECONNRESET);
	check_request(1, "PUT /a", "Content-Length: 5\r\n\r\nagain");
	check(!raw_server_request(server, 2));
	exchange_fini(&x);
	tear_down();
}

static void connections_per_host_are_bounded(void)
{
	struct raw_step script[] = {RAW_REQUEST, RAW_SEND(OK_2), RAW_REQUEST, RAW_SEND(OK_2),
				    RAW_REQUEST, RAW_SEND(OK_2), RAW_REQUEST, RAW_SEND(OK_2),
				    RAW_REQUEST, RAW_SEND(OK_2), RAW_REQUEST, RAW_SEND(OK_2),
				    RAW_END};
	struct exchange x[6];

	set_up(SCRIPTS(script, script), &(struct net_config){.max_connections_per_host = 2});
	for (unsigned i = 0; i < ARRAY_SIZE(x); i++) {
		exchange_init(&x[i], "GET");
		check(start(&x[i]));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(x); i++) {
		check(gate_wait(&x[i].over));
		check_int(x[i].err, ==, 0);
		exchange_fini(&x[i]);
	}
	check_int(raw_server_connections(server), <=, 2);
	tear_down();
}

static void a_closed_port_refuses(void)
{
	struct exchange x;
	int port;

	set_up(SCRIPTS(SCRIPT(RAW_REQUEST)), NULL);
	port = raw_server_port(server);
	tear_down();
	loop = start_loop(NULL);
	exchange_init(&x, "GET");
	(void)snprintf(x.url, sizeof(x.url), "http://127.0.0.1:%d/", port);
	check(go(&x));
	check_int(x.err, ==, -ECONNREFUSED);
	exchange_fini(&x);
	/* an empty label: the resolver asks nobody; the failure leaves nothing to the next call */
	for (unsigned i = 0; i < 3; i++) {
		exchange_init(&x, "GET");
		(void)snprintf(x.url, sizeof(x.url), "http://a..b/");
		check(go(&x));
		check_int(x.err, ==, -EHOSTUNREACH);
		exchange_fini(&x);
	}
	end_loop(loop);
}

int main(void)
{
	if (no_backend()) {
		printf("1..0 # SKIP this kernel does not give a ring\n");
		return 0;
	}
	return test_run((struct test[]){
		TEST(requests_have_just_the_headers_they_need),
		TEST(the_user_agent_is_the_configured_one),
		TEST(bad_calls_are_refused_at_once),
		TEST(answers_become_results),
		TEST(a_head_without_end_is_cut_off),
		TEST(a_big_body_arrives_whole),
		TEST(a_big_upload_arrives_whole),
		TEST(an_early_error_answer_is_seen),
		TEST(the_caller_may_refuse_the_body),
		TEST(a_kept_connection_that_was_closed_is_replaced),
		TEST(a_change_is_not_repeated_unseen),
		TEST(connections_per_host_are_bounded),
		TEST(a_closed_port_refuses),
		{0},
	});
}
