/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Block map of one object version, shared by all who read it; private to
 * prefetch/. Cells are numbered from the object's start.
 */
#ifndef PREFETCH_OBJECT_H
#define PREFETCH_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/macro.h"
#include "prefetch/lru.h"
#include "prefetch/pool.h"
#include "prefetch/prefetch.h"

enum cell_state {
	CELL_EMPTY,  /* nothing reserved */
	CELL_WANTED, /* reserved, a fetch brings it; `mem` is that fetch's */
	CELL_READY,  /* all its bytes are there */
};

struct cell {
	/* under the object's lock; `mem` is the fetch's while WANTED */
	char *mem;
	uint32_t pins; /* reads that wait for it or are being answered from it */
	uint8_t state;
	uint8_t place; /* in its slot */
	bool was_read;
	bool summed;
	uint64_t sum; /* of its bytes, if `summed`: by the kind of the object's checksum */

	/* under the LRU's lock */
	uint8_t lru_class;
	bool in_lru;
	uint32_t idle_ms; /* when it was put there, wraps */
	struct list lru;
};

struct slot {
	struct hash_node node;
	struct object *object;
	uint64_t index; /* first cell / 8 */
	unsigned live;	/* cells that are not EMPTY */
	struct cell cell[POOL_SLAB_CELLS];
};

struct object {
	/* set at creation */
	struct pf *pf;
	const char *key, *etag;
	uint64_t size;
	uint64_t cells;

	/* under pf's lock */
	struct hash_node node;
	bool in_table;

	/* atomic: users, fetches, and one for all cells together */
	_Atomic unsigned refs;

	struct lock lock; /* RANK_OBJECT */
	/* under lock */
	struct hash slots;
	unsigned live;	     /* cells that are not EMPTY */
	struct list parked;  /* struct pf_read: wait for cells, which are pinned */
	struct list in_line; /* struct pf_read: wait for memory, hold nothing */
	struct list fetches; /* struct fetch, of cells */
	struct list streams; /* struct pf_stream */
	unsigned nstreams;
	int stale;	       /* why nothing of it may be served: -ESTALE, -EBADMSG; 0: it may */
	struct verify *verify; /* NULL: its checksum was not asked for */

	char names[]; /* key and ETag */
};

/* Finds or makes the map of one version; takes a reference. */
int object_get(struct pf *pf, const char *key, const char *etag, uint64_t size,
	       struct object **ret) must_check;
struct object *object_ref(struct object *o);
/* With no lock held. */
void object_unref(struct object *o);
/* Nobody finds it any more; with no lock held. */
void object_retire(struct object *o);

struct cell *object_cell_locked(struct object *o, uint64_t index);
/* NULL: no memory. The slot lasts while one of its cells is live or pinned. */
struct cell *object_make_cell_locked(struct object *o, uint64_t index);
/* Frees the slot if nothing of it is used: after a cell was made for nothing. */
void object_settle_locked(struct object *o, uint64_t slot);
enum cell_state object_state_locked(struct object *o, uint64_t index);
/* How many EMPTY cells there are in a row from `first`, at most up to `end`. */
uint64_t object_empty_run_locked(struct object *o, uint64_t first, uint64_t end);

/* Cells first..end - 1. */
struct run {
	uint64_t first, end;
};

static inline struct run cells_of(uint64_t offset, uint64_t len)
{
	return (struct run){offset / PF_CELL, (offset + len + PF_CELL - 1) / PF_CELL};
}

static inline struct slot *cell_slot(struct cell *c)
{
	return container_of(c - c->place, struct slot, cell[0]);
}

static inline uint64_t cell_index(struct cell *c)
{
	return cell_slot(c)->index * POOL_SLAB_CELLS + c->place;
}

/* EMPTY -> WANTED; one cell of the budget is reserved for it. */
void cell_want_locked(struct cell *c);
/* WANTED -> READY. */
void cell_ready_locked(struct cell *c);
/*
 * WANTED or READY -> EMPTY: returns its memory and its reservation. The caller
 * holds a reference to the object. The cell may be gone afterwards.
 */
void cell_drop_locked(struct cell *c);
/* The same, but memory (the result, may be NULL) and reservation stay the caller's. */
char *cell_abandon_locked(struct cell *c) must_check;
void cell_pin_locked(struct cell *c);
/* What becomes of a cell when the last read lets go of it. */
enum cell_fate {
	CELL_KEEP,	 /* by what is known of it: read in part, or not at all */
	CELL_KEEP_SHORT, /* read to its end */
	CELL_SHARE,	 /* another reader follows */
	CELL_RELEASE,	 /* nobody needs it */
};
void cell_unpin_locked(struct cell *c, enum cell_fate fate);
/* Frees all cells that nobody holds: of a stale version. */
void object_drop_idle_locked(struct object *o);
/* Nobody has it open: what was fetched ahead is of little use. */
void object_cool_locked(struct object *o);

#endif
