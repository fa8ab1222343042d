/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Inode table: numbers, names, lookup counts. Plain data without a lock: all of
 * it is protected by fs->lock, and every function here is called with it held.
 *
 * An inode is in the table by number as long as it lives, and by (parent, name)
 * until it is detached (unlinked, or another version took the name). It is freed
 * when the kernel has forgotten it, nobody holds a reference, and nothing that
 * only this mount knows hangs on it (inode_pinned). A child holds its parent.
 */
#ifndef FUSE_INODE_H
#define FUSE_INODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/macro.h"

struct buf;
struct handle;
struct s3_object;

#define INODE_ROOT     1
#define EXPIRES_NEVER  UINT64_MAX
#define NAME_DEPTH_MAX 520 /* 1024 bytes of key hold at most 512 components */

enum inode_state {
	INODE_REMOTE,  /* known from the server */
	INODE_LOCAL,   /* made here, nothing on the server yet; never opened */
	INODE_WRITING, /* a file with a writer: open, or closed and not yet uploaded */
};

/* What a directory has besides; freed with its inode. */
struct dir {
	struct list locals; /* what stays here whatever the server has: inode.local_node */
	struct list pages;  /* listing pages, loaded and in flight: page.dir_node */
	unsigned handles;   /* open directory handles */
	/* misses of lookups, for listing.c */
	uint64_t miss_since;
	unsigned misses, skip, skip_next;
	unsigned absent; /* lookups in a row that found nothing */
	/* files made in it one after another: making.c */
	uint64_t made_at, gaps_since;
	unsigned made, missed, gaps;
	bool ours; /* since mkdir made it */
	/* where the last open was, and what was fetched beyond: fileahead.c */
	const void *ahead_page; /* which one, never looked into */
	size_t ahead_last, ahead_until;
	uint64_t ahead_at, ahead_gap; /* when it was, and the mean time between them, ns */
	unsigned ahead_streak;
	bool ahead_below; /* a directory in it was read in order */
	uint64_t listed;  /* when readdir last got a page */
	bool big;	  /* more than one page */
	bool unordered;	  /* the server lists it in no order */
	bool useful;	  /* the last page that lookups asked for answered several */
	bool below;	  /* the same of a directory in it: others will be like that */
	bool warned;	  /* that it has keys which are not shown */
	bool reads;	  /* a file in it was opened to be read: peek.c */
	bool reads_below; /* the same of a directory in it */
};

struct inode {
	struct hash_node by_ino, by_name;
	struct inode *parent; /* counted; the root's is NULL */
	struct list local_node;
	uint64_t ino;
	uint64_t nlookup; /* the kernel's references */
	uint64_t size;
	uint64_t expires;      /* base/clock.h; what is known is trusted until then */
	uint64_t told;	       /* when it was learnt otherwise than from a listing */
	int64_t mtime;	       /* seconds since the epoch */
	int64_t atime;	       /* the same, unless it was set otherwise before the upload */
	char *etag;	       /* files on the server; NULL otherwise */
	struct dir *dir;       /* directories only */
	struct handle *writer; /* files: the handle of INODE_WRITING */
	unsigned refs;	       /* our own references, children included */
	unsigned readers;      /* active read handles */
	unsigned opens;	       /* read handles, until release */
	/* The lookup of an open by this thread proved the version: until then; peek.c. */
	uint64_t proof_until;
	int proof_tid;
	uint16_t name_len;
	uint8_t state; /* enum inode_state */
	bool is_dir;
	bool attached;	  /* found by (parent, name) */
	bool keep;	  /* a directory that stays when its last object goes */
	bool existed;	  /* INODE_WRITING: replaces an object */
	bool blank;	  /* this version was uploaded here, and is empty */
	bool archived;	  /* needs a restore before it can be read */
	bool opened;	  /* this version was opened for reading before */
	bool data_seen;	  /* its last byte was given to the kernel: pages may be cached */
	bool times_set;	  /* mtime or atime was set by utimens before the upload */
	bool renaming;	  /* the server was asked to give it another name, or its name away */
	const char *name; /* first_name, or memory of its own since it was moved */
	char first_name[];
};

struct itable {
	struct hash by_ino, by_name;
	struct inode *root;
	uint64_t next_ino;
	size_t count;
	/* called before an inode is freed, may be NULL */
	void (*on_free)(struct itable *t, struct inode *i);
};

int itable_init(struct itable *t) must_check;
/* Frees every inode whatever its counts. */
void itable_fini(struct itable *t);

/* NULL: the kernel named a number it does not hold. */
struct inode *itable_get(struct itable *t, uint64_t ino);
struct inode *itable_child(struct itable *t, const struct inode *parent, const char *name,
			   size_t len);
/* A new attached inode without references: the caller takes one or gives it to the kernel. */
int itable_add(struct itable *t, struct inode *parent, const char *name, size_t len, bool is_dir,
	       enum inode_state state, struct inode **ret) must_check;
/* Takes the name away; the inode may be freed when nobody holds it. */
void itable_detach(struct itable *t, struct inode *i);
/*
 * A file on the server has another name from now on, which nobody has; both
 * directories are held by the caller. 0 or -ENOMEM: then it is detached.
 */
int itable_move(struct itable *t, struct inode *i, struct inode *parent, const char *name,
		size_t len) must_check;
/* Moves between states and keeps the parent's list of local children. */
void itable_set_state(struct itable *t, struct inode *i, enum inode_state state);
/* The directory and all its ancestors are on the server now. */
void itable_ancestors_remote(struct itable *t, struct inode *dir);
/* Something below it was seen on the server: it and its ancestors are there until then. */
void itable_confirm(struct inode *dir, uint64_t expires);
/* The directory and its ancestors stay when their last object goes. */
void itable_keep(struct inode *dir);

struct inode *inode_ref(struct inode *i);
void itable_unref(struct itable *t, struct inode *i);
void itable_forget(struct itable *t, struct inode *i, uint64_t nlookup);
/* Frees it when nothing holds it; for callers of itable_add that gave it to nobody. */
void itable_maybe_free(struct itable *t, struct inode *i);

/* Takes size, time, ETag and class of a version. 0 or -ENOMEM. */
int inode_set_object(struct inode *i, const struct s3_object *o) must_check;

/* Appends prefix + path; directories end in '/', the root is just the prefix. */
void inode_key(const struct inode *i, const char *prefix, struct buf *b);

#endif
