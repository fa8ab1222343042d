/* SPDX-License-Identifier: Apache-2.0 */

/* Control calls that meet trouble: what is retried, corrected, given up. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/macro.h"
#include "lib/s3_script.h"
#include "s3/client.h"

/* --- retries --- */

static void storms_pass(void)
{
	struct s3_head_call h = {.key = "k"};

	script_begin(SCRIPT(BUSY, EMPTY_ANSWER("500 Oops", ""), SCRIPT_RESET,
			    EMPTY_ANSWER("429 Too Many", ""), HEAD_OK),
		     NULL);
	check_int(sync_head(&h), ==, 0);
	check_int(h.call.error.attempts, ==, 5);
	check_int(h.call.error.cls, ==, S3_OK);
	check_int(atomic_load(&sync_.client->retries), ==, 4);
	script_end(5);
}

static void attempts_are_bounded(void)
{
	const struct s3_config config = {.region = "us-east-1", .max_attempts = 3};
	struct s3_head_call h = {.key = "k"};

	script_begin(SCRIPT(BUSY, BUSY, BUSY, BUSY), &config);
	check_int(sync_head(&h), ==, -EIO);
	check_int(h.call.error.cls, ==, S3_THROTTLED);
	check_int(h.call.error.status, ==, 503);
	check_int(h.call.error.attempts, ==, 3);
	script_end(3);
}

/* Without budget an operation is slow, not lost; a success pays back. */
static void empty_budget_slows_down(void)
{
	struct s3_head_call h = {.key = "k"};
	uint64_t begun;

	script_begin(SCRIPT(BUSY, HEAD_OK, BUSY, HEAD_OK), NULL);
	while (s3_client_take_retry(sync_.client, S3_RETRY_COST))
		;
	begun = clock_now();
	check_int(sync_head(&h), ==, 0);
	check_int(h.call.error.attempts, ==, 2);
	check_int(clock_now() - begun, >=, (int64_t)(S3_DEBT_WAIT_MS * NSEC_PER_MSEC));
	s3_client_refund_retry(sync_.client, S3_RETRY_COST);
	begun = clock_now();
	check_int(sync_head(&h), ==, 0);
	check_int(clock_now() - begun, <, (int64_t)(S3_DEBT_WAIT_MS * NSEC_PER_MSEC));
	script_end(4);
}

