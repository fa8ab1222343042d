/* SPDX-License-Identifier: Apache-2.0 */

/* FUSE calls that change names: unlink, mkdir, rmdir, rename. */
#ifndef FUSE_TREE_H
#define FUSE_TREE_H

#include <stdint.h>

#include "fuse/api.h"

struct fs;

void tree_unlink(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name);
void tree_mkdir(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name);
void tree_rmdir(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name);
void tree_rename(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name,
		 uint64_t new_parent, const char *new_name, unsigned flags);

#endif
