/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Lines of /proc/self/mountinfo:
 *
 *   id parent major:minor root MOUNTPOINT options [optional...] - TYPE source options
 *
 * Blanks, tabs, newlines and backslashes of a path are \ooo there. Any thread.
 */
#include "base/mountinfo.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && is_octal(s[1]) && is_octal(s[2]) && is_octal(s[3])) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

int mountinfo_read(FILE *f, const char *path, struct mountinfo *ret)
{
	_cleanup_(freep) char *line = NULL;
	size_t cap = 0;
	int r = -ENOENT;

	while (getline(&line, &cap, f) > 0) {
		char at[4 * PATH_MAX];
		struct mountinfo m;
		const char *dash = strstr(line, " - ");

		if (!dash || sscanf(line, "%*s %*s %31s %*s %16383s", m.device, at) != 2 ||
		    sscanf(dash + 3, "%63s", m.type) != 1)
			continue;
		unescape(at);
		if (strcmp(at, path) != 0)
			continue;
		*ret = m; /* a later line is on top of it */
		r = 0;
	}
	return r;
}

int mountinfo_find(const char *path, struct mountinfo *ret)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	int r;

	if (!f)
		return -errno;
	r = mountinfo_read(f, path, ret);
	(void)fclose(f);
	return r;
}
