/* SPDX-License-Identifier: Apache-2.0 */

/*
 * MKDIR: answered from memory, because the kernel has just looked the name up. A
 * new directory exists only here until the first object below it is uploaded. Any
 * loop thread.
 */
#include "fuse/tree.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "fuse/attr.h"
#include "fuse/find.h"
#include "fuse/lookup.h"
#include "fuse/making.h"
#include "fuse/name.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"

static int mkdir_locked(struct fs *fs, uint64_t parent, const char *name,
			struct fuse_entry_param *e)
{
	struct inode *dir = itable_get(&fs->table, parent), *i;
	uint64_t now = clock_now();
	size_t len = strlen(name);
	int r = name_check(name);

	if (r < 0)
		return r;
	if (!dir || !dir->attached)
		return -ENOENT;
	if (!dir->is_dir)
		return -ENOTDIR;
	if (itable_child(&fs->table, dir, name, len))
		return -EEXIST;
	r = itable_add(&fs->table, dir, name, len, /* is_dir= */ true, INODE_LOCAL, &i);
	if (r < 0)
		return r;
	i->expires = fs_expiry(fs);
	find_changed_locked(fs, dir, name, len);
	making_file(dir->dir, now);
	making_begins(i->dir, now);
	i->nlookup++;
	attr_entry_locked(fs, i, e);
	return 0;
}

void tree_mkdir(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name)
{
	struct request r;
	struct fuse_entry_param e;
	int err;

	request_init(&r, fs, req, "mkdir", parent);
	r.name = name;
	{
		WITH_LOCK(&fs->lock);
		err = mkdir_locked(fs, parent, name, &e);
	}
	if (err < 0)
		(void)reply_err(&r, err);
	else if (reply_entry(&r, &e) < 0)
		lookup_undo(fs, e.ino);
}
