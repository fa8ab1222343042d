/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Two threads that do the file operations of a loop without io_uring. They
 * touch nothing but the operations in their queue.
 */
#ifndef LOOP_FILEPOOL_H
#define LOOP_FILEPOOL_H

#include "loop/loop.h"

struct filepool;

/* `wake_fd` is written when finished operations are there to be taken. */
int filepool_new(int wake_fd, struct filepool **ret) must_check;
/* Threads that hang in the kernel are left behind. */
void filepool_free(struct filepool *p);

void filepool_submit(struct filepool *p, struct loop_op *op);
/* True when it had not been begun; it is out of the pool then. */
bool filepool_withdraw(struct filepool *p, struct loop_op *op);
/* Moves what has ended, with `result` set, to the end of `ret`. */
void filepool_take(struct filepool *p, struct list *ret);

#endif
