/* SPDX-License-Identifier: Apache-2.0 */

/*
 * WRITE: bytes go to the handle's upload, which takes them in order only. The
 * kernel sends one write of a file at a time, except for asynchronous direct
 * I/O; then the later ones wait on h->writes with a copy of their data (at most
 * the kernel's max_background). An error ends the upload for good.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fuse/handle.h"
#include "fuse/io.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"
#include "fuse/writer.h"

struct write {
	struct request r;
	struct handle *handle; /* counted */
	struct upload_write up;
	struct list node; /* in handle->writes */
	void *copy;
};

static void write_free(struct request *r)
{
	struct write *w = container_of(r, struct write, r);

	handle_unref(w->handle);
	free(w->copy);
	free(w);
}

static void write_cancel(struct request *r)
{
	struct write *w = container_of(r, struct write, r);

	upload_cancel_write(w->handle->upload, &w->up);
	(void)reply_err(r, -EINTR);
}

/* Whether the handle takes writes; a closed one comes back to life for a dup. */
static int may_write_locked(struct handle *h)
{
	switch (h->state) {
	case WRITER_PENDING:
		h->state = WRITER_OPEN;
		return 0;
	case WRITER_OPEN:
		return 0;
	case WRITER_FINISHING:
	case WRITER_DONE:
		break;
	}
	if (h->invalid)
		return -EBADF;
	return h->state == WRITER_DONE && h->err < 0 ? h->err : -EIO;
}

/* What the write means for the file; the handle is ready for the next one. */
static struct write *finish_one(struct write *w)
{
	struct handle *h = w->handle;
	struct list *n;

	if (w->up.err < 0)
		writer_fail(h, w->up.err == -EINTR ? -EIO : w->up.err);
	WITH_LOCK(&h->fs->lock);
	if (w->up.err == 0 && h->inode->writer == h)
		h->inode->size = w->up.offset + w->up.len;
	n = list_pop(&h->writes);
	h->writing = n != NULL;
	return n ? list_entry(n, struct write, node) : NULL;
}

/* The answer comes last: the kernel sends the next write at once, to another loop. */
static void on_written(struct upload_write *up)
{
	struct write *w = container_of(up, struct write, up);
	struct handle *h = handle_ref(w->handle);
	struct write *next = finish_one(w);

	w->r.told = up->err < 0 && up->err != -ENOMEM; /* the upload has */
	if (up->err < 0)
		(void)reply_err(&w->r, up->err);
	else
		(void)reply_write(&w->r, up->len);
	request_unref(&w->r);
	if (next)
		upload_write(h->upload, &next->up);
	handle_unref(h);
}

/* Copies the data of a write that has to wait for another. */
static int queue_locked(struct handle *h, struct write *w)
{
	w->copy = malloc(w->up.len);
	if (!w->copy)
		return -ENOMEM;
	memcpy(w->copy, w->up.data, w->up.len);
	w->up.data = w->copy;
	w->up.slab = NULL;
	list_append(&h->writes, &w->node);
	return 0;
}

static int write_new(struct handle *h, const struct request *r, struct write **ret)
{
	struct write *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->r = *r;
	w->r.free = write_free;
	w->r.cancel = write_cancel;
	list_init(&w->r.watch_node);
	list_init(&w->node);
	w->handle = handle_ref(h);
	w->up.done = on_written;
	*ret = w;
	return 0;
}

/* Programs show EIO and EBADF without a reason: the log has it. */
static void explain(struct request *r, struct handle *h, int err)
{
	_cleanup_(freep) char *key = NULL;

	if (r->told || err != (h->write ? -EIO : -EBADF))
		return;
	key = fs_key(h->fs, h->inode);
	log_warn(LOG_FUSE, "write of %s, %s", key ? key : "?",
		 h->write ? "which its fsync or close has completed: it takes no more"
			  : "which was opened as an object to read: objects are not changed in "
			    "place");
	r->told = true;
}

void io_write(struct fs *fs, fuse_req_t req, uint64_t ino, const char *data, size_t len,
	      uint64_t offset, const struct fuse_file_info *fi)
{
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	struct request r;
	struct write *w = NULL;
	bool start = false;
	int err;

	request_init(&r, fs, req, "write", ino);
	err = h->write ? write_new(h, &r, &w) : -EBADF;
	if (err < 0) {
		explain(&r, h, err);
		(void)reply_err(&r, err);
		return;
	}
	w->up.offset = offset;
	w->up.slab = session_slab(&fs->session, data);
	w->up.data = w->up.slab ? *w->up.slab : data;
	w->up.len = len;
	request_watch(&w->r);
	{
		WITH_LOCK(&fs->lock);
		err = may_write_locked(h);
		w->r.told = err < 0 && err == h->err;
		if (err == 0 && h->writing)
			err = queue_locked(h, w);
		else if (err == 0)
			start = h->writing = true;
	}
	if (err < 0) {
		explain(&w->r, h, err);
		(void)reply_err(&w->r, err);
		request_unref(&w->r);
	} else if (start) {
		upload_write(h->upload, &w->up);
	}
}
