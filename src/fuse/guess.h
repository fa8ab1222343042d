/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where pages of a listing that were not read yet begin. Most large directories
 * are numbered or hashed: what one page spans tells how far the next ones go. Pure.
 */
#ifndef FUSE_GUESS_H
#define FUSE_GUESS_H

#include <stdbool.h>
#include <stddef.h>

/* A whole page that was read; names without the directory's key. */
struct guess_page {
	const char *first, *last;
	size_t first_len, last_len, count;
};

/*
 * The name one page behind `from`, which is the page's last name or an earlier
 * guess. Exact for names that are numbered without gaps; else a little early, so
 * that pages overlap and leave no gap. `ret` has room for NAME_LEN_MAX + 1 bytes.
 * False: the names tell nothing, or end before.
 */
bool guess_next(const struct guess_page *p, const char *from, size_t from_len, char *ret);

#endif
