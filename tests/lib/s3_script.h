/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One answer per connection, in order, and a client on it:
 *
 *	script_begin((const char *const[]){ANSWER("503 Slow Down", ""), SCRIPT_RESET, OK, NULL},
 *		     NULL);
 *	check_int(sync_head(&h), ==, 0);
 *	check(sent(1, "HEAD /bucket/k HTTP/1.1\r\n"));
 *	script_end(2);		(so many requests were made)
 */
#ifndef TESTS_LIB_S3_SCRIPT_H
#define TESTS_LIB_S3_SCRIPT_H

#include <string.h>

#include "lib/raw_server.h"
#include "lib/s3_sync.h"
#include "lib/test.h"

#define SCRIPT_MAX   16
#define SCRIPT_RESET "RESET"
#define SCRIPT_STALL "STALL"

/* Whole answers, one a connection, which says so; `headers` are lines that end in \r\n. */
#define HEAD_ANSWER(status, headers)	   "HTTP/1.1 " status "\r\n" headers "Connection: close\r\n\r\n"
#define EMPTY_ANSWER(status, headers)	   HEAD_ANSWER(status, headers "Content-Length: 0\r\n")
#define BODY_ANSWER(status, headers, body) HEAD_ANSWER(status, headers) body
#define ERROR_ANSWER(status, code) \
	BODY_ANSWER(status, "", "<Error><Code>" code "</Code><Message>m</Message></Error>")

#define ETAG	"ETag: \"e1\"\r\n"
#define HEAD_OK HEAD_ANSWER("200 OK", ETAG "Content-Length: 5\r\n")
#define PUT_OK	EMPTY_ANSWER("200 OK", ETAG)
#define BUSY	EMPTY_ANSWER("503 Slow Down", "")
#define LIST_OK                                                                         \
	BODY_ANSWER("200 OK", "",                                                       \
		    "<ListBucketResult><Contents><Key>k</Key><Size>1</Size></Contents>" \
		    "</ListBucketResult>")

#define SCRIPT(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct raw_server *script_server;

static inline struct raw_step script_step(const char *answer)
{
	if (strcmp(answer, SCRIPT_RESET) == 0)
		return (struct raw_step)RAW_RESET;
	if (strcmp(answer, SCRIPT_STALL) == 0)
		return (struct raw_step)RAW_STALL;
	return (struct raw_step){RAW_ACT_SEND, answer, strlen(answer)};
}

/* `config` gives all but the endpoint, and the bucket if it is to have another name; NULL: region
 * us-east-1. */
static inline void script_begin(const char *const *answers, const struct s3_config *config)
{
	static struct raw_step steps[SCRIPT_MAX][3];
	static const struct raw_step *scripts[SCRIPT_MAX + 1];
	struct s3_config own = config ? *config : (struct s3_config){.region = "us-east-1"};
	static char url[64];
	unsigned n = 0;

	for (; answers[n]; n++) {
		if (n == SCRIPT_MAX)
			abort();
		steps[n][0] = (struct raw_step)RAW_REQUEST;
		steps[n][1] = script_step(answers[n]);
		steps[n][2] = (struct raw_step)RAW_END;
		scripts[n] = steps[n];
	}
	scripts[n] = NULL;
	script_server = raw_server_new(scripts);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", raw_server_port(script_server));
	if (!own.bucket)
		own.bucket = "bucket";
	own.endpoint_url = url;
	sync_begin(&own);
}

/* The n-th request (from 0) contains `text`. */
static inline bool sent(unsigned n, const char *text)
{
	const char *request = raw_server_request(script_server, n);

	return request && strstr(request, text) != NULL;
}

/* The same without case: header names. */
static inline bool sent_header(unsigned n, const char *text)
{
	const char *request = raw_server_request(script_server, n);

	return request && strcasestr(request, text) != NULL;
}

static inline void script_end(unsigned requests)
{
	if (raw_server_request(script_server, requests) ||
	    (requests && !raw_server_request(script_server, requests - 1)))
		test_fail_("not %u requests", requests);
	check_int(raw_server_errors(script_server), ==, 0);
	sync_end_client();
	raw_server_free(script_server);
	script_server = NULL;
}

/* A body in two pieces, and a PUT of it. */
static char body_text[] = "hello";
__attribute__((unused)) static const struct iovec body[2] = {{body_text, 2}, {body_text + 2, 3}};

static inline struct s3_put_call put_call(const struct s3_put_attrs *attrs)
{
	return (struct s3_put_call){.key = "k", .attrs = attrs, .body = body, .nbody = 2};
}

/* Before the first client: credentials of ours and nobody else's settings. */
static inline void script_environment(void)
{
	static const char *const vars[] = {"AWS_REGION", "AWS_SESSION_TOKEN", "AWS_MAX_ATTEMPTS",
					   "AWS_ENDPOINT_URL"};

	for (size_t i = 0; i < sizeof(vars) / sizeof(vars[0]); i++)
		(void)unsetenv(vars[i]);
	(void)setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
	(void)setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
}

/* What main returns: runs the tests, one after another on one loop. */
static inline int script_main(const struct test *tests)
{
	int r;

	if (no_backend())
		return 77;
	script_environment();
	r = test_run(tests);
	if (sync_.loop)
		end_loop(sync_.loop);
	return r;
}

#endif
