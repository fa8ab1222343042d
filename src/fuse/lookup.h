/* SPDX-License-Identifier: Apache-2.0 */

/* FUSE lookup, forget and batch_forget. */
#ifndef FUSE_LOOKUP_H
#define FUSE_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#include "fuse/api.h"

struct fs;

void lookup_name(struct fs *fs, fuse_req_t req, uint64_t parent, const char *name);
void lookup_forget(struct fs *fs, fuse_req_t req, uint64_t ino, uint64_t nlookup);
void lookup_forget_multi(struct fs *fs, fuse_req_t req, size_t count,
			 const struct fuse_forget_data *forgets);
/* The kernel did not take an entry that was counted for it. */
void lookup_undo(struct fs *fs, uint64_t ino);

#endif
