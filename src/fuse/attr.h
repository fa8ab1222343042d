/* SPDX-License-Identifier: Apache-2.0 */

/* Attributes as programs see them, made from what is known of an inode. */
#ifndef FUSE_ATTR_H
#define FUSE_ATTR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fuse/api.h"

struct fs;
struct inode;
struct request;

/* The first three: with fs->lock held. */
void attr_fill_locked(const struct fs *fs, const struct inode *i, struct stat *ret);
/* Seconds that the kernel may trust it. */
double attr_timeout(uint64_t expires, uint64_t now);
void attr_entry_locked(const struct fs *fs, const struct inode *i, struct fuse_entry_param *ret);

void attr_get(struct fs *fs, fuse_req_t req, uint64_t ino);
/* by_handle: through a descriptor that is open for writing. */
void attr_set(struct fs *fs, fuse_req_t req, uint64_t ino, const struct stat *want, int to_set,
	      bool by_handle);
void attr_statfs(struct fs *fs, fuse_req_t req, uint64_t ino);

#endif
