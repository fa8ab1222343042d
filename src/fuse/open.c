/* SPDX-License-Identifier: Apache-2.0 */

/*
 * OPEN. Reading: the version known for the inode is opened; unless it may be
 * trusted, its first GET (prefetch) is at the same time the question whether it
 * is still the current one. If not, ESTALE makes the kernel look the name up
 * again and open what it finds. Writing: only a new file, an object that is to be
 * replaced (--allow-overwrite and O_TRUNC), or one that is appended to
 * (--incremental-upload, not O_TRUNC); this one is asked for with HEAD, since the
 * kernel must know where it ends. So is one that was made here, is empty, and is
 * written only now (mktemp, then >): it has nothing to lose, if it still is. A file created for
 * reading only (flock(1), lock files) has nobody to write it: its empty object is uploaded at once
 * and then opened like any other.
 *
 *   file is now        read                       write
 *   nothing open       opens                      by the rules
 *   readers active     opens                      EPERM
 *   writer active      EPERM                      EPERM
 *   writer closed,     the upload is finished     the same
 *   upload pending     first, then from the top
 *
 * Any loop thread; the steps of one open follow each other.
 */
#include "fuse/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fuse/attr.h"
#include "fuse/fileahead.h"
#include "fuse/find.h"
#include "fuse/handle.h"
#include "fuse/lookup.h"
#include "fuse/making.h"
#include "fuse/name.h"
#include "fuse/peek.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"
#include "fuse/writer.h"

#define DIRECT_AUTO_MIN ((uint64_t)1024 * 1024)

struct open {
	struct request r;
	struct inode *inode; /* counted */
	int flags;
	bool created; /* the answer is CREATE's */
	bool blank;   /* replaces an object without data */
	struct handle *handle;
	struct pf_open pf;
	char *key, *etag;
	struct s3_head_call head; /* of what is appended to */
	struct writer_wait wait;
};

static void open_step(struct open *o);

static void open_free(struct request *r)
{
	struct open *o = container_of(r, struct open, r);

	free(o->key);
	free(o->etag);
	free(o);
}

static int reply_created(struct open *o, const struct fuse_file_info *fi)
{
	struct fs *fs = o->r.fs;
	struct fuse_entry_param e;
	int r;

	{
		WITH_LOCK(&fs->lock);
		o->inode->nlookup++;
		attr_entry_locked(fs, o->inode, &e);
	}
	r = reply_create(&o->r, &e, fi);
	if (r < 0)
		lookup_undo(fs, e.ino);
	return r;
}

/* Ends the open: the handle goes to the kernel, or away. */
static void open_end(struct open *o, int err, struct fuse_file_info *fi)
{
	struct fs *fs = o->r.fs;
	int r;

	if (err < 0) {
		(void)reply_err(&o->r, err);
		if (o->handle)
			handle_unref(o->handle);
	} else {
		fi->fh = (uintptr_t)o->handle;
		r = o->created ? reply_created(o, fi) : reply_open(&o->r, fi);
		/* nobody got it, so that nobody will release it */
		if (r < 0 && o->handle->write)
			writer_fail(o->handle, -EIO);
		if (r < 0)
			handle_unref(o->handle);
	}
	fs_unref(fs, o->inode);
	request_unref(&o->r);
}

static void on_writer_ended(struct writer_wait *w, int err)
{
	(void)err; /* the inode says what became of it */
	open_step(container_of(w, struct open, wait));
}

static bool reads_only(int flags)
{
	return (flags & O_ACCMODE) == O_RDONLY;
}

static bool is_blank(const struct inode *i, int flags)
{
	return i->state == INODE_REMOTE && i->blank && flags & (O_TRUNC | O_APPEND) &&
	       !reads_only(flags);
}

static bool wants_write(const struct fs *fs, const struct inode *i, int flags)
{
	int mode = flags & O_ACCMODE;

	if (mode == O_WRONLY)
		return true;
	if (mode != O_RDWR)
		return false;
	return i->state == INODE_LOCAL || (fs->config.allow_overwrite && (flags & O_TRUNC)) ||
	       (fs->appends && (flags & O_APPEND)) || is_blank(i, flags);
}

