/* SPDX-License-Identifier: Apache-2.0 */

/* --auto-unmount: a process that unmounts when ours has died. fs.h has its other end. Private to
 * fuse/. */
#ifndef FUSE_GUARD_H
#define FUSE_GUARD_H

#include "base/macro.h"

/* Starts it for the mount at `dir`; *ret is its leash. Main thread. */
int guard_start(const char *dir, int *ret) must_check;
/* We have unmounted ourselves: it ends. -1: there is none. */
void guard_end(int leash);

#endif
