/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raw engine: HTTP/1.1 requests over plain sockets, one epoll loop, one
 * thread, keep-alive, nothing else. What it reaches is the limit of the server
 * and of the loopback; a file system can be compared with it.
 *
 * A job hands out requests one by one and hears of each one's end. The engine
 * keeps every connection busy until the job has no more. Bytes of a body go
 * into a buffer of the connection, over and over; a job that wants to see the
 * text of a response asks for it (only the first RAW_TEXT_MAX bytes are kept).
 */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "measure.h"

enum { RAW_TARGET_MAX = 4096, RAW_TEXT_MAX = 16384, RAW_CONNECTIONS_MAX = 4096 };

struct raw_request {
	const char *method;
	char target[RAW_TARGET_MAX]; /* path, and a query in canonical order; encoded */
	uint64_t range_start;
	uint64_t range_len; /* 0: the whole object */
	const char *body;
	size_t body_len;
};

struct raw_response {
	int status;
	uint64_t length;
	char etag[128];
	const char *text; /* zero-terminated; empty unless the job wants text */
};

struct raw_job {
	void *ctx;
	bool want_text;
	/* false: no more requests. `id` comes back in done(). */
	bool (*next)(void *ctx, struct raw_request *req, uint64_t *ret_id);
	/* returns 0, or a negative errno when the response is not what it should be */
	int (*done)(void *ctx, uint64_t id, const struct raw_response *resp);
};

struct raw_config {
	struct sockaddr_in addr;
	char host[128];		/* as it stands in the Host header */
	const char *access_key; /* NULL: requests are not signed */
	const char *secret_key;
	const char *session_token;
	const char *region;
	unsigned connections;
	size_t buffer; /* bytes of each connection's receive buffer */
};

/* Run a job to its end. 0, or -errno when no connection could be used any more. */
int raw_run(const struct raw_config *c, const struct raw_job *job, struct tally *tally);

/* sigv4.c: the headers that sign a request, ending in CRLF. Length or -errno. */
int sigv4_headers(const struct raw_config *c, const struct raw_request *req, char *out,
		  size_t room);

/* Encode for a query: all but unreserved characters become %XX. Length or -ENOSPC. */
int uri_encode(const char *text, char *out, size_t room);

#endif
