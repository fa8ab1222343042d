/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names that S3 has said are missing: (directory, name) with an expiry. Off when
 * the TTL is 0. Only a true miss comes in; a hit, a create or a mkdir takes the
 * name out. All under fs->lock.
 */
#ifndef FUSE_NEGATIVE_H
#define FUSE_NEGATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEGATIVE_MAX 100000

struct fs;
struct inode;

void negative_add_locked(struct fs *fs, const struct inode *dir, const char *name, size_t len);
void negative_remove_locked(struct fs *fs, const struct inode *dir, const char *name, size_t len);
bool negative_find_locked(struct fs *fs, const struct inode *dir, const char *name, size_t len,
			  uint64_t now);
void negative_clear_locked(struct fs *fs);

#endif
