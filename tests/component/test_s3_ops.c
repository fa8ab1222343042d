/* SPDX-License-Identifier: Apache-2.0 */

/* Control calls on the wire: what is sent, what is retried, what comes back. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/macro.h"
#include "lib/s3_script.h"
#include "s3/client.h"

#define ETAG	"ETag: \"e1\"\r\n"
#define HEAD_OK HEAD_ANSWER("200 OK", ETAG "Content-Length: 5\r\n")
#define PUT_OK	EMPTY_ANSWER("200 OK", ETAG)
#define BUSY	EMPTY_ANSWER("503 Slow Down", "")
#define LIST_OK                                                                         \
	BODY_ANSWER("200 OK", "",                                                       \
		    "<ListBucketResult><Contents><Key>k</Key><Size>1</Size></Contents>" \
		    "</ListBucketResult>")

#define SCRIPT(...) ((const char *const[]){__VA_ARGS__, NULL})

static char body_text[] = "hello";
static const struct iovec body[2] = {{body_text, 2}, {body_text + 2, 3}};

static struct s3_put_call put_call(const struct s3_put_attrs *attrs)
{
	return (struct s3_put_call){.key = "k", .attrs = attrs, .body = body, .nbody = 2};
}

static void never(unsigned n)
{
	static const char *const names[] = {
		"\r\nexpect:", "\r\naccept-encoding:", "\r\ntransfer-encoding:", "aws-chunked",
		"trailer",     "\r\ncontent-md5:"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (sent_header(n, names[i]))
			test_fail_("request %u has %s", n, names[i]);
}

/* --- wire format --- */

static void head_on_the_wire(void)
{
	struct s3_head_call h = {.key = "a b/\xc3\xa9+", .if_match = "\"x\""};

	script_begin(
		SCRIPT(HEAD_ANSWER("200 OK", ETAG "Content-Length: 5\r\n"
						  "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
						  "x-amz-storage-class: GLACIER\r\n")),
		NULL);
	check_int(sync_head(&h), ==, 0);
	check_int(h.object.size, ==, 5);
	check_int(h.object.mtime, ==, 1445412480);
	check_int(h.object.storage, ==, S3_ARCHIVED);
	check_str(h.object.etag, "\"e1\"");
	check_int(h.call.error.attempts, ==, 1);
	check(sent(0, "HEAD /bucket/a%20b/%C3%A9%2B HTTP/1.1\r\n"));
	check(sent_header(0, "\r\nif-match: \"x\"\r\n"));
	check(sent_header(0, "\r\nhost: 127.0.0.1:"));
	check(sent_header(0, "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"));
	check(sent(0, "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"));
	check(!sent_header(0, "\r\ncontent-length:"));
	never(0);
	script_end(1);
}

static void list_on_the_wire(void)
{
	struct s3_list_call l = {
		.prefix = "p/ +", .delimiter = true, .start_after = "p/a", .max_keys = 1000};

	script_begin(SCRIPT(LIST_OK, LIST_OK), NULL);
	check_int(sync_list(&l), ==, 0);
	require(l.page && l.page->count == 1);
	s3_page_free(l.page);
	check(sent(0, "GET /bucket?delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&"
		      "prefix=p%2F%20%2B&start-after=p%2Fa HTTP/1.1\r\n"));
	check(!sent_header(0, "\r\ncontent-length:"));
	never(0);
	l = (struct s3_list_call){.token = "t=/+", .max_keys = 2};
	check_int(sync_list(&l), ==, 0);
	s3_page_free(l.page);
	check(sent(1, "GET /bucket?continuation-token=t%3D%2F%2B&encoding-type=url&list-type=2&"
		      "max-keys=2 HTTP/1.1\r\n"));
	script_end(2);
}

