/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Scope-bound release.
 *
 *	_cleanup_(buf_finip) struct buf b = BUF_INIT(4096);
 *	_cleanup_(freep) char *s = strdup(x);
 *	return take_ptr(&s);	(ownership leaves the scope)
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Defines func##p(type **) that calls func() on a non-NULL pointer. */
#define DEFINE_CLEANUP(type, func)           \
	static inline void func##p(type **p) \
	{                                    \
		if (*p)                      \
			func(*p);            \
	}

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* The value of *p, which becomes NULL: ownership moves to the caller. */
#define take_ptr(p)                             \
	__extension__({                         \
		__typeof__(*(p)) taken_ = *(p); \
		*(p) = NULL;                    \
		taken_;                         \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
