/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <string.h>

#include "lib/test.h"
#include "s3/endpoint.h"

struct row {
	const char *bucket, *region, *url;
	bool force;
	const char *origin, *host;
	int port;
	const char *base;
};

static const struct row rows[] = {
	/* AWS */
	{"bucket", "eu-west-1", NULL, false, "https://bucket.s3.eu-west-1.amazonaws.com",
	 "bucket.s3.eu-west-1.amazonaws.com", 443, ""},
	{"bucket", "cn-north-1", NULL, false, "https://bucket.s3.cn-north-1.amazonaws.com.cn",
	 "bucket.s3.cn-north-1.amazonaws.com.cn", 443, ""},
	{"bucket", "us-east-1", NULL, true, "https://s3.us-east-1.amazonaws.com",
	 "s3.us-east-1.amazonaws.com", 443, "/bucket"},
	{"my.bucket", "us-east-1", NULL, false, "https://s3.us-east-1.amazonaws.com",
	 "s3.us-east-1.amazonaws.com", 443, "/my.bucket"},
	{"Old_Bucket", "us-east-1", NULL, false, "https://s3.us-east-1.amazonaws.com",
	 "s3.us-east-1.amazonaws.com", 443, "/Old_Bucket"},
	{"ap-name-abcdefghijklmnop-s3alias", "us-west-2", NULL, false,
	 "https://ap-name-abcdefghijklmnop-s3alias.s3.us-west-2.amazonaws.com",
	 "ap-name-abcdefghijklmnop-s3alias.s3.us-west-2.amazonaws.com", 443, ""},
	/* custom */
	{"bucket", "x", "https://s3.example.com", false, "https://bucket.s3.example.com",
	 "bucket.s3.example.com", 443, ""},
	{"bucket", "x", "https://s3.example.com/", true, "https://s3.example.com", "s3.example.com",
	 443, "/bucket"},
	{"bucket", "x", "http://s3.example.com:80", false, "http://bucket.s3.example.com",
	 "bucket.s3.example.com", 80, ""},
	{"bucket", "x", "http://s3.example.com:443", false, "http://bucket.s3.example.com:443",
	 "bucket.s3.example.com", 443, ""},
	{"bucket", "x", "https://s3.example.com:8443/pre/fix/", false,
	 "https://bucket.s3.example.com:8443", "bucket.s3.example.com", 8443, "/pre/fix"},
	{"my.bucket", "x", "https://s3.example.com/p", false, "https://s3.example.com",
	 "s3.example.com", 443, "/p/my.bucket"},
	{"bucket", "x", "http://127.0.0.1:9000", false, "http://127.0.0.1:9000", "127.0.0.1", 9000,
	 "/bucket"},
	{"bucket", "x", "HTTP://localhost:9000", false, "http://localhost:9000", "localhost", 9000,
	 "/bucket"},
	{"bucket", "x", "http://minio:9000", false, "http://minio:9000", "minio", 9000, "/bucket"},
	{"bucket", "x", "http://[::1]:9000", false, "http://[::1]:9000", "::1", 9000, "/bucket"},
	{"bucket", "x", "https://[::1]", false, "https://[::1]", "::1", 443, "/bucket"},
	{"b\xc3\xa9", "x", "https://s3.example.com", false, "https://s3.example.com",
	 "s3.example.com", 443, "/b%C3%A9"},
};

static void table(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *t = &rows[i];
		const struct s3_endpoint_input in = {t->bucket, t->region, t->url, t->force};
		struct s3_endpoint e;
		char why[256] = "";

		if (s3_endpoint_resolve(&in, why, sizeof(why), &e) < 0) {
			test_fail_("row %zu: %s", i, why);
			continue;
		}
		check_str(e.origin, t->origin);
		check_str(e.authority, strstr(t->origin, "://") + 3);
		check_str(e.host, t->host);
		check_int(e.port, ==, t->port);
		check_str(e.base, t->base);
		check_int(e.tls, ==, strncmp(t->origin, "https", 5) == 0);
		check_int(e.custom, ==, t->url != NULL);
		check_int(e.path_style, ==,
			  strstr(t->base, t->bucket[0] == 'b' ? "/b" : t->bucket) != NULL);
	}
}

static void refused(void)
{
	static const struct s3_endpoint_input bad[] = {
		{"", "r", NULL, false},
		{"a/b", "r", NULL, false},
		{"a b", "r", NULL, false},
		{"..", "r", NULL, false},
		{"arn:aws:s3:us-west-2:1:accesspoint/x", "r", NULL, false},
		{"name--usw2-az1--x-s3", "us-west-2", NULL, false},
		{"bucket", "", NULL, false},
		{"bucket", "evil/../x", NULL, false},
		{"bucket", "evil.com#", NULL, false},
		{"bucket", "evil.example", NULL, false},
		{"bucket", "us_east", NULL, false},
		{"bucket", "r", "127.0.0.1:9000", false},
		{"bucket", "r", "ftp://host", false},
		{"bucket", "r", "http://", false},
		{"bucket", "r", "http://host:", false},
		{"bucket", "r", "http://host:0", false},
		{"bucket", "r", "http://host:65536", false},
		{"bucket", "r", "http://host:90x", false},
		{"bucket", "r", "http://user:pw@host", false},
		{"bucket", "r", "http://host?x", false},
		{"bucket", "r", "http://ho st", false},
		{"bucket", "r", "http://host\r\nx: y", false},
		{"bucket", "r", "http://[::1", false},
		{"bucket", "r", "http://[::1]x", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct s3_endpoint e;
		char why[256] = "";

		if (s3_endpoint_resolve(&bad[i], why, sizeof(why), &e) != -EINVAL)
			test_fail_("row %zu was taken", i);
		check(why[0] != '\0');
	}
}

static void too_long(void)
{
	char url[2000], region[200], why[256];
	struct s3_endpoint_input in = {.bucket = "bucket", .region = "r", .url = url};
	struct s3_endpoint e;

	memset(url, 'a', sizeof(url));
	memcpy(url, "http://h.", 9);
	url[9 + 250] = '\0';
	check_int(s3_endpoint_resolve(&in, why, sizeof(why), &e), ==, -EINVAL);
	memcpy(url, "http://h/", 9);
	url[9 + 250] = 'a';
	url[sizeof(url) - 1] = '\0';
	check_int(s3_endpoint_resolve(&in, why, sizeof(why), &e), ==, -EINVAL);
	memset(region, 'r', sizeof(region));
	region[sizeof(region) - 1] = '\0';
	in.url = NULL;
	in.region = region;
	check_int(s3_endpoint_resolve(&in, why, sizeof(why), &e), ==, -EINVAL);
}

int main(void)
{
	return test_run((struct test[]){TEST(table), TEST(refused), TEST(too_long), {0}});
}
