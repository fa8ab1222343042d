/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FLUSH (each close of a descriptor), FSYNC and RELEASE (the last one is gone).
 *
 *   close of a write handle by              does
 *   another process than its opener's       leaves it pending
 *   the opener's, being killed by a signal  aborts: half a file is not published;
 *                                           what was appended to one is
 *   the opener's, which has a dup of it     leaves it pending
 *   the opener's, nothing written, others   leaves it pending
 *   may have the descriptor
 *   the opener's, nothing written, reading  gives it up
 *   it was refused
 *   the opener's, else                      finishes the upload and waits for it
 *
 * What is pending at release is finished then, and nobody hears of an error but
 * the log. What is appended to a file is sent by each of these, and by fsync, and
 * the upload goes on where it would be left pending.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fuse/handle.h"
#include "fuse/io.h"
#include "fuse/name.h"
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

enum until { ENDED, COMMITTED };

/* The upload's result, or that it is as far, is the answer. */
static void wait_for(struct request *stack, struct handle *h, enum until until, bool sync)
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
	if (until == COMMITTED)
		writer_commit(h, &c->wait);
	else
		writer_finish(h, &c->wait);
}

/* Somebody else may go on with it. */
static void leave_pending(struct request *r, struct handle *h)
{
	writer_pending(h);
	if (upload_appends(h->upload))
		wait_for(r, h, COMMITTED, /* sync= */ false);
	else
		(void)reply_err(r, 0);
}

/* Whether the opener's process has another descriptor of the file. */
static enum proc_answer has_dup(struct handle *h)
{
	char name[NAME_LEN_MAX + 1];

	{
		WITH_LOCK(&h->fs->lock);
		memcpy(name, h->inode->name, h->inode->name_len + 1U);
	}
	return proc_holds_file(h->tgid, name, h->inode->ino);
}

/* Nothing was written, and its user, who wanted to read it, has met an error: no object. */
static bool is_void(struct handle *h)
{
	if (h->goes_on || upload_size(h->upload) > 0)
		return false;
	WITH_LOCK(&h->fs->lock);
	return h->read_refused;
}

static void flush_write(struct request *r, struct handle *h)
{
	uint64_t size = upload_written(h->upload);
	enum proc_answer dup;
	int err = 0;

	if (writer_done(h, &err)) {
		r->told = err < 0;
		(void)reply_err(r, err);
		return;
	}
	if (!writer_is_owner(h, r->tid)) {
		leave_pending(r, h);
		return;
	}
	dup = has_dup(h);
	if (dup == PROC_UNKNOWN && proc_was_killed(r->tid) && !upload_appends(h->upload)) {
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
		leave_pending(r, h);
		return;
	}
	wait_for(r, h, ENDED, /* sync= */ false);
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
		wait_for(&r, h, COMMITTED, /* sync= */ true);
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
