/* SPDX-License-Identifier: Apache-2.0 */

/*
 * READ: handed to the stream; when the bytes are there, which may be inside the
 * call, the cells themselves are the answer (one writev, no copy of ours). A
 * caller that is being killed cancels the read.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fuse/find.h"
#include "fuse/handle.h"
#include "fuse/io.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"

struct read {
	struct request r;
	struct handle *handle; /* counted */
	struct pf_read pf;
};

static void read_free(struct request *r)
{
	struct read *rd = container_of(r, struct read, r);

	handle_unref(rd->handle);
	free(rd);
}

static void read_cancel(struct request *r)
{
	struct read *rd = container_of(r, struct read, r);

	pf_cancel(rd->handle->stream, &rd->pf);
}

/* The kernel has the file's end: it may well have all of it. */
static void note_end(struct handle *h)
{
	WITH_LOCK(&h->fs->lock);
	h->inode->data_seen = true;
}

/* The kernel has pages of wrong bytes: the next open makes it drop them. */
static void forget_pages(struct handle *h)
{
	WITH_LOCK(&h->fs->lock);
	h->inode->opened = h->inode->data_seen = false;
}

static void on_read(struct pf_read *p)
{
	struct read *rd = container_of(p, struct read, pf);
	uint64_t end = p->offset;

	for (unsigned i = 0; i < p->niov; i++)
		end += p->iov[i].iov_len;
	if (p->err < 0) {
		if (p->err == -ESTALE) /* the next open gets the new version, whatever the TTL */
			find_stale(rd->handle->fs, rd->handle->inode);
		if (p->err == -EBADMSG)
			forget_pages(rd->handle);
		(void)reply_err(&rd->r, p->err == -EBADMSG ? -EIO : p->err);
	} else {
		if (end >= rd->handle->size && end > p->offset && !rd->handle->direct)
			note_end(rd->handle);
		(void)reply_data(&rd->r, p->iov, p->niov);
	}
	request_unref(&rd->r);
}

/* The rule that was broken is named once per file. */
static void refuse(struct request *r, struct handle *h)
{
	_cleanup_(freep) char *key = NULL;

	{
		WITH_LOCK(&h->fs->lock);
		if (!h->read_refused)
			key = fs_key_locked(h->fs, h->inode);
		h->read_refused = r->told = true;
	}
	if (key)
		log_warn(LOG_FUSE,
			 "read of %s, which is being written: it can be read when it is closed, "
			 "by who opens it anew",
			 key);
}

void io_read(struct fs *fs, fuse_req_t req, uint64_t ino, size_t len, uint64_t offset,
	     const struct fuse_file_info *fi)
{
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	struct request r;
	struct read *rd;
	int err = h->write ? -EBADF : handle_reactivate(h);

	request_init(&r, fs, req, "read", ino);
	if (h->write)
		refuse(&r, h);
	if (err < 0) {
		(void)reply_err(&r, err);
		return;
	}
	rd = malloc(sizeof(*rd));
	if (!rd) {
		(void)reply_err(&r, -ENOMEM);
		return;
	}
	rd->r = r;
	rd->r.free = read_free;
	rd->r.cancel = read_cancel;
	list_init(&rd->r.watch_node);
	rd->handle = handle_ref(h);
	rd->pf = (struct pf_read){
		.offset = offset,
		.len = len < PF_READ_MAX ? len : PF_READ_MAX,
		.uncached = h->direct,
		.done = on_read,
	};
	request_watch(&rd->r);
	pf_read(h->stream, &rd->pf);
}
