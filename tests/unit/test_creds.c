/* SPDX-License-Identifier: Apache-2.0 */

/* Credentials out of the environment and profile files, and what is said when there are none. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/test.h"
#include "s3/creds.h"

static char dir[] = "/tmp/test_creds.XXXXXX";
static char credentials[64], config[64];

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static void reset(void)
{
	static const char *const vars[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
					   "AWS_SESSION_TOKEN", "AWS_PROFILE"};

	for (size_t i = 0; i < ARRAY_SIZE(vars); i++)
		(void)unsetenv(vars[i]);
	(void)setenv("AWS_SHARED_CREDENTIALS_FILE", credentials, 1);
	(void)setenv("AWS_CONFIG_FILE", config, 1);
	(void)unlink(credentials);
	(void)unlink(config);
}

static int load(const char *profile, char why[256], struct s3_creds **ret)
{
	struct s3_creds_provider p;
	int r = s3_creds_provider_init(&p, profile);

	*ret = NULL;
	why[0] = '\0';
	if (r == 0)
		r = s3_creds_load(&p, why, 256, ret);
	s3_creds_provider_fini(&p);
	return r;
}

static void expect(const char *profile, const char *key, const char *secret, const char *token)
{
	struct s3_creds *c;
	char why[256];
	int r = load(profile, why, &c);

	if (r < 0) {
		test_fail_("%s", why);
		return;
	}
	check_str(c->access_key, key);
	check_str(c->secret, secret);
	check_str(c->token ? c->token : "none", token);
	s3_creds_unref(c);
}

static void expect_why(const char *profile, int err, const char *part)
{
	struct s3_creds *c;
	char why[256];

	check_int(load(profile, why, &c), ==, err);
	if (!strstr(why, part))
		test_fail_("\"%s\" does not say \"%s\"", why, part);
	s3_creds_unref(c);
}

static void environment(void)
{
	reset();
	(void)setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
	put_file(credentials, "[default]\naws_access_key_id=F\naws_secret_access_key=G\n"
			      "[p]\naws_access_key_id=P\naws_secret_access_key=Q\n");
	expect(NULL, "AK", "SK", "none");
	(void)setenv("AWS_SESSION_TOKEN", "TK", 1);
	expect(NULL, "AK", "SK", "TK");
	expect("p", "P", "Q", "none"); /* a named profile is the only source */
	(void)setenv("AWS_SECRET_ACCESS_KEY", "", 1);
	expect(NULL, "F", "G", "none"); /* half set is not set */
}

static void profiles(void)
{
	reset();
	put_file(credentials, "[default]\naws_access_key_id = A1\naws_secret_access_key = S1\n"
			      "[work]\nAWS_ACCESS_KEY_ID=A2\naws_secret_access_key=S2==/+\n"
			      "aws_session_token = T2\n");
	put_file(config, "[default]\nregion = eu-west-1\n"
			 "[profile conf]\naws_access_key_id=A3\naws_secret_access_key=S3\n"
			 "[work]\naws_access_key_id=no\n"
			 "[profile work]\naws_access_key_id=A4\naws_secret_access_key=S4\n");
	expect(NULL, "A1", "S1", "none");
	expect("work", "A2", "S2==/+", "T2");
	expect("conf", "A3", "S3", "none");
	(void)setenv("AWS_PROFILE", "conf", 1);
	expect(NULL, "A3", "S3", "none");
	expect("work", "A2", "S2==/+", "T2");
}

static void sentences(void)
{
	reset();
	expect_why(NULL, -ENOENT, "no credentials: set AWS_ACCESS_KEY_ID");
	expect_why("x", -ENOENT, "there is no profile \"x\"");
	put_file(credentials, "[x]\naws_access_key_id=A\n[y]\nfoo=bar\n[z\nq=1\n");
	expect_why("x", -EINVAL, "line 5");
	put_file(credentials, "[x]\naws_access_key_id=A\n[y]\nfoo=bar\n");
	expect_why("x", -EINVAL, "has no aws_secret_access_key");
	expect_why("y", -ENOENT, "profile \"y\" has no aws_access_key_id");
	put_file(credentials, "[x]\naws_access_key_id\n");
	expect_why("x", -EINVAL, "line 2");
	(void)unlink(credentials);
	put_file(config, "[profile r]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = y\n");
	expect_why("r", -EINVAL, "uses role_arn, which is not supported");
	(void)setenv("AWS_CONFIG_FILE", dir, 1);
	expect_why("r", -EINVAL, dir);
}

