/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Going to the background: the parent waits until the child says that the
 * mount is up, so that the file system is usable when the command returns.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include "base/macro.h"

/*
 * Forks. In the child: 0, and *ret_ready is the descriptor for daemon_ready().
 * In the parent: does not return; exits 0 after printing `success` when the
 * child is ready, 1 when the child failed or did not answer in 30 s.
 */
int daemon_fork(const char *success, int *ret_ready) must_check;
/* Child: tells the parent to exit 0 and moves descriptors 0-2 to /dev/null. */
void daemon_ready(int ready_fd);

#endif
