/* SPDX-License-Identifier: Apache-2.0 */

/*
 * States of a write handle (enum writer_state):
 *
 *   OPEN       write                   OPEN
 *   OPEN       owner closes, has data  FINISHING (its close waits)
 *   OPEN       other close, or empty   PENDING
 *   PENDING    write through a dup     OPEN
 *   PENDING    release, next open      FINISHING
 *   FINISHING  upload done             DONE, inode is remote with the new version
 *   any        upload failed           DONE with the error; a new file's name is
 *                                      gone, an old object is asked for anew
 *
 * A file that is appended to is committed where another is left pending or, by
 * fsync, finished.
 *
 * FINISHING and DONE never go back: a later write gets EIO or the error. The
 * upload is told to finish once; all who wait are on h->waiters.
 */
#include "fuse/writer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fuse/find.h"
#include "fuse/handle.h"
#include "fuse/proc.h"
#include "fuse/state.h"

static void on_finished(struct upload_finish *f);

int writer_open_locked(struct fs *fs, struct inode *i, pid_t tid, bool goes_on, struct handle **ret)
{
	struct handle *h;
	struct list *n;
	int r;

	assert(!i->writer && !i->is_dir);
	r = handle_new_locked(fs, i, /* write= */ true, &h);
	if (r < 0)
		return r;
	h->tid = tid;
	h->finish.done = on_finished;
	i->existed = i->state == INODE_REMOTE;
	i->writer = h;
	h->old_size = i->size;
	h->goes_on = goes_on;
	if (!goes_on)
		i->size = 0;
	itable_set_state(&fs->table, i, INODE_WRITING);
	fs->uploading++;
	list_for_each (n, &fs->handles) {
		struct handle *reader = list_entry(n, struct handle, node);

		if (reader->inode == i && !reader->write)
			reader->invalid = true;
	}
	*ret = h;
	return 0;
}

int writer_start(struct handle *h, const struct upload_base *base)
{
	struct fs *fs = h->fs;
	char *key = fs_key(fs, h->inode);
	int r;

	if (!key)
		return -ENOMEM;
	if (proc_tgid(h->tid, &h->tgid) < 0)
		h->tgid = 0;
	if (fs->appends)
		r = upload_append_new(fs->uploads, key, base, &h->upload);
	else
		r = upload_new(fs->uploads, key, &h->upload);
	free(key);
	if (r == 0 && h->inode->existed)
		upload_may_replace(h->upload);
	return r;
}

bool writer_is_owner(const struct handle *h, pid_t tid)
{
	pid_t tgid;

	if (tid == h->tid)
		return true;
	if (proc_tgid(tid, &tgid) < 0)
		return false;
	return tgid == h->tgid;
}

static void succeeded_locked(struct fs *fs, struct inode *i, const struct s3_object *o)
{
	int64_t now = o->mtime > 0 ? o->mtime : clock_wall();
	int64_t mtime = i->times_set ? i->mtime : now;
	int64_t atime = i->times_set ? i->atime : now;

	if (inode_set_object(i, o) < 0) {
		/* without its ETag it cannot be read: ask for it anew */
		i->expires = 0;
		free(i->etag);
		i->etag = NULL;
	} else {
		i->expires = fs_expiry(fs);
	}
	i->mtime = mtime;
	i->atime = atime;
	i->blank = i->size == 0;
	i->archived = false;
	i->told = clock_now();
	itable_set_state(&fs->table, i, INODE_REMOTE);
	if (i->attached) {
		itable_ancestors_remote(&fs->table, i->parent);
		itable_confirm(i->parent, i->expires);
	}
}

static void failed_locked(struct fs *fs, struct inode *i, uint64_t old_size)
{
	i->expires = 0;
	i->size = old_size;
	if (i->existed)
		itable_set_state(&fs->table, i, INODE_REMOTE);
	else
		itable_detach(&fs->table, i); /* the handle holds it */
}

/* The one way into WRITER_DONE. Returns false when it was there already. */
static bool settle(struct handle *h, int err, const struct s3_object *o)
{
	struct fs *fs = h->fs;
	struct inode *i = h->inode;
	struct list waiters = LIST_INIT(waiters);
	struct list *n;

	{
		WITH_LOCK(&fs->lock);
		if (h->state == WRITER_DONE)
			return false;
		h->state = WRITER_DONE;
		h->err = err;
		list_splice(&waiters, &h->waiters);
		if (i->parent)
			find_changed_locked(fs, i->parent, i->name, i->name_len);
		if (i->writer == h) {
			i->writer = NULL;
			if (err == 0 && o)
				succeeded_locked(fs, i, o);
			else
				failed_locked(fs, i, h->old_size);
			i->times_set = false;
		}
		fs->uploading--;
		fs->uploads_lost += err != 0;
	}
	fs_poke(fs);
	while ((n = list_pop(&waiters))) {
		struct writer_wait *w = list_entry(n, struct writer_wait, node);

		w->done(w, err);
	}
	return true;
}

static void on_finished(struct upload_finish *f)
{
	struct handle *h = container_of(f, struct handle, finish);

	(void)settle(h, f->err, &f->object);
	handle_unref(h);
}

void writer_finish(struct handle *h, struct writer_wait *w)
{
	struct fs *fs = h->fs;
	bool start = false, done;
	int err;

	{
		WITH_LOCK(&fs->lock);
		done = h->state == WRITER_DONE;
		err = h->err;
		if (!done) {
			start = h->state != WRITER_FINISHING;
			h->state = WRITER_FINISHING;
			if (w)
				list_append(&h->waiters, &w->node);
		}
	}
	if (start)
		upload_finish(handle_ref(h)->upload, &h->finish);
	if (done && w)
		w->done(w, err);
}

static void on_committed(struct upload_finish *f)
{
	struct writer_wait *w = container_of(f, struct writer_wait, commit);
	struct handle *h = w->handle;
	int err = f->err;

	if (err < 0)
		writer_fail(h, err);
	w->done(w, err);
	handle_unref(h);
}

void writer_commit(struct handle *h, struct writer_wait *w)
{
	bool open;

	{
		WITH_LOCK(&h->fs->lock);
		open = h->state == WRITER_OPEN || h->state == WRITER_PENDING;
	}
	if (!open || !upload_appends(h->upload)) {
		writer_finish(h, w);
		return;
	}
	w->handle = handle_ref(h);
	w->commit = (struct upload_finish){.done = on_committed};
	upload_commit(h->upload, &w->commit);
}

void writer_fail(struct handle *h, int err)
{
	if (!settle(h, err, NULL))
		return;
	if (h->upload)
		upload_abort(h->upload, err);
}

void writer_pending(struct handle *h)
{
	WITH_LOCK(&h->fs->lock);
	if (h->state == WRITER_OPEN)
		h->state = WRITER_PENDING;
}

bool writer_done(struct handle *h, int *ret_err)
{
	WITH_LOCK(&h->fs->lock);
	if (h->state != WRITER_DONE)
		return false;
	*ret_err = h->err;
	return true;
}
