/* SPDX-License-Identifier: Apache-2.0 */

/* Does this thread get a CPU when it wants one? */
#ifndef BASE_STARVED_H
#define BASE_STARVED_H

/*
 * Percent of the time since this thread last asked in which it could have run and
 * waited for a CPU; -1 the first time, 0 where the system does not tell.
 */
int starved_percent(void);

#endif
