/* SPDX-License-Identifier: Apache-2.0 */

/* GETXATTR and LISTXATTR; see xattr.c. */
#ifndef FUSE_XATTR_H
#define FUSE_XATTR_H

#include <stddef.h>
#include <stdint.h>

#include "fuse/api.h"

struct fs;

/* size 0: only the length of the answer is wanted */
void xattr_get(struct fs *fs, fuse_req_t req, uint64_t ino, const char *name, size_t size);
void xattr_list(struct fs *fs, fuse_req_t req, uint64_t ino, size_t size);

#endif
