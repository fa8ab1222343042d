/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The lock witness: each thread counts the locks it holds by rank, and taking
 * one at or below the highest held rank is a bug that would deadlock one day.
 */
#include "base/lock.h"

#include <assert.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define LOCK_CHECK 1
#else
#define LOCK_CHECK 0
#endif

static _Thread_local uint32_t held_ranks;

void lock_init(struct lock *l, enum lock_rank rank)
{
	*l = (struct lock)LOCK_INIT(rank);
}

void lock_fini(struct lock *l)
{
	int r = pthread_mutex_destroy(&l->mutex);

	assert(r == 0);
	(void)r;
}

void lock_take(struct lock *l)
{
	int r;

	if (LOCK_CHECK) {
		assert((held_ranks >> l->rank) == 0);
		held_ranks |= UINT32_C(1) << l->rank;
	}
	r = pthread_mutex_lock(&l->mutex);
	assert(r == 0);
	(void)r;
}

void lock_drop(struct lock *l)
{
	int r;

	if (LOCK_CHECK)
		held_ranks &= ~(UINT32_C(1) << l->rank);
	r = pthread_mutex_unlock(&l->mutex);
	assert(r == 0);
	(void)r;
}

bool lock_held(const struct lock *l)
{
	return !LOCK_CHECK || (held_ranks >> l->rank & 1);
}
