/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Ranked mutex with a scope guard.
 *
 *	struct lock l = LOCK_INIT(RANK_INODE);
 *	{
 *		WITH_LOCK(&l);
 *		...		(released at the end of the block)
 *	}
 *
 * A thread may only take a lock of a higher rank than those it holds; debug
 * builds (LOCK_CHECK, set when optimisation is off or a sanitizer is on) abort
 * on a violation. No lock is held over a callback, a reply or a system call
 * that can block.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>

#include "base/cleanup.h"

/* The order in which locks may be taken, outermost first. */
enum lock_rank {
	RANK_FS,     /* inode table, names, directory listings */
	RANK_INODE,  /* one inode's file state: readers, writer */
	RANK_HANDLE, /* one open file or directory */
	RANK_UPLOAD, /* one upload */
	RANK_OBJMAP, /* table of object versions */
	RANK_OBJECT, /* block map of one object version */
	RANK_WIDTH,  /* how many GETs a reader has */
	RANK_BUDGET, /* memory budget and its wait list */
	RANK_POOL,   /* slab memory */
	RANK_CREDS,  /* current credentials */
	RANK_CLIENT, /* S3 client's shared figures: retry budget, clock skew, hosts */
	RANK_INBOX,  /* a loop's inbox */
	RANK_LOG,    /* log sinks; last: logging is allowed under any lock */
	RANK_COUNT
};

struct lock {
	pthread_mutex_t mutex;
	enum lock_rank rank;
};

#define LOCK_INIT(r)                                            \
	{                                                       \
		.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (r) \
	}

void lock_init(struct lock *l, enum lock_rank rank);
void lock_fini(struct lock *l);
void lock_take(struct lock *l);
void lock_drop(struct lock *l);
/* True when this thread holds a lock of that rank; always true without LOCK_CHECK. */
bool lock_held(const struct lock *l);

static inline void lock_dropp(struct lock **l)
{
	lock_drop(*l);
}

static inline struct lock *lock_guard_(struct lock *l)
{
	lock_take(l);
	return l;
}

#define LOCK_CAT2_(a, b) a##b
#define LOCK_CAT_(a, b)	 LOCK_CAT2_(a, b)
#define WITH_LOCK(l)                                                                             \
	__attribute__((unused)) _cleanup_(lock_dropp) struct lock *LOCK_CAT_(guard_, __LINE__) = \
		lock_guard_(l)

#endif
