/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Answers. The only callers of libfuse's fuse_reply_*. Each claims the request
 * (request.h) and returns 0 when the answer went out. Negative: the request was
 * answered before, or the kernel did not take it; then what the answer would
 * have handed over (an open handle, a lookup count) is still the caller's.
 * Failures are logged here, once: the layers below return them. No lock may be
 * held: an answer can drop the last reference of anything.
 */
#ifndef FUSE_REPLY_H
#define FUSE_REPLY_H

#include <stddef.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#include "fuse/api.h"

struct request;

int reply_err(struct request *r, int err); /* 0 or -errno */
void reply_none(struct request *r);	   /* forget */
int reply_entry(struct request *r, const struct fuse_entry_param *e);
int reply_create(struct request *r, const struct fuse_entry_param *e,
		 const struct fuse_file_info *fi);
int reply_attr(struct request *r, const struct stat *st, double timeout);
int reply_open(struct request *r, const struct fuse_file_info *fi);
int reply_data(struct request *r, const struct iovec *iov, unsigned niov);
int reply_buf(struct request *r, const char *buf, size_t len);
int reply_write(struct request *r, size_t count);
int reply_xattr(struct request *r, size_t count); /* the size a caller asked for */
int reply_statfs(struct request *r, const struct statvfs *st);

#endif
