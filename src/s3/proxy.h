/* SPDX-License-Identifier: Apache-2.0 */

/*
 * HTTP proxy of the environment, by curl's rules: http_proxy (lower case only),
 * https_proxy, HTTPS_PROXY, then all_proxy, ALL_PROXY; no_proxy, NO_PROXY name
 * hosts that go direct. A plain request goes to the proxy in absolute form, TLS
 * through a CONNECT tunnel. Only http:// proxies; pure but for getenv.
 */
#ifndef S3_PROXY_H
#define S3_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

struct proxy {
	bool used;
	uint16_t port;
	char host[256];
	char auth[512]; /* "Proxy-Authorization: Basic ...\r\n" or "" */
};

/* `url` is the proxy's. -EINVAL, -EPROTONOSUPPORT (not http://). */
int proxy_parse(const char *url, struct proxy *ret) must_check;
/* True when `list` (comma or space separated, "*" for all) excludes `host`. */
bool proxy_excluded(const char *list, const char *host);
/* From the environment, for a server; -errno as proxy_parse. */
int proxy_find(bool tls, const char *host, struct proxy *ret) must_check;
/* The CONNECT request for a server; its length, or -EMSGSIZE. */
int proxy_connect_head(const struct proxy *p, const char *host, uint16_t port, char *ret,
		       size_t len) must_check;

#endif
