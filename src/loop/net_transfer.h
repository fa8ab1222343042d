/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One HTTP exchange on an easy handle: its options, what curl's callbacks do
 * with the bytes, its clocks, and the meaning of curl's results. net.c decides
 * when it runs. Owner loop only.
 */
#ifndef LOOP_NET_TRANSFER_H
#define LOOP_NET_TRANSFER_H

#include <curl/curl.h>

#include "base/list.h"
#include "loop/loop.h"

enum net_phase {
	NET_CONNECTING, /* also: waiting for a free connection */
	NET_SENDING,
	NET_WAITING, /* all sent, no byte of the answer yet */
	NET_RECEIVING,
};

#define NET_TRANSFER_RUNNING CURLE_FAILED_INIT

struct net_transfer {
	/* set at creation */
	CURL *easy;
	struct net *net;

	/* owner loop only */
	struct list node;      /* on one list of net.c */
	struct net_call *call; /* NULL once cancelled: no callback any more */
	bool in_multi;
	CURLcode result; /* NET_TRANSFER_RUNNING until curl has ended it */

	struct curl_slist *headers; /* array; the strings are the caller's */
	size_t headers_cap;
	size_t body_iov, body_off; /* what curl reads next */
	uint64_t body_size;

	bool connected; /* and about to send */
	bool interim;	/* inside a 1xx head */
	bool head_done; /* what comes now as a header is a trailer */
	size_t head_bytes;
	int failure; /* of our own making, overrides curl's result */

	struct loop_timer timer; /* earliest of deadline and the phase's limit */
	enum net_phase phase;
	uint64_t moved; /* bytes seen at the last look */
	uint64_t last;	/* when they moved, or the phase began */
	char detail[CURL_ERROR_SIZE];
};

struct net_transfer *net_transfer_new(struct net *n);
void net_transfer_free(struct net_transfer *t);
/* Makes `t` ready for `c`; strings are of the net_config. */
int net_transfer_prepare(struct net_transfer *t, struct net_call *c, const char *ca_bundle,
			 const char *user_agent) must_check;
/* Forgets the call, keeps the memory for the next. */
void net_transfer_reset(struct net_transfer *t);

/*
 * Looks at the clocks. 0 and in *ret_next when to look again, or -ETIMEDOUT
 * with `detail` filled.
 */
int net_transfer_check(struct net_transfer *t, uint64_t now, uint64_t *ret_next) must_check;
/* The errno for curl's result, as net.h has it. */
int net_transfer_error(const struct net_transfer *t);
int net_transfer_status(const struct net_transfer *t);

#endif
