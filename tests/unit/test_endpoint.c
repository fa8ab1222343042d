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
		const struct s3_endpoint_input in = {.bucket = t->bucket,
						     .region = t->region,
						     .url = t->url,
						     .force_path_style = t->force};
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
		{"", "r", NULL, false, false, false},
		{"a/b", "r", NULL, false, false, false},
		{"a b", "r", NULL, false, false, false},
		{"..", "r", NULL, false, false, false},
		{"bucket", "", NULL, false, false, false},
		{"bucket", "evil/../x", NULL, false, false, false},
		{"bucket", "evil.com#", NULL, false, false, false},
		{"bucket", "evil.example", NULL, false, false, false},
		{"bucket", "us_east", NULL, false, false, false},
		{"bucket", "r", "127.0.0.1:9000", false, false, false},
		{"bucket", "r", "ftp://host", false, false, false},
		{"bucket", "r", "http://", false, false, false},
		{"bucket", "r", "http://host:", false, false, false},
		{"bucket", "r", "http://host:0", false, false, false},
		{"bucket", "r", "http://host:65536", false, false, false},
		{"bucket", "r", "http://host:90x", false, false, false},
		{"bucket", "r", "http://user:pw@host", false, false, false},
		{"bucket", "r", "http://host?x", false, false, false},
		{"bucket", "r", "http://ho st", false, false, false},
		{"bucket", "r", "http://host\r\nx: y", false, false, false},
		{"bucket", "r", "http://[::1", false, false, false},
		{"bucket", "r", "http://[::1]x", false, false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct s3_endpoint e;
		char why[256] = "";

		if (s3_endpoint_resolve(&bad[i], why, sizeof(why), &e) != -EINVAL)
			test_fail_("row %zu was taken", i);
		check(why[0] != '\0');
	}
}

struct aws_row {
	const char *bucket, *region, *url;
	bool dual_stack, accelerate;
	const char *host, *base, *service, *signs; /* signs: region */
};

#define AP "arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap"
#define OL "arn:aws:s3-object-lambda:eu-west-1:123456789012:accesspoint:my-ol"
#define OUT \
	"arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/out"
#define ALIAS "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3"

static const struct aws_row aws_rows[] = {
	{"bucket", "eu-west-1", NULL, true, false, "bucket.s3.dualstack.eu-west-1.amazonaws.com",
	 "", "s3", "eu-west-1"},
	{"my.bucket", "eu-west-1", NULL, true, false, "s3.dualstack.eu-west-1.amazonaws.com",
	 "/my.bucket", "s3", "eu-west-1"},
	{"bucket", "eu-west-1", NULL, false, true, "bucket.s3-accelerate.amazonaws.com", "", "s3",
	 "eu-west-1"},
	{"bucket", "eu-west-1", NULL, true, true, "bucket.s3-accelerate.dualstack.amazonaws.com",
	 "", "s3", "eu-west-1"},
	{"bucket", "us-gov-west-1", NULL, false, false, "bucket.s3.us-gov-west-1.amazonaws.com", "",
	 "s3", "us-gov-west-1"},
	/* directory buckets, in a Local Zone, too */
	{"n--use1-az4--x-s3", "us-east-1", NULL, false, false,
	 "n--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com", "", "s3express",
	 "us-east-1"},
	{"a--b--use1-az4--x-s3", "us-east-1", NULL, true, false,
	 "a--b--use1-az4--x-s3.s3express-use1-az4.dualstack.us-east-1.amazonaws.com", "",
	 "s3express", "us-east-1"},
	{"n--usw2-lax1-az1--x-s3", "us-west-2", NULL, false, false,
	 "n--usw2-lax1-az1--x-s3.s3express-usw2-lax1-az1.us-west-2.amazonaws.com", "", "s3express",
	 "us-west-2"},
	{"ap--cnn1-az4--xa-s3", "cn-north-1", NULL, false, false,
	 "ap--cnn1-az4--xa-s3.s3express-cnn1-az4.cn-north-1.amazonaws.com.cn", "", "s3express",
	 "cn-north-1"},
	{"n--use1-az4--x-s3", "us-east-1", "http://127.0.0.1:9000", false, false, "127.0.0.1",
	 "/n--use1-az4--x-s3", "s3express", "us-east-1"},
	/* access points: the ARN's region signs */
	{AP, "eu-west-1", NULL, false, false,
	 "my-ap-123456789012.s3-accesspoint.us-west-2.amazonaws.com", "", "s3", "us-west-2"},
	{AP, "us-west-2", NULL, true, false,
	 "my-ap-123456789012.s3-accesspoint.dualstack.us-west-2.amazonaws.com", "", "s3",
	 "us-west-2"},
	{"arn:aws:s3:us-west-2:123456789012:accesspoint:my-ap", "us-west-2", NULL, false, false,
	 "my-ap-123456789012.s3-accesspoint.us-west-2.amazonaws.com", "", "s3", "us-west-2"},
	{"arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/my-ap", "us-east-1", NULL, false, false,
	 "my-ap-123456789012.s3-accesspoint.cn-north-1.amazonaws.com.cn", "", "s3", "cn-north-1"},
	{"arn:aws-us-gov:s3:us-gov-east-1:123456789012:accesspoint/my-ap", "us-gov-east-1", NULL,
	 false, false, "my-ap-123456789012.s3-accesspoint.us-gov-east-1.amazonaws.com", "", "s3",
	 "us-gov-east-1"},
	{AP, "us-west-2", "https://vpce.example.com", false, false,
	 "my-ap-123456789012.vpce.example.com", "", "s3", "us-west-2"},
	{"arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", "us-west-2", NULL, false, false,
	 "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com", "", "s3", "*"},
	{OL, "us-east-1", NULL, false, false,
	 "my-ol-123456789012.s3-object-lambda.eu-west-1.amazonaws.com", "", "s3-object-lambda",
	 "eu-west-1"},
	{OUT, "us-east-1", NULL, false, false,
	 "out-123456789012.op-01234567890123456.s3-outposts.us-west-2.amazonaws.com", "",
	 "s3-outposts", "us-west-2"},
	/* aliases */
	{"my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias", "us-east-1", NULL, false, false,
	 "my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias.s3.us-east-1.amazonaws.com", "", "s3",
	 "us-east-1"},
	{"my-ol-abcdefghijklmnopqrstuvwx--ol-s3", "us-east-1", NULL, false, false,
	 "my-ol-abcdefghijklmnopqrstuvwx--ol-s3.s3.us-east-1.amazonaws.com", "", "s3", "us-east-1"},
	{ALIAS, "us-east-1", NULL, false, false,
	 ALIAS ".op-0b1d075431d83bebd.s3-outposts.us-east-1.amazonaws.com", "", "s3-outposts",
	 "us-east-1"},
};

