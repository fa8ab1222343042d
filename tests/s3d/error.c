/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Table of errors, generated from error.tbl.
 */

#include "error.h"

static const struct err_info infos[ERR_COUNT] = {
	[ERR_NONE] = {"", 200, ""},
#define ERR(code, status, message) [ERR_##code] = {#code, status, message},
#include "error.tbl"
#undef ERR
};

const struct err_info *err_info(enum err e)
{
	return &infos[e];
}
