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
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/parse.h"
#include "base/uri.h"
#include "s3/place.h"

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

static int host_set(struct s3_endpoint *e, const char *name, const char *host)
{
	int n = e->path_style ? snprintf(e->host, sizeof(e->host), "%s", host)
			      : snprintf(e->host, sizeof(e->host), "%s.%s", name, host);

	return n < 0 || (size_t)n >= sizeof(e->host) ? -EINVAL : 0;
}

static int resolve_url(const struct s3_endpoint_input *in, const struct s3_place *p, char *why,
		       size_t why_len, struct s3_endpoint *e)
{
	char host[S3_HOST_MAX];
	struct url u;
	int r;

	if (url_parse(in->url, &u) < 0)
		return s3_place_refuse(
			why, why_len,
			"endpoint \"%s\" is not a URL like http://host:9000 or https://host",
			in->url);
	(void)snprintf(host, sizeof(host), "%.*s", (int)u.host_len, u.host);
	e->custom = true;
	e->path_style = !p->arn && (in->force_path_style || !s3_place_is_label(in->bucket) ||
				    host_is_plain(&u, host));
	if (p->arn && host_is_plain(&u, host))
		return s3_place_refuse(
			why, why_len,
			"\"%s\" cannot be reached at \"%s\", which has no names below it",
			in->bucket, in->url);
	r = host_set(e, p->name, host);
	if (r == 0)
		r = finish(in, &u, e);
	if (r == -EINVAL)
		return s3_place_refuse(why, why_len, "endpoint \"%s\" is too long", in->url);
	return r;
}

static int resolve_aws(const struct s3_endpoint_input *in, const struct s3_place *p, char *why,
		       size_t why_len, struct s3_endpoint *e)
{
	const struct url u = {.tls = true, .path = ""};
	char host[2 * S3_HOST_MAX];

	(void)snprintf(host, sizeof(host), "%s.%s", p->service, p->suffix);
	e->path_style =
		!p->virtual_only && (in->force_path_style || !s3_place_is_label(in->bucket));
	if (host_set(e, p->name, host) < 0)
		return s3_place_refuse(why, why_len, "the host name of \"%s\" is too long",
				       in->bucket);
	return finish(in, &u, e);
}

static int check_input(const struct s3_endpoint_input *in, char *why, size_t why_len)
{
	if (!s3_region_valid(in->region))
		return s3_place_refuse(why, why_len, "\"%s\" is not a region name", in->region);
	if (!in->url && (strchr(in->region, '.') || strchr(in->region, '_')))
		return s3_place_refuse(why, why_len, "\"%s\" is no region of AWS", in->region);
	if (in->url && in->accelerate)
		return s3_place_refuse(
			why, why_len,
			"transfer acceleration is of AWS's own endpoints, not of \"%s\"", in->url);
	if (in->url && in->dual_stack)
		return s3_place_refuse(why, why_len,
				       "dual stack is of AWS's own endpoints, not of \"%s\"",
				       in->url);
	return 0;
}

int s3_endpoint_resolve(const struct s3_endpoint_input *in, char *why, size_t why_len,
			struct s3_endpoint *ret)
{
	struct s3_endpoint e = {0};
	struct s3_place p;
	int r = check_input(in, why, why_len);

	if (r == 0)
		r = s3_place_find(in, why, why_len, &p);
	if (r == 0)
		r = in->url ? resolve_url(in, &p, why, why_len, &e)
			    : resolve_aws(in, &p, why, why_len, &e);
	if (r < 0) {
		if (r == -ENOMEM)
			(void)snprintf(why, why_len, "out of memory");
		return r;
	}
	(void)snprintf(e.region, sizeof(e.region), "%s", p.region);
	e.service = p.signing;
	e.fixed_region = p.arn;
	e.all_regions = p.all_regions;
	e.no_checksums = p.no_checksums;
	*ret = e;
	return 0;
}
