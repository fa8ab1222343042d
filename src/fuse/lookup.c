/* SPDX-License-Identifier: Apache-2.0 */

/*
 * LOOKUP: answered on the spot when memory knows (find.h), else a heap object
 * that waits for the server. A positive answer is one kernel reference; when the
 * kernel does not take it, the reference is given back. What an open may need along
 * with the name comes beside (peek.h); a file is answered when both are there. Any
 * loop thread.
 */
#include "fuse/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fuse/attr.h"
#include "fuse/find.h"
#include "fuse/making.h"
#include "fuse/name.h"
#include "fuse/peek.h"
#include "fuse/proc.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"

struct lookup {
	struct request r;
	struct find find;
	struct peek peek;
	_Atomic unsigned pending; /* find; and peek, or who may start one: the last one ends it */
	bool answered;		  /* the find alone told enough */
	char name[];
};

static void lookup_free(struct request *r)
{
	free(container_of(r, struct lookup, r));
}

void lookup_undo(struct fs *fs, uint64_t ino)
{
	WITH_LOCK(&fs->lock);
	struct inode *i = itable_get(&fs->table, ino);

	if (i)
		itable_forget(&fs->table, i, 1);
}

static void answer(struct request *r, int err, const struct fuse_entry_param *e)
{
	if (err < 0)
		(void)reply_err(r, err);
	else if (reply_entry(r, e) < 0)
		lookup_undo(r->fs, e->ino);
}

static void answer_found(struct lookup *l)
{
	struct find *f = &l->find;
	struct fs *fs = f->fs;
	struct fuse_entry_param e;

	{
		WITH_LOCK(&fs->lock);
		if (f->err == 0) {
			f->inode->nlookup++;
			attr_entry_locked(fs, f->inode, &e);
			itable_unref(&fs->table, f->inode);
		}
		itable_unref(&fs->table, f->dir);
	}
	answer(&l->r, f->err, &e);
	l->answered = true;
}

static void part_ended(struct lookup *l)
{
	if (atomic_fetch_sub(&l->pending, 1) > 1)
		return;
	if (!l->answered) {
		peek_tell(&l->peek, l->find.inode, l->r.tid);
		answer_found(l);
	}
	peek_fini(&l->peek);
	request_unref(&l->r);
}

static void on_found(struct find *f)
{
	struct lookup *l = container_of(f, struct lookup, find);

	if (f->err < 0 || f->inode->is_dir)
		answer_found(l);
	part_ended(l);
}

static void on_peeked(struct peek *p)
{
	part_ended(container_of(p, struct lookup, peek));
}

static void lookup_wait(struct request *stack, struct inode *dir, const char *name)
{
	size_t len = strlen(name);
	struct lookup *l = malloc(sizeof(*l) + len + 1);

	if (!l) {
		fs_unref(stack->fs, dir);
		(void)reply_err(stack, -ENOMEM);
		return;
	}
	*l = (struct lookup){
		.r = *stack,
		.find = {.fs = stack->fs, .dir = dir, .name = l->name, .done = on_found},
		.pending = 2,
	};
	l->r.free = lookup_free;
	list_init(&l->r.watch_node);
	memcpy(l->name, name, len + 1);
	request_watch(&l->r);
	find_start(&l->find);
	/* now the caller is asleep, and can be seen to be in open(2) */
	if (atomic_load(&l->pending) == 1 ||
	    !peek_start(&l->peek, l->r.fs, l->r.ino, l->name, l->r.tid, on_peeked))
		part_ended(l);
}

/* -EAGAIN: the server has to be asked, unless the caller makes the name and it was `*ret_told`. */
static int lookup_now_locked(struct fs *fs, uint64_t parent, const char *name,
			     struct fuse_entry_param *e, struct inode **ret_dir, bool *ret_told)
{
	struct inode *dir = itable_get(&fs->table, parent), *i;
	int r;

	if (!dir)
		return -ESTALE;
	if (!dir->is_dir)
		return -ENOTDIR;
	if (!dir->attached)
		return -ENOENT;
	r = find_cached_locked(fs, dir, name, clock_now(), &i);
	if (r == 0) {
		i->nlookup++;
		attr_entry_locked(fs, i, e);
	} else if (r == -EAGAIN) {
		*ret_dir = inode_ref(dir);
		*ret_told = find_told_missing_locked(fs, dir, name);
	} else if (r == -ENOENT) {
		making_missed(dir->dir);
	}
	return r;
}

static void take_as_missing(struct fs *fs, struct inode *dir)
{
	WITH_LOCK(&fs->lock);
	making_missed(dir->dir);
	itable_unref(&fs->table, dir);
}

void lookup_name(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name)
{
	struct request r;
	struct fuse_entry_param e;
	struct inode *dir = NULL;
	bool told = false;
	int err = name_check(name);

	request_init(&r, fs, req, "lookup", parent);
	if (err == 0) {
		WITH_LOCK(&fs->lock);
		err = lookup_now_locked(fs, parent, name, &e, &dir, &told);
	}
	listing_start(fs);
	if (told && proc_may_create(r.tid)) {
		take_as_missing(fs, dir);
		err = -ENOENT;
	}
	if (err == -EAGAIN)
		lookup_wait(&r, dir, name);
	else
		answer(&r, err, &e);
}

void lookup_forget(struct fs *fs, fuse_req_t req, uint64_t ino, uint64_t nlookup)
{
	struct fuse_forget_data one = {.ino = ino, .nlookup = nlookup};

	lookup_forget_multi(fs, req, 1, &one);
}

void lookup_forget_multi(struct fs *fs, fuse_req_t req, size_t count,
			 const struct fuse_forget_data *forgets)
{
	struct request r;

	request_init(&r, fs, req, "forget", 0);
	{
		WITH_LOCK(&fs->lock);
		for (size_t k = 0; k < count; k++) {
			struct inode *i = itable_get(&fs->table, forgets[k].ino);

			if (i)
				itable_forget(&fs->table, i, forgets[k].nlookup);
		}
	}
	reply_none(&r);
}
