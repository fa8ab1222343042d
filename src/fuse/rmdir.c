/* SPDX-License-Identifier: Apache-2.0 */

/*
 * RMDIR.
 *
 *   directory                                  answer
 *   missing / a file                           ENOENT / ENOTDIR
 *   has children that exist only here          ENOTEMPTY
 *   nothing of it on the server                removed
 *   on the server: only its marker object      the marker is deleted, removed;
 *                                              EPERM without --allow-delete
 *   on the server: objects below it            EPERM
 *
 * The question to the server is a LIST of "dir/" with two keys. One that was made
 * here is asked for, too: another client may have filled it. Any loop thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fuse/find.h"
#include "fuse/name.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"
#include "fuse/tree.h"

struct rmdir {
	struct request r;
	struct inode *dir;   /* counted */
	struct inode *child; /* counted, from `found` on */
	struct find find;
	struct s3_list_call list;
	struct s3_delete_call del;
	char *key; /* with its '/' */
	char name[];
};

static void rmdir_free(struct request *r)
{
	struct rmdir *d = container_of(r, struct rmdir, r);

	{
		WITH_LOCK(&r->fs->lock);
		if (d->child)
			itable_unref(&r->fs->table, d->child);
		itable_unref(&r->fs->table, d->dir);
	}
	free(d->key);
	free(d);
}

static void rmdir_end(struct rmdir *d, int err)
{
	(void)reply_err(&d->r, err);
	request_unref(&d->r);
}

static int remove_locked(struct fs *fs, struct rmdir *d)
{
	if (!list_empty(&d->child->dir->locals))
		return -ENOTEMPTY;
	find_changed_locked(fs, d->dir, d->name, strlen(d->name));
	d->child->keep = false;
	itable_keep(d->dir);
	/* `child` is still ours, so that this frees nothing */
	itable_set_state(&fs->table, d->child, INODE_REMOTE);
	itable_detach(&fs->table, d->child);
	return 0;
}

static void rmdir_remove(struct rmdir *d)
{
	struct fs *fs = d->r.fs;
	int err;

	{
		WITH_LOCK(&fs->lock);
		err = remove_locked(fs, d);
	}
	rmdir_end(d, err);
}

static bool failed(struct rmdir *d, const struct s3_call *c, const char *what)
{
	int err = resolve_errno(c->error.err);
	char why[512];

	if (err == 0)
		return false;
	s3_error_format(&c->error, why, sizeof(why));
	log_warn(LOG_FUSE, "%s of %s failed: %s", what, d->key, why);
	rmdir_end(d, err == -ENOENT ? -EIO : err);
	return true;
}

static void on_deleted(struct s3_call *c)
{
	struct rmdir *d = container_of(c, struct rmdir, del.call);

	if (!failed(d, c, "delete"))
		rmdir_remove(d);
}

static void on_list(struct s3_call *c)
{
	struct rmdir *d = container_of(c, struct rmdir, list.call);
	struct fs *fs = d->r.fs;
	struct s3_page *p = d->list.page;
	bool empty, marker;

	if (failed(d, c, "listing"))
		return;
	empty = p->count == 0 && p->dropped == 0;
	marker = p->count == 1 && p->dropped == 0 && strcmp(p->entries[0].key, d->key) == 0;
	s3_page_free(p);
	if (empty) {
		rmdir_remove(d);
	} else if (marker && fs->config.allow_delete) {
		d->del = (struct s3_delete_call){.call.done = on_deleted, .key = d->key};
		s3_delete(fs->config.client, loop_current(), &d->del);
	} else {
		{
			WITH_LOCK(&fs->lock);
			if (d->child->state == INODE_LOCAL)
				itable_set_state(&fs->table, d->child, INODE_REMOTE);
		}
		rmdir_end(d, -EPERM);
	}
}

/* 0: the server has to be asked. */
static int check_locked(struct fs *fs, struct rmdir *d)
{
	struct inode *i = d->child;

	if (!i->is_dir)
		return -ENOTDIR;
	if (!list_empty(&i->dir->locals))
		return -ENOTEMPTY;
	d->key = fs_key_locked(fs, i);
	return d->key ? 0 : -ENOMEM;
}

static void rmdir_step(struct rmdir *d)
{
	struct fs *fs = d->r.fs;
	int r;

	{
		WITH_LOCK(&fs->lock);
		r = check_locked(fs, d);
	}
	if (r < 0) {
		rmdir_end(d, r);
		return;
	}
	d->list = (struct s3_list_call){.call.done = on_list, .prefix = d->key, .max_keys = 2};
	s3_list(fs->config.client, loop_current(), &d->list);
}

static void on_found(struct find *f)
{
	struct rmdir *d = container_of(f, struct rmdir, find);

	if (f->err < 0) {
		rmdir_end(d, f->err);
		return;
	}
	d->child = f->inode;
	rmdir_step(d);
}

static int rmdir_new(struct request *r, uint64_t parent, const char *name, struct rmdir **ret)
{
	struct fs *fs = r->fs;
	size_t len = strlen(name);
	int err = name_check(name);
	struct rmdir *d;

	if (err < 0)
		return err;
	d = calloc(1, sizeof(*d) + len + 1);
	if (!d)
		return -ENOMEM;
	memcpy(d->name, name, len + 1);
	WITH_LOCK(&fs->lock);
	struct inode *dir = itable_get(&fs->table, parent);

	if (!dir || !dir->is_dir) {
		free(d);
		return dir ? -ENOTDIR : -ENOENT;
	}
	d->dir = inode_ref(dir);
	d->r = *r;
	d->r.name = d->name;
	d->r.free = rmdir_free;
	list_init(&d->r.watch_node);
	d->find = (struct find){.fs = fs, .dir = dir, .name = d->name, .done = on_found};
	d->child = itable_child(&fs->table, dir, name, len);
	if (d->child)
		inode_ref(d->child);
	*ret = d;
	return 0;
}

void tree_rmdir(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name)
{
	struct request r;
	struct rmdir *d;
	int err;

	request_init(&r, fs, req, "rmdir", parent);
	r.name = name;
	err = rmdir_new(&r, parent, name, &d);
	if (err < 0) {
		(void)reply_err(&r, err);
		return;
	}
	request_watch(&d->r);
	if (d->child)
		rmdir_step(d);
	else
		find_start(&d->find);
}