static void put_on_the_wire(void)
{
	const struct s3_put_attrs attrs = {.content_type = "text/plain",
					   .storage_class = "STANDARD_IA",
					   .sse = "aws:kms",
					   .sse_kms_key_id = "key",
					   .if_none_match = true};
	struct s3_put_call p = put_call(&attrs);

	script_begin(SCRIPT(PUT_OK, PUT_OK), NULL);
	check_int(sync_put(&p), ==, 0);
	check_str(p.object.etag, "\"e1\"");
	check_int(p.object.size, ==, 5);
	check(sent(0, "PUT /bucket/k HTTP/1.1\r\n"));
	check(sent_header(0, "\r\ncontent-length: 5\r\n"));
	check(sent_header(0, "\r\nx-amz-checksum-crc32c: mnG7TA==\r\n"));
	check(sent_header(0, "\r\ncontent-type: text/plain\r\n"));
	check(sent_header(0, "\r\nx-amz-storage-class: STANDARD_IA\r\n"));
	check(sent_header(0, "\r\nx-amz-server-side-encryption: aws:kms\r\n"));
	check(sent_header(0, "\r\nx-amz-server-side-encryption-aws-kms-key-id: key\r\n"));
	check(sent_header(0, "\r\nif-none-match: *\r\n"));
	check(sent(0, "\r\n\r\nhello"));
	never(0);

	p = (struct s3_put_call){.key = "dir/"};
	check_int(sync_put(&p), ==, 0);
	check(sent(1, "PUT /bucket/dir/ HTTP/1.1\r\n"));
	check(sent_header(1, "\r\ncontent-length: 0\r\n"));
	check(sent_header(1, "\r\nx-amz-checksum-crc32c: AAAAAA==\r\n"));
	check(!sent_header(1, "\r\ncontent-type:"));
	never(1);
	script_end(2);
}

static void delete_on_the_wire(void)
{
	struct s3_delete_call d = {.key = "k"};

	script_begin(SCRIPT(HEAD_ANSWER("204 No Content", ""),
			    ERROR_ANSWER("404 Not Found", "NoSuchKey"),
			    ERROR_ANSWER("404 Not Found", "NoSuchBucket")),
		     NULL);
	check_int(sync_delete(&d), ==, 0);
	check(sent(0, "DELETE /bucket/k HTTP/1.1\r\n"));
	check(!sent_header(0, "\r\ncontent-length:"));
	never(0);
	check_int(sync_delete(&d), ==, 0);
	check_int(sync_delete(&d), ==, -EIO);
	check_int(d.call.error.cls, ==, S3_NO_BUCKET);
	script_end(3);
}

static void multipart_on_the_wire(void)
{
	struct s3_create_upload_call c = {.key = "k"};
	struct s3_upload_part_call u = {
		.key = "k", .upload_id = "i/d+", .number = 7, .body = body, .nbody = 2};
	struct s3_part parts[2] = {{5, "\"a&b\"", "mnG7TA=="}, {5, "\"b\"", ""}};
	struct s3_complete_call done = {.key = "k",
					.upload_id = "i/d+",
					.parts = parts,
					.nparts = 2,
					.if_none_match = true};
	struct s3_abort_call a = {.key = "k", .upload_id = "i/d+"};

	script_begin(SCRIPT(BODY_ANSWER("200 OK", "",
					"<InitiateMultipartUploadResult><UploadId>i/d+</UploadId>"
					"</InitiateMultipartUploadResult>"),
			    PUT_OK,
			    BODY_ANSWER("200 OK", "",
					"  <CompleteMultipartUploadResult><ETag>\"e-2\"</ETag>"
					"</CompleteMultipartUploadResult>"),
			    HEAD_ANSWER("204 No Content", "")),
		     NULL);
	check_int(sync_create(&c), ==, 0);
	check_str(c.upload_id, "i/d+");
	free(c.upload_id);
	check(sent(0, "POST /bucket/k?uploads= HTTP/1.1\r\n"));
	check(sent_header(0, "\r\nx-amz-checksum-algorithm: CRC32C\r\n"));
	check(sent_header(0, "\r\ncontent-length: 0\r\n"));
	check(!sent_header(0, "\r\ncontent-type:"));
	never(0);

	check_int(sync_part(&u), ==, 0);
	check_str(u.part.etag, "\"e1\"");
	check_str(u.part.crc32c, "mnG7TA==");
	check_int(u.part.size, ==, 5);
	check(sent(1, "PUT /bucket/k?partNumber=7&uploadId=i%2Fd%2B HTTP/1.1\r\n"));
	check(sent_header(1, "\r\nx-amz-checksum-crc32c: mnG7TA==\r\n"));
	never(1);

	check_int(sync_complete(&done), ==, 0);
	check_str(done.object.etag, "\"e-2\"");
	check_int(done.object.size, ==, 10);
	check(sent(2, "POST /bucket/k?uploadId=i%2Fd%2B HTTP/1.1\r\n"));
	check(sent_header(2, "\r\nif-none-match: *\r\n"));
	check(sent(2, "<Part><ChecksumCRC32C>mnG7TA==</ChecksumCRC32C><ETag>&quot;a&amp;b&quot;"
		      "</ETag><PartNumber>1</PartNumber></Part><Part><ETag>&quot;b&quot;</ETag>"
		      "<PartNumber>2</PartNumber></Part></CompleteMultipartUpload>"));
	never(2);

	check_int(sync_abort(&a), ==, 0);
	check(sent(3, "DELETE /bucket/k?uploadId=i%2Fd%2B HTTP/1.1\r\n"));
	script_end(4);
}

