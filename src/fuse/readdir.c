/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading a directory. Offsets handed to the kernel: 1 after ".", 2 after "..",
 * then page number plus one and place in the page. Offset 0 after that is a
 * rewind: a new pass with a new listing. Every entry that goes out with its
 * attributes is one kernel reference; they are taken back when the answer is
 * not taken. Any loop thread; a handle's passes are under fs->lock.
 */
#include "fuse/readdir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fuse/attr.h"
#include "fuse/dirstream.h"
#include "fuse/name.h"
#include "fuse/negative.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"

#define PLACE_BITS 24
#define OFF_DOT	   1
#define OFF_DOTDOT 2
#define SIZE_MAX_  ((size_t)1 << 20)
#define ENTRY_MIN  128 /* less than any entry with attributes takes */
/*
 * The kernel keeps what it gets with attributes until it needs the memory, and so
 * must we: beyond this many inodes listings give names only, and what is looked
 * at is looked up.
 */
#define INODES_LISTED_MAX 150000
#define INO_UNKNOWN	  0xffffffff /* what libfuse shows for an inode without number */

struct dirhandle {
	struct fs *fs;
	struct inode *inode; /* counted */
	/* under fs->lock */
	struct list node; /* in fs->dirhandles */
	unsigned refs;	  /* the kernel's, and one per request under way */
	struct dirstream *stream;
	bool started; /* it was read beyond its start */
};

struct readdir {
	struct request r;
	struct dirhandle *handle; /* counted */
	struct dirstream *stream; /* counted */
	struct dirstream_wait wait;
	bool plus;
	size_t size, used;
	uint64_t offset; /* of the next entry */
	size_t ninos;
	uint64_t *inos; /* what was counted for the kernel */
	char *buf;
};

static void handle_put(struct dirhandle *h)
{
	{
		WITH_LOCK(&h->fs->lock);
		if (--h->refs > 0)
			return;
		list_del(&h->node);
		h->inode->dir->handles--;
		itable_unref(&h->fs->table, h->inode);
	}
	if (h->stream)
		dirstream_unref(h->stream);
	free(h);
}

void readdir_open(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *want)
{
	struct fuse_file_info fi = *want;
	struct dirhandle *h = calloc(1, sizeof(*h));
	struct request r;
	int err = h ? 0 : -ENOMEM;

	request_init(&r, fs, req, "opendir", ino);
	if (h) {
		WITH_LOCK(&fs->lock);
		struct inode *i = itable_get(&fs->table, ino);

		if (!i) {
			err = -ESTALE;
		} else if (!i->is_dir) {
			err = -ENOTDIR;
		} else {
			h->fs = fs;
			h->refs = 1;
			h->inode = inode_ref(i);
			i->dir->handles++;
			list_append(&fs->dirhandles, &h->node);
		}
	}
	if (err < 0) {
		free(h);
		(void)reply_err(&r, err);
		return;
	}
	fi.fh = (uintptr_t)h;
	fi.cache_readdir = fi.keep_cache = fs->config.immutable;
	if (reply_open(&r, &fi) < 0)
		handle_put(h);
}

void readdir_release(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi)
{
	struct request r;

	request_init(&r, fs, req, "releasedir", ino);
	handle_put((struct dirhandle *)(uintptr_t)fi->fh);
	(void)reply_err(&r, 0);
}

void readdir_drop_all(struct fs *fs)
{
	while (!list_empty(&fs->dirhandles)) {
		struct dirhandle *h = list_entry(fs->dirhandles.next, struct dirhandle, node);

		h->refs = 1; /* whoever held another is gone with the loops */
		handle_put(h);
	}
}

static void readdir_free(struct request *r)
{
	struct readdir *d = container_of(r, struct readdir, r);

	dirstream_unref(d->stream);
	handle_put(d->handle);
	free(d->inos);
	free(d->buf);
	free(d);
}

static void unpack(uint64_t offset, uint64_t *ret_page, uint64_t *ret_place)
{
	if (offset <= OFF_DOTDOT) {
		*ret_page = *ret_place = 0;
		return;
	}
	*ret_page = (offset >> PLACE_BITS) - 1;
	*ret_place = offset & ((1 << PLACE_BITS) - 1);
}