/* Small files profit from the page cache, and a few large reads do not. */
static bool read_direct(const struct fs *fs, const struct open *o, uint64_t size)
{
	switch (fs->config.direct_io) {
	case FS_DIRECT_ALWAYS:
		return true;
	case FS_DIRECT_AUTO:
		return size >= DIRECT_AUTO_MIN || (o->flags & O_DIRECT);
	case FS_DIRECT_NEVER:
	default:
		return o->flags & O_DIRECT;
	}
}

static void on_stream(struct pf_open *p)
{
	struct open *o = container_of(p, struct open, pf);
	struct fs *fs = o->r.fs;
	struct fuse_file_info fi = {0};
	struct list fetches = LIST_INIT(fetches);
	bool direct;

	if (p->err == -ESTALE || p->err == -ENOENT) {
		find_stale(fs, o->inode);
		open_end(o, -ESTALE, NULL);
		return;
	}
	if (p->err < 0) {
		open_end(o, p->err, NULL);
		return;
	}
	direct = read_direct(fs, o, p->size);
	o->handle->direct = direct;
	o->handle->stream = p->stream;
	o->handle->size = p->size;
	fi.direct_io = direct;
	/* Readers that hinder nobody need not say when they close. */
	fi.noflush = !fs->config.allow_overwrite;
	{
		WITH_LOCK(&fs->lock);
		struct inode *i = o->inode;

		if (p->revalidate && i->state == INODE_REMOTE) {
			uint64_t expires = fs_expiry(fs);

			if (i->attached) {
				i->expires = max_u64(i->expires, expires);
				itable_confirm(i->parent, expires);
			}
		}
		fi.keep_cache = !direct && i->opened && i->etag && strcmp(i->etag, o->etag) == 0;
		i->opened = true;
		peek_opened_locked(i);
		if (!fs->revalidate && !p->revalidate && !direct)
			fileahead_opened_locked(fs, i, &fetches);
	}
	open_end(o, 0, &fi);
	fileahead_start(fs, &fetches);
}

/* The version that the inode stands for now. */
static int note_version_locked(struct fs *fs, struct open *o)
{
	const struct inode *i = o->inode;

	if (!i->etag)
		return -ESTALE;
	o->key = fs_key_locked(fs, i);
	o->etag = strdup(i->etag);
	return o->key && o->etag ? 0 : -ENOMEM;
}

static int read_prepare_locked(struct fs *fs, struct open *o)
{
	struct inode *i = o->inode;
	bool proved;
	int r;

	if (i->state == INODE_LOCAL)
		return -EPERM;
	if (!i->attached)
		return -ESTALE;
	if (o->flags & O_TRUNC)
		return -EPERM;
	if (i->archived)
		return -EACCES;
	r = note_version_locked(fs, o);
	if (r < 0)
		return r;
	r = handle_new_locked(fs, i, /* write= */ false, &o->handle);
	if (r < 0)
		return r;
	proved = peek_proved_locked(i, o->r.tid);
	o->pf = (struct pf_open){
		.key = o->key,
		.etag = o->etag,
		.size = i->size,
		.revalidate =
			!o->created && !proved &&
			(fs->revalidate || (o->flags & O_DIRECT) || i->expires <= clock_now()),
		.data_cached = i->data_seen && !read_direct(fs, o, i->size),
		.done = on_stream,
	};
	return 0;
}

/* The object is kept, and what is written comes behind it. */
static bool goes_on(const struct inode *i, int flags)
{
	return i->state == INODE_REMOTE && !(flags & O_TRUNC);
}

static bool may_replace(const struct fs *fs, const struct inode *i, bool append)
{
	return i->state != INODE_REMOTE || (append ? fs->appends : fs->config.allow_overwrite);
}