static void parts_over_pages(void)
{
	struct s3_list_parts_call p = {.key = "k", .upload_id = "id"};

	script_begin(SCRIPT(BODY_ANSWER("200 OK", "",
					"<ListPartsResult><IsTruncated>true</IsTruncated><Part>"
					"<PartNumber>1</PartNumber><ETag>a</ETag><Size>10</Size>"
					"</Part></ListPartsResult>"),
			    BUSY,
			    BODY_ANSWER("200 OK", "",
					"<ListPartsResult><Part><PartNumber>2</PartNumber>"
					"<ETag>b</ETag><Size>5</Size></Part></ListPartsResult>"),
			    BODY_ANSWER("200 OK", "",
					"<ListPartsResult><IsTruncated>true</IsTruncated>"
					"</ListPartsResult>")),
		     NULL);
	check_int(sync_parts(&p), ==, 0);
	check_int(p.nparts, ==, 2);
	check_int(p.total, ==, 15);
	check_str(p.parts[1].etag, "\"b\"");
	free(p.parts);
	check(sent(0, "GET /bucket/k?uploadId=id HTTP/1.1\r\n"));
	check(sent(1, "GET /bucket/k?part-number-marker=1&uploadId=id HTTP/1.1\r\n"));
	check_int(sync_parts(&p), ==, -EIO); /* does not advance */
	check(!p.parts);
	script_end(4);
}

static void client_wide_headers(void)
{
	const struct s3_config config = {.region = "r-1",
					 .no_sign_request = true,
					 .requester_pays = true,
					 .expected_owner = "123456789012"};
	struct s3_head_call h = {.key = "k"};

	script_begin(SCRIPT(HEAD_OK), &config);
	check_int(sync_head(&h), ==, 0);
	check(sent_header(0, "\r\nx-amz-request-payer: requester\r\n"));
	check(sent_header(0, "\r\nx-amz-expected-bucket-owner: 123456789012\r\n"));
	check(!sent_header(0, "\r\nauthorization:"));
	check(!sent_header(0, "\r\nx-amz-date:"));
	check(!sent_header(0, "\r\nx-amz-content-sha256:"));
	script_end(1);
}

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

