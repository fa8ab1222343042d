/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The first bytes of a file, asked for while its name is still being looked up. An open
 * of a name that nobody knows would take two round trips to the server, one after the
 * other: what is there, and its bytes. Where the server is far, both questions go out
 * together. The answer is used only if the lookup finds the same version; then it proves
 * to the open that the version is the newest, as a GET made by the open would.
 *
 * Only for a thread that is in open(2), to read, in a directory (or beside one) in which
 * files were read: elsewhere the names that an open looks up are mostly directories.
 */
#ifndef FUSE_PEEK_H
#define FUSE_PEEK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/macro.h"
#include "s3/s3.h"

struct fs;
struct inode;

/* Of one mount. All atomic. */
struct peeks {
	_Atomic unsigned running;
	_Atomic uint64_t size;	  /* to ask for: about as the last files had; 0: none was seen */
	_Atomic unsigned useless; /* in a row */
	_Atomic unsigned skip;	  /* lookups that go without, since it was of no use */
};

struct peek {
	struct fs *fs; /* NULL: not started */
	void (*done)(struct peek *p);
	struct s3_peek_call call;
	char *key;
};

/*
 * Asks for the first bytes of `name` on behalf of `tid`, if that makes sense: true, and
 * `done` comes on this loop, never inside the call, within a few round trips. *p began zeroed.
 * Takes fs->lock.
 */
bool peek_start(struct peek *p, struct fs *fs, uint64_t parent, const char *name, pid_t tid,
		void (*done)(struct peek *p));
/* After `done`: what it brought is for the open of `i` by `tid`, if it is of that version. */
void peek_tell(const struct peek *p, struct inode *i, pid_t tid);
void peek_fini(struct peek *p); /* of one that has ended or was never started */

/* True once: the lookup that this open began with proved the version. With fs->lock held. */
bool peek_proved_locked(struct inode *i, pid_t tid);
/* A file was opened to be read. With fs->lock held. */
void peek_opened_locked(struct inode *i);

#endif
