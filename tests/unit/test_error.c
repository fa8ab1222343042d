/* SPDX-License-Identifier: Apache-2.0 */

/* The error table row by row, classify, decide, and the line for people. */
#include <errno.h>
#include <string.h>

#include "lib/test.h"
#include "s3/error.h"

/* Every row must be the answer to its own question, and be there once. */
static void every_row_is_reached(void)
{
	const struct s3_rule *rules;
	size_t n = s3_error_rules(&rules);

	for (size_t i = 0; i < n; i++) {
		int status = rules[i].status < 10 ? rules[i].status * 100 + 99 : rules[i].status;
		const struct s3_rule *got = s3_error_rule(status, rules[i].code);

		if (got != &rules[i])
			test_fail_("row %zu (%d \"%s\") is hidden by (%d \"%s\")", i,
				   rules[i].status, rules[i].code, got->status, got->code);
		check(rules[i].err < 0);
		check(rules[i].cls != S3_OK && rules[i].cls != S3_LOCAL);
	}
}

static void classes(void)
{
	static const struct {
		int status;
		const char *code, *region;
		enum s3_class cls;
		int err;
	} rows[] = {
		{200, "", "", S3_OK, 0},
		{204, "", "eu-west-1", S3_OK, 0},
		{206, "", "", S3_OK, 0},
		{200, "InternalError", "", S3_SERVER, -EIO},
		{200, "SlowDown", "", S3_THROTTLED, -EIO},
		{200, "SomethingNew", "", S3_SERVER, -EIO},
		{200, "PreconditionFailed", "", S3_PRECONDITION, -ESTALE},
		{404, "NoSuchKey", "", S3_NOT_FOUND, -ENOENT},
		{404, "", "", S3_NOT_FOUND, -ENOENT},
		{404, "NoSuchBucket", "", S3_NO_BUCKET, -EIO},
		{404, "NoSuchUpload", "", S3_NOT_FOUND, -ENOENT},
		{403, "AccessDenied", "", S3_FORBIDDEN, -EACCES},
		{403, "", "", S3_FORBIDDEN, -EACCES},
		{400, "AccessDenied", "", S3_FORBIDDEN, -EACCES},
		{400, "SignatureDoesNotMatch", "", S3_FORBIDDEN, -EACCES},
		{400, "ExpiredToken", "", S3_EXPIRED, -EACCES},
		{400, "InvalidToken", "", S3_EXPIRED, -EACCES},
		{412, "PreconditionFailed", "", S3_PRECONDITION, -ESTALE},
		{412, "", "", S3_PRECONDITION, -ESTALE},
		{409, "ConditionalRequestConflict", "", S3_PRECONDITION, -ESTALE},
		{409, "BucketNotEmpty", "", S3_INVALID, -EIO},
		{301, "PermanentRedirect", "eu-west-1", S3_WRONG_REGION, -EIO},
		{301, "", "", S3_WRONG_REGION, -EIO},
		{307, "TemporaryRedirect", "", S3_WRONG_REGION, -EIO},
		{400, "", "eu-west-1", S3_WRONG_REGION, -EIO},
		{400, "AuthorizationHeaderMalformed", "eu-west-1", S3_WRONG_REGION, -EIO},
		{400, "InvalidRequest", "eu-west-1", S3_INVALID, -EIO},
		{400, "", "", S3_INVALID, -EIO},
		{503, "SlowDown", "", S3_THROTTLED, -EIO},
		{503, "", "", S3_THROTTLED, -EIO},
		{503, "SlowDownRead", "", S3_THROTTLED, -EIO},
		{429, "", "", S3_THROTTLED, -EIO},
		{500, "InternalError", "", S3_SERVER, -EIO},
		{502, "", "", S3_SERVER, -EIO},
		{504, "", "", S3_SERVER, -EIO},
		{507, "", "", S3_SERVER, -EIO},
		{501, "NotImplemented", "", S3_UNSUPPORTED, -EIO},
		{400, "RequestTimeout", "", S3_NETWORK, -EIO},
		{416, "InvalidRange", "", S3_INVALID, -EIO},
		{304, "", "", S3_PROTOCOL, -EIO},
		{100, "", "", S3_PROTOCOL, -EIO},
		{999, "", "", S3_PROTOCOL, -EIO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct s3_error e = {.attempts = 3};

		(void)snprintf(e.code, sizeof(e.code), "%s", rows[i].code);
		(void)snprintf(e.region, sizeof(e.region), "%s", rows[i].region);
		s3_error_classify(&e, rows[i].status);
		if (e.cls != rows[i].cls || e.err != rows[i].err)
			test_fail_("%d \"%s\": %s %d", rows[i].status, rows[i].code,
				   s3_class_name(e.cls), e.err);
		check_int(e.attempts, ==, 3);
	}
}

static void transport_errors(void)
{
	static const struct {
		int err;
		const char *code;
	} rows[] = {
		{-ETIMEDOUT, "Timeout"},
		{-ECONNREFUSED, "ConnectionRefused"},
		{-ECONNRESET, "ConnectionReset"},
		{-EHOSTUNREACH, "HostNotFound"},
		{-EKEYREJECTED, "TLSVerification"},
		{-EPROTO, "BadResponse"},
		{-EINVAL, "NetworkError"},
	};
	struct s3_error e;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		e = (struct s3_error){0};
		s3_error_transport(&e, rows[i].err, "why");
		check_str(e.code, rows[i].code);
		check_str(e.message, "why");
		check_int(e.cls, ==, S3_NETWORK);
		check_int(e.err, ==, -EIO);
	}
	e = (struct s3_error){0};
	s3_error_transport(&e, -ECANCELED, "");
	check_int(e.cls, ==, S3_LOCAL);
	check_int(e.err, ==, -ECANCELED);
}

