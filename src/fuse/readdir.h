/* SPDX-License-Identifier: Apache-2.0 */

/* FUSE opendir, readdir, readdirplus, releasedir. */
#ifndef FUSE_READDIR_H
#define FUSE_READDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuse/api.h"

struct fs;

void readdir_open(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *want);
void readdir_read(struct fs *fs, fuse_req_t req, uint64_t ino, size_t size, uint64_t offset,
		  const struct fuse_file_info *fi, bool plus);
void readdir_release(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi);
/* Frees the handles that the kernel never released; no loop runs any more. */
void readdir_drop_all(struct fs *fs);

#endif
