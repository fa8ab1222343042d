/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Mount options to command-line options. Commas separate; a backslash escapes a
 * comma, a double quote or a backslash. What mount(8) adds for itself is
 * dropped, "ro" becomes --read-only, all else gets "--" in front. Pure.
 */
#include "fstab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define OPTIONS_MAX 128
#define OPTION_LEN  8192

static const char *const dropped[] = {"auto",	 "noauto", "user", "nouser", "users",
				      "_netdev", "nofail", "rw",   "nodev",  "nosuid"};

static const struct {
	const char *option, *why;
} refused[] = {
	{"foreground", "a mount from fstab always runs in the background"},
	{"read-only", "use 'ro' to mount read-only"},
};

bool fstab_style(int argc, char **argv)
{
	return argc == 5 && strcmp(argv[3], "-o") == 0;
}

static bool is_dropped(const char *s)
{
	if (strncmp(s, "x-", 2) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
		if (strcmp(s, dropped[i]) == 0)
			return true;
	return false;
}

/* Takes one option off *at into `b`; false at the end of the string. */
static int next_option(const char **at, struct buf *b, char *why, size_t why_len)
{
	const char *s = *at;

	buf_reset(b);
	for (; *s && *s != ','; s++) {
		if (*s == '"' || (*s == '\\' && (!s[1] || !strchr(",\"\\", s[1])))) {
			(void)snprintf(
				why, why_len,
				"bad character '%c' in mount options: escape commas, quotes and "
				"backslashes with a backslash",
				*s);
			return -EINVAL;
		}
		s += *s == '\\';
		buf_putc(b, *s);
	}
	*at = s + (*s == ',');
	return buf_error(b);
}

static int add(struct fstab_args *a, const char *prefix, const char *s)
{
	char *arg;

	if (a->argc == OPTIONS_MAX)
		return -E2BIG;
	if (asprintf(&arg, "%s%s", prefix, s) < 0)
		return -ENOMEM;
	a->argv[a->argc++] = arg;
	return 0;
}

static int take(struct fstab_args *a, const char *opt, bool *rw, bool *ro, char *why,
		size_t why_len)
{
	*rw |= strcmp(opt, "rw") == 0;
	*ro |= strcmp(opt, "ro") == 0;
	if (*rw && *ro) {
		(void)snprintf(why, why_len, "mount options 'ro' and 'rw' cannot be used together");
		return -EINVAL;
	}
	if (*opt == '-') {
		(void)snprintf(why, why_len, "mount option '%s' must be written without dashes",
			       opt);
		return -EINVAL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (strcmp(opt, refused[i].option) == 0) {
			(void)snprintf(why, why_len, "mount option '%s': %s", opt, refused[i].why);
			return -EINVAL;
		}
	if (*opt == '\0' || is_dropped(opt))
		return 0;
	if (strcmp(opt, "ro") == 0)
		return add(a, "--", "read-only");
	return add(a, "--", opt);
}

int fstab_parse(char **argv, struct fstab_args *ret, char *why, size_t why_len)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(OPTION_LEN);
	_cleanup_(fstab_args_fini) struct fstab_args a = {0};
	bool rw = false, ro = false;
	const char *at = argv[4];
	int r;

	a.argv = calloc(OPTIONS_MAX + 4, sizeof(*a.argv));
	if (!a.argv)
		return -ENOMEM;
	r = add(&a, "", argv[0]);
	while (r == 0 && *at) {
		r = next_option(&at, &b, why, why_len);
		if (r == 0)
			r = take(&a, buf_str(&b), &rw, &ro, why, why_len);
	}
	if (r == 0)
		r = add(&a, "", argv[1]);
	if (r == 0)
		r = add(&a, "", argv[2]);
	if (r < 0)
		return r;
	*ret = a;
	a = (struct fstab_args){0};
	return 0;
}

void fstab_args_fini(struct fstab_args *a)
{
	for (int i = 0; i < a->argc; i++)
		free(a->argv[i]);
	free(a->argv);
	*a = (struct fstab_args){0};
}