static enum s3_next decide(int status, const char *code, const char *region,
			   const struct s3_retry *r, bool optional)
{
	struct s3_error e = {0};
	const struct s3_decide_input in = {.error = &e,
					   .max_attempts = 5,
					   .region_inferred = true,
					   .signs = true,
					   .optional_sent = optional,
					   .clock = 1000000};

	(void)snprintf(e.code, sizeof(e.code), "%s", code);
	(void)snprintf(e.region, sizeof(e.region), "%s", region);
	if (status)
		s3_error_classify(&e, status);
	else
		s3_error_transport(&e, -ETIMEDOUT, "");
	return s3_error_decide(&in, r);
}

static void decisions(void)
{
	const struct s3_retry first = {.attempts = 1}, last = {.attempts = 5};
	const struct s3_retry tried = {.attempts = 2,
				       .skew = true,
				       .region = true,
				       .creds = true,
				       .plain = true,
				       .date = 2000000};
	const struct s3_retry dated = {.attempts = 1, .date = 2000000};
	const struct s3_retry near = {.attempts = 1, .creds = true, .date = 1000100};

	check_int(decide(503, "", "", &first, false), ==, S3_RETRY);
	check_int(decide(503, "", "", &last, false), ==, S3_GIVE_UP);
	check_int(decide(500, "InternalError", "", &first, false), ==, S3_RETRY);
	check_int(decide(200, "InternalError", "", &first, false), ==, S3_RETRY);
	check_int(decide(200, "SomethingNew", "", &first, false), ==, S3_RETRY);
	check_int(decide(0, "", "", &first, false), ==, S3_RETRY);
	check_int(decide(404, "NoSuchKey", "", &first, false), ==, S3_GIVE_UP);
	check_int(decide(403, "AccessDenied", "", &first, false), ==, S3_GIVE_UP);
	check_int(decide(412, "", "", &first, false), ==, S3_GIVE_UP);
	check_int(decide(409, "ConditionalRequestConflict", "", &first, false), ==, S3_RETRY);

	check_int(decide(301, "", "eu-west-1", &first, false), ==, S3_RETRY_REGION);
	check_int(decide(301, "", "", &first, false), ==, S3_GIVE_UP);
	check_int(decide(301, "", "evil/../", &first, false), ==, S3_GIVE_UP);
	check_int(decide(301, "", "eu-west-1", &tried, false), ==, S3_GIVE_UP);
	check_int(decide(400, "", "eu-west-1", &first, false), ==, S3_RETRY_REGION);

	check_int(decide(403, "RequestTimeTooSkewed", "", &dated, false), ==, S3_RETRY_SKEW);
	check_int(decide(403, "RequestTimeTooSkewed", "", &first, false), ==, S3_GIVE_UP);
	check_int(decide(403, "RequestTimeTooSkewed", "", &tried, false), ==, S3_GIVE_UP);
	check_int(decide(403, "", "", &dated, false), ==, S3_RETRY_SKEW); /* HEAD */
	check_int(decide(403, "", "", &near, false), ==, S3_GIVE_UP);

	check_int(decide(400, "ExpiredToken", "", &first, false), ==, S3_RETRY_CREDS);
	check_int(decide(403, "InvalidAccessKeyId", "", &first, false), ==, S3_RETRY_CREDS);
	check_int(decide(403, "", "", &first, false), ==, S3_RETRY_CREDS); /* HEAD */
	check_int(decide(400, "ExpiredToken", "", &tried, false), ==, S3_GIVE_UP);

	check_int(decide(501, "NotImplemented", "", &first, true), ==, S3_RETRY_PLAIN);
	check_int(decide(501, "NotImplemented", "", &first, false), ==, S3_GIVE_UP);
	check_int(decide(501, "NotImplemented", "", &tried, true), ==, S3_GIVE_UP);
	check_int(decide(400, "InvalidArgument", "", &first, true), ==, S3_RETRY_PLAIN);
	check_int(decide(400, "EntityTooLarge", "", &first, true), ==, S3_GIVE_UP);
}

