/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Attributes. S3 knows size and time of an object; owner and mode come from the
 * configuration, a directory's time is that of the mount. What is set on an
 * object that is on the server is accepted and not kept; on one being written
 * the time is shown until the upload is done. Any loop thread.
 */
#include "fuse/attr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fuse/find.h"
#include "fuse/handle.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"

#define BLOCK 512
#define SET_TIMES                                                              \
	(FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_ATIME | \
	 FUSE_SET_ATTR_ATIME_NOW)
/* 4 PiB free: room for any program, and no sum of bytes leaves 63 bits. */
#define STATFS_BLOCK  4096
#define STATFS_BLOCKS ((fsblkcnt_t)1 << 40)
#define STATFS_FILES  ((fsfilcnt_t)1 << 40)
#define STATFS_NAME   255

struct getattr {
	struct request r;
	struct find find;
	struct inode *inode; /* the one asked for */
	char name[];
};

void attr_fill_locked(const struct fs *fs, const struct inode *i, struct stat *ret)
{
	const struct fs_config *c = &fs->config;

	*ret = (struct stat){
		.st_ino = i->ino,
		.st_uid = c->uid,
		.st_gid = c->gid,
		.st_nlink = i->is_dir ? 2 : 1,
		.st_blksize = 4096,
		.st_mode = i->is_dir ? S_IFDIR | c->dir_mode : S_IFREG | c->file_mode,
		.st_mtime = i->mtime,
		.st_atime = i->atime,
		.st_ctime = i->mtime,
	};
	if (i->is_dir)
		return;
	if (i->archived && i->state == INODE_REMOTE)
		ret->st_mode = S_IFREG;
	ret->st_size = (off_t)i->size;
	ret->st_blocks = (blkcnt_t)((i->size + BLOCK - 1) / BLOCK);
}

double attr_timeout(uint64_t expires, uint64_t now)
{
	/* the kernel turns it into jiffies: a century is long enough, and fits */
	const double longest = 100.0 * 365 * 86400;
	double s;

	if (expires <= now)
		return 0;
	s = (double)(expires - now) / (double)NSEC_PER_SEC;
	return s < longest ? s : longest;
}

void attr_entry_locked(const struct fs *fs, const struct inode *i, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){.ino = i->ino};
	attr_fill_locked(fs, i, &ret->attr);
	ret->entry_timeout = ret->attr_timeout = attr_timeout(i->expires, clock_now());
}

static void getattr_free(struct request *r)
{
	free(container_of(r, struct getattr, r));
}

/* It got another name while the server was asked for the old one. */
static bool renamed_locked(const struct getattr *g)
{
	const struct inode *i = g->inode;

	return i->attached && (i->parent != g->find.dir || strcmp(i->name, g->name) != 0);
}

static void on_found(struct find *f)
{
	struct getattr *g = container_of(f, struct getattr, find);
	struct fs *fs = f->fs;
	struct stat st;
	double timeout = 0;
	int err = f->err;

	{
		WITH_LOCK(&fs->lock);
		if (renamed_locked(g))
			err = 0;
		else if (err == 0 && f->inode != g->inode)
			err = -ESTALE;
		if (err == 0) {
			attr_fill_locked(fs, g->inode, &st);
			timeout = attr_timeout(g->inode->expires, clock_now());
		}
		if (f->inode)
			itable_unref(&fs->table, f->inode);
		itable_unref(&fs->table, f->dir);
		itable_unref(&fs->table, g->inode);
	}
	if (err < 0)
		(void)reply_err(&g->r, err);
	else
		(void)reply_attr(&g->r, &st, timeout);
	request_unref(&g->r);
}

/* Asks by name; *ret was filled and all references taken with the lock held. */
static int getattr_new_locked(struct fs *fs, struct inode *i, struct getattr **ret)
{
	struct getattr *g = malloc(sizeof(*g) + i->name_len + 1U);

	if (!g)
		return -ENOMEM;
	memcpy(g->name, i->name, i->name_len + 1U);
	g->inode = inode_ref(i);
	g->find = (struct find){
		.fs = fs, .dir = inode_ref(i->parent), .name = g->name, .done = on_found};
	*ret = g;
	return 0;
}

/*
 * 0: `st` is the answer. An open file keeps the version it was opened with, and
 * an open directory or something made here is what it is: no question needed.
 */
