/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Table of quirks, generated from quirk.tbl.
 */

#include <errno.h>
#include <string.h>

#include "quirk.h"

static const struct {
	const char *name, *help;
} quirks[QUIRK_COUNT] = {
#define QUIRK(id, name, help) [QUIRK_##id] = {name, help},
#include "quirk.tbl"
#undef QUIRK
};

const char *quirk_name(enum quirk q)
{
	return quirks[q].name;
}

const char *quirk_help(enum quirk q)
{
	return quirks[q].help;
}

int quirk_by_name(const char *name, enum quirk *ret)
{
	for (int q = 0; q < QUIRK_COUNT; q++)
		if (strcmp(quirks[q].name, name) == 0) {
			*ret = (enum quirk)q;
			return 0;
		}
	return -ENOENT;
}
