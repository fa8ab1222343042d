/* SPDX-License-Identifier: Apache-2.0 */

/*
 * UNLINK: DeleteObject at once.
 *
 *   find the name -> directory: EISDIR; only here or being written: EPERM;
 *                    closed and not yet uploaded: wait for that, again
 *   delete        -> failed: EACCES or EIO; done: the name is gone, and its
 *                    directories stay until rmdir
 *
 * Any loop thread; the steps of one unlink follow each other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fuse/find.h"
#include "fuse/handle.h"
#include "fuse/name.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"
#include "fuse/tree.h"
#include "fuse/writer.h"

struct unlink {
	struct request r;
	struct inode *dir; /* counted */
	struct find find;
	struct writer_wait wait;
	struct s3_delete_call del;
	char *key;
	char name[];
};

static void unlink_step(struct unlink *u, struct inode *found);

static void unlink_free(struct request *r)
{
	struct unlink *u = container_of(r, struct unlink, r);

	fs_unref(r->fs, u->dir);
	free(u->key);
	free(u);
}

static void unlink_end(struct unlink *u, int err)
{
	(void)reply_err(&u->r, err);
	request_unref(&u->r);
}

static void on_deleted(struct s3_call *c)
{
	struct unlink *u = container_of(c, struct unlink, del.call);
	struct fs *fs = u->r.fs;
	int err = resolve_errno(c->error.err);

	if (err < 0) {
		char why[512];

		s3_error_format(&c->error, why, sizeof(why));
		log_warn(LOG_FUSE, "delete of %s failed: %s", u->key, why);
		unlink_end(u, err);
		return;
	}
	{
		WITH_LOCK(&fs->lock);
		size_t len = strlen(u->name);
		struct inode *i = itable_child(&fs->table, u->dir, u->name, len);

		find_changed_locked(fs, u->dir, u->name, len);
		itable_keep(u->dir);
		if (i && !i->is_dir && i->state == INODE_REMOTE)
			itable_detach(&fs->table, i);
	}
	unlink_end(u, 0);
}

static void on_found(struct find *f)
{
	struct unlink *u = container_of(f, struct unlink, find);

	if (f->err < 0)
		unlink_end(u, f->err);
	else
		unlink_step(u, f->inode);
}

static void on_writer_ended(struct writer_wait *w, int err)
{
	struct unlink *u = container_of(w, struct unlink, wait);

	if (err < 0)
		unlink_end(u, err);
	else
		find_start(&u->find);
}

static int check_locked(struct fs *fs, struct unlink *u, struct inode *i, struct handle **pending)
{
	if (i->is_dir)
		return -EISDIR;
	if (i->writer && i->writer->state != WRITER_OPEN) {
		*pending = handle_ref(i->writer);
		return 0;
	}
	if (i->state != INODE_REMOTE || i->renaming)
		return -EPERM;
	return fs_child_key_locked(fs, u->dir, u->name, &u->key);
}

/* Takes over the caller's reference of `found`. */
static void unlink_step(struct unlink *u, struct inode *found)
{
	struct fs *fs = u->r.fs;
	struct handle *pending = NULL;
	int r;

	{
		WITH_LOCK(&fs->lock);
		r = check_locked(fs, u, found, &pending);
		itable_unref(&fs->table, found);
	}
	if (r < 0) {
		unlink_end(u, r);
	} else if (pending) {
		u->wait.done = on_writer_ended;
		writer_finish(pending, &u->wait);
		handle_unref(pending);
	} else {
		u->del = (struct s3_delete_call){.call.done = on_deleted, .key = u->key};
		s3_delete(fs->config.client, loop_current(), &u->del);
	}
}

/* *ret_known: the inode when the kernel's lookup has just made it known. */
static int unlink_new(struct request *r, uint64_t parent, const char *name, struct unlink **ret,
		      struct inode **ret_known)
{
	struct fs *fs = r->fs;
	size_t len = strlen(name);
	struct unlink *u;
	int err = name_check(name);

	if (err < 0)
		return err;
	if (!fs->config.allow_delete) {
		log_info(LOG_FUSE, "delete is refused: mount with --allow-delete to permit it");
		return -EPERM;
	}
	u = calloc(1, sizeof(*u) + len + 1);
	if (!u)
		return -ENOMEM;
	memcpy(u->name, name, len + 1);
	WITH_LOCK(&fs->lock);
	struct inode *dir = itable_get(&fs->table, parent);

	if (!dir || !dir->is_dir) {
		free(u);
		return dir ? -ENOTDIR : -ENOENT;
	}
	u->dir = inode_ref(dir);
	u->r = *r;
	u->r.name = u->name;
	u->r.free = unlink_free;
	list_init(&u->r.watch_node);
	u->find = (struct find){.fs = fs, .dir = dir, .name = u->name, .done = on_found};
	*ret_known = itable_child(&fs->table, dir, name, len);
	if (*ret_known)
		inode_ref(*ret_known);
	*ret = u;
	return 0;
}

void tree_unlink(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name)
{
	struct request r;
	struct unlink *u;
	struct inode *known;
	int err;

	request_init(&r, fs, req, "unlink", parent);
	r.name = name;
	err = unlink_new(&r, parent, name, &u, &known);
	if (err < 0) {
		(void)reply_err(&r, err);
		return;
	}
	request_watch(&u->r);
	if (known)
		unlink_step(u, known);
	else
		find_start(&u->find);
}