static int getattr_now_locked(struct fs *fs, struct inode *i, uint64_t now, struct stat *st,
			      double *timeout)
{
	bool ours = i->state != INODE_REMOTE && i->attached;
	bool open = i->opens > 0 || i->writer || (i->dir && i->dir->handles > 0);

	if (ours && i->expires <= now)
		i->expires = fs_expiry(fs);
	if (!open && !i->attached)
		return -ESTALE;
	if (!open && i->expires <= now)
		return -EAGAIN;
	attr_fill_locked(fs, i, st);
	*timeout = attr_timeout(i->expires > now ? i->expires : fs_expiry(fs), now);
	return 0;
}

void attr_get(struct fs *fs, fuse_req_t req, uint64_t ino)
{
	struct request r;
	struct getattr *g = NULL;
	struct stat st;
	double timeout = 0;
	int err;

	request_init(&r, fs, req, "getattr", ino);
	{
		WITH_LOCK(&fs->lock);
		struct inode *i = itable_get(&fs->table, ino);

		err = i ? getattr_now_locked(fs, i, clock_now(), &st, &timeout) : -ESTALE;
		if (err == -EAGAIN && getattr_new_locked(fs, i, &g) < 0)
			err = -ENOMEM;
	}
	if (err == 0) {
		(void)reply_attr(&r, &st, timeout);
	} else if (!g) {
		(void)reply_err(&r, err);
	} else {
		g->r = r;
		g->r.free = getattr_free;
		list_init(&g->r.watch_node);
		request_watch(&g->r);
		find_start(&g->find);
	}
}

static void set_times_locked(struct inode *i, const struct stat *want, int to_set)
{
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		i->mtime = clock_wall();
	else if (to_set & FUSE_SET_ATTR_MTIME)
		i->mtime = want->st_mtime;
	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		i->atime = clock_wall();
	else if (to_set & FUSE_SET_ATTR_ATIME)
		i->atime = want->st_atime;
	if (to_set & SET_TIMES)
		i->times_set = true;
}

static int set_locked(const struct fs *fs, struct inode *i, const struct stat *want, int to_set)
{
	if (to_set & FUSE_SET_ATTR_SIZE) {
		if (i->is_dir)
			return -EISDIR;
		if ((i->state == INODE_REMOTE || (i->writer && i->writer->goes_on)) &&
		    (uint64_t)want->st_size != i->size)
			return -EPERM;
	}
	if (i->state == INODE_REMOTE) /* nothing of it can be kept: no harm, or an error */
		return fs->config.strict_metadata ? -EPERM : 0;
	set_times_locked(i, want, to_set);
	return 0;
}

/* A file that its writer has closed is an object, though the upload may still be under way. */
static bool size_is_final_locked(const struct inode *i)
{
	return i->writer && i->writer->state != WRITER_OPEN;
}

void attr_set(struct fs *fs, fuse_req_t req, uint64_t ino, const struct stat *want, int to_set,
	      bool by_handle)
{
	struct request r;
	struct stat st;
	double timeout = 0;
	int err = -ESTALE;

	request_init(&r, fs, req, "setattr", ino);
	{
		WITH_LOCK(&fs->lock);
		struct inode *i = itable_get(&fs->table, ino);

		if (i && to_set & FUSE_SET_ATTR_SIZE && !by_handle && size_is_final_locked(i) &&
		    (uint64_t)want->st_size != i->size) {
			err = -EPERM;
		} else if (i) {
			err = set_locked(fs, i, want, to_set);
			attr_fill_locked(fs, i, &st);
			timeout = attr_timeout(i->expires, clock_now());
		}
	}
	if (err == -EPERM && to_set & FUSE_SET_ATTR_SIZE)
		log_info(LOG_FUSE, "truncate of an existing object is refused: open it with "
				   "O_TRUNC and mount with --allow-overwrite");
	if (err < 0)
		(void)reply_err(&r, err);
	else
		(void)reply_attr(&r, &st, timeout);
}

void attr_statfs(struct fs *fs, fuse_req_t req, uint64_t ino)
{
	struct request r;
	const struct statvfs st = {
		.f_bsize = STATFS_BLOCK,
		.f_frsize = STATFS_BLOCK,
		.f_blocks = STATFS_BLOCKS,
		.f_bfree = STATFS_BLOCKS,
		.f_bavail = STATFS_BLOCKS,
		.f_files = STATFS_FILES,
		.f_ffree = STATFS_FILES,
		.f_favail = STATFS_FILES,
		.f_namemax = STATFS_NAME,
	};

	request_init(&r, fs, req, "statfs", ino);
	(void)reply_statfs(&r, &st);
}
