/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The addresses of one host name, as one loop uses them.
 *
 * A name is resolved by getaddrinfo on a short-lived helper thread, at most one
 * per host; an address literal needs none. Addresses are kept for DNS_FRESH_NS
 * and, when a later lookup fails, as long as nothing better is known. New
 * connections go to the address with the fewest, in turn among equals; one that
 * failed is left out for DNS_BAD_NS while there are others.
 *
 * Everything runs on the loop but the lookup itself. An address lives as long as
 * the table lists it or a connection uses it.
 */
#ifndef S3_DNS_H
#define S3_DNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/macro.h"
#include "loop/loop.h"

#define DNS_FRESH_NS  (30 * NSEC_PER_SEC)
#define DNS_BAD_NS    (30 * NSEC_PER_SEC)
#define DNS_ADDRS_MAX 16
#define DNS_NAME_MAX  256

struct dns_addr {
	struct list node; /* dns_host.addrs */
	bool listed;
	bool seen;	/* by the newest answer */
	unsigned users; /* connections */
	uint64_t bad_until;
	socklen_t len;
	struct sockaddr_storage sa;
};

struct dns_query;

struct dns_host {
	/* set at creation */
	struct loop *loop;
	char name[DNS_NAME_MAX];
	uint16_t port;
	/* A lookup has ended: 0, or -errno with a text. */
	void (*resolved)(struct dns_host *h, int err, const char *why);

	/* owner loop only */
	struct list addrs; /* in order of use */
	unsigned naddrs;
	uint64_t fresh_until;
	struct dns_query *query; /* NULL: none running */
};

void dns_init(struct dns_host *h, struct loop *l, const char *name, uint16_t port,
	      void (*resolved)(struct dns_host *h, int err, const char *why));
void dns_fini(struct dns_host *h);

/*
 * 0 and an address to connect to, with one user more; -EAGAIN: `resolved` will be
 * called, ask again then; or -errno.
 */
int dns_get(struct dns_host *h, struct dns_addr **ret) must_check;
/* The connection is gone. */
void dns_put(struct dns_host *h, struct dns_addr *a);
void dns_mark(struct dns_host *h, struct dns_addr *a, bool good);

#endif
