/* SPDX-License-Identifier: Apache-2.0 */

/* The command line: what is accepted, what is refused and with which words. */
#include <errno.h>

#include "fstab.h"
#include "lib/test.h"
#include "options.h"
#include "options_check.h"

#define ARGS_MAX 12

static int parse(struct options *o, char *why, const char *const *args)
{
	static const char *argv[ARGS_MAX + 1];
	int argc = 1;

	argv[0] = "mount-s3";
	for (; args[argc - 1]; argc++)
		argv[argc] = args[argc - 1];
	why[0] = '\0';
	return options_parse(argc, (char **)(uintptr_t)argv, o, why, 1024);
}

#define ARGS(...)                 \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static void forms_of_options(void)
{
	static const char *const forms[][ARGS_MAX] = {
		{"--region", "eu", "bucket", "/mnt", "-l", "/log", "-f", "-d"},
		{"bucket", "--region=eu", "/mnt", "-l/log", "-fd"},
		{"-df", "-l=/log", "--region=eu", "--", "bucket", "/mnt"},
		{"-fdl", "/log", "bucket", "/mnt", "--region", "eu"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct options o;
		char why[1024];

		check_int(parse(&o, why, forms[i]), ==, 0);
		check_str(o.bucket, "bucket");
		check_str(o.directory, "/mnt");
		check_str(o.region, "eu");
		check_str(o.log_directory, "/log");
		check(o.foreground && o.debug && !o.read_only);
		options_fini(&o);
	}
}

static void defaults(void)
{
	struct options o;
	char why[1024];

	check_int(parse(&o, why, ARGS("bucket", "/mnt")), ==, 0);
	check_str(o.prefix, "");
	check_int(o.dir_mode, ==, 0755);
	check_int(o.file_mode, ==, 0644);
	check_int(o.metadata_ttl, ==, (int64_t)TTL_MINIMAL);
	options_fini(&o);
}

static void s3_uris(void)
{
	static const struct {
		const char *uri, *bucket, *prefix;
	} rows[] = {
		{"s3://bucket", "bucket", ""},
		{"s3://bucket/", "bucket", ""},
		{"s3://bucket/p/", "bucket", "p/"},
		{"s3://bucket//x/", "bucket", "/x/"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct options o;
		char why[1024];

		check_int(parse(&o, why, ARGS(rows[i].uri, "/mnt")), ==, 0);
		check_str(o.bucket, rows[i].bucket);
		check_str(o.prefix, rows[i].prefix);
		options_fini(&o);
	}
}

static void refusals(void)
{
	static const struct {
		const char *args[ARGS_MAX];
		const char *why;
	} rows[] = {
		{{"bucket"}, "required arguments"},
		{{"bucket", "/mnt", "--prefix"}, "a value is required for '--prefix <PREFIX>'"},
		{{"bucket", "/mnt", "-l"}, "a value is required for '--log-directory"},
		{{"--read", "bucket", "/mnt"}, "unexpected argument '--read'"},
		{{"-z", "bucket", "/mnt"}, "unexpected argument '-z'"},
		{{"bucket", "/mnt", "more"}, "unexpected argument 'more'"},
		{{"ab", "/mnt"}, "3-255"},
		{{"bad/name", "/mnt"}, "valid name"},
		{{"s3://arn:aws:s3:::b/", "/mnt"}, "ARNs are not supported"},
		{{"s3://bucket/p", "/mnt"}, "prefix must end in '/'"},
		{{"--prefix", "p", "bucket", "/mnt"}, "prefix must end in '/'"},
		{{"--dir-mode", "7755", "bucket", "/mnt"}, "only user/group/other permissions"},
		{{"--dir-mode", "800", "bucket", "/mnt"},
		 "'--dir-mode <DIR_MODE>': must be a valid octal"},
		{{"--file-mode", "7644", "bucket", "/mnt"}, "only user/group/other permissions"},
		{{"--uid", "0", "bucket", "/mnt"}, "'--uid <UID>'"},
		{{"--uid", "-1", "bucket", "/mnt"}, "'--uid <UID>'"},
		{{"--memory-target", "63", "bucket", "/mnt"}, "from 64"},
		{{"--metadata-ttl", "soon", "bucket", "/mnt"}, "valid number of seconds"},
		{{"--metadata-ttl", "3153600001", "bucket", "/mnt"}, "not be greater"},
		{{"--sse=", "bucket", "/mnt"}, "a value is required for '--sse <SSE>'"},
		{{"--sse", "aes", "bucket", "/mnt"}, "possible values"},
		{{"--sse-kms-key-id", "arn:x:key/1", "bucket", "/mnt"}, "requires '--sse'"},
		{{"--sse", "aws:kms", "--sse-kms-key-id", "alias/x", "bucket", "/mnt"}, "Alias"},
		{{"--region", "a", "--region", "b", "bucket", "/mnt"}, "multiple times"},
		{{"--read-only", "--read-only", "bucket", "/mnt"}, "multiple times"},
		{{"--read-only=yes", "bucket", "/mnt"}, "takes none"},
		{{"--allow-other", "--allow-root", "bucket", "/mnt"},
		 "'--allow-other' cannot be used with '--allow-root'"},
		{{"--allow-root", "--allow-other", "bucket", "/mnt"},
		 "'--allow-root' cannot be used with '--allow-other'"},
		{{"--no-log", "-d", "bucket", "/mnt"}, "cannot be used with"},
		{{"--debug-crt", "--no-log", "bucket", "/mnt"},
		 "'--debug-crt' cannot be used with '--no-log'"},
		{{"--part-size", "8388608", "--read-part-size", "8388608", "bucket", "/mnt"},
		 "cannot be used with"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct options o;
		char why[1024];

		check_int(parse(&o, why, rows[i].args), ==, -EINVAL);
		if (!strstr(why, rows[i].why))
			test_fail_("row %zu: \"%s\" does not say \"%s\"", i, why, rows[i].why);
		options_fini(&o);
	}
}

static void lists(void)
{
	const char *many[ARGS_MAX + 1] = {"bucket", "/mnt"};
	struct options o;
	char why[1024];

	check_int(parse(&o, why, ARGS("--tag", "a=1", "bucket", "--tag=b=2", "/mnt")), ==, 0);
	check_int(o.tag.n, ==, 2);
	check_str(o.tag.v[0], "a=1");
	check_str(o.tag.v[1], "b=2");
	check_int(o.metadata.n, ==, 0);
	options_fini(&o);
	for (int i = 2; i < ARGS_MAX - 1; i++)
		many[i] = "--tag=a=1";
	check_int(parse(&o, why, many), ==, 0);
	check_int(o.tag.n, ==, 9);
	options_fini(&o);
}

static void values_found_wrong_later(void)
{
	static const struct {
		const char *args[ARGS_MAX];
		const char *why;
	} rows[] = {
		{{"s3://bucket/p/", "--prefix", "q/", "/mnt"}, "not allowed with S3 URI"},
		{{"--part-size", "5242879", "bucket", "/mnt"}, "between 5MiB and 5GiB"},
		{{"--write-part-size", "5368709121", "bucket", "/mnt"}, "between 5MiB and 5GiB"},
		{{"--sse", "AES256", "--sse-kms-key-id", "arn:aws:kms:x:key/1", "bucket", "/mnt"},
		 "AES256"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct options o;
		char why[1024];

		check_int(parse(&o, why, rows[i].args), ==, 0);
		check_int(options_check_values(&o, why, sizeof(why)), ==, -EINVAL);
		check(strstr(why, rows[i].why));
		options_fini(&o);
	}
}

static void help_names_every_option(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	require(f);
	options_print_help(f);
	(void)fclose(f);
#define OPTION(section, name, ...)    \
	if (!strstr(text, "--" name)) \
		test_fail_("help lacks --%s", name);
#include "options.tbl"
#undef OPTION
	free(text);
}

static void fstab_options(void)
{
	static const struct {
		const char *options;
		const char *want; /* joined by spaces; NULL: refused */
	} rows[] = {
		{"", "mount-s3 b d"},
		{"rw,nosuid,nodev,_netdev,x-systemd.automount", "mount-s3 b d"},
		{"ro", "mount-s3 --read-only b d"},
		{"region=eu,allow-other", "mount-s3 --region=eu --allow-other b d"},
		{"prefix=a\\,b\\\\\\\"/", "mount-s3 --prefix=a,b\\\"/ b d"},
		{"ro,rw", NULL},
		{"foreground", NULL},
		{"read-only", NULL},
		{"--region=x", NULL},
		{"a\"b", NULL},
		{"a\\", NULL},
		{"a\\n", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *argv[] = {"mount-s3", "b", "d", "-o", rows[i].options, NULL};
		struct fstab_args a = {0};
		char why[256], joined[512] = "";
		int r = fstab_parse((char **)(uintptr_t)argv, &a, why, sizeof(why));

		check_int(r, ==, rows[i].want ? 0 : -EINVAL);
		for (int j = 0; r == 0 && j < a.argc; j++) {
			(void)strncat(joined, j ? " " : "", sizeof(joined) - strlen(joined) - 1);
			(void)strncat(joined, a.argv[j], sizeof(joined) - strlen(joined) - 1);
		}
		if (rows[i].want)
			check_str(joined, rows[i].want);
		fstab_args_fini(&a);
	}
}

int main(void)
{
	return test_run((struct test[]){TEST(forms_of_options),
					TEST(defaults),
					TEST(s3_uris),
					TEST(refusals),
					TEST(lists),
					TEST(values_found_wrong_later),
					TEST(help_names_every_option),
					TEST(fstab_options),
					{0}});
}
