/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Open file handles. A read handle is a stream of the version that was current
 * at open; a write handle is one upload (writer.h). The kernel holds one
 * reference until RELEASE, each request under way another.
 */
#ifndef FUSE_HANDLE_H
#define FUSE_HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/macro.h"
#include "prefetch/prefetch.h"
#include "upload/upload.h"

struct fs;
struct inode;

enum writer_state {
	WRITER_OPEN,	  /* may be written */
	WRITER_PENDING,	  /* closed by its writer, the upload waits for release or the next open */
	WRITER_FINISHING, /* the upload's end was asked for */
	WRITER_DONE,	  /* succeeded or failed: `err` */
};

struct handle {
	/* set at creation */
	struct fs *fs;
	struct inode *inode; /* counted */
	bool write;
	bool direct;		  /* reading: past the page cache */
	struct pf_stream *stream; /* reading */
	uint64_t size;		  /* reading: of the version */
	struct upload *upload;	  /* writing; NULL until writer_start */
	bool goes_on;		  /* writing: behind what the object has */
	pid_t tid, tgid;	  /* who opened it; tgid 0: unknown */

	_Atomic unsigned refs;
	_Atomic bool active; /* reading: not closed by all its users, as far as we know */

	/* under fs->lock */
	struct list node; /* in fs->handles */
	bool invalid;	  /* closed by its user, and somebody opened the file since */
	bool closed;	  /* reading: the stream was closed at the end of the mount */
	enum writer_state state;
	uint64_t old_size;   /* writing: of the object it replaces */
	int err;	     /* of WRITER_DONE */
	struct list waiters; /* writer_wait.node */
	struct list writes;  /* writes that wait for the one under way */
	bool writing;
	bool read_refused; /* writing: somebody wanted to read it */

	struct upload_finish finish;
};

/* Takes a reference of the inode (fs->lock held) and joins fs->handles. */
int handle_new_locked(struct fs *fs, struct inode *i, bool write, struct handle **ret) must_check;
struct handle *handle_ref(struct handle *h);
void handle_unref(struct handle *h); /* no lock held */

/* Reading: whether the handle may be read; a closed one comes back to life for a dup. */
int handle_reactivate(struct handle *h) must_check;
/* Reading: its user closed it; a writer may open the file now. */
void handle_deactivate(struct handle *h);

#endif