static int write_prepare_locked(struct fs *fs, struct open *o)
{
	struct inode *i = o->inode;
	bool append = goes_on(i, o->flags);
	int r;

	if (!i->attached)
		return -ESTALE;
	if (i->readers > 0 || i->renaming)
		return -EPERM;
	if (!may_replace(fs, i, append)) {
		o->blank = is_blank(i, o->flags);
		append = false;
		if (!o->blank)
			return -EPERM;
	}
	if (fs->draining)
		return -EIO;
	r = append || o->blank ? note_version_locked(fs, o) : 0;
	if (r < 0)
		return r;
	return writer_open_locked(fs, i, o->r.tid, append, &o->handle);
}

/* The file is a file being written already; with an error it is no more. */
static void write_start(struct open *o, int err, const struct upload_base *base)
{
	struct fuse_file_info fi = {.direct_io = 1};

	if (err == 0 && writer_done(o->handle, &err) && err == 0)
		err = -EIO; /* the mount is about to end */
	if (err == 0)
		err = writer_start(o->handle, base);
	if (err < 0)
		writer_fail(o->handle, err);
	open_end(o, err, &fi);
}

static void on_base(struct s3_call *c)
{
	struct open *o = container_of(c, struct open, head.call);
	const struct upload_base base = {.object = o->head.object, .sum = o->head.sum};
	int err = c->error.err;

	if (err == -ENOENT || (err == 0 && strcmp(base.object.etag, o->etag) != 0))
		err = -ESTALE; /* the kernel looks the name up again and comes back */
	else
		err = resolve_errno(err);
	write_start(o, err, o->blank ? NULL : &base);
}

static void ask_base(struct open *o)
{
	o->head = (struct s3_head_call){.call.done = on_base, .key = o->key, .checksum = true};
	s3_head(o->r.fs->config.client, loop_current(), &o->head);
}

static void open_step(struct open *o)
{
	struct fs *fs = o->r.fs;
	struct handle *pending = NULL;
	bool write = false;
	int r = 0;

	{
		WITH_LOCK(&fs->lock);
		struct inode *i = o->inode;

		if (i->writer && i->writer->state == WRITER_OPEN) {
			r = -EPERM;
		} else if (i->writer) {
			/* a dup of the old descriptor may not go on writing */
			i->writer->invalid = true;
			pending = handle_ref(i->writer);
		} else {
			write = wants_write(fs, i, o->flags);
			r = write ? write_prepare_locked(fs, o) : read_prepare_locked(fs, o);
		}
	}
	if (pending) {
		o->wait.done = on_writer_ended;
		writer_finish(pending, &o->wait);
		handle_unref(pending);
	} else if (r < 0) {
		open_end(o, r, NULL);
	} else if (!write) {
		pf_open(fs->config.pf, &o->pf);
	} else if (o->handle->goes_on || o->blank) {
		ask_base(o);
	} else {
		write_start(o, 0, NULL);
	}
}

static int open_check_locked(struct fs *fs, uint64_t ino, int flags, struct open **ret)
{
	struct inode *i = itable_get(&fs->table, ino);
	struct open *o;

	if (!i)
		return -ESTALE;
	if (flags & (O_SYNC | O_DSYNC))
		return -EINVAL;
	if (i->is_dir)
		return -EISDIR;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->inode = inode_ref(i);
	o->flags = flags;
	*ret = o;
	return 0;
}

void open_file(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi)
{
	struct request r;
	struct open *o = NULL;
	int err;

	request_init(&r, fs, req, "open", ino);
	{
		WITH_LOCK(&fs->lock);
		err = open_check_locked(fs, ino, fi->flags, &o);
	}
	if (err < 0) {
		(void)reply_err(&r, err);
		return;
	}
	o->r = r;
	o->r.free = open_free;
	list_init(&o->r.watch_node);
	request_watch(&o->r);
	open_step(o);
}

/* A free name in a directory that is still there: the new inode. */
static int add_locked(struct fs *fs, uint64_t parent, const char *name, int flags,
		      struct inode **ret)
{
	struct inode *dir = itable_get(&fs->table, parent), *i;
	size_t len = strlen(name);
	int r = name_check(name);