static void budget_is_shared(void)
{
	struct s3_head_call h = {.key = "k"};

	script_begin(SCRIPT(BUSY, HEAD_OK, BUSY, HEAD_OK), NULL);
	while (s3_client_take_retry(sync_.client, S3_RETRY_COST))
		;
	check_int(sync_head(&h), ==, -EIO);
	check_int(h.call.error.attempts, ==, 1);
	s3_client_refund_retry(sync_.client, S3_RETRY_COST - 1);
	check_int(sync_head(&h), ==, 0); /* its success gives the last token */
	check_int(sync_head(&h), ==, 0);
	check_int(h.call.error.attempts, ==, 2);
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
	check_str(u.part.crc32c, "");
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

/* --- unclear answers --- */

#define MD5_HELLO "5d41402abc4b2a76b9719d911017c592"

static void put_once_only(void)
{
	const struct s3_put_attrs attrs = {.if_none_match = true};
	struct s3_put_call p = put_call(&attrs);

	/* plain: it was there before */
	script_begin(SCRIPT(ERROR_ANSWER("412 Precondition Failed", "PreconditionFailed")), NULL);
	check_int(sync_put(&p), ==, -EEXIST);
	script_end(1);

	/* the answer got lost, and the 412 is about our own object */
	script_begin(
		SCRIPT(SCRIPT_RESET, ERROR_ANSWER("412 Precondition Failed", "PreconditionFailed"),
		       HEAD_ANSWER("200 OK", "ETag: \"" MD5_HELLO "\"\r\nContent-Length: 5\r\n")),
		NULL);
	check_int(sync_put(&p), ==, 0);
	check_str(p.object.etag, "\"" MD5_HELLO "\"");
	check(sent(2, "HEAD /bucket/k HTTP/1.1\r\n"));
	check(sent_header(2, "x-amz-checksum-mode: ENABLED"));
	script_end(3);

	/* by checksum, where the ETag is no MD5 */
	script_begin(SCRIPT(EMPTY_ANSWER("500 Oops", ""),
			    EMPTY_ANSWER("412 Precondition Failed", ""),
			    HEAD_ANSWER("200 OK", ETAG "x-amz-checksum-crc32c: mnG7TA==\r\n"
						       "Content-Length: 5\r\n")),
		     NULL);
	check_int(sync_put(&p), ==, 0);
	script_end(3);

	/* somebody else's object of the same size */
	script_begin(SCRIPT(SCRIPT_RESET, EMPTY_ANSWER("412 Precondition Failed", ""), HEAD_OK),
		     NULL);
	check_int(sync_put(&p), ==, -EEXIST);
	check_int(p.call.error.cls, ==, S3_PRECONDITION);
	script_end(3);
}

/* The ETag of the two parts: MD5 of these two digests, "-2". */
#define MD5_A "00000000000000000000000000000000"
#define MD5_B "ffffffffffffffffffffffffffffffff"

static int complete(struct s3_complete_call *c)
{
	static const struct s3_part parts[2] = {{5, "\"" MD5_A "\"", ""}, {6, "\"" MD5_B "\"", ""}};

	*c = (struct s3_complete_call){.key = "k", .upload_id = "id", .parts = parts, .nparts = 2};
	return sync_complete(c);
}

#define GONE ERROR_ANSWER("404 Not Found", "NoSuchUpload")
#define COMPLETE_OK                                                       \
	BODY_ANSWER("200 OK", "",                                         \
		    "<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag>" \
		    "</CompleteMultipartUploadResult>")

static void complete_again(void)
{
	struct s3_complete_call c;

	script_begin(SCRIPT(ERROR_ANSWER("200 OK", "InternalError"), SCRIPT_RESET, COMPLETE_OK),
		     NULL);
	check_int(complete(&c), ==, 0);
	check_int(c.call.error.attempts, ==, 3);
	check_str(c.object.etag, "\"e-2\"");
	script_end(3);
}

static void complete_was_done(void)
{
	struct s3_complete_call c;

	/* the ETag is the one that these parts give */
	script_begin(SCRIPT(SCRIPT_RESET, GONE,
			    HEAD_ANSWER("200 OK", "ETag: \"86c036c1a10384a5673251100457087a-2\"\r\n"
						  "Content-Length: 11\r\n")),
		     NULL);
	check_int(complete(&c), ==, 0);
	check_str(c.object.etag, "\"86c036c1a10384a5673251100457087a-2\"");
	check_int(c.object.size, ==, 11);
	script_end(3);

	/* another kind of ETag: the upload's absence decides */
	script_begin(SCRIPT(SCRIPT_RESET, GONE,
			    HEAD_ANSWER("200 OK", ETAG "Content-Length: 11\r\n"), GONE),
		     NULL);
	check_int(complete(&c), ==, 0);
	check_str(c.object.etag, "\"e1\"");
	check(sent(3, "GET /bucket/k?max-parts=1&uploadId=id HTTP/1.1\r\n"));
	script_end(4);
}

static void complete_was_not_done(void)
{
	const struct s3_config config = {.region = "us-east-1", .max_attempts = 2};
	struct s3_complete_call c;

	/* no object */
	script_begin(SCRIPT(SCRIPT_RESET, GONE, EMPTY_ANSWER("404 Not Found", "")), &config);
	check_int(complete(&c), ==, -EIO);
	script_end(3);
	/* another size */
	script_begin(
		SCRIPT(SCRIPT_RESET, GONE, HEAD_ANSWER("200 OK", ETAG "Content-Length: 12\r\n")),
		&config);
	check_int(complete(&c), ==, -EIO);
	script_end(3);
	/* the size of an older object, and the upload is still there */
	script_begin(SCRIPT(SCRIPT_RESET, SCRIPT_RESET,
			    HEAD_ANSWER("200 OK", ETAG "Content-Length: 11\r\n"),
			    BODY_ANSWER("200 OK", "", "<ListPartsResult></ListPartsResult>")),
		     &config);
	check_int(complete(&c), ==, -EIO);
	check_int(c.call.error.cls, ==, S3_NETWORK);
	script_end(4);
	/* refused at once: nothing is unclear */
	script_begin(SCRIPT(GONE), &config);
	check_int(complete(&c), ==, -EIO);
	check_int(c.call.error.cls, ==, S3_NOT_FOUND);
	script_end(1);
	script_begin(SCRIPT(ERROR_ANSWER("400 Bad Request", "InvalidPart")), &config);
	check_int(complete(&c), ==, -EIO);
	check_int(c.call.error.cls, ==, S3_INVALID);
	script_end(1);
}

/* --- time --- */

static uint64_t elapsed_ms(uint64_t since)
{
	return (clock_now() - since) / NSEC_PER_MSEC;
}

static void deadline_ends_a_stall(void)
{
	struct s3_head_call h = {.key = "k"};
	uint64_t start = clock_now();

	script_begin(SCRIPT(SCRIPT_STALL), NULL);
	h.call.deadline = start + 300 * NSEC_PER_MSEC;
	check_int(sync_head(&h), ==, -EIO);
	check_str(h.call.error.code, "Timeout");
	check_int(elapsed_ms(start), >=, 290);
	check_int(elapsed_ms(start), <, 2000);
	script_end(1);
}

static void deadline_ends_the_retries(void)
{
	const struct s3_config config = {.region = "us-east-1", .request_timeout_ms = 300};
	struct s3_head_call h = {.key = "k"};
	uint64_t start = clock_now();
	unsigned n;

	script_begin(SCRIPT(BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY), &config);
	check_int(sync_head(&h), ==, -EIO);
	check_int(h.call.error.status, ==, 503);
	check_int(elapsed_ms(start), <, 2000);
	n = h.call.error.attempts;
	check_int(n, <, 10);
	script_end(n);
}

static void refused_connection(void)
{
	const struct s3_config config = {.bucket = "bucket",
					 .region = "us-east-1",
					 .endpoint_url = "http://127.0.0.1:1",
					 .max_attempts = 2};
	struct s3_head_call h = {.key = "k"};

	sync_begin(&config);
	check_int(sync_head(&h), ==, -EIO);
	check_str(h.call.error.code, "ConnectionRefused");
	check_int(h.call.error.cls, ==, S3_NETWORK);
	check_int(h.call.error.attempts, ==, 2);
	sync_end_client();
}

/* --- begin and end --- */

static void bad_keys_fail_later(void)
{
	static char longer[S3_KEY_MAX + 2];
	struct s3_head_call h = {.key = longer};

	memset(longer, 'k', sizeof(longer) - 1);
	script_begin(SCRIPT(HEAD_OK), NULL);
	check_int(sync_head(&h), ==, -EIO);
	check_int(h.call.error.cls, ==, S3_LOCAL);
	h.key = "";
	check_int(sync_head(&h), ==, -EIO);
	longer[S3_KEY_MAX] = '\0';
	h.key = longer;
	check_int(sync_head(&h), ==, 0);
	script_end(1);
}

struct cancelling {
	struct s3_head_call h;
	bool at_once;
	int done;
};

static void cancelling_done(struct s3_call *c)
{
	struct s3_head_call *h = container_of(c, struct s3_head_call, call);

	container_of(h, struct cancelling, h)->done++;
	gate_open(&sync_.over);
}

static void cancelling_start(void *arg)
{
	struct cancelling *x = arg;

	x->h.call.done = cancelling_done;
	s3_head(sync_.client, sync_.loop, &x->h);
	if (x->at_once)
		s3_cancel(&x->h.call);
}

static void cancelling_cancel(void *arg)
{
	struct cancelling *x = arg;

	s3_cancel(&x->h.call);
	s3_cancel(&x->h.call); /* harmless */
}

static void nothing(void *arg)
{
}

static void cancelled_calls_are_silent(void)
{
	struct cancelling early = {.h = {.key = ""}, .at_once = true};
	struct cancelling begun = {.h = {.key = "k"}, .at_once = true};
	struct cancelling waiting = {.h = {.key = "k"}};

	script_begin(SCRIPT(SCRIPT_STALL, SCRIPT_STALL), NULL);
	check(on_loop(sync_.loop, cancelling_start, &early));
	check(on_loop(sync_.loop, cancelling_start, &begun));
	check(on_loop(sync_.loop, cancelling_start, &waiting));
	check(raw_server_wait_requests(script_server, 1));
	check(on_loop(sync_.loop, cancelling_cancel, &waiting));
	check(on_loop(sync_.loop, nothing, NULL));
	check_int(early.done + begun.done + waiting.done, ==, 0);
	check(!waiting.h.call.op);
	sync_end_client();
	raw_server_free(script_server);
}

/* One is under way, one waits for its next attempt: both are told. */
static void stopping_the_loop(void)
{
	struct cancelling stalled = {.h = {.key = "k"}}, backing_off = {.h = {.key = "k"}};

	script_begin(SCRIPT(SCRIPT_STALL, BUSY), NULL);
	check(on_loop(sync_.loop, cancelling_start, &stalled));
	check(raw_server_wait_requests(script_server, 1));
	check(on_loop(sync_.loop, cancelling_start, &backing_off));
	check(raw_server_wait_requests(script_server, 2));
	end_loop(sync_.loop);
	sync_.loop = NULL;
	check_int(stalled.done, ==, 1);
	check_int(stalled.h.call.error.err, ==, -ECANCELED);
	check_int(backing_off.done, ==, 1);
	check_int(backing_off.h.call.error.err, ==, -ECANCELED);
	sync_end_client();
	raw_server_free(script_server);
}

int main(void)
{
	int fd, r;

	if (no_backend())
		return 77;
	fd = mkstemp(creds_path);
	if (fd < 0)
		return 1;
	(void)close(fd);
	(void)unsetenv("AWS_REGION");
	(void)unsetenv("AWS_SESSION_TOKEN");
	(void)unsetenv("AWS_MAX_ATTEMPTS");
	(void)setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
	(void)setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
	r = test_run((struct test[]){
		TEST(head_on_the_wire),
		TEST(list_on_the_wire),
		TEST(put_on_the_wire),
		TEST(delete_on_the_wire),
		TEST(multipart_on_the_wire),
		TEST(parts_over_pages),
		TEST(client_wide_headers),
		TEST(storms_pass),
		TEST(attempts_are_bounded),
		TEST(budget_is_shared),
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
		TEST(put_once_only),
		TEST(complete_again),
		TEST(complete_was_done),
		TEST(complete_was_not_done),
		TEST(deadline_ends_a_stall),
		TEST(deadline_ends_the_retries),
		TEST(refused_connection),
		TEST(bad_keys_fail_later),
		TEST(cancelled_calls_are_silent),
		TEST(stopping_the_loop),
		{0},
	});
	if (sync_.loop)
		end_loop(sync_.loop);
	(void)unlink(creds_path);
	return r;
}