static void aws_table(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(aws_rows); i++) {
		const struct aws_row *t = &aws_rows[i];
		const struct s3_endpoint_input in = {.bucket = t->bucket,
						     .region = t->region,
						     .url = t->url,
						     .dual_stack = t->dual_stack,
						     .accelerate = t->accelerate};
		struct s3_endpoint e;
		char why[256] = "";

		if (s3_endpoint_resolve(&in, why, sizeof(why), &e) < 0) {
			test_fail_("row %zu: %s", i, why);
			continue;
		}
		check_str(e.host, t->host);
		check_str(e.base, t->base);
		check_str(e.service, t->service);
		check_str(e.region, t->signs);
		check_int(e.fixed_region, ==, strncmp(t->bucket, "arn:", 4) == 0);
		check_int(e.all_regions, ==, strcmp(t->signs, "*") == 0);
		check_int(e.no_checksums, ==, strcmp(t->service, "s3-outposts") == 0);
	}
}

/* Combinations that cannot be, and a word of the sentence that says so. */
static void aws_refused(void)
{
	static const struct {
		struct s3_endpoint_input in;
		const char *word;
	} bad[] = {
#define IN(b, ...) {.bucket = b, .region = "us-east-1", __VA_ARGS__}
		{IN("my.bucket", .accelerate = true), "acceleration"},
		{IN("bucket", .accelerate = true, .force_path_style = true), "acceleration"},
		{IN("bucket", .accelerate = true, .url = "http://h.example"), "acceleration"},
		{IN("n--use1-az4--x-s3", .accelerate = true), "acceleration"},
		{{.bucket = "bucket", .region = "cn-north-1", .accelerate = true}, "acceleration"},
		{IN("bucket", .dual_stack = true, .url = "http://h.example"), "dual stack"},
		{IN("n--use1-az4--x-s3", .force_path_style = true), "path"},
		{IN("n--x-s3"), "directory bucket"},
		{IN("arn:aws:s3:::bucket"), "by their name"},
		{IN("arn:aws:s3:us-east-1:123456789012:bucket/x"), "no access point"},
		{IN("arn:aws:s3:us-east-1:123456789012:accesspoint/"), "no access point"},
		{IN("arn:aws:s3:us-east-1:123456789012:accesspoint/a.b"), "no access point"},
		{IN("arn:aws:s3:us-east-1:123456789012:accesspoint/a/object/x"), "no access point"},
		{IN("arn:aws:s3:us-east-1:1234:accesspoint/abc"), "no account"},
		{IN("arn:aws:s3:us/east:123456789012:accesspoint/abc"), "no region"},
		{IN("arn:aws-cn:s3:us-east-1:123456789012:accesspoint/abc"), "partition"},
		{IN("arn:aws:s3"), "not an ARN"},
		{IN("arn:aws:sqs:us-east-1:123456789012:accesspoint/abc"), "not an ARN of S3"},
		{IN("arn:aws:s3::123456789012:accesspoint/abc"), "multi-region"},
		{IN("arn:aws:s3::123456789012:accesspoint/a.mrap", .dual_stack = true),
		 "multi-region"},
		{IN(AP, .force_path_style = true), "path style"},
		{IN(AP, .accelerate = true), "acceleration"},
		{IN(AP, .url = "http://127.0.0.1:9000"), "no names below"},
		{IN(OL, .dual_stack = true), "dual stack"},
		{IN(OUT, .dual_stack = true), "dual stack"},
		{IN("arn:aws:s3-object-lambda::123456789012:accesspoint/abc"), "no region"},
		{IN("arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/bucket/b"), "Outpost"},
		{IN("arn:aws:s3-outposts:us-west-2:123456789012:accesspoint/abc"), "Outpost"},
		{IN("short--op-s3"), "Outposts"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct s3_endpoint e;
		char why[256] = "";

		if (s3_endpoint_resolve(&bad[i].in, why, sizeof(why), &e) != -EINVAL)
			test_fail_("row %zu was taken", i);
		else if (!strstr(why, bad[i].word))
			test_fail_("row %zu: %s", i, why);
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
	return test_run((struct test[]){TEST(table),
					TEST(aws_table),
					TEST(aws_refused),
					TEST(refused),
					TEST(too_long),
					{0}});
}
