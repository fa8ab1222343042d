/* SPDX-License-Identifier: Apache-2.0 */

/* Which answers are bytes of that range of that version. */
#include <errno.h>

#include "lib/test.h"
#include "s3/get_check.h"

#define V	  "ETag: \"e\"\r\n"
#define RANGE(r)  "Content-Range: bytes " r "\r\n"
#define LENGTH(n) "Content-Length: " #n "\r\n"

struct row {
	const char *status, *fields;
	struct get_expect e;
	int want;
};

static void answers(void)
{
	static const struct row rows[] = {
		{"206",
		 V RANGE("10-19/50") LENGTH(10),
		 {10, 20, GET_SIZE_UNKNOWN, "\"e\"", false},
		 0},
		{"206", V RANGE("10-19/50") LENGTH(10), {10, 20, 50, "\"e\"", false}, 0},
		{"206", V RANGE("10-19/50") LENGTH(10), {10, 20, GET_SIZE_UNKNOWN, "e", false}, 0},
		{"206", "ETag: e\r\n" RANGE("0-0/1") LENGTH(1), {0, 1, 1, "\"e\"", false}, 0},
		{"206",
		 V RANGE("10-19/50") "Transfer-Encoding: chunked\r\n",
		 {10, 20, 50, "e", false},
		 0},
		{"200", V LENGTH(20), {0, 20, GET_SIZE_UNKNOWN, "\"e\"", false}, 0},
		{"200", V LENGTH(20), {0, 20, GET_SIZE_UNKNOWN, "\"e\"", true}, 0},
		{"200", V LENGTH(21), {0, 20, GET_SIZE_UNKNOWN, "\"e\"", true}, -EPROTO},
		{"200",
		 V "Transfer-Encoding: chunked\r\n",
		 {0, 20, GET_SIZE_UNKNOWN, "e", true},
		 0},
		{"200",
		 V "Transfer-Encoding: chunked\r\n",
		 {0, 20, GET_SIZE_UNKNOWN, "e", false},
		 -EPROTO},
		{"200", V LENGTH(0), {0, 0, GET_SIZE_UNKNOWN, "\"e\"", false}, 0},
		/* another version */
		{"206",
		 "ETag: \"f\"\r\n" RANGE("0-0/1") LENGTH(1),
		 {0, 1, 1, "\"e\"", false},
		 -ESTALE},
		{"206",
		 "ETag: W/\"e\"\r\n" RANGE("0-0/1") LENGTH(1),
		 {0, 1, 1, "\"e\"", false},
		 -ESTALE},
		{"206",
		 "ETag: \"\"\r\n" RANGE("0-0/1") LENGTH(1),
		 {0, 1, 1, "\"e\"", false},
		 -ESTALE},
		{"200", "ETag: \"e-2\"\r\n" LENGTH(1), {0, 1, 1, "\"e\"", false}, -ESTALE},
		/* not what was asked for */
		{"206", V RANGE("10-19/50") LENGTH(10), {10, 20, 51, "\"e\"", false}, -EPROTO},
		{"206", V RANGE("9-18/50") LENGTH(10), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"206", V RANGE("10-18/50") LENGTH(10), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"206", V RANGE("10-20/50") LENGTH(10), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"206", V RANGE("10-19/50") LENGTH(9), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"206", V RANGE("10-19/50") LENGTH(11), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"206", V RANGE("10-19/50"), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"206", V RANGE("10-19/*") LENGTH(10), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"206", V RANGE("*/50") LENGTH(10), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"206", V LENGTH(10), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"206", RANGE("10-19/50") LENGTH(10), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"206", V LENGTH(0), {0, 0, 0, "\"e\"", false}, -EPROTO},
		{"200", V LENGTH(10), {10, 20, 50, "\"e\"", false}, -EPROTO},
		{"200", V LENGTH(50), {0, 20, 50, "\"e\"", false}, -EPROTO},
		{"200", V LENGTH(20), {0, 20, 50, "\"e\"", false}, -EPROTO},
		{"200", V "Transfer-Encoding: chunked\r\n", {0, 20, 20, "\"e\"", false}, -EPROTO},
		{"200", V LENGTH(5), {0, 0, GET_SIZE_UNKNOWN, "\"e\"", false}, -EPROTO},
		{"203", V LENGTH(20), {0, 20, 20, "\"e\"", false}, -EPROTO},
		{"204", V LENGTH(0), {0, 0, GET_SIZE_UNKNOWN, "\"e\"", false}, -EPROTO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct s3_object o;
		struct http_head h;
		const char *why = NULL;
		size_t scan = 0;
		char text[512];
		int n = snprintf(text, sizeof(text), "HTTP/1.1 %s x\r\n%s\r\n", rows[i].status,
				 rows[i].fields);

		require(http_head_parse(text, (size_t)n, &scan, &h) == n);
		int r = get_check(&h, &rows[i].e, &o, &why);
		if (r != rows[i].want)
			test_fail_("row %zu: %d, not %d (%s)", i, r, rows[i].want, why ? why : "");
		check(r == 0 || why);
	}
}

static void description(void)
{
	static const char text[] = "HTTP/1.1 206 x\r\nETag: abc\r\nContent-Length: 5\r\n"
				   "Content-Range: bytes 0-4/1234567890123\r\n"
				   "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
				   "x-amz-storage-class: GLACIER\r\n\r\n";
	const struct get_expect e = {0, 5, GET_SIZE_UNKNOWN, "\"abc\"", false};
	struct s3_object o;
	struct http_head h;
	const char *why;
	size_t scan = 0;

	require(http_head_parse(text, sizeof(text) - 1, &scan, &h) > 0);
	require(get_check(&h, &e, &o, &why) == 0);
	check_str(o.etag, "\"abc\"");
	check_int(o.size, ==, 1234567890123);
	check_int(o.mtime, ==, 1445412480);
	check_int(o.storage, ==, S3_ARCHIVED);
}

int main(void)
{
	return test_run((struct test[]){TEST(answers), TEST(description), {0}});
}
