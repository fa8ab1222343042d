/* SPDX-License-Identifier: Apache-2.0 */

/* What this machine and cgroup allow: memory, threads, descriptors. */
#ifndef RESOURCES_H
#define RESOURCES_H

#include <stdint.h>

/* Bytes: min(512 MiB, a quarter of RAM or of the cgroup's limit), at least 64 MiB. */
uint64_t resources_memory(void);
/* Loops for `max_threads` (0: not given): 2 up to 5 cores, then cores / 2 up to 8. */
unsigned resources_loops(uint64_t max_threads);
/* Descriptors up to the hard limit, no core dumps (they would hold credentials). */
void resources_apply(void);
/* Lets go of the pages of code that only the start needed: 14 -> 8 MiB resident. */
void resources_settle(void);

#endif