/* Without credentials there is nothing to correct about them. */
static void decisions_unsigned(void)
{
	struct s3_error e = {.code = "ExpiredToken"};
	struct s3_decide_input in = {.error = &e, .max_attempts = 5};
	const struct s3_retry r = {.attempts = 1, .date = 1};

	s3_error_classify(&e, 400);
	check_int(s3_error_decide(&in, &r), ==, S3_GIVE_UP);
	e = (struct s3_error){.region = "eu-west-1"};
	s3_error_classify(&e, 301);
	check_int(s3_error_decide(&in, &r), ==, S3_GIVE_UP); /* the region was given */
	e = (struct s3_error){0};
	s3_error_transport(&e, -EKEYREJECTED, "");
	check_int(s3_error_decide(&in, &r), ==, S3_GIVE_UP);
	s3_error_set(&e, S3_LOCAL, -ENOMEM, "out of memory");
	check_int(s3_error_decide(&in, &r), ==, S3_GIVE_UP);
}

static void headers(void)
{
	struct s3_error e = {0};
	char longer[200];

	memset(longer, 'x', sizeof(longer));
	s3_error_header(&e, "X-Amz-Request-Id", 16, "ABC", 3);
	s3_error_header(&e, "x-amz-bucket-region", 19, "eu-west-1\r\n", 9);
	s3_error_header(&e, "x-other", 7, "y", 1);
	check_str(e.request_id, "ABC");
	check_str(e.region, "eu-west-1");
	s3_error_header(&e, "x-amz-request-id", 16, longer, sizeof(longer));
	check_int(strlen(e.request_id), ==, sizeof(e.request_id) - 1);
}

static void lines_for_people(void)
{
	struct s3_error e = {.code = "AccessDenied", .message = "Access Denied", .attempts = 1};
	char line[512], tiny[8];

	s3_error_classify(&e, 403);
	s3_error_format(&e, line, sizeof(line));
	check_str(line,
		  "403 AccessDenied: Access Denied, check the credentials and the permissions");
	s3_error_format(&e, tiny, sizeof(tiny));
	check_str(tiny, "403 Acc");

	e = (struct s3_error){.code = "SlowDown",
			      .message = "Please reduce your request rate.",
			      .request_id = "R1",
			      .attempts = 10};
	s3_error_classify(&e, 503);
	s3_error_format(&e, line, sizeof(line));
	check_str(line, "503 SlowDown: Please reduce your request rate. after 10 attempts "
			"(request id R1)");

	e = (struct s3_error){.region = "eu-west-1"};
	s3_error_classify(&e, 301);
	s3_error_format(&e, line, sizeof(line));
	check_str(line, "301 wrong region, the bucket is in eu-west-1, use --region with the "
			"bucket's region");

	e = (struct s3_error){0};
	s3_error_transport(&e, -ECONNREFUSED, "Failed to connect to 127.0.0.1 port 1");
	s3_error_format(&e, line, sizeof(line));
	check_str(line, "ConnectionRefused: Failed to connect to 127.0.0.1 port 1, check the "
			"endpoint");

	e = (struct s3_error){0};
	s3_error_classify(&e, 404);
	s3_error_format(&e, line, sizeof(line));
	check_str(line, "404 not found");
}

int main(void)
{
	return test_run((struct test[]){
		TEST(every_row_is_reached),
		TEST(classes),
		TEST(transport_errors),
		TEST(decisions),
		TEST(decisions_unsigned),
		TEST(headers),
		TEST(lines_for_people),
		{0},
	});
}
