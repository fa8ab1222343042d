/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FLUSH (each close of a descriptor), FSYNC and RELEASE (the last one is gone).
 *
 *   close of a write handle by              does
 *   another process than its opener's       leaves it pending
 *   the opener's, being killed by a signal  aborts: half a file is not published
 *   the opener's, which has a dup of it     leaves it pending
 *   the opener's, nothing written, others   leaves it pending
 *   may have the descriptor
 *   the opener's, nothing written, reading  gives it up
 *   it was refused
 *   the opener's, else                      finishes the upload and waits for it
 *
 * What is pending at release is finished then, and nobody hears of an error but
 * the log.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "fuse/handle.h"
#include "fuse/io.h"
#include "fuse/proc.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"
#include "fuse/writer.h"

struct closing {
	struct request r;
	struct writer_wait wait;
	bool sync;
};

static void closing_free(struct request *r)
{
	free(container_of(r, struct closing, r));
}

static int sync_errno(int err)
{
	return err == -EFBIG ? -ENOSPC : err; /* fsync(2) knows no EFBIG */
}

static void on_ended(struct writer_wait *w, int err)
{
	struct closing *c = container_of(w, struct closing, wait);

	c->r.told = err < 0 && err != -ENOMEM;
	(void)reply_err(&c->r, c->sync ? sync_errno(err) : err);
	request_unref(&c->r);
}

/* Finishes the upload; its result is the answer. */
static void finish_and_wait(struct request *stack, struct handle *h, bool sync)
{
	struct closing *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)reply_err(stack, -ENOMEM);
		return;
	}
	c->r = *stack;
	c->r.free = closing_free;
	list_init(&c->r.watch_node);
	c->wait.done = on_ended;
	c->sync = sync;
	request_watch(&c->r);
	writer_finish(h, &c->wait);
}

/* Nothing was written, and its user, who wanted to read it, has met an error: no object. */
static bool is_void(struct handle *h)
{
	if (upload_size(h->upload) > 0)
		return false;
	WITH_LOCK(&h->fs->lock);
	return h->read_refused;
}

static void flush_write(struct request *r, struct handle *h)
{
	uint64_t size = upload_size(h->upload);
	enum proc_answer dup;
	int err = 0;

	if (writer_done(h, &err)) {
		r->told = err < 0;
		(void)reply_err(r, err);
		return;
	}
	if (!writer_is_owner(h, r->tid)) {
		writer_pending(h);
		(void)reply_err(r, 0);
		return;
	}
	dup = proc_holds_file(h->tgid, h->inode->name, h->inode->ino);
	if (dup == PROC_UNKNOWN && proc_was_killed(r->tid)) {
		log_warn(LOG_FUSE, "writer %d was killed after %llu bytes: not uploaded",
			 (int)r->tid, (unsigned long long)size);
		r->told = true;
		writer_fail(h, -EIO);
		(void)reply_err(r, -EIO);
		return;
	}
	if (dup != PROC_YES && is_void(h)) {
		r->told = true;
		writer_fail(h, -EBADF);
		(void)reply_err(r, -EBADF);
		return;
	}
	if (dup == PROC_YES ||
	    (size == 0 && (dup == PROC_UNKNOWN || proc_may_have_shared(h->tgid)))) {
		writer_pending(h);
		(void)reply_err(r, 0);
		return;
	}
	finish_and_wait(r, h, /* sync= */ false);
}

void io_flush(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi)
{
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	struct request r;

	request_init(&r, fs, req, "flush", ino);
	if (h->write) {
		flush_write(&r, h);
		return;
	}
	handle_deactivate(h);
	/* The kernel then stops telling: on a read-only mount nothing depends on it. */
	(void)reply_err(&r, fs->config.read_only ? -ENOSYS : 0);
}

void io_fsync(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi)
{
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	struct request r;

	request_init(&r, fs, req, "fsync", ino);
	if (h->write)
		finish_and_wait(&r, h, /* sync= */ true);
	else
		(void)reply_err(&r, 0);
}

void io_release(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi)
{
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	struct request r;

	request_init(&r, fs, req, "release", ino);
	if (h->write && is_void(h))
		writer_fail(h, -EBADF);
	else if (h->write)
		writer_finish(h, NULL);
	(void)reply_err(&r, 0);
	handle_unref(h);
}
