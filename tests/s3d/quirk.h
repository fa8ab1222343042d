/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Deviations that real S3 servers have, each switched on by name.
 */

#ifndef S3D_QUIRK_H
#define S3D_QUIRK_H

#include "util.h"

enum quirk {
#define QUIRK(id, name, help) QUIRK_##id,
#include "quirk.tbl"
#undef QUIRK
	QUIRK_COUNT,
};

const char *quirk_name(enum quirk q);
const char *quirk_help(enum quirk q);
must_check int quirk_by_name(const char *name, enum quirk *ret);

#endif