static void change_is_seen(void)
{
	struct s3_creds_provider p;
	struct s3_creds *c = NULL;
	char why[256];

	reset();
	put_file(credentials, "[default]\naws_access_key_id=A1\naws_secret_access_key=S1\n");
	require(s3_creds_provider_init(&p, NULL) == 0);
	check_int(s3_creds_load(&p, why, sizeof(why), &c), ==, 0);
	check(!s3_creds_changed(&p));
	put_file(credentials, "[default]\naws_access_key_id=A22\naws_secret_access_key=S1\n");
	check(s3_creds_changed(&p));
	s3_creds_unref(c);
	check_int(s3_creds_load(&p, why, sizeof(why), &c), ==, 0);
	check_str(c->access_key, "A22");
	check(!s3_creds_changed(&p));
	(void)unlink(credentials);
	check(s3_creds_changed(&p));
	s3_creds_unref(c);
	s3_creds_provider_fini(&p);
}

static void from_environment_never_changes(void)
{
	struct s3_creds_provider p;
	struct s3_creds *c = NULL;
	char why[256];

	reset();
	(void)setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
	require(s3_creds_provider_init(&p, NULL) == 0);
	check_int(s3_creds_load(&p, why, sizeof(why), &c), ==, 0);
	put_file(credentials, "[default]\n");
	check(!s3_creds_changed(&p));
	s3_creds_unref(c);
	s3_creds_provider_fini(&p);
}

static void parse(const char *text, const char *name, bool is_config, int found, const char *key)
{
	struct s3_profile p = {0};
	unsigned line = 0;
	int r = s3_profile_parse(&p, text, strlen(text), name, is_config, &line);

	if (r != found)
		test_fail_("%d, not %d, for \"%s\"", r, found, text);
	check_str(p.access_key ? p.access_key : "", key);
	s3_profile_fini(&p);
}

static void ini_forms(void)
{
	parse("", "default", false, 0, "");
	parse("[default]", "default", false, 1, "");
	parse("[ default ]\r\naws_access_key_id\t=  A \r\n", "default", false, 1, "A");
	parse("\xef\xbb\xbf[default]\naws_access_key_id=A", "default", false, 1, "A");
	parse("# c\n; c\n\n[default] # c\n  aws_access_key_id = A # c\n", "default", false, 1, "A");
	parse("[default]\naws_access_key_id = A#B;C\n", "default", false, 1, "A#B;C");
	parse("[default]\naws_access_key_id=A\n[o]\nx=1\n[default]\naws_access_key_id=B\n",
	      "default", false, 1, "B");
	parse("[default]\ns3 =\n  aws_access_key_id = NESTED\n  x\naws_access_key_id=A\n",
	      "default", true, 1, "A");
	parse("[profile  \"my one\"]\naws_access_key_id=A\n", "my one", true, 1, "A");
	parse("[profilex]\naws_access_key_id=A\n", "x", true, 0, "");
	parse("[profile default]\naws_access_key_id=A\n", "default", true, 1, "A");
	parse("garbage\n[a]\nalso garbage\n[b]\naws_access_key_id=A\n", "b", false, 1, "A");
	parse("[b]\n= value\n", "b", false, -EINVAL, "");
	parse("[b]\naws_access_key_id=\n", "b", false, 1, "");
}

static void huge_file(void)
{
	FILE *f;

	reset();
	f = fopen(credentials, "w");
	require(f);
	for (int i = 0; i < 70000; i++)
		(void)fputs("# a comment line\n", f);
	(void)fclose(f);
	expect_why("x", -EMSGSIZE, "credentials");
}

int main(void)
{
	int r;

	if (!mkdtemp(dir))
		return 1;
	(void)snprintf(credentials, sizeof(credentials), "%s/credentials", dir);
	(void)snprintf(config, sizeof(config), "%s/config", dir);
	r = test_run((struct test[]){
		TEST(environment),
		TEST(profiles),
		TEST(sentences),
		TEST(change_is_seen),
		TEST(from_environment_never_changes),
		TEST(ini_forms),
		TEST(huge_file),
		{0},
	});
	(void)unlink(credentials);
	(void)unlink(config);
	(void)rmdir(dir);
	return r;
}