	if (r < 0)
		return r;
	if (!dir || !dir->attached)
		return -ENOENT;
	if (!dir->is_dir)
		return -ENOTDIR;
	if (fs->draining)
		return -EIO;
	i = itable_child(&fs->table, dir, name, len);
	if (i && (flags & O_EXCL || i->is_dir))
		return -EEXIST;
	if (i)
		return -ESTALE; /* it came meanwhile: the kernel looks again and opens it */
	r = itable_add(&fs->table, dir, name, len, /* is_dir= */ false, INODE_LOCAL, &i);
	if (r < 0)
		return r;
	i->expires = fs_expiry(fs);
	find_changed_locked(fs, dir, name, len);
	making_file(dir->dir, clock_now());
	*ret = i;
	return 0;
}

/* `e` is filled for a writer, whom the kernel gets to know now. */
static int create_locked(struct fs *fs, uint64_t parent, const char *name, int flags, pid_t tid,
			 struct fuse_entry_param *e, struct handle **ret)
{
	struct inode *i = NULL;
	int r;

	if (flags & (O_SYNC | O_DSYNC))
		return -EINVAL;
	r = add_locked(fs, parent, name, flags, &i);
	if (r < 0)
		return r;
	r = writer_open_locked(fs, i, tid, /* goes_on= */ false, ret);
	if (r < 0) {
		itable_detach(&fs->table, i);
		return r;
	}
	if (!reads_only(flags)) {
		i->nlookup++;
		attr_entry_locked(fs, i, e);
	}
	return 0;
}

static void on_created(struct writer_wait *w, int err)
{
	struct open *o = container_of(w, struct open, wait);

	if (err < 0)
		open_end(o, err, NULL);
	else
		open_step(o);
}

/* Uploads the empty object of `h`, whose reference it takes over, and opens it for reading. */
static void create_empty(const struct request *r, struct handle *h, int flags)
{
	struct fs *fs = r->fs;
	struct open *o = calloc(1, sizeof(*o));

	if (!o) {
		struct request failed = *r;

		writer_fail(h, -ENOMEM);
		handle_unref(h);
		(void)reply_err(&failed, -ENOMEM);
		return;
	}
	o->r = *r;
	o->r.free = open_free;
	o->r.name = NULL; /* the kernel's memory */
	list_init(&o->r.watch_node);
	o->flags = flags & O_DIRECT; /* nothing is left to create or truncate */
	o->created = true;
	o->wait.done = on_created;
	{
		WITH_LOCK(&fs->lock);
		o->inode = inode_ref(h->inode);
	}
	request_watch(&o->r);
	writer_finish(h, &o->wait);
	handle_unref(h);
}

void open_create(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name,
		 const struct fuse_file_info *want)
{
	struct request r;
	struct fuse_entry_param e;
	struct fuse_file_info fi = {.direct_io = 1};
	struct handle *h = NULL;
	int err;

	request_init(&r, fs, req, "create", parent);
	r.name = name;
	{
		WITH_LOCK(&fs->lock);
		err = create_locked(fs, parent, name, want->flags, r.tid, &e, &h);
	}
	if (err == 0)
		err = writer_start(h, NULL);
	if (err == 0 && reads_only(want->flags)) {
		create_empty(&r, h, want->flags);
		return;
	}
	if (err < 0) {
		(void)reply_err(&r, err);
	} else {
		fi.fh = (uintptr_t)h;
		err = reply_create(&r, &e, &fi);
	}
	if (err < 0 && h) {
		writer_fail(h, err);
		if (!reads_only(want->flags)) {
			WITH_LOCK(&fs->lock);
			itable_forget(&fs->table, h->inode, 1);
		}
		handle_unref(h);
	}
}

void open_mknod(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name, mode_t mode)
{
	struct request r;
	struct fuse_entry_param e;
	struct inode *i = NULL;
	int err = S_ISREG(mode) ? 0 : -EINVAL;

	request_init(&r, fs, req, "mknod", parent);
	r.name = name;
	if (err == 0) {
		WITH_LOCK(&fs->lock);
		err = add_locked(fs, parent, name, O_EXCL, &i);
		if (err == 0) {
			i->nlookup++;
			attr_entry_locked(fs, i, &e);
		}
	}
	if (err < 0)
		(void)reply_err(&r, err);
	else if (reply_entry(&r, &e) < 0)
		lookup_undo(fs, e.ino);
}
