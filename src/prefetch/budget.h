/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The read engine's side of the budget, private to prefetch/. Cells are
 * reserved when a GET is decided and take memory when bytes arrive:
 *
 *	budget_try(b, n, kind) or budget_claim(b, &claim)	reserve
 *	mem = budget_mem(b, want, &got)				at arrival
 *	budget_mem_put(b, mem, n); budget_unreserve(b, n)	cell dropped
 *	budget_wake(b)						with no lock held
 */
#ifndef PREFETCH_BUDGET_H
#define PREFETCH_BUDGET_H

#include "prefetch/prefetch.h"

enum budget_kind {
	BUDGET_DEMAND,	    /* somebody waits for these cells */
	BUDGET_SPECULATIVE, /* nobody does: leaves some room for those who will */
};

/* False: not now. Any thread, any lock below RANK_BUDGET. */
bool budget_try(struct budget *b, unsigned cells, enum budget_kind kind) must_check;

/* True: reserved now. False: in line; `granted` comes, with no lock held. */
bool budget_claim(struct budget *b, struct budget_claim *c) must_check;
/* True: taken out of the line. False: granted, the callback is coming or was. */
bool budget_unclaim(struct budget *b, struct budget_claim *c) must_check;

void budget_unreserve(struct budget *b, unsigned cells);
/* Serves the line. After budget_unreserve, when no lock is held. */
void budget_wake(struct budget *b);
/* The same, and reclaims idle cells for those in line: after cells became idle. */
void budget_relieve(struct budget *b);
/* Somebody is in line: idle cells must be given up. */
bool budget_tight(struct budget *b);

void *budget_mem(struct budget *b, unsigned want, unsigned *ret_got) must_check;
void budget_mem_put(struct budget *b, void *mem, unsigned cells);

/*
 * How idle cells are given up: called with no lock held when an upload is about
 * to wait or somebody is in line; frees about `cells` cells, calls
 * budget_unreserve for them (not budget_wake) and returns how many it freed.
 */
typedef unsigned (*budget_reclaim_fn)(void *arg, unsigned cells);
void budget_set_reclaim(struct budget *b, budget_reclaim_fn fn, void *arg);

unsigned budget_cells(const struct budget *b); /* the limit in cells */

#endif
