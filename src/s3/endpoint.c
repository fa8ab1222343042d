/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Endpoint rules. Pure.
 *
 * Path style for a custom endpoint is chosen without being asked where a virtual
 * host cannot work: an IP address has no subdomains, "localhost" and other single
 * labels (container and service names) have none that resolve, and a bucket with
 * dots does not match a wildcard certificate.
 */
#include "s3/endpoint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/parse.h"
#include "base/uri.h"

#define BUCKET_MAX 255 /* S3: 63; older and other servers allow more */

static int printf_like(3, 4) refuse(char *why, size_t why_len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

bool s3_region_valid(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n >= S3_REGION_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

bool s3_bucket_is_express(const char *name)
{
	static const char end[] = "--x-s3";
	size_t n = strlen(name), len = sizeof(end) - 1;

	return n > len && strcmp(name + n - len, end) == 0;
}

/* A name that can be one label of a host name. */
static bool is_label(const char *s)
{
	size_t n = strlen(s);

	if (n < 3 || n > 63 || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= '0' && s[i] <= '9') && s[i] != '-')
			return false;
	return true;
}

static bool bucket_possible(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > BUCKET_MAX || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f || strchr("/?#\\:", s[i]))
			return false;
	return true;
}

static const char *aws_suffix(const char *region)
{
	static const struct {
		const char *prefix, *suffix;
	} partitions[] = {
		{"cn-", "amazonaws.com.cn"},	{"us-iso-", "c2s.ic.gov"},
		{"us-isob-", "sc2s.sgov.gov"},	{"eu-isoe-", "cloud.adc-e.uk"},
		{"us-isof-", "csp.hci.ic.gov"}, {"eusc-", "amazonaws.eu"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(partitions); i++)
		if (strncmp(region, partitions[i].prefix, strlen(partitions[i].prefix)) == 0)
			return partitions[i].suffix;
	return "amazonaws.com";
}

/* Pieces of an endpoint URL; pointers into the URL. */
struct url {
	bool tls, ipv6;
	const char *host, *path;
	size_t host_len, path_len;
	uint16_t port; /* 0: the scheme's */
};

static int url_port(const char *s, size_t len, uint16_t *ret)
{
	uint64_t port;

	if (parse_u64n(s, len, &port) < 0 || port == 0 || port > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

/* host[:port] or [v6][:port] in s[len]. */
static int url_authority(const char *s, size_t len, struct url *u)
{
	const char *colon;

	if (len && s[0] == '[') {
		const char *end = memchr(s, ']', len);

		if (!end)
			return -EINVAL;
		u->ipv6 = true;
		u->host = s + 1;
		u->host_len = (size_t)(end - s) - 1;
		colon = end + 1 < s + len ? end + 1 : NULL;
		if (colon && *colon != ':')
			return -EINVAL;
	} else {
		colon = memchr(s, ':', len);
		u->host = s;
		u->host_len = colon ? (size_t)(colon - s) : len;
	}
	if (colon && url_port(colon + 1, (size_t)(s + len - colon) - 1, &u->port) < 0)
		return -EINVAL;
	if (u->host_len == 0 || u->host_len >= S3_HOST_MAX)
		return -EINVAL;
	for (size_t i = 0; i < u->host_len; i++)
		if (!isalnum((unsigned char)u->host[i]) &&
		    !strchr(u->ipv6 ? ":." : "-_.", u->host[i]))
			return -EINVAL;
	return 0;
}

static int url_parse(const char *s, struct url *u)
{
	size_t len;

	*u = (struct url){0};
	if (strncasecmp(s, "https://", 8) == 0)
		u->tls = true;
	else if (strncasecmp(s, "http://", 7) != 0)
		return -EINVAL;
	s += u->tls ? 8 : 7;
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("?#@\\\"<>", *p))
			return -EINVAL;
	len = strcspn(s, "/");
	u->path = s + len;
	u->path_len = strlen(u->path);
	while (u->path_len && u->path[u->path_len - 1] == '/')
		u->path_len--;
	return url_authority(s, len, u);
}

/* True when names below `host` cannot be expected to resolve. */
static bool host_is_plain(const struct url *u, const char *host)
{
	struct in_addr v4;

	return u->ipv6 || !strchr(host, '.') || inet_pton(AF_INET, host, &v4) == 1;
}

/* Scheme, authority and base out of the parts. */
static int finish(const struct s3_endpoint_input *in, const struct url *u, struct s3_endpoint *e)
{
	_cleanup_(buf_fini) struct buf base = BUF_INIT(sizeof(e->base) - 1);
	char port[8] = "";
	int n;

	e->tls = u->tls;
	e->port = u->port ? u->port : u->tls ? 443 : 80;
	if (e->port != (u->tls ? 443 : 80))
		(void)snprintf(port, sizeof(port), ":%u", e->port);
	n = snprintf(e->authority, sizeof(e->authority), u->ipv6 ? "[%s]%s" : "%s%s", e->host,
		     port);
	if (n < 0 || (size_t)n >= sizeof(e->authority))
		return -EINVAL;
	(void)snprintf(e->origin, sizeof(e->origin), "%s://%s", u->tls ? "https" : "http",
		       e->authority);
	buf_append(&base, u->path, u->path_len);
	if (e->path_style) {
		buf_putc(&base, '/');
		uri_encode(&base, in->bucket, strlen(in->bucket), URI_ENCODE_SLASH);
	}
	if (buf_error(&base) < 0)
		return buf_error(&base) == -ENOMEM ? -ENOMEM : -EINVAL;
	(void)snprintf(e->base, sizeof(e->base), "%s", buf_str(&base));
	return 0;
}

static int host_set(struct s3_endpoint *e, const char *bucket, const char *host, size_t len)
{
	int n = e->path_style
			? snprintf(e->host, sizeof(e->host), "%.*s", (int)len, host)
			: snprintf(e->host, sizeof(e->host), "%s.%.*s", bucket, (int)len, host);

	return n < 0 || (size_t)n >= sizeof(e->host) ? -EINVAL : 0;
}

static int resolve_url(const struct s3_endpoint_input *in, char *why, size_t why_len,
		       struct s3_endpoint *e)
{
	char host[S3_HOST_MAX];
	struct url u;
	int r;

	if (url_parse(in->url, &u) < 0)
		return refuse(why, why_len,
			      "endpoint \"%s\" is not a URL like http://host:9000 or https://host",
			      in->url);
	(void)snprintf(host, sizeof(host), "%.*s", (int)u.host_len, u.host);
	e->custom = true;
	e->path_style = in->force_path_style || !is_label(in->bucket) || host_is_plain(&u, host);
	r = host_set(e, in->bucket, u.host, u.host_len);
	if (r == 0)
		r = finish(in, &u, e);
	if (r == -EINVAL)
		return refuse(why, why_len, "endpoint \"%s\" is too long", in->url);
	return r;
}

static int resolve_aws(const struct s3_endpoint_input *in, char *why, size_t why_len,
		       struct s3_endpoint *e)
{
	const struct url u = {.tls = true, .path = ""};
	char host[S3_HOST_MAX];

	if (s3_bucket_is_express(in->bucket))
		return refuse(why, why_len, "\"%s\" is a directory bucket, which is not supported",
			      in->bucket);
	if (strchr(in->region, '.') || strchr(in->region, '_'))
		return refuse(why, why_len, "\"%s\" is no region of AWS", in->region);
	(void)snprintf(host, sizeof(host), "s3.%s.%s", in->region, aws_suffix(in->region));
	e->path_style = in->force_path_style || !is_label(in->bucket);
	if (host_set(e, in->bucket, host, strlen(host)) < 0)
		return refuse(why, why_len, "region \"%s\" is too long", in->region);
	return finish(in, &u, e);
}

int s3_endpoint_resolve(const struct s3_endpoint_input *in, char *why, size_t why_len,
			struct s3_endpoint *ret)
{
	struct s3_endpoint e = {0};
	int r;

	if (strncmp(in->bucket, "arn:", 4) == 0)
		return refuse(why, why_len,
			      "\"%s\": ARNs are not supported; use the access point's alias",
			      in->bucket);
	if (!bucket_possible(in->bucket))
		return refuse(why, why_len, "\"%s\" is not a bucket name", in->bucket);
	if (!s3_region_valid(in->region))
		return refuse(why, why_len, "\"%s\" is not a region name", in->region);
	r = in->url ? resolve_url(in, why, why_len, &e) : resolve_aws(in, why, why_len, &e);
	if (r < 0) {
		if (r == -ENOMEM)
			(void)snprintf(why, why_len, "out of memory");
		return r;
	}
	*ret = e;
	return 0;
}
