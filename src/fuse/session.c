/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Receiving. One receiver per loop, all on the same descriptor:
 *
 *   polling   readable               one read; handled; polling
 *   polling   another loop was faster (EAGAIN)         polling
 *   polling   ENODEV: unmounted      stopped, the first one tells on_ended
 *   polling   fs_unmount             stopped, nobody is told
 *
 * One request per wake-up: reading on until EAGAIN costs a failing read each
 * time. A poll that is armed on a readable descriptor fires at once, so that
 * none is lost. The inbox is the receiver's own: whatever outlives the call is
 * copied by the handlers, or exchanged.
 */
#include "fuse/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "fuse/api.h"
#include "fuse/guard.h"
#include "fuse/inbox.h"
#include "fuse/mount.h"
#include "fuse/ops.h"
#include "fuse/poke.h"
#include "fuse/state.h"
#include "prefetch/prefetch.h"

#define READ_AHEAD_KB 1024
#define READ_TRIES    8 /* reads that were interrupted */
#define STOP_WAIT     (2 * NSEC_PER_SEC)

struct receiver {
	/* set at creation */
	struct fs *fs;
	struct loop *loop;
	struct loop_task start, stop;

	/* owner loop only */
	struct inbox inbox;
	struct loop_op poll;
	bool running;

	/* atomic */
	_Atomic bool stopped;
};

static void arm(struct receiver *rx);

static void stopped(struct receiver *rx)
{
	rx->running = false;
	atomic_store(&rx->stopped, true);
	poke(rx->fs->session.stopped_fd);
}

static void ended(struct receiver *rx, int err)
{
	struct session *s = &rx->fs->session;

	stopped(rx);
	if (atomic_exchange(&s->ended, true))
		return;
	if (err == ENODEV)
		log_info(LOG_FUSE, "unmounted from outside");
	else
		log_err(LOG_FUSE, "the FUSE device failed: %s", strerror(err));
	s->on_ended(s->arg);
}

/* After INIT was answered the kernel has set its own read-ahead: ours comes now. */
static void after_init(struct session *s)
{
	if (!atomic_load_explicit(&s->init_done, memory_order_relaxed) ||
	    atomic_exchange(&s->ra_set, true))
		return;
	if (s->dir)
		mount_set_readahead(s->dir, READ_AHEAD_KB);
}

static void receive(struct receiver *rx)
{
	struct session *s = &rx->fs->session;
	struct fuse_buf buf = {.mem = rx->inbox.request};
	ssize_t n = -1;

	for (unsigned i = 0; n < 0 && i < READ_TRIES; i++) {
		n = inbox_read(&rx->inbox, s->fd);
		/* ENOENT: the request was interrupted before it was read */
		if (n < 0 && errno != EINTR && errno != ENOENT)
			break;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOENT) {
		ended(rx, errno);
		return;
	}
	if (n > 0) {
		buf.size = (size_t)n;
		fuse_session_process_buf(s->fuse, &buf);
		if (!atomic_load_explicit(&s->ra_set, memory_order_relaxed))
			after_init(s);
	}
	if (atomic_load(&s->stopping))
		stopped(rx);
	else
		arm(rx);
}

static void on_poll(struct loop_op *op, int res)
{
	struct receiver *rx = container_of(op, struct receiver, poll);

	if (atomic_load(&rx->fs->session.stopping)) {
		stopped(rx);
		return;
	}
	if (res < 0 && res != -EINTR && res != -EAGAIN) {
		ended(rx, -res);
		return;
	}
	receive(rx);
}

static void arm(struct receiver *rx)
{
	rx->poll.done = on_poll;
	loop_poll(rx->loop, &rx->poll, rx->fs->session.fd, POLLIN);
}

static void on_start(struct loop_task *t)
{
	struct receiver *rx = container_of(t, struct receiver, start);

	rx->running = true;
	arm(rx);
}

static void on_stop(struct loop_task *t)
{
	struct receiver *rx = container_of(t, struct receiver, stop);

	if (rx->running)
		loop_cancel(rx->loop, &rx->poll);
}

