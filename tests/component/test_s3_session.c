/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sessions of directory buckets: when one is asked for, who waits, what it signs. The
 * server's part, and load while sessions expire, is in tests/mount/test_sessions.py.
 */
#include <poll.h>

#include "base/clock.h"
#include "base/macro.h"
#include "lib/s3_script.h"
#include "s3/client.h"
#include "s3/session.h"

#define BUCKET "bkt--use1-az1--x-s3"

static const struct s3_config express = {.region = "us-east-1", .bucket = BUCKET};

/* One answer per connection: the client must not reckon with another. */
#define CLOSE "Connection: close\r\n"
#define DATE  "Date: Wed, 21 Oct 2015 07:00:00 GMT\r\n"
#define SESSION(key, expires)                                                              \
	BODY_ANSWER("200 OK", DATE,                                                        \
		    "<CreateSessionResult><Credentials><SessionToken>T-" key               \
		    "</SessionToken><SecretAccessKey>S</SecretAccessKey><AccessKeyId>" key \
		    "</AccessKeyId><Expiration>2015-10-21T" expires                        \
		    "Z</Expiration></Credentials></CreateSessionResult>")
#define FIVE_MINUTES "07:05:00"
#define FOUND	     HEAD_ANSWER("200 OK", CLOSE ETAG "Content-Length: 5\r\n")
#define FORBIDDEN    ERROR_ANSWER("403 Forbidden", "AccessDenied")

static void first_request_asks(void)
{
	struct s3_head_call h = {.key = "k"};
	struct s3_list_call l = {.max_keys = 1};

	script_begin(SCRIPT(SESSION("K1", FIVE_MINUTES), FOUND, LIST_OK), &express);
	check(s3_client_is_directory(sync_.client));
	check_int(sync_head(&h), ==, 0);
	check_int(h.call.error.attempts, ==, 1);
	check(sent(0, "GET /" BUCKET "?session="));
	check(sent_header(0, "x-amz-create-session-mode: ReadWrite\r\n"));
	check(sent(0, "Credential=AK/"));
	check(sent(0, "/us-east-1/s3express/aws4_request"));
	check(!sent_header(0, "x-amz-s3session-token"));
	check(sent(1, "HEAD /" BUCKET "/k HTTP/1.1\r\n"));
	check(sent(1, "Credential=K1/"));
	check(sent(1, "/us-east-1/s3express/aws4_request"));
	check(sent_header(1, "x-amz-s3session-token: T-K1\r\n"));
	check(sent(1, ";x-amz-s3session-token,Signature="));
	check(!sent_header(1, "x-amz-security-token"));
	check_int(sync_list(&l), ==, 0);
	s3_page_free(l.page);
	check(sent(2, "Credential=K1/"));
	script_end(3);
}

static void base_token_is_not_for_requests(void)
{
	struct s3_head_call h = {.key = "k"};

	(void)setenv("AWS_SESSION_TOKEN", "BASE", 1);
	script_begin(SCRIPT(SESSION("K1", FIVE_MINUTES), FOUND), &express);
	(void)unsetenv("AWS_SESSION_TOKEN");
	check_int(sync_head(&h), ==, 0);
	check(sent_header(0, "x-amz-security-token: BASE\r\n"));
	check(!sent_header(1, "BASE"));
	script_end(2);
}

static void no_session_no_request(void)
{
	struct s3_head_call h = {.key = "k"};

	script_begin(SCRIPT(FORBIDDEN, FORBIDDEN), &express);
	check_int(sync_head(&h), ==, -EACCES);
	check_str(h.call.error.code, "AccessDenied");
	check_int(sync_head(&h), ==, -EACCES);
	script_end(2);

	/* an answer that is none */
	script_begin(SCRIPT(BODY_ANSWER("200 OK", "", "<CreateSessionResult/>"),
			    SESSION("K1", FIVE_MINUTES), FOUND),
		     &express);
	check_int(sync_head(&h), ==, 0);
	script_end(3);
}

static void refused_session_is_replaced(void)
{
	struct s3_head_call h = {.key = "k"};
	struct s3_list_call l = {.max_keys = 1};

	/* HEAD has no code to tell */
	script_begin(SCRIPT(SESSION("K1", FIVE_MINUTES), EMPTY_ANSWER("400 Bad Request", CLOSE),
			    SESSION("K2", FIVE_MINUTES), FOUND),
		     &express);
	check_int(sync_head(&h), ==, 0);
	check(sent(2, "?session="));
	check(sent(3, "Credential=K2/"));
	script_end(4);

	script_begin(SCRIPT(SESSION("K1", FIVE_MINUTES), FOUND,
			    ERROR_ANSWER("400 Bad Request", "ExpiredToken"),
			    SESSION("K2", FIVE_MINUTES), LIST_OK),
		     &express);
	check_int(sync_head(&h), ==, 0);
	check_int(sync_list(&l), ==, 0);
	s3_page_free(l.page);
	script_end(5);

	/* once per operation */
	script_begin(SCRIPT(SESSION("K1", FIVE_MINUTES),
			    ERROR_ANSWER("400 Bad Request", "ExpiredToken"),
			    SESSION("K2", FIVE_MINUTES),
			    ERROR_ANSWER("400 Bad Request", "ExpiredToken")),
		     &express);
	check_int(sync_list(&l), ==, -EACCES);
	check_int(l.call.error.cls, ==, S3_EXPIRED);
	script_end(4);
}

