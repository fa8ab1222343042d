/* SPDX-License-Identifier: Apache-2.0 */

/* Waking the main thread: an eventfd with a deadline on the wait. */
#ifndef FUSE_POKE_H
#define FUSE_POKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

int poke_open(void) must_check; /* the descriptor, or -errno */
void poke(int fd);		/* any thread */
/* True when poked since the last wait; false at the deadline. */
bool poke_wait(int fd, uint64_t deadline);

#endif
