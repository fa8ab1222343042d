/* SPDX-License-Identifier: Apache-2.0 */

/*
 * HTTP calls by libcurl on a loop: one multi handle per loop, driven by the
 * loop's poll and timer; easy handles are pooled. Part of the facade
 * loop/loop.h, which includes this file.
 *
 *	call = (struct net_call){.method = "HEAD", .url = url, ...};
 *	r = net_start(loop, &call);
 *	... on_header*, on_body*, then on_done once, all on the loop
 *
 * One attempt per call: retries are the caller's (but for GET, HEAD and DELETE on
 * a kept connection that turns out to be closed). HTTP/1.1 only, no redirect is
 * followed, no header is added beyond Host, User-Agent and Content-Length of a
 * PUT or POST (never one on GET, HEAD, DELETE; no Expect, no Accept-Encoding).
 */
#ifndef LOOP_NET_H
#define LOOP_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/macro.h"

struct loop;

struct net_config {
	const char *ca_bundle;	/* PEM file that replaces the system's; NULL: system */
	const char *user_agent; /* NULL: none sent */
	unsigned max_connections_per_host;
};

struct net_call {
	/* set by the caller; all of it must stay valid until on_done */
	const char *method;	    /* GET HEAD PUT POST DELETE */
	const char *url;	    /* absolute, path already percent-encoded; sent as is */
	const char *const *headers; /* "Name: value", NULL-terminated */
	const struct iovec *body;   /* sent out of this memory; PUT and POST only */
	unsigned nbody;
	unsigned connect_timeout_ms;	/* 0: curl's 300 s; name resolution included */
	unsigned first_byte_timeout_ms; /* from request sent to response head; 0: none */
	unsigned stall_timeout_ms;	/* no byte in either direction; 0: none */
	uint64_t deadline;		/* absolute, base/clock.h; NO_DEADLINE: none */
	/* Each header line of the final response; names are as sent by the server. */
	void (*on_header)(struct net_call *c, const char *name, size_t name_len, const char *value,
			  size_t value_len);
	/* Body bytes in order; a negative return ends the call with that error. */
	int (*on_body)(struct net_call *c, const void *data, size_t len);
	/*
	 * Once. err 0: a whole response with `status` was received. Otherwise
	 * -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH (resolution), -ECONNRESET,
	 * -EPROTO (bad or short response), -EKEYREJECTED (TLS verification),
	 * -ECANCELED, -ENOMEM, or what on_body returned; `status` is 0 then unless
	 * the status line had come. `detail` is curl's text
	 * for the log ("" if none), valid in the callback only.
	 */
	void (*on_done)(struct net_call *c, int err, int status, const char *detail);
	/* private */
	struct net_transfer *transfer;
};

/*
 * 0, or -errno and no callback. -EINVAL: a method, URL or header that cannot be
 * sent as it is (a header needs a value). -ECANCELED: the loop is ending.
 */
int net_start(struct loop *l, struct net_call *c) must_check;
/* Ends the call now; on_done is NOT called. No-op when it is not running. */
void net_cancel(struct net_call *c);

#endif
