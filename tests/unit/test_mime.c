/* SPDX-License-Identifier: Apache-2.0 */

/* Content types from databases of our own making, and from none. */
#include <stdio.h>
#include <unistd.h>

#include "lib/test.h"
#include "upload/mime.h"

static void write_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	(void)close(fd);
}

static void from_files(void)
{
	char globs[] = "/tmp/test_mime.XXXXXX", types[] = "/tmp/test_mime.XXXXXX";
	struct mime *m = NULL;

	write_file(globs,
		   "# comment\n80:text/first:*.dup\n50:text/second:*.dup\n"
		   "50:application/x-compressed-tar:*.tar.gz\n50:application/gzip:*.gz\n"
		   "50:text/x-makefile:makefile\n50:bad type:*.bad\nbroken\n50:image/x:*.[xy]\n"
		   "50:text/cs:*.UP:cs\n");
	write_file(types, "# comment\ntext/third\tdup  other\nno-ending/type\n\n");
	require(mime_load(globs, types, &m) == 0);
	check_str(mime_type(m, "dir.gz/a.dup"), "text/first");
	check_str(mime_type(m, "a.OTHER"), "text/third");
	check_str(mime_type(m, "x.tar.gz"), "application/x-compressed-tar");
	check_str(mime_type(m, "x.y.tar.gz"), "application/x-compressed-tar");
	check_str(mime_type(m, "x.y.gz"), "application/gzip");
	check_str(mime_type(m, "x.up"), "text/cs");
	check(!mime_type(m, "makefile"));
	check(!mime_type(m, "a.bad"));
	check(!mime_type(m, ".gz"));
	check(!mime_type(m, "dir.gz/name"));
	check(!mime_type(m, "name."));
	check(!mime_type(m, ""));
	check(!mime_type(m, "a.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	mime_free(m);
	(void)unlink(globs);
	(void)unlink(types);
}

static void without_files(void)
{
	struct mime *m = NULL;

	require(mime_load("/nonexistent", "/nonexistent", &m) == 0);
	check_str(mime_type(m, "a/b/index.html"), "text/html");
	check_str(mime_type(m, "p.JPEG"), "image/jpeg");
	check(!mime_type(m, "model.safetensors"));
	mime_free(m);
}

int main(void)
{
	return test_run((struct test[]){TEST(from_files), TEST(without_files), {0}});
}
