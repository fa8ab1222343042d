/* SPDX-License-Identifier: Apache-2.0 */

/*
 * RENAME. S3 has none for general purpose buckets: EXDEV makes mv, rsync and the
 * like copy and delete, and no request is sent. In a directory bucket:
 *
 *   source missing / a directory                        ENOENT / EPERM
 *   source only here, being written, closed and not
 *   yet uploaded                                        EPERM
 *   its upload is about to end                          wait for that, again
 *   destination there and not to be replaced            EEXIST
 *   destination being written, or a directory           EPERM, EISDIR
 *   else RenameObject: done, the inode goes on under the new name
 *        failed                                         its error; both names are
 *                                                       asked anew
 *
 * That the server has no RenameObject is remembered as long as the mount lives.
 * While the request runs both inodes are marked `renaming`: no writer may open
 * them, and what the server says of their names meanwhile is not believed. The
 * kernel has just looked both names up. Any loop thread; the steps of one rename
 * follow each other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fuse/find.h"
#include "fuse/handle.h"
#include "fuse/name.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"
#include "fuse/tree.h"
#include "fuse/writer.h"

struct rename {
	struct request r;
	struct inode *dir, *new_dir; /* counted */
	struct inode *source;	     /* counted, NULL until found */
	struct inode *target;	     /* counted, what will be replaced */
	bool replace;		     /* an object of the new name */
	struct find find;
	struct writer_wait wait;
	struct s3_rename_call call;
	char *key, *new_key;
	const char *new_name; /* behind `name` */
	char name[];
};

static void rename_step(struct rename *n);

static void rename_free(struct request *r)
{
	struct rename *n = container_of(r, struct rename, r);
	struct inode *held[] = {n->source, n->target, n->dir, n->new_dir};

	{
		WITH_LOCK(&r->fs->lock);
		for (size_t i = 0; i < ARRAY_SIZE(held); i++) {
			if (held[i])
				itable_unref(&r->fs->table, held[i]);
		}
	}
	free(n->key);
	free(n->new_key);
	free(n);
}

static void rename_end(struct rename *n, int err)
{
	(void)reply_err(&n->r, err);
	request_unref(&n->r);
}

static void mark_locked(struct rename *n, bool renaming)
{
	n->source->renaming = renaming;
	if (n->target)
		n->target->renaming = renaming;
}

/* Neither listings nor lookups in flight know the names any more. */
static void names_changed_locked(struct fs *fs, struct rename *n)
{
	find_changed_locked(fs, n->dir, n->name, strlen(n->name));
	find_changed_locked(fs, n->new_dir, n->new_name, strlen(n->new_name));
}

/* What a caller that was killed left behind may be in the way: then the source just goes. */
static void moved_locked(struct fs *fs, struct rename *n)
{
	size_t len = strlen(n->new_name);
	struct inode *i = n->source;
	struct inode *there = itable_child(&fs->table, n->new_dir, n->new_name, len);

	names_changed_locked(fs, n);
	itable_keep(n->dir);
	if (there && there == n->target) {
		itable_detach(&fs->table, there);
		there = NULL;
	}
	if (!i->attached)
		return;
	if (there || !n->new_dir->attached) {
		itable_detach(&fs->table, i);
		return;
	}
	/* what is known of the object is as old as before */
	if (itable_move(&fs->table, i, n->new_dir, n->new_name, len) < 0)
		return;
	i->told = clock_now();
	itable_ancestors_remote(&fs->table, n->new_dir);
	itable_confirm(n->new_dir, fs_expiry(fs));
}

static void failed_locked(struct fs *fs, struct rename *n)
{
	names_changed_locked(fs, n);
	n->source->expires = 0;
	if (n->target)
		n->target->expires = 0;
}

static void log_failure(const struct rename *n, const struct s3_error *e)
{
	char why[512];

	if (e->err == -ENOSYS) {
		log_warn(LOG_FUSE, "the server does not rename objects: rename answers ENOSYS "
				   "from now on");
		return;
	}
	if (e->err == -EEXIST || e->err == -ENOENT)
		return;
	s3_error_format(e, why, sizeof(why));
	log_warn(LOG_FUSE, "rename of %s to %s failed: %s", n->key, n->new_key, why);
}

static int rename_errno(const struct s3_error *e)
{
	if (e->cls == S3_FORBIDDEN)
		return -EACCES;
	switch (e->err) {
	case -ENOSYS:
	case -EEXIST:
	case -ENAMETOOLONG:
		return e->err;
	default:
		return resolve_errno(e->err);
	}
}

static void on_renamed(struct s3_call *c)
{
	struct rename *n = container_of(c, struct rename, call.call);
	struct fs *fs = n->r.fs;
	int err = rename_errno(&c->error);

	if (err < 0)
		log_failure(n, &c->error);
	if (err == -ENOSYS)
		atomic_store(&fs->no_rename, true);
	{
		WITH_LOCK(&fs->lock);
		mark_locked(n, false);
		if (err == 0)
			moved_locked(fs, n);
		else
			failed_locked(fs, n);
	}
	rename_end(n, err);
}

static void send_rename(struct rename *n)
{
	n->call = (struct s3_rename_call){
		.call.done = on_renamed,
		.source = n->key,
		.key = n->new_key,
		.if_none_match = !n->replace,
	};
	s3_rename(n->r.fs->config.client, loop_current(), &n->call);
}

static void on_writer_ended(struct writer_wait *w, int err)
{
	(void)err; /* the inodes say what became of it */
	rename_step(container_of(w, struct rename, wait));
}

