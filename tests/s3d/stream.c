/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The body of an answer, piece by piece: see stream.h. libmicrohttpd asks for
 * the next piece when the last one is in the socket; a piece that may not come
 * yet parks the connection.
 */

#include <errno.h>
#include <microhttpd.h>
#include <string.h>

#include "http.h"
#include "req.h"
#include "stream.h"

#define PIECE	      (256u << 10)
#define STALL_NS      ((uint64_t)3600 * 1000000000u)
#define DELIVERY_NS   ((uint64_t)2000000000u)
#define DELIVERY_POLL ((uint64_t)2000000u)

static bool breaks_body(enum fault_kind k)
{
	return k == FAULT_RESET_BODY || k == FAULT_SHORT || k == FAULT_STALL_BODY;
}

bool stream_needed(const struct req *r)
{
	return breaks_body(r->fault.kind) || r->fault.kind == FAULT_FLIP || http_bandwidth(r);
}

/* At the byte where the body breaks off. */
static ssize_t break_off(struct req *r)
{
	uint64_t now = clock_mono_ns();

	if (r->fault.kind == FAULT_STALL_BODY) {
		r->fault.kind = FAULT_NONE;
		return http_park(r, now + STALL_NS, true) ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
	}
	/* What was sent before must arrive: an RST would take it back. */
	if (!r->reset_wait_ns)
		r->reset_wait_ns = now + DELIVERY_NS;
	if (!http_all_delivered(r) && now < r->reset_wait_ns &&
	    http_park(r, now + DELIVERY_POLL, false))
		return 0;
	if (r->fault.kind == FAULT_RESET_BODY)
		http_reset_connection(r);
	else
		http_close_connection(r);
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

static ssize_t read_object(struct req *r, uint64_t pos, char *buf, size_t n)
{
	struct extent e;
	ssize_t got;

	if (object_map(r->object, &r->srv->store.arena, r->object_fd, r->reply.off + pos, n, &e) <
	    0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	do
		got = pread(e.fd, buf, MIN(n, e.len), (off_t)e.off);
	while (got < 0 && errno == EINTR);
	return got > 0 ? got : MHD_CONTENT_READER_END_WITH_ERROR;
}

static ssize_t on_piece(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct req *r = cls;
	struct fault *f = &r->fault;
	uint64_t left = r->reply.len - pos;
	size_t n = MIN(max, left);
	ssize_t got;

	if (breaks_body(f->kind)) {
		if (pos >= f->arg)
			return break_off(r);
		n = MIN(n, f->arg - pos);
	}
	n = http_pace(r, n);
	if (n == 0)
		return 0;
	if (r->reply.from_object) {
		got = read_object(r, pos, buf, n);
	} else {
		memcpy(buf, r->reply.body.data + pos, n);
		got = (ssize_t)n;
	}
	if (f->kind == FAULT_FLIP && got > 0 && f->arg >= pos && f->arg < pos + (size_t)got)
		buf[f->arg - pos] ^= 1;
	return got;
}

struct MHD_Response *stream_response(struct req *r, uint64_t len)
{
	return MHD_create_response_from_callback(len, PIECE, on_piece, r, NULL);
}
