/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The rules of one name (SEMANTICS: precedence is remote directory, then local
 * entry, then remote file):
 *
 *   server     known here                         outcome
 *   nothing    nothing                            ENOENT
 *   nothing    local or being written             kept
 *   nothing    directory kept or with local
 *              children                           becomes a local directory
 *   nothing    anything else                      forgotten, ENOENT
 *   file       nothing                            new inode
 *   file       local or being written             local wins
 *   not a dir  file that is being renamed         kept until that is over
 *   file       directory kept or with children    becomes a local directory
 *   file       same version                       updated in place
 *   file       other version, or a directory      new inode takes the name
 *   directory  nothing                            new inode
 *   directory  directory                          updated; a local one is remote now
 *   directory  file of any state                  new inode takes the name
 *
 * Pure but for the table; any thread with fs->lock.
 */
#include "fuse/reconcile.h"

#include <errno.h>
#include <string.h>

#include "fuse/inode.h"
#include "s3/s3.h"

static bool dir_stays(const struct inode *i)
{
	return i->is_dir && (i->keep || !list_empty(&i->dir->locals));
}

static int fresh_inode(struct itable *t, struct inode *dir, const char *name, size_t len,
		       const struct found *found, struct inode **ret)
{
	struct inode *i;
	int r = itable_add(t, dir, name, len, found->kind == FOUND_DIR, INODE_REMOTE, &i);

	if (r < 0)
		return r;
	if (found->object && !i->is_dir) {
		r = inode_set_object(i, found->object);
		if (r < 0) {
			itable_maybe_free(t, i);
			return r;
		}
	}
	i->expires = found->expires;
	*ret = i;
	return 0;
}

static int known(struct inode *i, const struct found *found, struct inode **ret)
{
	if (found->expires > i->expires)
		i->expires = found->expires;
	*ret = i;
	return 0;
}

int reconcile(struct itable *t, struct inode *dir, const char *name, size_t len,
	      const struct found *found, struct inode **ret)
{
	struct inode *i = itable_child(t, dir, name, len);

	if (i && found->kind == FOUND_DIR && i->is_dir) {
		itable_set_state(t, i, INODE_REMOTE);
		return known(i, found, ret);
	}
	if (i && found->kind != FOUND_DIR) {
		if (i->state != INODE_REMOTE || i->renaming)
			return known(i, found, ret);
		if (dir_stays(i)) {
			itable_set_state(t, i, INODE_LOCAL);
			return known(i, found, ret);
		}
		if (found->kind == FOUND_FILE && !i->is_dir && i->etag &&
		    strcmp(i->etag, found->object->etag) == 0) {
			int r = inode_set_object(i, found->object);

			return r < 0 ? r : known(i, found, ret);
		}
	}
	if (i) {
		/* `dir` is held by the caller, so that this cannot free it */
		itable_detach(t, i);
	}
	if (found->kind == FOUND_NONE)
		return -ENOENT;
	return fresh_inode(t, dir, name, len, found, ret);
}
