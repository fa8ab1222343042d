/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tests against a real loop:
 *
 *	require(on_loop(loop, begin, &scene));	(begin(&scene) runs on the loop)
 *	require(gate_wait(&scene.over));	(opened by a callback)
 *	check_int(scene.result, ==, 0);
 *
 * A gate counts: one wait for each opening. Waits end after GATE_SECONDS, so
 * that a lost event fails the test instead of hanging it.
 */
#ifndef TESTS_LIB_ON_LOOP_H
#define TESTS_LIB_ON_LOOP_H

#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/wait_sem.h"
#include "loop/loop.h"

#define GATE_SECONDS 20

struct gate {
	sem_t sem;
};

static inline void gate_init(struct gate *g)
{
	(void)sem_init(&g->sem, 0, 0);
}

static inline void gate_open(struct gate *g)
{
	(void)sem_post(&g->sem);
}

static inline bool gate_wait(struct gate *g)
{
	return wait_sem(&g->sem, GATE_SECONDS);
}

struct on_loop_ {
	struct loop_task task;
	void (*fn)(void *arg);
	void *arg;
	struct gate over;
};

static inline void on_loop_run_(struct loop_task *t)
{
	struct on_loop_ *o = list_entry(t, struct on_loop_, task);

	o->fn(o->arg);
	gate_open(&o->over);
}

/* Runs fn(arg) on the loop and waits for its return. */
static inline bool on_loop(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct on_loop_ o = {.task.run = on_loop_run_, .fn = fn, .arg = arg};

	gate_init(&o.over);
	loop_post(l, &o.task);
	return gate_wait(&o.over);
}

/* A started loop of the backend that MOUNT_S3_LOOP names; aborts without. */
static inline struct loop *start_loop(const struct net_config *net)
{
	struct loop_config config = {.index = 7};
	struct loop *l;

	if (net)
		config.net = *net;
	if (loop_new(&config, &l) < 0 || loop_start(l) < 0)
		abort();
	return l;
}

static inline void end_loop(struct loop *l)
{
	loop_stop(l);
	loop_free(l);
}

/* In main: true when the wanted backend is not to be had here. */
static inline bool no_backend(void)
{
	struct loop_config config = {.index = 0};
	struct loop *l;
	int r = loop_new(&config, &l);

	if (r == 0) {
		loop_free(l);
		return false;
	}
	return r == -ENOSYS || r == -EPERM;
}

#endif
