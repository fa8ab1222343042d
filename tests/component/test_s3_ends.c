/* SPDX-License-Identifier: Apache-2.0 */

/* How control calls end: after unclear answers, at deadlines, by s3_cancel, with their loop. */
#include "base/clock.h"
#include "base/macro.h"
#include "lib/s3_script.h"
#include "s3/client.h"

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
	static const struct s3_part parts[2] = {
		{.size = 5, .etag = "\"" MD5_A "\"", .checksum = ""},
		{.size = 6, .etag = "\"" MD5_B "\"", .checksum = ""}};

	*c = (struct s3_complete_call){.key = "k", .upload_id = "id", .parts = parts, .nparts = 2};
	return sync_complete(c);
}

#define ABORTED HEAD_ANSWER("204 No Content", "")
#define GONE	ERROR_ANSWER("404 Not Found", "NoSuchUpload")
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

	/* no object, and there will be none */
	script_begin(SCRIPT(SCRIPT_RESET, GONE, EMPTY_ANSWER("404 Not Found", ""), ABORTED),
		     &config);
	check_int(complete(&c), ==, -EIO);
	check(sent(3, "DELETE /"));
	script_end(4);
	/* another size; what was left of the upload could not be aborted: it is an object now */
	script_begin(SCRIPT(SCRIPT_RESET, SCRIPT_RESET,
			    HEAD_ANSWER("200 OK", ETAG "Content-Length: 12\r\n"), GONE,
			    HEAD_ANSWER("200 OK", "ETag: \"e2\"\r\nContent-Length: 11\r\n")),
		     &config);
	check_int(complete(&c), ==, 0);
	check_str(c.object.etag, "\"e2\"");
	script_end(5);
	/* the size of an older object, and the upload is still there */
	script_begin(SCRIPT(SCRIPT_RESET, SCRIPT_RESET,
			    HEAD_ANSWER("200 OK", ETAG "Content-Length: 11\r\n"),
			    BODY_ANSWER("200 OK", "", "<ListPartsResult></ListPartsResult>"),
			    ABORTED),
		     &config);
	check_int(complete(&c), ==, -EIO);
	check_int(c.call.error.cls, ==, S3_NETWORK);
	script_end(5);
	/* still there, but no more when it was to be aborted; the object is the older one */
	script_begin(SCRIPT(SCRIPT_RESET, SCRIPT_RESET,
			    HEAD_ANSWER("200 OK", ETAG "Content-Length: 11\r\n"),
			    BODY_ANSWER("200 OK", "", "<ListPartsResult></ListPartsResult>"), GONE,
			    HEAD_ANSWER("200 OK", ETAG "Content-Length: 11\r\n")),
		     &config);
	check_int(complete(&c), ==, -EIO);
	script_end(6);
	/* refused at once: nothing is unclear */
	script_begin(SCRIPT(GONE), &config);
	check_int(complete(&c), ==, -EIO);
	check_int(c.call.error.cls, ==, S3_NOT_FOUND);
	script_end(1);
	/* the server has other parts than we sent */
	script_begin(SCRIPT(ERROR_ANSWER("400 Bad Request", "InvalidPart"),
			    BODY_ANSWER("200 OK", "", "<ListPartsResult></ListPartsResult>")),
		     &config);
	check_int(complete(&c), ==, -EIO);
	check_int(c.call.error.cls, ==, S3_INVALID);
	script_end(2);
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

static void part_start(void *arg)
{
	struct s3_upload_part_call *u = arg;

	u->call.done = sync_done_;
	s3_upload_part(sync_.client, sync_.loop, u);
	s3_cancel(&u->call);
}

/* Parts are numbered from 1: this one fails when its operation is there already. */
static void bad_part_fails_later(void)
{
	struct s3_upload_part_call u = {.key = "k", .upload_id = "id"};

	script_begin(SCRIPT(NULL), NULL);
	check_int(sync_part(&u), ==, -EIO);
	check_int(u.call.error.cls, ==, S3_LOCAL);
	u = (struct s3_upload_part_call){.key = "k", .upload_id = "id"};
	check(on_loop(sync_.loop, part_start, &u));
	check(on_loop(sync_.loop, nothing, NULL));
	check_int(sem_trywait(&sync_.over.sem), ==, -1); /* done was not called */
	script_end(0);
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

static void read_budget(void *arg)
{
	*(unsigned *)arg = sync_.client->retry_budget;
}

/* True when `retries` were begun or are waited for. */
static bool wait_for_retries(unsigned retries)
{
	uint64_t end = clock_now() + 10 * NSEC_PER_SEC;
	unsigned budget;

	do {
		if (!on_loop(sync_.loop, read_budget, &budget))
			return false;
		if (budget <= S3_RETRY_CAPACITY - retries * S3_RETRY_COST)
			return true;
	} while (clock_now() < end);
	return false;
}

/*
 * One is under way, one waits for its next attempt, most likely: the fifth wait is
 * up to 1.6 s long. Both are told.
 */
static void stopping_the_loop(void)
{
	struct cancelling stalled = {.h = {.key = "k"}}, backing_off = {.h = {.key = "k"}};

	script_begin(SCRIPT(SCRIPT_STALL, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY), NULL);
	check(on_loop(sync_.loop, cancelling_start, &stalled));
	check(raw_server_wait_requests(script_server, 1));
	check(on_loop(sync_.loop, cancelling_start, &backing_off));
	check(wait_for_retries(5));
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
	return script_main((struct test[]){
		TEST(put_once_only),
		TEST(complete_again),
		TEST(complete_was_done),
		TEST(complete_was_not_done),
		TEST(deadline_ends_a_stall),
		TEST(deadline_ends_the_retries),
		TEST(refused_connection),
		TEST(bad_keys_fail_later),
		TEST(bad_part_fails_later),
		TEST(cancelled_calls_are_silent),
		TEST(stopping_the_loop),
		{0},
	});
}
