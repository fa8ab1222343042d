/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One page of a directory as programs see it: a page of the listing, what was
 * carried over from the page before, and what exists only here. Pure.
 */
#ifndef FUSE_DIRMERGE_H
#define FUSE_DIRMERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"
#include "fuse/nameset.h"
#include "s3/s3.h"

/* In order of precedence when several have one name. */
enum merge_kind { MERGE_DIR, MERGE_LOCAL, MERGE_FILE };

struct merge_name {
	const char *name; /* not terminated */
	size_t len;
	enum merge_kind kind;
	const struct s3_object *object; /* MERGE_FILE */
	bool seen;			/* locals of an unordered listing */
};

struct merge_in {
	const struct s3_page *page;
	size_t prefix_len;
	const char *lo; /* the last key of the page before, "" on the first; as all names here */
	size_t lo_len;
	struct merge_name *locals; /* sorted; `seen` is kept over pages */
	size_t nlocals;
	const struct merge_name *carried; /* what the page before left over */
	size_t ncarried;
	struct nameset *names; /* unordered listings of several pages: all names so far */
	uint32_t index;	       /* of the page, then */
};

/* Names point into the page, the locals and the carried ones. */
struct merge_out {
	struct merge_name *entries;
	size_t count;
	/*
	 * Entries whose directory could still follow on a later page ("a" when
	 * the page ends before "a/"): to be given to the next page, copied.
	 */
	struct merge_name *carry;
	size_t ncarry;
	const char *hi; /* last key of the page */
	size_t hi_len;
	unsigned hidden;  /* objects whose name a directory has */
	unsigned invalid; /* keys that are no names */
};

int dirmerge(const struct merge_in *in, struct merge_out *ret) must_check;
void dirmerge_free(struct merge_out *m);

#endif
