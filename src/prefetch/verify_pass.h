/* SPDX-License-Identifier: Apache-2.0 */

/* What verify.c and verify_pass.c share; see there. */
#ifndef PREFETCH_VERIFY_PASS_H
#define PREFETCH_VERIFY_PASS_H

#include "prefetch/verify.h"

#define PASS_AHEAD 512 /* cells */

struct pass {
	struct list node;
	uint64_t next;	 /* cell */
	uint64_t *ahead; /* sums of dropped cells, next + 1 .. next + PASS_AHEAD - 1; or NULL */
	uint64_t has[PASS_AHEAD / 64]; /* which of them, by number modulo PASS_AHEAD */
	struct s3_digest bytes;	       /* of the object, or of the part so far */
	struct s3_digest parts;	       /* of the checksums of the parts before */
};

struct verify {
	bool asking;		 /* `waiting` is for the answer */
	struct s3_checksum want; /* NONE: cannot be compared */
	uint64_t part_cells;	 /* 0: not by parts */
	struct list waiting;	 /* struct pf_open */
	struct list passes;	 /* the one that was moved last is the last */
	unsigned npasses;
};

int pass_init(const struct verify *v, struct pass *p) must_check;
void pass_fini(struct pass *p);
/* Takes in cell p->next; NULL: it is gone, its sum is here. False: it cannot be computed. */
bool pass_take(const struct object *o, const struct verify *v, struct pass *p,
	       const struct cell *c) must_check;
/* The pass is at the end: compares, and says in the log what is wrong. */
bool pass_is_right(const struct object *o, const struct verify *v, struct pass *p) must_check;

#endif
