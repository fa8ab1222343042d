/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which page of an unordered listing had a name first, so that a name that comes
 * again (a file and a directory) is shown once. Names are kept as hashes of 64
 * bits; beyond NAMESET_MAX of them no more are remembered. Pure.
 */
#ifndef FUSE_NAMESET_H
#define FUSE_NAMESET_H

#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define NAMESET_MAX ((size_t)3 << 18) /* 12 MiB */

struct nameset {
	uint64_t *hashes; /* 0: free */
	uint32_t *pages;
	size_t mask, count;
};

/* *ret: the first page that had the name, `page` if none had. 0 or -ENOMEM. */
int nameset_first(struct nameset *s, const char *name, size_t len, uint32_t page,
		  uint32_t *ret) must_check;
void nameset_fini(struct nameset *s);

#endif
