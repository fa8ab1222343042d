/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Content types by file name, from the system's database (shared-mime-info's
 * globs2, else mime.types), with a few of our own for systems that have neither.
 * Loaded once, then read by any thread.
 */
#ifndef UPLOAD_MIME_H
#define UPLOAD_MIME_H

#include "base/macro.h"

struct mime;

/* Takes what it can read of the files; -ENOMEM only. NULL paths: the system's. */
int mime_load(const char *globs, const char *types, struct mime **ret) must_check;
void mime_free(struct mime *m);
/* The type for a key, by the longest known ending of its last name; NULL: unknown. */
const char *mime_type(const struct mime *m, const char *key);

#endif
