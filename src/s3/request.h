/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One HTTP request to S3: method, key, query and headers in; URL and signed header
 * list out, either as lines for net.h or as the bytes of an HTTP/1.1 request head.
 *
 *	s3_request_start(&r, "GET", key);	(r began as S3_REQUEST_INIT)
 *	s3_request_header(&r, "range", range);
 *	x = s3_request_sign(&r, client);
 *	x = s3_request_head(&r, &buf);		(or s3_request_lines)
 *
 * Values are borrowed until the next _start or _fini. A struct is reused with
 * _start and keeps its buffers, so that a GET in the steady state allocates
 * nothing. Any thread, not shared.
 *
 * Added by _sign: host, x-amz-content-sha256, x-amz-date, x-amz-security-token or
 * x-amz-s3session-token, authorization (none of the last four without credentials), and for every
 * request x-amz-request-payer and x-amz-expected-bucket-owner if configured.
 */
#ifndef S3_REQUEST_H
#define S3_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macro.h"
#include "s3/sign.h"

struct s3_client;
struct s3_creds;
struct s3_target;

#define S3_REQUEST_HEADERS 64
#define S3_REQUEST_QUERY   8
#define S3_REQUEST_MAX	   (16 * KIB) /* URL, and headers, each */

struct s3_request {
	/* set by the caller through the functions below */
	const char *method;
	const char *key;	  /* NULL: the bucket */
	const char *payload_hash; /* NULL: UNSIGNED-PAYLOAD */
	bool own_creds;		  /* the client's, also where requests carry a session's */
	struct s3_pair header[S3_REQUEST_HEADERS];
	struct s3_pair query[S3_REQUEST_QUERY]; /* not encoded */
	unsigned nheader, nquery;
	/* result of s3_request_sign */
	const struct s3_target *target; /* region and endpoint that were used */
	struct s3_creds *creds;		/* snapshot that was used, referenced; NULL: unsigned */
	struct buf url;			/* absolute URL */
	size_t path_at;			/* where the request target begins in `url` */
	struct s3_pair sent[S3_REQUEST_HEADERS]; /* all headers, host too, sorted by name */
	unsigned nsent;
	char amz_date[17];
	char authorization[1024];
	/* result of s3_request_lines */
	struct buf text;
	const char *line[S3_REQUEST_HEADERS + 1];
};

#define S3_REQUEST_INIT                                                           \
	{                                                                         \
		.url = BUF_INIT(S3_REQUEST_MAX), .text = BUF_INIT(S3_REQUEST_MAX) \
	}

void s3_request_start(struct s3_request *r, const char *method, const char *key);
void s3_request_fini(struct s3_request *r);
/* Adding more than there is room for is our own bug (asserted). NULL value: not added. */
void s3_request_header(struct s3_request *r, const char *name, const char *value);
void s3_request_query(struct s3_request *r, const char *name, const char *value);

/*
 * 0, -ENOMEM, -EMSGSIZE, or -EINVAL (a control character in a header value).
 * -EAGAIN: there is no session now, see s3_session_wait(); target is set.
 */
int s3_request_sign(struct s3_request *r, struct s3_client *c) must_check;
/* r->line becomes the NULL-terminated "name: value" list, without host. */
int s3_request_lines(struct s3_request *r) must_check;
/* Appends "GET /path HTTP/1.1\r\n...\r\n\r\n" to `out`; host first. */
int s3_request_head(const struct s3_request *r, const char *user_agent, struct buf *out) must_check;

#endif
