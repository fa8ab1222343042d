/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One PUT with a large body on a connection of the pool, the bytes straight from
 * the caller's memory: curl would copy them once more. Takes the same struct
 * net_call as net_start() and calls the same callbacks.
 *
 *	r = send_start(client, loop, &request, &call, &s);	(request is signed)
 *	... on_header*, on_body*, then on_done once: s is gone
 *
 * -ENOTSUP: not for this one (a proxy that reads along); curl can. Owner loop only.
 */
#ifndef S3_SEND_H
#define S3_SEND_H

#include "loop/loop.h"
#include "s3/request.h"

#define SEND_MIN (64 * KIB) /* below it one copy more costs less than it takes to tell */

struct s3_client;
struct send;

int send_start(struct s3_client *c, struct loop *l, const struct s3_request *request,
	       const char *content_length, struct net_call *call, struct send **ret) must_check;
/* Ends it; on_done is not called, the body is not read any more. */
void send_cancel(struct send *s);

#endif
