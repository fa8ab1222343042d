/* SPDX-License-Identifier: Apache-2.0 */

/* A wait with a deadline: what never comes fails the test instead of hanging it. */
#ifndef TESTS_LIB_WAIT_SEM_H
#define TESTS_LIB_WAIT_SEM_H

#include <errno.h>
#include <semaphore.h>
#include <stdbool.h>
#include <time.h>

static inline bool wait_sem(sem_t *sem, unsigned seconds)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	while (sem_timedwait(sem, &until) < 0)
		if (errno != EINTR)
			return false;
	return true;
}

#endif
