/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A server on 127.0.0.1 that plays scripts, byte by byte as written:
 *
 *	static const struct raw_step first[] = {
 *		RAW_EXPECT("GET /a HTTP/1.1\r\nHost: "),
 *		RAW_SEND("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
 *		RAW_END
 *	};
 *	s = raw_server_new((const struct raw_step *const[]){first, NULL});
 *	... talk to 127.0.0.1:raw_server_port(s)
 *	check_str(raw_server_request(s, 0), "GET /a HTTP/1.1\r\n...");
 *	check_int(raw_server_errors(s), ==, 0);
 *	raw_server_free(s);
 *
 * The n-th connection plays the n-th script; one more than there are scripts is
 * an error and is reset. At RAW_END the connection is closed in good order.
 * Each connection has a thread; every wait ends when the server is freed.
 */
#ifndef TESTS_LIB_RAW_SERVER_H
#define TESTS_LIB_RAW_SERVER_H

#include <stdbool.h>
#include <stddef.h>

enum raw_action {
	RAW_ACT_END,	/* close */
	RAW_ACT_EXPECT, /* a request (head and Content-Length body) that begins with data */
	RAW_ACT_HEAD,	/* a request's head only; its body stays in the socket */
	RAW_ACT_SEND,
	RAW_ACT_FILL,  /* n bytes: each is its offset modulo 251 */
	RAW_ACT_DELAY, /* n milliseconds */
	RAW_ACT_STALL, /* until the peer closes or the server is freed */
	RAW_ACT_RESET, /* RST */
};

struct raw_step {
	enum raw_action action;
	const char *data;
	size_t n;
};

#define RAW_REQUEST                   \
	{                             \
		RAW_ACT_EXPECT, "", 0 \
	}
#define RAW_EXPECT(s)                            \
	{                                        \
		RAW_ACT_EXPECT, s, sizeof(s) - 1 \
	}
#define RAW_HEAD                    \
	{                           \
		RAW_ACT_HEAD, "", 0 \
	}
#define RAW_SEND(s)                            \
	{                                      \
		RAW_ACT_SEND, s, sizeof(s) - 1 \
	}
#define RAW_FILL(n)                   \
	{                             \
		RAW_ACT_FILL, NULL, n \
	}
#define RAW_DELAY(ms)                   \
	{                               \
		RAW_ACT_DELAY, NULL, ms \
	}
#define RAW_STALL                      \
	{                              \
		RAW_ACT_STALL, NULL, 0 \
	}
#define RAW_RESET                      \
	{                              \
		RAW_ACT_RESET, NULL, 0 \
	}
#define RAW_END                      \
	{                            \
		RAW_ACT_END, NULL, 0 \
	}

struct raw_server;

/* NULL-terminated list of scripts, which stay the caller's. Aborts on failure. */
struct raw_server *raw_server_new(const struct raw_step *const *scripts);
void raw_server_free(struct raw_server *s);
int raw_server_port(const struct raw_server *s);

/* Requests in order of arrival, head and body as received. NULL: not so many. */
const char *raw_server_request(struct raw_server *s, unsigned index);
size_t raw_server_request_len(struct raw_server *s, unsigned index);
/* Waits until `count` requests have been read; false after 20 s. */
bool raw_server_wait_requests(struct raw_server *s, unsigned count);
unsigned raw_server_connections(struct raw_server *s);
/* Requests that begin with other bytes, connections without a script. */
unsigned raw_server_errors(struct raw_server *s);

#endif
