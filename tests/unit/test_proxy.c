/* SPDX-License-Identifier: Apache-2.0 */

/* Which proxy a request goes through, and how it is asked. */
#include <errno.h>

#include "lib/test.h"
#include "s3/proxy.h"

static void urls(void)
{
	static const struct {
		const char *url, *host, *auth;
		int port, err;
	} rows[] = {
		{"http://proxy:3128", "proxy", "", 3128, 0},
		{"HTTP://proxy:3128/", "proxy", "", 3128, 0},
		{"proxy.example.com", "proxy.example.com", "", 1080, 0},
		{"proxy:1/path?x", "proxy", "", 1, 0},
		{"http://[::1]:3128", "::1", "", 3128, 0},
		{"http://[::1]", "::1", "", 1080, 0},
		{"http://u:p@proxy:3128", "proxy", "Proxy-Authorization: Basic dTpw\r\n", 3128, 0},
		{"http://a%40b:%3a@proxy:1", "proxy", "Proxy-Authorization: Basic YUBiOjo=\r\n", 1,
		 0},
		{"https://proxy:3128", NULL, NULL, 0, -EPROTONOSUPPORT},
		{"socks5://proxy:3128", NULL, NULL, 0, -EPROTONOSUPPORT},
		{"http://", NULL, NULL, 0, -EINVAL},
		{"http://:80", NULL, NULL, 0, -EINVAL},
		{"http://proxy:", NULL, NULL, 0, -EINVAL},
		{"http://proxy:0", NULL, NULL, 0, -EINVAL},
		{"http://proxy:65536", NULL, NULL, 0, -EINVAL},
		{"http://proxy:1x", NULL, NULL, 0, -EINVAL},
		{"http://[::1", NULL, NULL, 0, -EINVAL},
		{"http://u%zz@proxy:1", NULL, NULL, 0, -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proxy p;
		int r = proxy_parse(rows[i].url, &p);

		if (r != rows[i].err)
			test_fail_("%s: %d", rows[i].url, r);
		if (r < 0 || rows[i].err < 0)
			continue;
		check_str(p.host, rows[i].host);
		check_str(p.auth, rows[i].auth);
		check_int(p.port, ==, rows[i].port);
	}
}

static void exclusions(void)
{
	static const struct {
		const char *list, *host;
		bool want;
	} rows[] = {
		{"", "a.b", false},
		{"*", "a.b", true},
		{"a.b", "a.b", true},
		{"A.B", "a.b", true},
		{"b", "a.b", true},
		{".b", "a.b", true},
		{".a.b", "a.b", true},
		{"x, .b", "a.b", true},
		{"x a.b y", "a.b", true},
		{"a.b.c", "a.b", false},
		{"xa.b", "a.b", false},
		{"b", "ab", false},
		{",,", "a.b", false},
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.11", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (proxy_excluded(rows[i].list, rows[i].host) != rows[i].want)
			test_fail_("\"%s\" and %s", rows[i].list, rows[i].host);
}

static void environment(void)
{
	struct proxy p;

	(void)unsetenv("http_proxy");
	(void)unsetenv("https_proxy");
	(void)unsetenv("HTTPS_PROXY");
	(void)unsetenv("all_proxy");
	(void)unsetenv("ALL_PROXY");
	(void)unsetenv("no_proxy");
	(void)unsetenv("NO_PROXY");
	check_int(proxy_find(true, "s3", &p), ==, 0);
	check(!p.used);

	/* A server may be made to set it from a header of the request ("httpoxy"). */
	(void)setenv("HTTP_PROXY", "http://bad:1", 1);
	check_int(proxy_find(false, "s3", &p), ==, 0);
	check(!p.used);

	(void)setenv("ALL_PROXY", "http://all:1", 1);
	(void)setenv("HTTPS_PROXY", "http://secure:2", 1);
	check_int(proxy_find(true, "s3", &p), ==, 0);
	check_str(p.host, "secure");
	check_int(proxy_find(false, "s3", &p), ==, 0);
	check_str(p.host, "all");
	(void)setenv("https_proxy", "http://lower:3", 1);
	check_int(proxy_find(true, "s3", &p), ==, 0);
	check_str(p.host, "lower");
	(void)setenv("no_proxy", "example.com", 1);
	check_int(proxy_find(true, "b.example.com", &p), ==, 0);
	check(!p.used);
	(void)setenv("https_proxy", "socks5://x:1", 1);
	check_int(proxy_find(true, "s3", &p), ==, -EPROTONOSUPPORT);
}

static void tunnel(void)
{
	struct proxy p;
	char text[512];

	require(proxy_parse("http://u:p@proxy:1", &p) == 0);
	check_int(proxy_connect_head(&p, "s3", 443, text, sizeof(text)), ==, (int)strlen(text));
	check_str(text, "CONNECT s3:443 HTTP/1.1\r\nHost: s3:443\r\n"
			"Proxy-Authorization: Basic dTpw\r\n\r\n");
	require(proxy_parse("http://proxy:1", &p) == 0);
	check(proxy_connect_head(&p, "::1", 1, text, sizeof(text)) > 0);
	check_str(text, "CONNECT [::1]:1 HTTP/1.1\r\nHost: [::1]:1\r\n\r\n");
	check_int(proxy_connect_head(&p, "::1", 1, text, 20), ==, -EMSGSIZE);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(urls), TEST(exclusions), TEST(environment), TEST(tunnel), {0}});
}
