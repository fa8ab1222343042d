/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Slab memory, private to prefetch/. Hands out runs of 128 KiB cells and whole
 * 1 MiB slabs. Counts nothing but what is resident: budget.c decides who may
 * have memory, and never asks for more than the limit.
 */
#ifndef PREFETCH_POOL_H
#define PREFETCH_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

#define POOL_SLAB_CELLS 8

struct pool;

/* `limit`: most cells resident at a time, rounded down to 16 (2 MiB). */
int pool_new(unsigned limit, struct pool **ret) must_check;
void pool_free(struct pool *p);
unsigned pool_limit(const struct pool *p);

/*
 * A run of 1..want (<= 8) cells, *ret_got of them, inside one slab. Never NULL
 * while fewer cells than the limit are out.
 */
void *pool_take(struct pool *p, unsigned want, unsigned *ret_got) must_check;
/* A whole slab, or NULL when the address space is used up by fragments. */
void *pool_take_slab(struct pool *p) must_check;
/*
 * Whole slabs beyond the limit, which grows by them. Until pool_release, which
 * takes back as many, not necessarily the same ones. False: not to be had.
 */
bool pool_keep(struct pool *p, void **mem, unsigned slabs) must_check;
void pool_release(struct pool *p, void **mem, unsigned slabs);
/* Gives back any run of cells of one slab. */
void pool_put(struct pool *p, void *mem, unsigned cells);

/* Returns free memory that was not touched since the last call. */
void pool_trim(struct pool *p);

/* Cells whose memory the system may have given us; the most ever. */
unsigned pool_resident(struct pool *p);
unsigned pool_peak(struct pool *p);

#endif
