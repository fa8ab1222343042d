/* SPDX-License-Identifier: Apache-2.0 */

/* Directory buckets: appends, renames, and what is never sent to other buckets. */
#include "base/clock.h"
#include "base/macro.h"
#include "lib/s3_script.h"
#include "s3/client.h"

static const struct s3_config directory = {.region = "us-east-1",
					   .bucket_type = S3_BUCKET_DIRECTORY};

/* One answer per connection: the client must not reckon with another. */
#define CLOSE	    "Connection: close\r\n"
#define BUSY_CLOSE  HEAD_ANSWER("503 Slow Down", CLOSE)
#define REFUSED_412 ERROR_ANSWER("412 Precondition Failed", "PreconditionFailed")
#define OLD_ETAG    "ETag: \"e0\"\r\n"
/* "hello" behind 10 bytes */
#define APPENDED  EMPTY_ANSWER("200 OK", CLOSE ETAG "x-amz-object-size: 15\r\n")
#define UNTOUCHED HEAD_ANSWER("200 OK", CLOSE OLD_ETAG "Content-Length: 10\r\n")
#define LONGER	  HEAD_ANSWER("200 OK", CLOSE ETAG "Content-Length: 15\r\n")
#define OTHER	  HEAD_ANSWER("200 OK", CLOSE ETAG "Content-Length: 12\r\n")

static struct s3_put_call append_call(void)
{
	struct s3_put_call p = put_call(NULL);

	p.write_offset = 10;
	p.if_match = "\"e0\"";
	return p;
}

static void append(void)
{
	const struct s3_body_sum before = {.kind = S3_SUM_CRC32C, .value = 7};
	struct s3_put_call p = append_call();

	p.before = &before;
	script_begin(SCRIPT(APPENDED), &directory);
	check_int(sync_put(&p), ==, 0);
	check(sent(0, "PUT /bucket/k HTTP/1.1\r\n"));
	check(sent_header(0, "x-amz-write-offset-bytes: 10\r\n"));
	check(sent_header(0, "if-match: \"e0\"\r\n"));
	check(sent_header(0, "x-amz-checksum-crc32c: mnG7TA==\r\n"));
	check(sent(0, ";x-amz-write-offset-bytes,Signature="));
	check_int(p.object.size, ==, 15);
	check_str(p.object.etag, "\"e1\"");
	check(!p.whole.no_value);
	check_int(p.whole.value, ==,
		  s3_sum_join(S3_SUM_CRC32C, 7, s3_sum(S3_SUM_CRC32C, 0, "hello", 5), 5));
	script_end(1);
}

