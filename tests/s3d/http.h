/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The HTTP side: callbacks for libmicrohttpd.
 */

#ifndef S3D_HTTP_H
#define S3D_HTTP_H

#include <stdbool.h>

#include "server.h"

struct req;

must_check int http_start(struct server *s);
void http_stop(struct server *s);

/* Send an RST now; what was not delivered is lost. */
void http_reset_connection(struct req *r);
/* Send a FIN now. */
void http_close_connection(struct req *r);
/* Bytes handed to the network on the connection so far. */
uint64_t http_bytes_sent(struct req *r);
/* Bytes that the peer did not acknowledge yet. */
bool http_all_delivered(struct req *r);
/* Suspend until the monotonic time; false: close instead. */
bool http_park(struct req *r, uint64_t deadline_ns, bool stalled);
/*
 * Bandwidth limit of the request (0: none), and pacing by it: how many of `want`
 * bytes may move now; 0 after the connection was parked.
 */
uint64_t http_bandwidth(const struct req *r);
size_t http_pace(struct req *r, size_t want);

#endif
