/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The FUSE session: the device and who reads it. Each loop polls the one device
 * descriptor and reads requests itself; answers are written by whichever thread
 * has them.
 */
#ifndef FUSE_SESSION_H
#define FUSE_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/macro.h"

struct fs;
struct fuse_session;
struct receiver;

#define SESSION_MAX_WRITE ((size_t)1024 * 1024)

struct session {
	/* set by fs_mount */
	struct fuse_session *fuse;
	char *dir; /* where it is mounted; NULL when the caller mounted it */
	int fd;	   /* the device; owned by `fuse` */
	int guard; /* the leash of --auto-unmount's guard, or -1 */

	/* set by fs_serve */
	struct receiver *receivers; /* one per loop */
	unsigned nreceivers;
	void **slabs; /* of the budget, one per receiver; NULL: none were to be had */
	void (*on_ended)(void *arg);
	void *arg;
	int stopped_fd; /* eventfd: a receiver has stopped */

	/* atomic */
	_Atomic bool stopping;	/* no request is read any more */
	_Atomic bool ended;	/* on_ended was called or will not be */
	_Atomic bool init_done; /* INIT was seen */
	_Atomic bool ra_set;	/* the read-ahead was looked after */
};

/*
 * Inside a write call: the slab that its payload has landed in, for
 * upload_write's `slab`. NULL: it is at `data`.
 */
void **session_slab(struct session *s, const char *data);

/* Closes the device and frees the rest; no loop runs any more. */
void session_fini(struct session *s);

#endif