int fs_mount(struct fs *fs, const char *dir, char *why, size_t why_len)
{
	struct session *s = &fs->session;
	const char *argv[] = {"mount-s3", mount_session_options(), "-odebug"};
	struct fuse_args args =
		FUSE_ARGS_INIT(fs->config.debug_fuse ? 3 : 2, (char **)(uintptr_t)argv);
	char path[32];
	int r, fd;

	r = mount_open(&fs->config, dir, why, why_len, &s->dir, &fd, &s->guard);
	if (r < 0)
		return r;
	if (fs->config.debug_fuse)
		fuse_set_log_func(NULL); /* back to stderr */
	fs->check_owner = fs->config.allow_root || (!s->dir && !fs->config.allow_other);
	s->fuse = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), fs);
	fuse_opt_free_args(&args);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	if (!s->fuse || fuse_session_mount(s->fuse, path) < 0) {
		(void)snprintf(why, why_len, "libfuse refuses the session");
		if (s->dir)
			mount_close(s->dir);
		(void)close(fd);
		return -EIO;
	}
	s->fd = fd;
	return 0;
}

static int receiver_init(struct receiver *rx, struct fs *fs, struct loop *loop)
{
	int r = inbox_init(&rx->inbox);

	if (r < 0)
		return r;
	rx->fs = fs;
	rx->loop = loop;
	rx->start.run = on_start;
	rx->stop.run = on_stop;
	return 0;
}

/* Without slabs a write costs one copy more. */
static int get_slabs(struct session *s, struct budget *budget)
{
	s->slabs = calloc(s->nreceivers, sizeof(*s->slabs));
	if (!s->slabs)
		return -ENOMEM;
	if (!budget_keep(budget, s->slabs, s->nreceivers)) {
		free(take_ptr(&s->slabs));
		return 0;
	}
	for (unsigned i = 0; i < s->nreceivers; i++)
		s->receivers[i].inbox.slab = &s->slabs[i];
	return 0;
}

void **session_slab(struct session *s, const char *data)
{
	const struct loop *here = loop_current();

	for (unsigned i = 0; i < s->nreceivers; i++)
		if (s->receivers[i].loop == here)
			return inbox_slab(&s->receivers[i].inbox, data);
	return NULL;
}

int fs_serve(struct fs *fs, void (*on_ended)(void *arg), void *arg)
{
	struct session *s = &fs->session;
	unsigned n = fs->config.nloops;
	int r;

	s->on_ended = on_ended;
	s->arg = arg;
	s->stopped_fd = poke_open();
	if (s->stopped_fd < 0)
		return s->stopped_fd;
	s->receivers = calloc(n, sizeof(*s->receivers));
	if (!s->receivers)
		return -ENOMEM;
	for (; s->nreceivers < n; s->nreceivers++) {
		r = receiver_init(&s->receivers[s->nreceivers], fs,
				  fs->config.loops[s->nreceivers]);
		if (r < 0)
			return r;
	}
	r = get_slabs(s, fs->config.budget);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < n; i++)
		loop_post(s->receivers[i].loop, &s->receivers[i].start);
	return 0;
}

static bool all_stopped(const struct session *s)
{
	for (unsigned i = 0; i < s->nreceivers; i++) {
		if (!atomic_load(&s->receivers[i].stopped))
			return false;
	}
	return true;
}

void fs_unmount(struct fs *fs)
{
	struct session *s = &fs->session;
	uint64_t deadline = clock_now() + STOP_WAIT;

	if (!s->fuse)
		return;
	atomic_store(&s->ended, true); /* nobody needs to be told */
	if (s->dir)
		mount_close(s->dir);
	atomic_store(&s->stopping, true);
	for (unsigned i = 0; i < s->nreceivers; i++)
		loop_post(s->receivers[i].loop, &s->receivers[i].stop);
	while (!all_stopped(s)) {
		if (!poke_wait(s->stopped_fd, deadline)) {
			log_err(LOG_FUSE, "a loop does not stop receiving requests");
			return;
		}
	}
}

void session_fini(struct session *s)
{
	for (unsigned i = 0; i < s->nreceivers; i++)
		inbox_fini(&s->receivers[i].inbox);
	if (s->slabs)
		budget_release(s->receivers->fs->config.budget, s->slabs, s->nreceivers);
	free(s->slabs);
	free(s->receivers);
	if (s->stopped_fd >= 0)
		(void)close(s->stopped_fd);
	if (s->fuse)
		fuse_session_destroy(s->fuse); /* closes the device */
	guard_end(s->guard);
	free(s->dir);
}
