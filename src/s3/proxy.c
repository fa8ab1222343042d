/* SPDX-License-Identifier: Apache-2.0 */

#include "s3/proxy.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/uri.h"

#define PROXY_PORT 1080 /* curl's default for a proxy URL without a port */

/* "user:password", percent-encoded, into the header line. */
static int set_auth(struct proxy *p, const char *user, size_t len)
{
	char plain[256];
	char coded[352];

	if (len >= sizeof(plain))
		return -EINVAL;
	memcpy(plain, user, len);
	long n = uri_decode(plain, len, /* plus_is_space= */ 0);
	if (n < 0)
		return -EINVAL;
	(void)EVP_EncodeBlock((unsigned char *)coded, (unsigned char *)plain, (int)n);
	(void)snprintf(p->auth, sizeof(p->auth), "Proxy-Authorization: Basic %s\r\n", coded);
	return 0;
}

/* "host", "host:port" or "[v6]:port" */
static int set_host(struct proxy *p, const char *s, size_t len)
{
	const char *end = s + len, *name = s, *name_end, *port;
	uint64_t n;

	if (len && s[0] == '[') {
		name = s + 1;
		name_end = memchr(s, ']', len);
		port = name_end ? name_end + 1 : NULL;
	} else {
		name_end = memchr(s, ':', len);
		if (!name_end)
			name_end = end;
		port = name_end;
	}
	if (!name_end || name_end == name || (size_t)(name_end - name) >= sizeof(p->host))
		return -EINVAL;
	p->port = PROXY_PORT;
	if (port < end) {
		if (*port != ':' || parse_u64n(port + 1, (size_t)(end - port - 1), &n) < 0 ||
		    n == 0 || n > UINT16_MAX)
			return -EINVAL;
		p->port = (uint16_t)n;
	}
	memcpy(p->host, name, (size_t)(name_end - name));
	p->host[name_end - name] = '\0';
	return 0;
}

int proxy_parse(const char *url, struct proxy *ret)
{
	const char *scheme = strstr(url, "://");
	const char *host = url;
	struct proxy p = {.used = true};

	if (scheme) {
		if (scheme - url != 4 || strncasecmp(url, "http", 4) != 0)
			return -EPROTONOSUPPORT;
		host = scheme + 3;
	}
	size_t len = strcspn(host, "/?#");
	const char *at = memrchr(host, '@', len);
	if (at) {
		int r = set_auth(&p, host, (size_t)(at - host));
		if (r < 0)
			return r;
		len -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	int r = set_host(&p, host, len);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

/* "example.com" and ".example.com" both mean the domain and all below it. */
static bool domain_matches(const char *pattern, size_t plen, const char *host)
{
	size_t hlen = strlen(host);

	if (plen && pattern[0] == '.') {
		pattern++;
		plen--;
	}
	if (plen == 0 || plen > hlen || strncasecmp(host + hlen - plen, pattern, plen) != 0)
		return false;
	return hlen == plen || host[hlen - plen - 1] == '.';
}

bool proxy_excluded(const char *list, const char *host)
{
	for (const char *p = list; *p;) {
		size_t len = strcspn(p, ", ");

		if ((len == 1 && *p == '*') || domain_matches(p, len, host))
			return true;
		p += len;
		p += strspn(p, ", ");
	}
	return false;
}

static const char *first_of(const char *a, const char *b)
{
	const char *v = a ? getenv(a) : NULL;

	if (!v || !*v)
		v = b ? getenv(b) : NULL;
	return v && *v ? v : NULL;
}

int proxy_find(bool tls, const char *host, struct proxy *ret)
{
	const char *url =
		tls ? first_of("https_proxy", "HTTPS_PROXY") : first_of("http_proxy", NULL);
	const char *none = first_of("no_proxy", "NO_PROXY");

	memset(ret, 0, sizeof(*ret));
	if (!url)
		url = first_of("all_proxy", "ALL_PROXY");
	if (!url || (none && proxy_excluded(none, host)))
		return 0;
	return proxy_parse(url, ret);
}

int proxy_connect_head(const struct proxy *p, const char *host, uint16_t port, char *ret,
		       size_t len)
{
	bool v6 = strchr(host, ':') != NULL;
	const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
	int n = snprintf(ret, len,
			 "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n"
			 "%s\r\n",
			 open, host, close, port, open, host, close, port, p->auth);

	return n < 0 || (size_t)n >= len ? -EMSGSIZE : n;
}