static void refusals_are_not_retried(void)
{
	static const struct {
		const char *answer;
		int err;
		enum s3_class cls;
	} rows[] = {
		{EMPTY_ANSWER("404 Not Found", ""), -ENOENT, S3_NOT_FOUND},
		{EMPTY_ANSWER("403 Forbidden", ""), -EACCES, S3_FORBIDDEN},
		{EMPTY_ANSWER("412 Precondition Failed", ""), -ESTALE, S3_PRECONDITION},
		{EMPTY_ANSWER("400 Bad Request", ""), -EIO, S3_INVALID},
		{EMPTY_ANSWER("501 Not Implemented", ""), -EIO, S3_UNSUPPORTED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct s3_head_call h = {.key = "k"};

		script_begin(SCRIPT(rows[i].answer), NULL);
		check_int(sync_head(&h), ==, rows[i].err);
		check_int(h.call.error.cls, ==, rows[i].cls);
		check_int(h.call.error.attempts, ==, 1);
		script_end(1);
	}
}

static void bad_lists_are_asked_again(void)
{
	struct s3_list_call l = {.max_keys = 1};

	script_begin(SCRIPT("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<ListBucketResult>",
			    ERROR_ANSWER("200 OK", "InternalError"),
			    BODY_ANSWER("200 OK", "", "<ListBucketResult><Conte"),
			    BODY_ANSWER("502 Bad Gateway", "", "<html>no</html>"), LIST_OK),
		     NULL);
	check_int(sync_list(&l), ==, 0);
	check_int(l.call.error.attempts, ==, 5);
	require(l.page);
	check_int(l.page->count, ==, 1);
	s3_page_free(l.page);
	script_end(5);
}

static void list_errors(void)
{
	const struct s3_config config = {.region = "us-east-1", .max_attempts = 1};
	struct s3_list_call l = {.max_keys = 1, .token = "same"};
	char line[400];

	script_begin(SCRIPT(BODY_ANSWER("404 Not Found", "x-amz-request-id: R7\r\n",
					"<Error><Code>NoSuchBucket</Code><Message>gone</Message>"
					"</Error>"),
			    BODY_ANSWER("200 OK", "", "<html/>"),
			    BODY_ANSWER("200 OK", "",
					"<ListBucketResult><IsTruncated>true</IsTruncated>"
					"<NextContinuationToken>same</NextContinuationToken>"
					"</ListBucketResult>"),
			    EMPTY_ANSWER("404 Not Found", "")),
		     &config);
	check_int(sync_list(&l), ==, -EIO);
	s3_error_format(&l.call.error, line, sizeof(line));
	check_str(line, "404 NoSuchBucket: gone (request id R7), check the bucket's name, the "
			"region and the endpoint");
	check_int(sync_list(&l), ==, -EIO);
	check_int(l.call.error.cls, ==, S3_PROTOCOL);
	check(!l.page);
	check_int(sync_list(&l), ==, -EIO);
	check_str(l.call.error.message, "the listing does not advance");
	check_int(sync_list(&l), ==, -EIO);
	check_int(l.call.error.cls, ==, S3_NO_BUCKET);
	script_end(4);
}

static void region_is_learnt(void)
{
	const struct s3_config config = {.max_attempts = 4};
	struct s3_head_call h = {.key = "k"};

	script_begin(SCRIPT(EMPTY_ANSWER("301 Moved", "x-amz-bucket-region: eu-west-1\r\n"),
			    HEAD_OK, HEAD_OK),
		     &config);
	check_int(sync_head(&h), ==, 0);
	check(sent(0, "/us-east-1/s3/aws4_request"));
	check(sent(1, "/eu-west-1/s3/aws4_request"));
	check_str(s3_client_region(sync_.client), "eu-west-1");
	check_int(sync_head(&h), ==, 0);
	check(sent(2, "/eu-west-1/s3/aws4_request"));
	script_end(3);
}

static void region_ping_pong_ends(void)
{
	const struct s3_config config = {.max_attempts = 10};
	struct s3_head_call h = {.key = "k"};

	script_begin(SCRIPT(EMPTY_ANSWER("301 Moved", "x-amz-bucket-region: eu-west-1\r\n"),
			    EMPTY_ANSWER("301 Moved", "x-amz-bucket-region: eu-west-2\r\n")),
		     &config);
	check_int(sync_head(&h), ==, -EIO);
	check_int(h.call.error.cls, ==, S3_WRONG_REGION);
	script_end(2);

	/* the region that we are in already is no news */
	script_begin(SCRIPT(EMPTY_ANSWER("307 Moved", "x-amz-bucket-region: us-east-1\r\n")),
		     &config);
	check_int(sync_head(&h), ==, -EIO);
	script_end(1);
}

/* The server's clock is two hours ahead; HEAD has no document to say so. */
static void skew_is_corrected(void)
{
	static char first[256], second[256];
	struct s3_head_call h = {.key = "k"};
	struct s3_list_call l = {.max_keys = 1};
	time_t ahead = (time_t)(clock_wall() / 3600 + 2) * 3600 + 1800; /* half past: no rollover */
	char date[64], amz[17];
	struct tm tm;

	(void)gmtime_r(&ahead, &tm);
	(void)strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
	date_format_amz(ahead, amz);
	amz[11] = '\0'; /* to the hour */
	(void)snprintf(first, sizeof(first),
		       "HTTP/1.1 403 Forbidden\r\n%sContent-Length: 0\r\n\r\n", date);
	(void)snprintf(second, sizeof(second),
		       "HTTP/1.1 403 Forbidden\r\n%sConnection: close\r\n\r\n"
		       "<Error><Code>RequestTimeTooSkewed</Code></Error>",
		       date);
	script_begin(SCRIPT(first, HEAD_OK, second), NULL);
	check_int(sync_head(&h), ==, 0);
	check_int(h.call.error.attempts, ==, 2);
	check(!sent(0, amz) && sent(1, amz));
	/* the same date again: nothing to correct any more */
	check_int(sync_list(&l), ==, -EACCES);
	check_int(l.call.error.attempts, ==, 1);
	check(sent(2, amz));
	script_end(3);
}

static char creds_path[] = "/tmp/test_s3_ops.XXXXXX";

static void write_creds(const char *key)
{
	FILE *f = fopen(creds_path, "w");

	if (!f || fprintf(f, "[p]\naws_access_key_id = %s\naws_secret_access_key = s\n", key) < 0 ||
	    fclose(f) != 0)
		abort();
}

static void credentials_are_read_again(void)
{
	const struct s3_config config = {.region = "us-east-1", .profile = "p"};
	struct s3_list_call l = {.max_keys = 1};

	(void)setenv("AWS_SHARED_CREDENTIALS_FILE", creds_path, 1);
	write_creds("OLD");
	script_begin(SCRIPT(ERROR_ANSWER("400 Bad Request", "ExpiredToken"), LIST_OK,
			    ERROR_ANSWER("400 Bad Request", "ExpiredToken")),
		     &config);
	write_creds("NEWER");
	check_int(sync_list(&l), ==, 0);
	s3_page_free(l.page);
	check(sent(0, "Credential=OLD/"));
	check(sent(1, "Credential=NEWER/"));
	/* nothing new in the file: no second try */
	check_int(sync_list(&l), ==, -EACCES);
	check_int(l.call.error.cls, ==, S3_EXPIRED);
	script_end(3);
	(void)unlink(creds_path);
	(void)unsetenv("AWS_SHARED_CREDENTIALS_FILE");
}

/* --- checksums --- */

static void checksums_step_down_once(void)
{
	struct s3_put_call p = put_call(NULL);
	struct s3_upload_part_call u = {
		.key = "k", .upload_id = "id", .number = 1, .body = body, .nbody = 2};

	script_begin(SCRIPT(ERROR_ANSWER("501 Not Implemented", "NotImplemented"), PUT_OK, PUT_OK,
			    PUT_OK),
		     NULL);
	check_int(sync_put(&p), ==, 0);
	check_int(p.call.error.attempts, ==, 2);
	check(sent_header(0, "x-amz-checksum-crc32c:"));
	check(!sent_header(1, "x-amz-checksum"));
	check_int(sync_put(&p), ==, 0);
	check(!sent_header(2, "x-amz-checksum"));
	check_int(sync_part(&u), ==, 0);
	check(!sent_header(3, "x-amz-checksum"));
	check_str(u.part.checksum, "");
	script_end(4);
}

/* RestoreStatus is asked for until the server says that it does not know the header. */
static void list_steps_down_once(void)
{
	struct s3_list_call l = {.max_keys = 1};

	script_begin(
		SCRIPT(ERROR_ANSWER("501 Not Implemented", "NotImplemented"), LIST_OK, LIST_OK),
		NULL);
	check_int(sync_list(&l), ==, 0);
	s3_page_free(l.page);
	check(sent_header(0, "x-amz-optional-object-attributes: RestoreStatus"));
	check(!sent_header(1, "x-amz-optional-object-attributes"));
	check_int(sync_list(&l), ==, 0);
	s3_page_free(l.page);
	check(!sent_header(2, "x-amz-optional-object-attributes"));
	script_end(3);
}

/* A refusal that has another reason must not cost the checksums. */
static void checksums_stay(void)
{
	struct s3_put_call p = put_call(NULL);

	script_begin(SCRIPT(ERROR_ANSWER("400 Bad Request", "InvalidArgument"),
			    ERROR_ANSWER("400 Bad Request", "InvalidArgument"), PUT_OK),
		     NULL);
	check_int(sync_put(&p), ==, -EIO);
	check_int(p.call.error.attempts, ==, 2);
	check_int(sync_put(&p), ==, 0);
	check(sent_header(2, "x-amz-checksum-crc32c:"));
	script_end(3);
}

static void checksum_of_the_answer(void)
{
	struct s3_put_call p = put_call(NULL);

	script_begin(SCRIPT(EMPTY_ANSWER("200 OK", ETAG "x-amz-checksum-crc32c: AAAAAA==\r\n"),
			    EMPTY_ANSWER("200 OK", ETAG "x-amz-checksum-crc32c: mnG7TA==\r\n")),
		     NULL);
	check_int(sync_put(&p), ==, 0);
	check_int(p.call.error.attempts, ==, 2);
	script_end(2);
}

int main(void)
{
	int fd, r;

	if (no_backend())
		return 77;
	script_environment();
	fd = mkstemp(creds_path);
	if (fd < 0)
		return 1;
	(void)close(fd);
	r = test_run((struct test[]){
		TEST(storms_pass),
		TEST(attempts_are_bounded),
		TEST(empty_budget_slows_down),
		TEST(refusals_are_not_retried),
		TEST(bad_lists_are_asked_again),
		TEST(list_errors),
		TEST(region_is_learnt),
		TEST(region_ping_pong_ends),
		TEST(skew_is_corrected),
		TEST(credentials_are_read_again),
		TEST(checksums_step_down_once),
		TEST(checksums_stay),
		TEST(list_steps_down_once),
		TEST(checksum_of_the_answer),
		{0},
	});
	if (sync_.loop)
		end_loop(sync_.loop);
	(void)unlink(creds_path);
	return r;
}