/* Adds one entry; false when it does not fit. */
static bool put(struct readdir *d, const char *name, const struct fuse_entry_param *e,
		uint64_t next)
{
	size_t room = d->size - d->used, need;
	char *at = d->buf + d->used;

	if (d->plus)
		need = fuse_add_direntry_plus(d->r.req, at, room, name, e, (off_t)next);
	else
		need = fuse_add_direntry(d->r.req, at, room, name, &e->attr, (off_t)next);
	if (need > room)
		return false;
	d->used += need;
	d->offset = next;
	return true;
}

static bool put_dots_locked(struct readdir *d)
{
	const struct inode *i = d->handle->inode;
	struct fuse_entry_param e = {0};

	e.attr.st_mode = S_IFDIR;
	e.attr.st_ino = i->ino;
	if (d->offset == 0 && !put(d, ".", &e, OFF_DOT))
		return false;
	e.attr.st_ino = i->parent ? i->parent->ino : i->ino;
	return d->offset != OFF_DOT || put(d, "..", &e, OFF_DOTDOT);
}

/*
 * The inode behind an entry, created when it goes out with attributes. NULL: only
 * the name is told, or, of what existed only here, that it is gone.
 */
static struct inode *entry_inode_locked(struct readdir *d, const struct page *p,
					const struct merge_name *n)
{
	struct fs *fs = d->r.fs;
	struct inode *dir = d->handle->inode, *i = itable_child(&fs->table, dir, n->name, n->len);
	struct found found = {
		.kind = n->kind == MERGE_DIR ? FOUND_DIR : FOUND_FILE,
		.object = n->object,
		.expires = p->expires,
	};

	if (n->kind == MERGE_LOCAL)
		return i;
	if (!page_speaks_locked(p, n->name, n->len)) {
		if (i)
			return i;
		found.expires = 0;
	}
	if (fs->negatives.count > 0)
		negative_remove_locked(fs, dir, n->name, n->len);
	if (!d->plus || !dir->attached || (!i && fs->table.count >= INODES_LISTED_MAX))
		return i;
	return reconcile(&fs->table, dir, n->name, n->len, &found, &i) < 0 ? NULL : i;
}

static bool put_entry_locked(struct readdir *d, const struct page *p, const struct merge_name *n,
			     uint64_t next)
{
	struct fs *fs = d->r.fs;
	struct inode *i = entry_inode_locked(d, p, n);
	struct fuse_entry_param e = {0};
	char name[NAME_LEN_MAX + 1];
	bool fits;

	if (!i && n->kind == MERGE_LOCAL) {
		d->offset = next; /* gone meanwhile */
		return true;
	}
	if (i) {
		attr_entry_locked(fs, i, &e);
	} else {
		e.attr.st_ino = INO_UNKNOWN;
		e.attr.st_mode = n->kind == MERGE_DIR ? S_IFDIR : S_IFREG;
	}
	memcpy(name, n->name, n->len);
	name[n->len] = '\0';
	fits = put(d, name, &e, next);
	if (fits && d->plus && i) {
		i->nlookup++;
		d->inos[d->ninos++] = i->ino;
	} else if (i) {
		itable_maybe_free(&fs->table, i);
	}
	return fits;
}

/*
 * Fills the buffer from where it stands. 0: there is an answer (perhaps the
 * end), -EAGAIN: nothing yet, a page has to come first.
 */
static int fill_locked(struct readdir *d)
{
	uint64_t index, place;
	bool end;

	if (d->offset <= OFF_DOTDOT && !put_dots_locked(d))
		return 0;
	unpack(d->offset, &index, &place);
	for (;;) {
		const struct dirpage *dp = dirstream_page_locked(d->stream, index, &end);

		if (end)
			return 0;
		if (!dp) /* the dots alone are not worth an answer of their own */
			return d->used > 0 && d->offset > OFF_DOTDOT ? 0 : -EAGAIN;
		for (; place < dp->merge.count; place++) {
			uint64_t next = ((index + 1) << PLACE_BITS) + place + 1;

			if (!put_entry_locked(d, dp->page, &dp->merge.entries[place], next))
				return 0;
		}
		index++;
		place = 0;
	}
}

