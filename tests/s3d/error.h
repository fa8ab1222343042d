/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The S3 errors that s3d can answer with: code, status and message.
 */

#ifndef S3D_ERROR_H
#define S3D_ERROR_H

enum err {
	ERR_NONE,
#define ERR(code, status, message) ERR_##code,
#include "error.tbl"
#undef ERR
	ERR_COUNT,
};

struct err_info {
	const char *code;
	unsigned status;
	const char *message;
};

const struct err_info *err_info(enum err e);

#endif
