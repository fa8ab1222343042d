/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Slab memory in one reserved range of addresses.
 *
 * The range grows by chunks of 2 MiB (one huge page where the kernel has one),
 * each two slabs of eight cells. A slab knows which cells are out (`used`) and
 * which may have pages (`resident`). Slabs with free cells hang in the list of
 * their longest free run, last freed first, so that hot memory is used again.
 *
 * Invariant: the number of resident cells never exceeds the limit. A request
 * that finds no run of its size takes a shorter one rather than growing past
 * it; only a whole slab purges the pages of free fragments to make room, which
 * is why the range is larger than the limit. Any thread; one lock.
 */
#include "prefetch/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/list.h"
#include "base/lock.h"
#include "prefetch/prefetch.h"

#define CHUNK_SLABS 2
#define CHUNK_CELLS (CHUNK_SLABS * POOL_SLAB_CELLS)
#define CHUNK	    (CHUNK_SLABS * PF_SLAB)
/* Worst case: one cell of eight is out in every slab. */
#define OVERSIZE 8

struct slab {
	struct list node; /* in free_run[longest free run], or alone when full */
	uint8_t used;
	uint8_t resident;
	uint8_t run; /* the list that it is in, 0 = none */
	bool quiet;  /* not touched since the last trim */
};

struct pool {
	/* set at creation */
	char *base;
	void *map;
	size_t map_len;
	unsigned limit, max_slabs;
	struct slab *slabs;

	struct lock lock;
	/* under lock */
	struct list free_run[POOL_SLAB_CELLS + 1];
	unsigned nslabs; /* slabs of the range in use so far */
	unsigned used;	 /* cells out */
	unsigned resident, peak;
};

static unsigned longest_run(uint8_t used)
{
	unsigned best = 0, run = 0;

	for (unsigned i = 0; i < POOL_SLAB_CELLS; i++) {
		run = used >> i & 1 ? 0 : run + 1;
		if (run > best)
			best = run;
	}
	return best;
}

/* First cell of a free run of n. */
static unsigned find_run(uint8_t used, unsigned n)
{
	unsigned mask = (1U << n) - 1, i = 0;

	while (used & mask << i)
		i++;
	assert(i + n <= POOL_SLAB_CELLS);
	return i;
}

static void slab_file_locked(struct pool *p, struct slab *s)
{
	list_del(&s->node);
	s->run = (uint8_t)longest_run(s->used);
	if (s->run)
		list_push(&p->free_run[s->run], &s->node);
}

static char *slab_mem(const struct pool *p, const struct slab *s)
{
	return p->base + (size_t)(s - p->slabs) * PF_SLAB;
}

static int pool_map(struct pool *p)
{
	size_t len = (size_t)p->max_slabs * PF_SLAB;

	p->map_len = len + CHUNK;
	p->map = mmap(NULL, p->map_len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->map == MAP_FAILED) {
		p->map = NULL;
		return -ENOMEM;
	}
	p->base = (char *)round_up((uint64_t)(uintptr_t)p->map, CHUNK);
	/* Both are advice: without them it costs more, but works. */
	(void)madvise(p->base, len, MADV_HUGEPAGE);
	(void)madvise(p->map, p->map_len, MADV_DONTDUMP);
	return 0;
}

int pool_new(unsigned limit, struct pool **ret)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	lock_init(&p->lock, RANK_POOL);
	for (unsigned i = 0; i <= POOL_SLAB_CELLS; i++)
		list_init(&p->free_run[i]);
	p->limit = limit / CHUNK_CELLS * CHUNK_CELLS;
	p->max_slabs = p->limit / POOL_SLAB_CELLS * OVERSIZE;
	p->slabs = calloc(p->max_slabs, sizeof(*p->slabs));
	if (!p->limit || !p->slabs || pool_map(p) < 0) {
		pool_free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	assert(p->used == 0);
	if (p->map)
		(void)munmap(p->map, p->map_len);
	free(p->slabs);
	lock_fini(&p->lock);
	free(p);
}

unsigned pool_limit(const struct pool *p)
{
	return p->limit;
}

/*
 * Two more slabs, if the limit and the range allow. Cold ones count as resident
 * by the cell, and must not come as a huge page.
 */
static bool grow_locked(struct pool *p, bool cold)
{
	if (p->nslabs + CHUNK_SLABS > p->max_slabs)
		return false;
	if (!cold && p->resident + CHUNK_CELLS > p->limit)
		return false;
	if (cold)
		(void)madvise(p->base + p->nslabs * PF_SLAB, CHUNK, MADV_NOHUGEPAGE);
	/* The lower one ends up first in the list, so that a chunk fills in order. */
	for (unsigned i = CHUNK_SLABS; i-- > 0;) {
		struct slab *s = &p->slabs[p->nslabs + i];

		list_init(&s->node);
		s->resident = cold ? 0 : 0xff;
		slab_file_locked(p, s);
	}
	p->nslabs += CHUNK_SLABS;
	p->resident += cold ? 0 : CHUNK_CELLS;
	if (p->resident > p->peak)
		p->peak = p->resident;
	return true;
}

/* Gives the pages of the slab's free cells back to the system. */
static void purge_locked(struct pool *p, struct slab *s)
{
	uint8_t gone = s->resident & (uint8_t)~s->used;

	for (unsigned i = 0, n; i < POOL_SLAB_CELLS; i += n) {
		n = 1;
		if (!(gone >> i & 1))
			continue;
		while (i + n < POOL_SLAB_CELLS && gone >> (i + n) & 1)
			n++;
		(void)madvise(slab_mem(p, s) + i * PF_CELL, n * PF_CELL, MADV_DONTNEED);
		p->resident -= n;
	}
	s->resident &= s->used;
}