static void undo(struct readdir *d)
{
	struct fs *fs = d->r.fs;

	WITH_LOCK(&fs->lock);
	for (size_t k = 0; k < d->ninos; k++) {
		struct inode *i = itable_get(&fs->table, d->inos[k]);

		if (i)
			itable_forget(&fs->table, i, 1);
	}
}

static void step(struct readdir *d)
{
	struct fs *fs = d->r.fs;
	struct dirstream *stream = dirstream_ref(d->stream);
	int r = -EINTR;

	if (!request_answered(&d->r)) {
		WITH_LOCK(&fs->lock);
		r = fill_locked(d);
		if (r == -EAGAIN)
			dirstream_wait_locked(d->stream, &d->wait);
	}
	/* What is needed, or what will be before the reader comes back. After -EAGAIN
	   another loop may have the request already. */
	if (r == 0 || r == -EAGAIN)
		dirstream_run(stream);
	dirstream_unref(stream);
	if (r == -EAGAIN)
		return;
	if (r < 0)
		(void)reply_err(&d->r, r);
	else if (reply_buf(&d->r, d->buf, d->used) < 0)
		undo(d);
	request_unref(&d->r);
}

static void on_page(struct dirstream_wait *w, int err)
{
	struct readdir *d = container_of(w, struct readdir, wait);

	if (err == 0) {
		step(d);
		return;
	}
	(void)reply_err(&d->r, err);
	request_unref(&d->r);
}

/* The pass that the handle is on; offset 0 after a start begins another. */
static int stream_locked(struct fs *fs, struct dirhandle *h, uint64_t offset,
			 struct dirstream **ret, struct dirstream **ret_old)
{
	*ret_old = NULL;
	if (!h->stream || (offset == 0 && h->started)) {
		struct dirstream *s;
		int r = dirstream_new_locked(fs, h->inode, &s);

		if (r < 0)
			return r;
		*ret_old = h->stream;
		h->stream = s;
		h->started = false;
	}
	if (offset > 0)
		h->started = true;
	h->refs++;
	*ret = dirstream_ref(h->stream);
	return 0;
}

static int readdir_new(const struct request *r, struct dirhandle *h, size_t size, uint64_t offset,
		       bool plus, struct readdir **ret)
{
	struct readdir *d = calloc(1, sizeof(*d));
	struct dirstream *old = NULL;
	int err = -ENOMEM;

	if (!d)
		return -ENOMEM;
	d->size = size < SIZE_MAX_ ? size : SIZE_MAX_;
	d->buf = malloc(d->size);
	d->inos = malloc((d->size / ENTRY_MIN + 1) * sizeof(*d->inos));
	if (d->buf && d->inos) {
		WITH_LOCK(&r->fs->lock);
		err = stream_locked(r->fs, h, offset, &d->stream, &old);
	}
	if (old)
		dirstream_unref(old);
	if (err < 0) {
		free(d->buf);
		free(d->inos);
		free(d);
		return err;
	}
	d->r = *r;
	d->r.free = readdir_free;
	list_init(&d->r.watch_node);
	d->handle = h;
	d->offset = offset;
	d->plus = plus;
	d->wait.done = on_page;
	*ret = d;
	return 0;
}

void readdir_read(struct fs *fs, fuse_req_t req, uint64_t ino, size_t size, uint64_t offset,
		  const struct fuse_file_info *fi, bool plus)
{
	struct dirhandle *h = (struct dirhandle *)(uintptr_t)fi->fh;
	struct request r;
	struct readdir *d;
	int err;

	request_init(&r, fs, req, plus ? "readdirplus" : "readdir", ino);
	err = readdir_new(&r, h, size, offset, plus, &d);
	if (err < 0) {
		(void)reply_err(&r, err);
		return;
	}
	request_watch(&d->r);
	step(d);
}
