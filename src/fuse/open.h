/* SPDX-License-Identifier: Apache-2.0 */

/* FUSE open, create, mknod, release of files. */
#ifndef FUSE_OPEN_H
#define FUSE_OPEN_H

#include <stdint.h>
#include <sys/types.h>

#include "fuse/api.h"

struct fs;

void open_file(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi);
void open_create(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name,
		 const struct fuse_file_info *want);
void open_mknod(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name, mode_t mode);

#endif