/*
 * Makes room for `cells` more resident ones out of free fragments. Shortest
 * runs go first: they are of least use.
 */
static bool purge_for_locked(struct pool *p, unsigned cells, const struct slab *except)
{
	struct list *n;

	for (unsigned run = 1; run <= POOL_SLAB_CELLS && p->resident + cells > p->limit; run++) {
		for (n = p->free_run[run].prev;
		     n != &p->free_run[run] && p->resident + cells > p->limit; n = n->prev) {
			struct slab *s = list_entry(n, struct slab, node);

			if (s != except)
				purge_locked(p, s);
		}
	}
	return p->resident + cells <= p->limit;
}

/* Marks `n` cells from `first` as out; their pages may come in from now on. */
static void *claim_locked(struct pool *p, struct slab *s, unsigned first, unsigned n)
{
	uint8_t mask = (uint8_t)(((1U << n) - 1) << first);

	s->used |= mask;
	s->resident |= mask;
	s->quiet = false;
	p->used += n;
	slab_file_locked(p, s);
	return slab_mem(p, s) + first * PF_CELL;
}

static unsigned absent(const struct slab *s, unsigned first, unsigned n)
{
	return (unsigned)__builtin_popcount(~s->resident & (((1U << n) - 1) << first));
}

/* A slab whose free run of n cells needs no pages beyond the limit. */
static void *take_run_locked(struct pool *p, unsigned run, unsigned n, bool purge)
{
	struct list *node;

	list_for_each (node, &p->free_run[run]) {
		struct slab *s = list_entry(node, struct slab, node);
		unsigned first = find_run(s->used, n);
		unsigned extra = absent(s, first, n);

		if (p->resident + extra > p->limit && !(purge && purge_for_locked(p, extra, s)))
			continue;
		p->resident += extra;
		if (p->resident > p->peak)
			p->peak = p->resident;
		return claim_locked(p, s, first, n);
	}
	return NULL;
}

void *pool_take(struct pool *p, unsigned want, unsigned *ret_got)
{
	void *mem = NULL;

	assert(want >= 1 && want <= POOL_SLAB_CELLS);
	WITH_LOCK(&p->lock);
	for (unsigned run = want; run <= POOL_SLAB_CELLS && !mem; run++)
		mem = take_run_locked(p, run, want, false);
	if (!mem && grow_locked(p, false))
		mem = take_run_locked(p, POOL_SLAB_CELLS, want, false);
	while (!mem && want > 1)
		mem = take_run_locked(p, want - 1, want - 1, false), want--;
	/* All free cells are without pages, and others hold pages for nothing. */
	for (unsigned run = 1; run <= POOL_SLAB_CELLS && !mem; run++)
		mem = take_run_locked(p, run, want = 1, true);
	assert(mem);
	*ret_got = want;
	return mem;
}

void *pool_take_slab(struct pool *p)
{
	void *mem;

	WITH_LOCK(&p->lock);
	mem = take_run_locked(p, POOL_SLAB_CELLS, POOL_SLAB_CELLS, false);
	if (!mem && grow_locked(p, false))
		mem = take_run_locked(p, POOL_SLAB_CELLS, POOL_SLAB_CELLS, false);
	if (!mem)
		mem = take_run_locked(p, POOL_SLAB_CELLS, POOL_SLAB_CELLS, true);
	if (!mem && grow_locked(p, true))
		mem = take_run_locked(p, POOL_SLAB_CELLS, POOL_SLAB_CELLS, true);
	return mem;
}

static unsigned keep_cells(unsigned slabs)
{
	return (unsigned)round_up(slabs * POOL_SLAB_CELLS, CHUNK_CELLS);
}

bool pool_keep(struct pool *p, void **mem, unsigned slabs)
{
	{
		WITH_LOCK(&p->lock);
		p->limit += keep_cells(slabs);
	}
	for (unsigned i = 0; i < slabs; i++) {
		mem[i] = pool_take_slab(p);
		if (!mem[i]) {
			while (i-- > 0)
				pool_put(p, mem[i], POOL_SLAB_CELLS);
			pool_release(p, NULL, slabs);
			return false;
		}
	}
	return true;
}

void pool_release(struct pool *p, void **mem, unsigned slabs)
{
	for (unsigned i = 0; mem && i < slabs; i++)
		pool_put(p, mem[i], POOL_SLAB_CELLS);
	WITH_LOCK(&p->lock);
	p->limit -= keep_cells(slabs);
}

void pool_put(struct pool *p, void *mem, unsigned cells)
{
	size_t off = (size_t)((char *)mem - p->base);
	struct slab *s = &p->slabs[off / PF_SLAB];
	unsigned first = (unsigned)(off % PF_SLAB / PF_CELL);
	uint8_t mask = (uint8_t)(((1U << cells) - 1) << first);

	WITH_LOCK(&p->lock);
	assert((s->used & mask) == mask);
	s->used &= (uint8_t)~mask;
	s->quiet = false;
	p->used -= cells;
	slab_file_locked(p, s);
}

void pool_trim(struct pool *p)
{
	WITH_LOCK(&p->lock);
	for (unsigned i = 0; i < p->nslabs; i++) {
		struct slab *s = &p->slabs[i];

		if (s->quiet && s->resident & ~s->used)
			purge_locked(p, s);
		s->quiet = true;
	}
}

unsigned pool_resident(struct pool *p)
{
	WITH_LOCK(&p->lock);
	return p->resident;
}

unsigned pool_peak(struct pool *p)
{
	WITH_LOCK(&p->lock);
	return p->peak;
}