/* -EAGAIN: its upload is about to end, wait for *pending. */
static int busy_locked(const struct inode *i, struct handle **pending)
{
	if (i->writer && i->writer->state == WRITER_FINISHING) {
		*pending = handle_ref(i->writer);
		return -EAGAIN;
	}
	return i->state != INODE_REMOTE || i->renaming ? -EPERM : 0;
}

static int check_locked(struct fs *fs, struct rename *n, struct handle **pending)
{
	struct inode *i = n->source, *there;
	int r;

	if (itable_child(&fs->table, n->dir, n->name, strlen(n->name)) != i ||
	    !n->new_dir->attached)
		return -ENOENT;
	if (i->is_dir)
		return -EPERM;
	r = busy_locked(i, pending);
	if (r < 0)
		return r;
	there = itable_child(&fs->table, n->new_dir, n->new_name, strlen(n->new_name));
	if (there == i)
		return -EINVAL; /* the kernel never asks for it */
	if (there && !n->replace)
		return -EEXIST;
	if (there && there->is_dir)
		return -EISDIR;
	r = there ? busy_locked(there, pending) : 0;
	if (r < 0)
		return r;
	r = fs_child_key_locked(fs, n->dir, n->name, &n->key);
	if (r == 0)
		r = fs_child_key_locked(fs, n->new_dir, n->new_name, &n->new_key);
	if (r < 0)
		return r;
	n->target = there ? inode_ref(there) : NULL;
	mark_locked(n, true);
	return 0;
}

static void rename_step(struct rename *n)
{
	struct fs *fs = n->r.fs;
	struct handle *pending = NULL;
	int r;

	{
		WITH_LOCK(&fs->lock);
		r = check_locked(fs, n, &pending);
	}
	if (pending) {
		n->wait.done = on_writer_ended;
		writer_finish(pending, &n->wait);
		handle_unref(pending);
	} else if (r < 0) {
		rename_end(n, r);
	} else {
		send_rename(n);
	}
}

static void on_found(struct find *f)
{
	struct rename *n = container_of(f, struct rename, find);

	n->source = f->inode;
	if (f->err < 0)
		rename_end(n, f->err);
	else
		rename_step(n);
}

static int rename_new(struct request *r, uint64_t parent, const char *name, uint64_t new_parent,
		      const char *new_name, bool replace, struct rename **ret)
{
	struct fs *fs = r->fs;
	size_t len = strlen(name), new_len = strlen(new_name);
	int err = name_check(name);
	struct inode *dir, *new_dir, *i;
	struct rename *n;

	if (err == 0)
		err = name_check(new_name);
	if (err < 0)
		return err;
	n = calloc(1, sizeof(*n) + len + new_len + 2);
	if (!n)
		return -ENOMEM;
	memcpy(n->name, name, len + 1);
	n->new_name = memcpy(n->name + len + 1, new_name, new_len + 1);
	n->replace = replace;
	WITH_LOCK(&fs->lock);
	dir = itable_get(&fs->table, parent);
	new_dir = itable_get(&fs->table, new_parent);
	if (!dir || !new_dir || !dir->is_dir || !new_dir->is_dir) {
		free(n);
		return dir && new_dir ? -ENOTDIR : -ENOENT;
	}
	n->dir = inode_ref(dir);
	n->new_dir = inode_ref(new_dir);
	n->r = *r;
	n->r.name = n->name;
	n->r.free = rename_free;
	list_init(&n->r.watch_node);
	n->find = (struct find){.fs = fs, .dir = dir, .name = n->name, .done = on_found};
	i = itable_child(&fs->table, dir, name, len);
	n->source = i ? inode_ref(i) : NULL;
	*ret = n;
	return 0;
}

/* A general purpose bucket: the answer is in memory. */
static int refuse_locked(struct fs *fs, uint64_t parent, const char *name, uint64_t new_parent,
			 const char *new_name, unsigned flags)
{
	struct inode *dir = itable_get(&fs->table, parent);
	struct inode *new_dir = itable_get(&fs->table, new_parent), *i;

	if (!dir || !new_dir)
		return -ENOENT;
	i = itable_child(&fs->table, dir, name, strlen(name));
	if (!i)
		return -ENOENT;
	if ((flags & RENAME_NOREPLACE) &&
	    itable_child(&fs->table, new_dir, new_name, strlen(new_name)))
		return -EEXIST;
	if (i->writer && i->writer->state == WRITER_OPEN)
		return -EPERM;
	return -EXDEV;
}

void tree_rename(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name,
		 uint64_t new_parent, const char *new_name, unsigned flags)
{
	bool replace = fs->config.allow_overwrite && !(flags & RENAME_NOREPLACE);
	struct rename *n = NULL;
	struct request r;
	int err;

	request_init(&r, fs, req, "rename", parent);
	r.name = name;
	if (flags & (RENAME_EXCHANGE | RENAME_WHITEOUT)) {
		err = -EINVAL;
	} else if (!fs->directory) {
		WITH_LOCK(&fs->lock);
		err = refuse_locked(fs, parent, name, new_parent, new_name, flags);
	} else if (atomic_load(&fs->no_rename)) {
		err = -ENOSYS;
	} else {
		err = rename_new(&r, parent, name, new_parent, new_name, replace, &n);
	}
	if (!n) {
		(void)reply_err(&r, err);
		return;
	}
	request_watch(&n->r);
	if (n->source)
		rename_step(n);
	else
		find_start(&n->find);
}
