/* SPDX-License-Identifier: Apache-2.0 */

/* The layers of one mount, built bottom up and taken down in reverse. Main thread. */
#ifndef STACK_H
#define STACK_H

#include <signal.h>

#include "base/macro.h"

struct options;
struct stack;

/* Sent to the process when the mount ended without being asked to. */
#define STACK_ENDED_SIGNAL SIGUSR1

struct stack_error {
	char what[128];	  /* the step that failed */
	char cause[1024]; /* why, and what to do */
};

/* 0, or -errno with *error filled and nothing left mounted or running. */
int stack_start(const struct options *o, struct stack_error *error, struct stack **ret) must_check;
/* Unmounts, finishes what can be finished within STOP_TIMEOUT, frees all. */
void stack_stop(struct stack *s);

#endif
