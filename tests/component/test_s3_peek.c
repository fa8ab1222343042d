/* SPDX-License-Identifier: Apache-2.0 */

/* The first bytes of an object whose version nobody knows. */
#include "base/macro.h"
#include "lib/s3_script.h"

#define RANGE(r)	  "Content-Range: bytes " r "\r\n"
#define FOUR		  "Content-Length: 4\r\n"
#define PART_OF(r, bytes) BODY_ANSWER("206 Partial Content", ETAG FOUR RANGE(r), bytes)

static void brings_the_first_bytes(void)
{
	static const struct {
		const char *answer;
		uint64_t length, size;
		const char *data;
	} rows[] = {
		{PART_OF("0-3/100", "abcd"), 4, 100, "abcd"},
		{PART_OF("0-3/4", "abcd"), 4, 4, "abcd"},
		{PART_OF("0-3/4", "abcd"), 1000, 4, "abcd"},
		/* a server that ignores the range of a small object */
		{BODY_ANSWER("200 OK", ETAG FOUR, "abcd"), 1000, 4, "abcd"},
		{EMPTY_ANSWER("200 OK", ETAG), 1000, 0, ""},
		/* bytes that would be an error if they were a document */
		{BODY_ANSWER("200 OK", ETAG "Content-Length: 47\r\n",
			     "<Error><Code>SlowDown</Code><Message/></Error>\n"),
		 1000, 47, "<Error><Code>SlowDown</Code><Message/></Error>\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct s3_peek_call p = {.key = "k", .length = rows[i].length};
		char range[64];

		script_begin(SCRIPT(rows[i].answer), NULL);
		check_int(sync_peek(&p), ==, 0);
		(void)snprintf(range, sizeof(range), "range: bytes=0-%d\r\n",
			       (int)rows[i].length - 1);
		check(sent(0, "GET /bucket/k HTTP/1.1\r\n") && sent_header(0, range));
		check(!sent_header(0, "if-match"));
		check_int(p.object.size, ==, rows[i].size);
		check_str(p.object.etag, "\"e1\"");
		require(p.data);
		check_str(p.data, rows[i].data);
		free(p.data);
		script_end(1);
	}
}

static void what_does_not_fit_is_an_error(void)
{
	static const char *const answers[] = {
		PART_OF("0-2/100", "abcd"),
		PART_OF("0-4/100", "abcd"),
		PART_OF("1-4/100", "abcd"),
		PART_OF("0-3/*", "abcd"),
		PART_OF("*/100", "abcd"),
		PART_OF("0-3/3", "abcd"),
		PART_OF("bytes", "abcd"),
		BODY_ANSWER("206 Partial Content", FOUR RANGE("0-3/100"), "abcd"),
		BODY_ANSWER("206 Partial Content", ETAG FOUR RANGE("0-3/100") RANGE("0-3/100"),
			    "abcd"),
		/* too little, too much, and all of an object larger than the range */
		PART_OF("0-3/100", "abc"),
		BODY_ANSWER("206 Partial Content", ETAG "Content-Length: 3\r\n" RANGE("0-2/100"),
			    "abc"),
		BODY_ANSWER("200 OK", ETAG "Content-Length: 5\r\n", "abcde"),
		ERROR_ANSWER("200 OK", "InternalError"),
		EMPTY_ANSWER("206 Partial Content", ETAG),
	};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct s3_peek_call p = {.key = "k", .length = 4};

		script_begin(SCRIPT(answers[i]), NULL);
		check_int(sync_peek(&p), ==, -EIO);
		check(!p.data);
		script_end(1);
	}
}

static void is_tried_once(void)
{
	static const struct {
		const char *answer;
		int err;
	} rows[] = {
		{BUSY, -EIO},
		{SCRIPT_RESET, -EIO},
		{EMPTY_ANSWER("404 Not Found", ""), -ENOENT},
		{EMPTY_ANSWER("403 Forbidden", ""), -EACCES},
		{EMPTY_ANSWER("416 Range Not Satisfiable", RANGE("*/0")), -EIO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct s3_peek_call p = {.key = "k", .length = 4};

		script_begin(SCRIPT(rows[i].answer), NULL);
		check_int(sync_peek(&p), ==, rows[i].err);
		check_int(p.call.error.attempts, ==, 1);
		check(!p.data);
		script_end(1);
	}
}

int main(void)
{
	int r;

	if (no_backend())
		return 77;
	script_environment();
	r = test_run((struct test[]){
		TEST(brings_the_first_bytes),
		TEST(what_does_not_fit_is_an_error),
		TEST(is_tried_once),
		{0},
	});
	end_loop(sync_.loop);
	return r;
}
