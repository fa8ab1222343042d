/* SPDX-License-Identifier: Apache-2.0 */

/* Log lines, through the file sink: format, levels, limits, escaping. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "lib/test.h"

static char dir[64];

/* The whole log file of this test; the file is opened afresh by fresh_log(). */
static char text[65536];

static void find_log(char *ret, size_t size)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	ret[0] = '\0';
	while (d && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.')
			(void)snprintf(ret, size, "%s/%s", dir, e->d_name);
	}
	if (d)
		(void)closedir(d);
}

static void fresh_log(void)
{
	char path[512];

	find_log(path, sizeof(path));
	if (path[0])
		(void)unlink(path);
	log_set_sinks(0);
	log_set_level(LOG_INFO);
	check_int(log_open_file(dir), ==, 0);
}

static const char *read_log(void)
{
	char path[512];
	FILE *f;
	size_t n = 0;

	find_log(path, sizeof(path));
	f = fopen(path, "r");
	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		(void)fclose(f);
	}
	text[n] = '\0';
	return text;
}

static unsigned lines(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static void a_line_has_time_level_thread_component_text(void)
{
	int y, mon, d, h, m, s, us, tid, end = 0;
	struct stat st;
	char path[512];

	fresh_log();
	log_info(LOG_S3, "key %s: %d", "a/b", 42);
	check_int(sscanf(read_log(), "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ INFO  [%d] s3: %n", &y, &mon, &d,
			 &h, &m, &s, &us, &tid, &end),
		  ==, 8);
	check_str(text + end, "key a/b: 42\n");
	check_int(tid, ==, gettid());
	find_log(path, sizeof(path));
	check(strstr(path, "/mountpoint-s3-2") != NULL);
	require(stat(path, &st) == 0);
	check_int(st.st_mode & 07777 & ~0640, ==, 0);
}

static unsigned evaluated;

static int count_evaluation(void)
{
	return (int)++evaluated;
}

static void levels_and_components_filter(void)
{
	static const struct {
		const char *filter;
		int result;
		bool s3_debug, loop_debug, loop_warn;
	} cases[] = {
		{"info", 0, false, false, true},
		{"debug", 0, true, true, true},
		{"s3=debug", 0, true, false, true},
		{"warn,s3=debug", 0, true, false, true},
		{"off", 0, false, false, false},
		{"trace,loop=error", 0, true, false, false},
		{"", 0, false, false, true},
		{"loud", -EINVAL, false, false, true},
		{"s4=debug", -EINVAL, false, false, true},
		{"s3=", -EINVAL, false, false, true},
		{"debug,,", -EINVAL, false, false, true},
		{"debug,x=y", -EINVAL, false, false, true},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		log_set_level(LOG_INFO);
		check_int(log_set_filter(cases[i].filter), ==, cases[i].result);
		check_int(log_on(LOG_S3, LOG_DEBUG), ==, cases[i].s3_debug);
		check_int(log_on(LOG_LOOP, LOG_DEBUG), ==, cases[i].loop_debug);
		check_int(log_on(LOG_LOOP, LOG_WARN), ==, cases[i].loop_warn);
	}
	fresh_log();
	log_debug(LOG_S3, "%d", count_evaluation());
	check_int(evaluated, ==, 0);
	check_str(read_log(), "");
	check_int(log_set_filter("s3=debug"), ==, 0);
	log_debug(LOG_S3, "%d", count_evaluation());
	check_int(evaluated, ==, 1);
	check_int(lines(read_log()), ==, 1);
}

static void control_characters_do_not_get_through(void)
{
	fresh_log();
	log_info(LOG_FUSE, "%s", "a\nb\x1b[31mc\x7f\td\r\xc3\xa4");
	check(strstr(read_log(), "fuse: a?b?[31mc??d?\xc3\xa4\n") != NULL);
	check_int(lines(text), ==, 1);
}

static void a_long_line_is_cut(void)
{
	static char big[10000];

	memset(big, 'x', sizeof(big) - 1);
	fresh_log();
	log_info(LOG_FUSE, "%s", big);
	check_int(lines(read_log()), ==, 1);
	check_int(strlen(text), >, 1900);
	check_int(strlen(text), <, 2200);
	check_int(text[strlen(text) - 1], ==, '\n');
}

static void warn_here(int i)
{
	log_warn(LOG_LOOP, "number %d", i);
}

static void a_call_site_is_limited(void)
{
	uint64_t began = clock_now();

	fresh_log();
	for (int i = 0; i < 100; i++)
		warn_here(i);
	log_warn(LOG_LOOP, "another place");
	if (clock_now() - began > 5 * NSEC_PER_SEC)
		return; /* a machine so slow that windows may have changed */
	check_int(lines(read_log()), ==, LOG_BURST + 1);
	check(strstr(text, "number 19\n") != NULL);
	check(strstr(text, "number 20\n") == NULL);
	check(strstr(text, "another place\n") != NULL);
}

/* The site is the test's, so the window can be moved instead of waited for. */
static void the_next_window_says_what_was_left_out(void)
{
	struct log_site site = {0};

	fresh_log();
	for (int i = 0; i < LOG_BURST + 5; i++)
		log_write(LOG_LOOP, LOG_WARN, &site, "number %d", i);
	atomic_store(&site.window, atomic_load(&site.window) - LOG_WINDOW_S);
	log_write(LOG_LOOP, LOG_WARN, &site, "next");
	log_write(LOG_LOOP, LOG_WARN, &site, "and next");
	check(strstr(read_log(), "next (5 similar lines left out)\n") != NULL);
	check(strstr(text, "and next\n") != NULL);
	check_int(lines(text), ==, LOG_BURST + 2);
}

static void a_directory_that_cannot_be_made_is_an_error(void)
{
	check_int(log_open_file("/proc/no/such/dir"), <, 0);
	fresh_log();
	log_close();
	log_info(LOG_MAIN, "nowhere");
	check_str(read_log(), "");
}

int main(void)
{
	char path[512];
	int failed;

	(void)snprintf(dir, sizeof(dir), "/tmp/test_log.XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	failed = test_run((struct test[]){
		TEST(a_line_has_time_level_thread_component_text),
		TEST(levels_and_components_filter),
		TEST(control_characters_do_not_get_through),
		TEST(a_long_line_is_cut),
		TEST(a_call_site_is_limited),
		TEST(the_next_window_says_what_was_left_out),
		TEST(a_directory_that_cannot_be_made_is_an_error),
		{0},
	});
	log_close();
	find_log(path, sizeof(path));
	if (path[0])
		(void)unlink(path);
	(void)rmdir(dir);
	return failed;
}
