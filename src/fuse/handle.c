/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Handles: reference count and, for readers, the active flag.
 *
 *   active    FLUSH           closed by a user; others may still read (dup, fork)
 *   closed    READ            active again, or EBADF when a writer has opened since
 *   any       RELEASE         the kernel's reference goes
 */
#include "fuse/handle.h"

#include <errno.h>
#include <stdlib.h>

#include "fuse/state.h"

int handle_new_locked(struct fs *fs, struct inode *i, bool write, struct handle **ret)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->fs = fs;
	h->inode = inode_ref(i);
	h->write = write;
	h->refs = 1;
	h->active = true;
	list_init(&h->waiters);
	list_init(&h->writes);
	list_append(&fs->handles, &h->node);
	if (!write) {
		i->readers++;
		i->opens++;
	}
	*ret = h;
	return 0;
}

struct handle *handle_ref(struct handle *h)
{
	atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
	return h;
}

void handle_unref(struct handle *h)
{
	struct fs *fs = h->fs;
	bool closed;

	if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1)
		return;
	{
		WITH_LOCK(&fs->lock);
		list_del(&h->node);
		closed = h->closed;
		if (!h->write) {
			h->inode->opens--;
			if (h->active)
				h->inode->readers--;
		}
		itable_unref(&fs->table, h->inode);
	}
	if (h->stream && !closed)
		pf_close(h->stream);
	if (h->upload)
		upload_unref(h->upload);
	free(h);
}

int handle_reactivate(struct handle *h)
{
	if (atomic_load_explicit(&h->active, memory_order_acquire))
		return 0;
	WITH_LOCK(&h->fs->lock);
	if (h->invalid)
		return -EBADF;
	if (!h->active) {
		h->active = true;
		h->inode->readers++;
	}
	return 0;
}

void handle_deactivate(struct handle *h)
{
	WITH_LOCK(&h->fs->lock);
	if (!h->active)
		return;
	h->active = false;
	h->inode->readers--;
}
