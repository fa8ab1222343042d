/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tests of HTTP calls: a loop, a scripted server, and calls that note what came
 * of them.
 *
 *	set_up(SCRIPTS(SCRIPT(RAW_REQUEST, RAW_SEND(OK_2))), NULL);
 *	exchange_init(&x, "GET");
 *	check(go(&x));
 *	check_int(x.err, ==, 0);
 *	exchange_fini(&x);
 *	tear_down();	(also checks that the server saw what its scripts want)
 */
#ifndef TESTS_LIB_EXCHANGE_H
#define TESTS_LIB_EXCHANGE_H

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "lib/on_loop.h"
#include "lib/raw_server.h"
#include "lib/test.h"
#include "loop/loop.h"

#define OK_2	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define OK_NONE "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static struct loop *loop;
static struct raw_server *server;

/* One call with what came of it. */
struct exchange {
	struct net_call call;
	char url[128];
	struct gate over;
	struct gate body_began;
	int err, status, started;
	unsigned done;
	char detail[256];
	struct buf headers, body;
	size_t body_cap;		     /* on_body refuses more with -EMSGSIZE; 0: no cap */
	void (*in_body)(struct exchange *x); /* called in on_body and on_header */
	void (*in_header)(struct exchange *x);
	void (*in_done)(struct exchange *x);
	struct exchange *other; /* for the three above */
	unsigned callbacks;	/* after a cancel there must be none */
};

static inline struct exchange *exchange_of(struct net_call *c)
{
	return list_entry(c, struct exchange, call);
}

static inline void on_header(struct net_call *c, const char *name, size_t name_len,
			     const char *value, size_t value_len)
{
	struct exchange *x = exchange_of(c);

	x->callbacks++;
	buf_printf(&x->headers, "%.*s=%.*s;", (int)name_len, name, (int)value_len, value);
	if (x->in_header)
		x->in_header(x);
}

static inline int on_body(struct net_call *c, const void *data, size_t len)
{
	struct exchange *x = exchange_of(c);

	x->callbacks++;
	if (x->body_cap && x->body.len + len > x->body_cap)
		return -EMSGSIZE;
	buf_append(&x->body, data, len);
	gate_open(&x->body_began);
	if (x->in_body)
		x->in_body(x);
	return 0;
}

static inline void on_done(struct net_call *c, int err, int status, const char *detail)
{
	struct exchange *x = exchange_of(c);

	x->callbacks++;
	x->done++;
	x->err = err;
	x->status = status;
	(void)snprintf(x->detail, sizeof(x->detail), "%s", detail);
	if (x->in_done)
		x->in_done(x);
	gate_open(&x->over);
}

static inline void exchange_init(struct exchange *x, const char *method)
{
	*x = (struct exchange){.call = {.method = method,
					.url = x->url,
					.deadline = NO_DEADLINE,
					.on_header = on_header,
					.on_body = on_body,
					.on_done = on_done},
			       .err = 12345};
	(void)snprintf(x->url, sizeof(x->url), "http://127.0.0.1:%d/a",
		       server ? raw_server_port(server) : 1);
	gate_init(&x->over);
	gate_init(&x->body_began);
	buf_init(&x->headers, 65536);
	buf_init(&x->body, 64 * MIB);
}

static inline void exchange_fini(struct exchange *x)
{
	buf_fini(&x->headers);
	buf_fini(&x->body);
}

static inline void begin(void *arg)
{
	struct exchange *x = arg;

	x->started = net_start(loop_current(), &x->call);
}

static inline void cancel(void *arg)
{
	struct exchange *x = arg;

	net_cancel(&x->call);
	net_cancel(&x->call);
}

static inline bool start(struct exchange *x)
{
	return on_loop(loop, begin, x) && x->started == 0;
}

static inline bool go(struct exchange *x)
{
	return start(x) && gate_wait(&x->over);
}

/* A loop and a server with the scripts given. */
static inline void set_up(const struct raw_step *const *scripts, const struct net_config *config)
{
	server = raw_server_new(scripts);
	loop = start_loop(config);
}

static inline void tear_down(void)
{
	end_loop(loop);
	check_int(raw_server_errors(server), ==, 0);
	raw_server_free(server);
	server = NULL;
}

#define SCRIPTS(...) ((const struct raw_step *const[]){__VA_ARGS__, NULL})
#define SCRIPT(...)  ((const struct raw_step[]){__VA_ARGS__, RAW_END})

#endif
