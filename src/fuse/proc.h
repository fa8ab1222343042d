/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What /proc tells about the thread behind a request. Reads of procfs only:
 * they do not block, and never touch our own mount.
 */
#ifndef FUSE_PROC_H
#define FUSE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"

/* A signal that ends the thread is pending. False when that cannot be known. */
bool proc_being_killed(pid_t tid);
/* Thread group (process) of a thread; -errno when it cannot be known. */
int proc_tgid(pid_t tid, pid_t *ret) must_check;

/*
 * It is in a system call that makes the file when it is not there: open(2) with
 * O_CREAT, creat, mknod. False when that cannot be known: another namespace, no
 * right to trace it.
 */
bool proc_may_create(pid_t tid);
/* It is opening a file that is there, to read it. False when that cannot be known. */
bool proc_opens_to_read(pid_t tid);

/* It is exiting because of a signal. False when that cannot be known. */
bool proc_was_killed(pid_t tid);
/*
 * Whether the process still has a descriptor open for writing on the file of
 * that name and inode number: a dup of the one that was just closed. Unknown
 * when it has none at all, as one that is exiting. So many descriptors that
 * looking at them would take long count as none.
 */
enum proc_answer { PROC_NO, PROC_YES, PROC_UNKNOWN };
enum proc_answer proc_holds_file(pid_t tgid, const char *name, uint64_t ino);
/* It may have handed descriptors to others: children, or it is exiting. True when in doubt. */
bool proc_may_have_shared(pid_t tgid);

/* The masks of /proc/TID/status. */
struct proc_signals {
	uint64_t pending, blocked, ignored, caught;
};
/* Whether one of the pending signals ends the process. Pure. */
bool proc_signals_fatal(const struct proc_signals *s);
/*
 * Of the text of a syscall file: the flags of open(2), or those that the call amounts to. -1:
 * it is no such call, or one that does not tell. Pure.
 */
int proc_parse_open(const char *syscall);
/* Reads the masks out of the text of a status file. Pure. */
void proc_parse_signals(const char *status, struct proc_signals *ret);

#endif