/* A life of two seconds is over after less than that. */
static void expired_session_is_not_used(void)
{
	struct s3_head_call h = {.key = "k"};

	script_begin(SCRIPT(SESSION("K1", "07:00:02"), FOUND, SESSION("K2", FIVE_MINUTES), FOUND),
		     &express);
	check_int(sync_head(&h), ==, 0);
	(void)poll(NULL, 0, 1000); /* its end is what is waited for */
	check_int(sync_head(&h), ==, 0);
	check(sent(2, "?session="));
	check(sent(3, "Credential=K2/"));
	script_end(4);
}

static void session_by_name_only(void)
{
	const struct s3_config forced = {.region = "us-east-1", .bucket_type = S3_BUCKET_DIRECTORY};
	const struct s3_config general = {
		.region = "us-east-1", .bucket = BUCKET, .bucket_type = S3_BUCKET_GENERAL};
	const struct s3_config open = {
		.region = "us-east-1", .bucket = BUCKET, .no_sign_request = true};
	struct s3_head_call h = {.key = "k"};

	script_begin(SCRIPT(FOUND), &forced);
	check(s3_client_is_directory(sync_.client));
	check_int(sync_head(&h), ==, 0);
	check(sent(0, "/us-east-1/s3/aws4_request"));
	script_end(1);
	script_begin(SCRIPT(SESSION("K1", FIVE_MINUTES), FOUND), &general);
	check(!s3_client_is_directory(sync_.client));
	check_int(sync_head(&h), ==, 0);
	script_end(2);
	script_begin(SCRIPT(FOUND), &open);
	check_int(sync_head(&h), ==, 0);
	check(!sent_header(0, "authorization"));
	script_end(1);
}

static void stalled_session_ends_with_the_call(void)
{
	struct s3_head_call h = {.key = "k"};

	h.call.deadline = clock_now() + 300 * NSEC_PER_MSEC;
	script_begin(SCRIPT(SCRIPT_STALL), &express);
	check_int(sync_head(&h), ==, -EIO);
	check_str(h.call.error.code, "Timeout");
	script_end(1);
}

/* --- GETs --- */

SYNC_CALL(get, s3_get_call, s3_get)

static char got[8];

static struct iovec get_space(struct s3_get_call *g, uint64_t pos)
{
	return (struct iovec){got + pos, sizeof(got) - pos};
}

static void get_data(struct s3_get_call *g, uint64_t pos, size_t len)
{
}

/* A client that made GETs outlives its loop. */
static void end_gets(unsigned requests)
{
	end_loop(sync_.loop);
	sync_.loop = NULL;
	script_end(requests);
}

static void gets_wait_too(void)
{
#define DATA                                                                            \
	HEAD_ANSWER("206 Partial Content", CLOSE ETAG "Content-Length: 5\r\n"           \
						      "Content-Range: bytes 0-4/5\r\n") \
	"hello"
	struct s3_get_call g = {.key = "k",
				.if_match = "\"e1\"",
				.length = 5,
				.on_space = get_space,
				.on_data = get_data};

	script_begin(SCRIPT(SESSION("K1", FIVE_MINUTES), DATA), &express);
	check_int(sync_get(&g), ==, 0);
	check(sent(0, "?session="));
	check(sent(1, "GET /" BUCKET "/k HTTP/1.1\r\n"));
	check(sent_header(1, "x-amz-s3session-token: T-K1\r\n"));
	check_mem(got, "hello", 5);
	end_gets(2);

	script_begin(SCRIPT(SESSION("K1", FIVE_MINUTES),
			    ERROR_ANSWER("400 Bad Request", "ExpiredToken"),
			    SESSION("K2", FIVE_MINUTES), DATA),
		     &express);
	check_int(sync_get(&g), ==, 0);
	check(sent(3, "Credential=K2/"));
	end_gets(4);

	script_begin(SCRIPT(FORBIDDEN), &express);
	check_int(sync_get(&g), ==, -EACCES);
	end_gets(1);
}

/* --- cancelling and ending --- */

static void ignored(struct s3_call *c)
{
	test_fail_("a cancelled call was done");
}

static void begin_and_cancel(void *arg)
{
	struct s3_head_call *h = arg;

	s3_head(sync_.client, sync_.loop, h);
	s3_cancel(&h->call);
}

static void cancelled_while_waiting(void)
{
	struct s3_head_call gone = {.key = "a", .call.done = ignored}, h = {.key = "k"};

	script_begin(SCRIPT(SESSION("K1", FIVE_MINUTES), FOUND), &express);
	check(on_loop(sync_.loop, begin_and_cancel, &gone));
	check_int(sync_head(&h), ==, 0);
	script_end(2);
}

static void begin(void *arg)
{
	s3_head(sync_.client, sync_.loop, arg);
}

static int stopped;

static void on_stopped(struct s3_call *c)
{
	stopped = c->error.err;
}

static void stopping_the_loop(void)
{
	struct s3_head_call h = {.key = "k", .call.done = on_stopped};

	script_begin(SCRIPT(SCRIPT_STALL), &express);
	check(on_loop(sync_.loop, begin, &h));
	check(raw_server_wait_requests(script_server, 1));
	end_loop(sync_.loop);
	sync_.loop = NULL;
	check_int(stopped, ==, -ECANCELED);
	sync_end_client();
	raw_server_free(script_server);
}

int main(void)
{
	return script_main((struct test[]){
		TEST(first_request_asks),
		TEST(base_token_is_not_for_requests),
		TEST(no_session_no_request),
		TEST(refused_session_is_replaced),
		TEST(expired_session_is_not_used),
		TEST(session_by_name_only),
		TEST(stalled_session_ends_with_the_call),
		TEST(gets_wait_too),
		TEST(cancelled_while_waiting),
		TEST(stopping_the_loop),
		{0},
	});
}
