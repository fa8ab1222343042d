/* SPDX-License-Identifier: Apache-2.0 */

/* FUSE read, write, flush, fsync and release of files. */
#ifndef FUSE_IO_H
#define FUSE_IO_H

#include <stddef.h>
#include <stdint.h>

#include "fuse/api.h"

struct fs;

void io_read(struct fs *fs, fuse_req_t req, uint64_t ino, size_t len, uint64_t offset,
	     const struct fuse_file_info *fi);
void io_write(struct fs *fs, fuse_req_t req, uint64_t ino, const char *data, size_t len,
	      uint64_t offset, const struct fuse_file_info *fi);
void io_flush(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi);
void io_fsync(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi);
void io_release(struct fs *fs, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi);

#endif
