/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The engine as a whole: creation, the share of each reader, and the timer's
 * work. Any thread.
 */
#include "prefetch/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "prefetch/window.h"

#define PASSED_EXPIRES_MS 4000		       /* the kernel has it as well */
#define USEFUL_EXPIRES_MS 8000		       /* a reader may still come for it */
#define TOGETHER	  (96 * MIB)	       /* several readers may have this much ahead in all */
#define VERY_FAR_NS	  (40 * NSEC_PER_MSEC) /* more must be under way */
/* bytes per second of a loop, which then has half of a core left for others */
#define ENOUGH 500000000

static unsigned reclaim(void *arg, unsigned cells)
{
	return lru_reclaim(arg, cells);
}

int pf_new(const struct pf_config *config, struct pf **ret)
{
	struct pf *pf = calloc(1, sizeof(*pf));

	if (!pf)
		return -ENOMEM;
	pf->lanes = calloc(config->nloops, sizeof(*pf->lanes));
	if (!pf->lanes) {
		free(pf);
		return -ENOMEM;
	}
	pf->config = *config;
	pf->config.random_size = max_u64(PF_CELL, min_u64(config->random_size, PF_SLAB));
	pf->config.random_size = round_down(pf->config.random_size, PF_CELL);
	pf->config.part_size = max_u64(PF_SLAB, round_down(config->part_size, PF_SLAB));
	for (unsigned i = 0; i < config->nloops; i++)
		lane_init(&pf->lanes[i], config->loops[i]);
	least_init(&pf->head);
	lock_init(&pf->lock, RANK_OBJMAP);
	width_init(&pf->width, (uint64_t)ENOUGH * config->nloops);
	lru_init(&pf->lru, budget_cells(config->budget));
	budget_set_reclaim(config->budget, reclaim, pf);
	*ret = pf;
	return 0;
}

void pf_free(struct pf *pf)
{
	if (!pf)
		return;
	lru_expire(pf, 0, 0);
	assert(pf->objects.count == 0);
	budget_set_reclaim(pf->config.budget, NULL, NULL);
	hash_fini(&pf->objects);
	lru_fini(&pf->lru);
	width_fini(&pf->width);
	lock_fini(&pf->lock);
	free(pf->lanes);
	free(pf);
}

void pf_trim(struct pf *pf)
{
	budget_trim(pf->config.budget);
	lru_expire(pf, PASSED_EXPIRES_MS, USEFUL_EXPIRES_MS);
	budget_relieve(pf->config.budget);
}

/* Turns the figures over when a second has passed. Races cost a second's figure. */
static uint32_t turn_over(struct pf *pf)
{
	uint32_t now = (uint32_t)(clock_now() / NSEC_PER_SEC);
	uint32_t seen = atomic_load_explicit(&pf->epoch, memory_order_relaxed);

	if (seen != now &&
	    atomic_compare_exchange_strong_explicit(&pf->epoch, &seen, now, memory_order_relaxed,
						    memory_order_relaxed)) {
		uint32_t n = atomic_exchange_explicit(&pf->active_now, 0, memory_order_relaxed);

		atomic_store_explicit(&pf->active_before, n, memory_order_relaxed);
	}
	return now;
}

void pf_count_reader(struct pf *pf, struct active_mark *mark)
{
	uint32_t now = turn_over(pf);

	if (mark->second == now)
		return;
	*mark = (struct active_mark){.second = now, .before = mark->second + 1 == now};
	atomic_fetch_add_explicit(&pf->active_now, 1, memory_order_relaxed);
}

/* Not below nothing, which a race with turn_over could make of it. */
static void take_one(_Atomic uint32_t *count)
{
	uint32_t n = atomic_load_explicit(count, memory_order_relaxed);

	while (n > 0 && !atomic_compare_exchange_weak_explicit(
				count, &n, n - 1, memory_order_relaxed, memory_order_relaxed))
		;
}

void pf_uncount_reader(struct pf *pf, const struct active_mark *mark)
{
	uint32_t now = turn_over(pf);

	if (mark->second == now)
		take_one(&pf->active_now);
	if (mark->second == now ? mark->before : mark->second + 1 == now)
		take_one(&pf->active_before);
}

unsigned pf_readers(struct pf *pf)
{
	uint32_t now = atomic_load_explicit(&pf->active_now, memory_order_relaxed);
	uint32_t before = atomic_load_explicit(&pf->active_before, memory_order_relaxed);
	uint32_t active = now > before ? now : before;

	return active ? active : 1;
}

unsigned pf_far_gets(struct pf *pf)
{
	unsigned each = WINDOW_GETS / pf_readers(pf);

	return each > 2 ? each - 1 : 1;
}

uint64_t pf_window_cap(struct pf *pf)
{
	uint64_t limit = budget_limit(pf->config.budget);
	uint64_t total = limit / 4 * 3;
	unsigned active = pf_readers(pf), share = pf_far_delay(pf) < VERY_FAR_NS ? 4 : 2;

	if (active > 1)
		total = min_u64(total, max_u64(TOGETHER, limit / share));
	total = max_u64(total / active, WINDOW_MIN);
	return min_u64(pf->config.max_window, total);
}

void pf_note_head(struct pf *pf, uint64_t ns)
{
	least_note(&pf->head, ns, clock_now(), NSEC_PER_SEC);
}

uint64_t pf_far_delay(struct pf *pf)
{
	uint64_t ns = least_of(&pf->head);

	if (ns == LEAST_NONE) /* no answer yet */
		ns = LEAST_FAR;
	return ns >= LEAST_FAR ? ns : 0;
}