/* The object's own algorithm, computed by the call. */
static void append_algorithms(void)
{
	static const struct {
		enum s3_sum_kind kind;
		const char *header;
	} rows[] = {
		{S3_SUM_CRC32, "x-amz-checksum-crc32: NhCmhg=="},
		{S3_SUM_SHA1, "x-amz-checksum-sha1: qvTGHdzF6KLavt4PO0gs2a6pQ00="},
		{S3_SUM_SHA256,
		 "x-amz-checksum-sha256: LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct s3_body_sum sum = {.kind = rows[i].kind, .no_value = true};
		struct s3_put_call p = append_call();

		p.sum = &sum;
		script_begin(SCRIPT(APPENDED), &directory);
		check_int(sync_put(&p), ==, 0);
		check(sent_header(0, rows[i].header));
		script_end(1);
	}
}

static void append_is_looked_for(void)
{
	struct s3_put_call p = append_call();

	/* it had its effect: no second PUT */
	script_begin(SCRIPT(SCRIPT_RESET, LONGER), &directory);
	check_int(sync_put(&p), ==, 0);
	check(sent(1, "HEAD /bucket/k HTTP/1.1\r\n"));
	check_int(p.object.size, ==, 15);
	check_str(p.object.etag, "\"e1\"");
	script_end(2);

	/* it had none: once more */
	script_begin(SCRIPT(SCRIPT_RESET, UNTOUCHED, APPENDED), &directory);
	check_int(sync_put(&p), ==, 0);
	check(sent(2, "PUT /bucket/k HTTP/1.1\r\n"));
	script_end(3);

	/* it came through after the look */
	script_begin(SCRIPT(BUSY_CLOSE, UNTOUCHED, REFUSED_412, LONGER), &directory);
	check_int(sync_put(&p), ==, 0);
	script_end(4);
	script_begin(SCRIPT(BUSY_CLOSE, UNTOUCHED,
			    ERROR_ANSWER("400 Bad Request", "InvalidWriteOffset"), LONGER),
		     &directory);
	check_int(sync_put(&p), ==, 0);
	script_end(4);

	/* the look meets trouble, too */
	script_begin(SCRIPT(SCRIPT_RESET, BUSY_CLOSE, LONGER), &directory);
	check_int(sync_put(&p), ==, 0);
	script_end(3);
}

static void append_by_others(void)
{
	const struct s3_body_sum before = {.kind = S3_SUM_CRC32C, .value = 7};
	struct s3_put_call p = append_call();

	script_begin(SCRIPT(REFUSED_412), &directory);
	check_int(sync_put(&p), ==, -EIO);
	check_int(p.call.error.cls, ==, S3_PRECONDITION);
	script_end(1);

	script_begin(SCRIPT(ERROR_ANSWER("400 Bad Request", "InvalidWriteOffset")), &directory);
	check_int(sync_put(&p), ==, -EIO);
	check_int(p.call.error.cls, ==, S3_PRECONDITION);
	script_end(1);

	script_begin(SCRIPT(SCRIPT_RESET, OTHER), &directory);
	check_int(sync_put(&p), ==, -EIO);
	check_int(p.call.error.cls, ==, S3_PRECONDITION);
	script_end(2);

	script_begin(SCRIPT(SCRIPT_RESET, EMPTY_ANSWER("404 Not Found", CLOSE)), &directory);
	check_int(sync_put(&p), ==, -EIO);
	check_int(p.call.error.cls, ==, S3_PRECONDITION);
	script_end(2);

	/* as many bytes of somebody else: the checksum tells */
	p.before = &before;
	script_begin(SCRIPT(SCRIPT_RESET, HEAD_ANSWER("200 OK", CLOSE ETAG
						      "Content-Length: 15\r\n"
						      "x-amz-checksum-crc32c: AAAAAA==\r\n")),
		     &directory);
	check_int(sync_put(&p), ==, -EIO);
	check_int(p.call.error.cls, ==, S3_PRECONDITION);
	script_end(2);
}

static void append_gives_up(void)
{
	const struct s3_config few = {
		.region = "us-east-1", .bucket_type = S3_BUCKET_DIRECTORY, .max_attempts = 1};
	struct s3_put_call p = append_call();

	/* the last look says what is there */
	script_begin(SCRIPT(BUSY_CLOSE, UNTOUCHED, BUSY_CLOSE, LONGER, BUSY_CLOSE, BUSY_CLOSE),
		     &few);
	check_int(sync_put(&p), ==, -EIO);
	check_int(p.call.error.cls, ==, S3_THROTTLED);
	check_int(sync_put(&p), ==, 0);
	check_int(sync_put(&p), ==, -EIO);
	check_int(p.call.error.cls, ==, S3_THROTTLED);
	script_end(6);

	/* refused for another reason: nothing to look for */
	script_begin(SCRIPT(EMPTY_ANSWER("403 Forbidden", "")), &few);
	check_int(sync_put(&p), ==, -EACCES);
	script_end(1);
}

/* A server that does not know appends has put the tail in the object's place. */
static void append_unknown(void)
{
	struct s3_put_call p = append_call();

	script_begin(SCRIPT(EMPTY_ANSWER("200 OK", CLOSE ETAG), HEAD_OK), &directory);
	check_int(sync_put(&p), ==, -EIO);
	check_int(p.call.error.cls, ==, S3_PRECONDITION);
	script_end(2);
}

static void never_to_other_buckets(void)
{
	const struct s3_config general = {.region = "us-east-1", .bucket_type = S3_BUCKET_GENERAL};
	struct s3_rename_call r = {.source = "a", .key = "b"};
	struct s3_put_call p = append_call();

	script_begin(SCRIPT(PUT_OK), NULL);
	check(!s3_client_is_directory(sync_.client));
	check_int(sync_put(&p), ==, -EIO);
	check_int(p.call.error.cls, ==, S3_UNSUPPORTED);
	check_int(sync_rename(&r), ==, -ENOSYS);
	script_end(0);
	script_begin(SCRIPT(PUT_OK), &general);
	check_int(sync_rename(&r), ==, -ENOSYS);
	script_end(0);
}

static void put_if_match(void)
{
	struct s3_put_call p = put_call(NULL);

	p.if_match = "\"e0\"";
	script_begin(SCRIPT(EMPTY_ANSWER("200 OK", CLOSE ETAG), REFUSED_412), NULL);
	check_int(sync_put(&p), ==, 0);
	check(sent_header(0, "if-match: \"e0\"\r\n"));
	check_int(p.whole.value, ==, s3_sum(S3_SUM_CRC32C, 0, "hello", 5));
	check_int(sync_put(&p), ==, -ESTALE);
	script_end(2);
}

static const char *token_of(unsigned n, char ret[37])
{
	const char *at = strcasestr(raw_server_request(script_server, n), "x-amz-client-token: ");

	(void)snprintf(ret, 37, "%s", at ? at + strlen("x-amz-client-token: ") : "");
	return ret;
}

static void renames(void)
{
	struct s3_rename_call r = {.source = "d/a b\xc3\xbc", .key = "d/c", .if_none_match = true};
	char first[37], second[37];

	script_begin(
		SCRIPT(SCRIPT_RESET, EMPTY_ANSWER("200 OK", CLOSE), EMPTY_ANSWER("200 OK", CLOSE)),
		&directory);
	check_int(sync_rename(&r), ==, 0);
	check(sent(0, "PUT /bucket/d/c?renameObject="));
	check(sent_header(0, "x-amz-rename-source: d/a%20b%C3%BC\r\n"));
	check(sent_header(0, "if-none-match: *\r\n"));
	check(sent_header(0, "content-length: 0\r\n"));
	check_str(token_of(0, first), token_of(1, second));
	check_int(strlen(first), ==, 36);
	check(first[14] == '4');
	r.if_none_match = false;
	check_int(sync_rename(&r), ==, 0);
	check(!sent_header(2, "if-none-match"));
	check(strcmp(first, token_of(2, second)) != 0);
	script_end(3);
}

static void rename_errors(void)
{
	static const struct {
		const char *answer;
		int err;
	} rows[] = {
		{ERROR_ANSWER("404 Not Found", "NoSuchKey"), -ENOENT},
		{REFUSED_412, -EEXIST},
		{ERROR_ANSWER("400 Bad Request", "KeyTooLong"), -ENAMETOOLONG},
		{ERROR_ANSWER("400 Bad Request", "KeyTooLongError"), -ENAMETOOLONG},
		{ERROR_ANSWER("501 Not Implemented", "NotImplemented"), -ENOSYS},
		{ERROR_ANSWER("403 Forbidden", "AccessDenied"), -EIO},
		{ERROR_ANSWER("400 Bad Request", "InvalidRequest"), -EIO},
	};
	static char long_key[S3_KEY_MAX + 2];

	memset(long_key, 'x', sizeof(long_key) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct s3_rename_call r = {.source = "a", .key = "b", .if_none_match = true};

		script_begin(SCRIPT(rows[i].answer), &directory);
		check_int(sync_rename(&r), ==, rows[i].err);
		script_end(1);
	}
	script_begin(SCRIPT(REFUSED_412), &directory);
	check_int(sync_rename(&(struct s3_rename_call){.source = "a", .key = long_key}), ==,
		  -ENAMETOOLONG);
	check_int(sync_rename(&(struct s3_rename_call){
			  .source = "a", .key = "b", .source_if_match = "\"e\""}),
		  ==, -ESTALE);
	script_end(1);
}

/* The server has forgotten the token: the ETag at the destination tells. */
static void rename_is_looked_for(void)
{
	struct s3_rename_call r = {.source = "a", .key = "b", .source_if_match = "\"e1\""};
	static const char gone[] = ERROR_ANSWER("404 Not Found", "NoSuchKey");

	script_begin(SCRIPT(SCRIPT_RESET, gone, HEAD_OK), &directory);
	check_int(sync_rename(&r), ==, 0);
	check(sent_header(0, "x-amz-rename-source-if-match: \"e1\"\r\n"));
	check(sent(2, "HEAD /bucket/b HTTP/1.1\r\n"));
	script_end(3);
	script_begin(SCRIPT(SCRIPT_RESET, gone, UNTOUCHED), &directory);
	check_int(sync_rename(&r), ==, -ENOENT);
	script_end(3);
	script_begin(SCRIPT(SCRIPT_RESET, gone, EMPTY_ANSWER("404 Not Found", CLOSE)), &directory);
	check_int(sync_rename(&r), ==, -ENOENT);
	script_end(3);
}

static void head_tells_the_algorithm(void)
{
	static const struct {
		const char *answer;
		enum s3_sum_kind kind;
		bool no_value;
		uint64_t value;
	} rows[] = {
#define SUM(header) HEAD_ANSWER("200 OK", CLOSE ETAG "Content-Length: 5\r\n" header "\r\n")
		{SUM("x-amz-checksum-crc32c: mnG7TA=="), S3_SUM_CRC32C, false, 0x9a71bb4c},
		{SUM("x-amz-checksum-crc32c: mnG7TA==-2"), S3_SUM_CRC32C, true, 0},
		{SUM("x-amz-checksum-crc64nvme: rosUhgp5mIg="), S3_SUM_CRC64NVME, false,
		 UINT64_C(0xae8b14860a799888)},
		{SUM("x-amz-checksum-crc32: NhCmhg=="), S3_SUM_CRC32, false, 0x3610a686},
		{SUM("x-amz-checksum-sha1: qvTGHdzF6KLavt4PO0gs2a6pQ00="), S3_SUM_SHA1, true, 0},
		{SUM("x-amz-checksum-sha256: "
		     "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=-10000"),
		 S3_SUM_SHA256, true, 0},
		{SUM("x-amz-checksum-new: 1"), S3_SUM_OFF, true, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct s3_head_call h = {.key = "k", .checksum = true};

		script_begin(SCRIPT(rows[i].answer), NULL);
		check_int(sync_head(&h), ==, 0);
		check(sent_header(0, "x-amz-checksum-mode: ENABLED"));
		check_int(h.sum.kind, ==, rows[i].kind);
		check_int(h.sum.no_value, ==, rows[i].no_value);
		check(h.sum.no_value || h.sum.value == rows[i].value);
		script_end(1);
	}
}

SYNC_CALL(uploads, s3_list_uploads_call, s3_list_uploads)

/* Prefixes must end in '/': the whole directory is asked for, and sifted. */
static void uploads_of_a_key(void)
{
#define UPLOAD(key, id)                                         \
	"<Upload><Key>" key "</Key><UploadId>" id "</UploadId>" \
	"<Initiated>2015-10-21T07:28:00.000Z</Initiated></Upload>"
	static const char answer[] =
		BODY_ANSWER("200 OK", "",
			    "<ListMultipartUploadsResult>" UPLOAD("d/a", "1") UPLOAD("d/k", "2")
				    UPLOAD("d/l", "3") "</ListMultipartUploadsResult>");
	static const char *const prefixes[] = {"d/k", "k"};
	static const char *const queries[] = {"?prefix=d%2F&uploads= ", "?uploads= "};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		struct s3_list_uploads_call u = {.prefix = prefixes[i]};

		script_begin(SCRIPT(answer), &directory);
		check_int(sync_uploads(&u), ==, 0);
		check(sent(0, queries[i]));
		check_int(u.nuploads, ==, i == 0);
		if (u.nuploads)
			check_str(u.uploads[0].id, "2");
		s3_uploads_free(u.uploads, u.nuploads);
		script_end(1);
	}
}

int main(void)
{
	return script_main((struct test[]){
		TEST(append),
		TEST(append_algorithms),
		TEST(append_is_looked_for),
		TEST(append_by_others),
		TEST(append_gives_up),
		TEST(append_unknown),
		TEST(never_to_other_buckets),
		TEST(put_if_match),
		TEST(renames),
		TEST(rename_errors),
		TEST(rename_is_looked_for),
		TEST(head_tells_the_algorithm),
		TEST(uploads_of_a_key),
		{0},
	});
}
