/* SPDX-License-Identifier: Apache-2.0 */

/* Which reads of one open file belong together; private to prefetch/. */
#ifndef PREFETCH_CURSOR_H
#define PREFETCH_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "prefetch/window.h"

#define CURSORS	     8
#define CURSOR_AHEAD 4 /* predicted extents of a strided reader */

struct active_mark {
	uint32_t second; /* when it was last counted as active */
	bool before;	 /* in the second before as well */
};

enum cursor_kind { CURSOR_UNUSED, CURSOR_NEW, CURSOR_SEQUENTIAL };

struct cursor {
	uint64_t begin; /* first byte of the run */
	uint64_t next;	/* end of its furthest read */
	uint64_t edge;	/* requested up to here */
	struct window window;
	struct active_mark active;
	uint32_t used; /* tick of its last read */
	uint8_t kind;
	uint8_t strays; /* reads out of place since the last in place */
};

/* Zeroed is empty. Most files have one reader: the others are made when needed. */
struct cursor_set {
	struct cursor one;
	struct cursor *all; /* CURSORS of them, or NULL: `one` is all there is */
	uint64_t last;	    /* offset of the last read that was not sequential */
	int64_t delta;	    /* its distance from the one before */
	uint32_t tick;	    /* number of reads; 0: none yet */
	uint8_t repeats;
};

/* What the caller knows at the moment of the read. */
struct cursor_limits {
	uint64_t size;	      /* of the object */
	uint64_t cap;	      /* most bytes ahead of one reader */
	uint64_t part_max;    /* most bytes of one GET */
	uint64_t random_size; /* unit of a lone read */
	uint64_t now;	      /* base/clock.h */
	uint64_t delay;	      /* ns until a server that is far answers; 0: it is near */
	unsigned gets;	      /* at a time */
	uint64_t start;	      /* least first window of who reads from the object's begin */
};

struct extent {
	uint64_t begin, end;
};

struct cursor_plan {
	struct extent need;		   /* to fetch now where it is missing */
	struct extent ahead[CURSOR_AHEAD]; /* to be fetched before it is asked for */
	unsigned nahead;
	uint64_t part;	 /* bytes of one GET of `ahead` */
	bool sequential; /* `cursor` is the number of the sequential one that it belongs to */
	unsigned cursor;
};

/*
 * Notes a read of [offset, offset + len), len > 0, inside the object; `waited`:
 * its bytes were not there. Everything in the plan is clipped to the object.
 */
void cursor_read(struct cursor_set *set, uint64_t offset, uint64_t len, bool waited,
		 const struct cursor_limits *limits, struct cursor_plan *ret);
/* Fetching ahead of a cursor stopped at `pos`: ask again from there. */
void cursor_stopped(struct cursor_set *set, unsigned cursor, uint64_t pos);
/* The i-th cursor, NULL behind the last. */
struct cursor *cursor_at(struct cursor_set *set, unsigned i);
void cursor_fini(struct cursor_set *set);

#endif
