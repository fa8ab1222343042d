/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Small helpers that every file of s3d may use: release at scope end, lock
 * guards, clocks.
 */

#ifndef S3D_UTIL_H
#define S3D_UTIL_H

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define _cleanup_(f)	  __attribute__((cleanup(f)))
#define must_check	  __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a)	  (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)	  ((a) < (b) ? (a) : (b))
#define MAX(a, b)	  ((a) > (b) ? (a) : (b))

#define take_ptr(p)                             \
	({                                      \
		__typeof__(*(p)) taken_ = *(p); \
		*(p) = NULL;                    \
		taken_;                         \
	})

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void mutex_unlockp(pthread_mutex_t **m)
{
	pthread_mutex_unlock(*m);
}

static inline void rwlock_unlockp(pthread_rwlock_t **l)
{
	pthread_rwlock_unlock(*l);
}

static inline pthread_mutex_t *mutex_locked(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	return m;
}

static inline pthread_rwlock_t *rwlock_read(pthread_rwlock_t *l)
{
	pthread_rwlock_rdlock(l);
	return l;
}

static inline pthread_rwlock_t *rwlock_written(pthread_rwlock_t *l)
{
	pthread_rwlock_wrlock(l);
	return l;
}

/* Hold the lock until the end of the scope. */
#define GUARD_VAR    __attribute__((unused))
#define WITH_LOCK(m) pthread_mutex_t *guard_ GUARD_VAR _cleanup_(mutex_unlockp) = mutex_locked(m)
#define WITH_READ(l) pthread_rwlock_t *guard_ GUARD_VAR _cleanup_(rwlock_unlockp) = rwlock_read(l)
#define WITH_WRITE(l) \
	pthread_rwlock_t *guard_ GUARD_VAR _cleanup_(rwlock_unlockp) = rwlock_written(l)

static inline uint64_t clock_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t clock_real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* splitmix64: the one generator of s3d, seeded so that runs repeat. */
static inline uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

#endif
