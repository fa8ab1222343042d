/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Answers to the kernel, by writev on the calling thread. An error that means
 * trouble is a line at warn level with the operation and the key, limited by
 * log.h; the everyday ones (a missing name, a refused flag) and those that the log
 * has explained already are debug lines.
 */
#include "fuse/reply.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fuse/request.h"
#include "fuse/state.h"

static bool everyday(const struct request *r, int err)
{
	if (r->told)
		return true;
	switch (err) {
	case -ENOENT:
	case -EEXIST:
	case -EINTR:
	case -EXDEV:
	case -ENOSYS:
	case -ENOTEMPTY:
	case -EISDIR:
	case -ENOTDIR:
	case -EOPNOTSUPP:
	case -ENODATA:
	case -ERANGE:
		return true;
	case -ESTALE: /* the kernel then looks the name up anew: nobody sees this error */
		return strcmp(r->op, "getattr") == 0;
	default:
		return false;
	}
}

/* NULL: not known. */
static char *key_locked(struct request *r)
{
	struct fs *fs = r->fs;
	struct inode *i = itable_get(&fs->table, r->ino);
	char *key = NULL;

	if (!i)
		return NULL;
	if (!r->name || !i->is_dir || fs_child_key_locked(fs, i, r->name, &key) < 0)
		return fs_key_locked(fs, i);
	return key;
}

static void log_failure(struct request *r, int err)
{
	struct fs *fs = r->fs;
	_cleanup_(freep) char *key = NULL;

	if (!log_on(LOG_FUSE, everyday(r, err) ? LOG_DEBUG : LOG_WARN))
		return;
	{
		WITH_LOCK(&fs->lock);
		key = key_locked(r);
	}
	if (everyday(r, err))
		log_debug(LOG_FUSE, "%s ino=%llu key=%s: %s", r->op, (unsigned long long)r->ino,
			  key ? key : "?", strerror(-err));
	else
		log_warn(LOG_FUSE, "%s ino=%llu key=%s failed: %s", r->op,
			 (unsigned long long)r->ino, key ? key : "?", strerror(-err));
}

/* ENOENT from the device: the kernel no longer waits, e.g. the mount is gone. */
static int sent(struct request *r, int res)
{
	if (res < 0)
		log_debug(LOG_FUSE, "%s ino=%llu: answer not taken: %s", r->op,
			  (unsigned long long)r->ino, strerror(-res));
	return res;
}

int reply_err(struct request *r, int err)
{
	if (!request_claim(r))
		return -EALREADY;
	if (err < 0)
		log_failure(r, err);
	return sent(r, fuse_reply_err(r->req, -err));
}

void reply_none(struct request *r)
{
	if (request_claim(r))
		fuse_reply_none(r->req);
}

int reply_entry(struct request *r, const struct fuse_entry_param *e)
{
	return request_claim(r) ? sent(r, fuse_reply_entry(r->req, e)) : -EALREADY;
}

int reply_create(struct request *r, const struct fuse_entry_param *e,
		 const struct fuse_file_info *fi)
{
	return request_claim(r) ? sent(r, fuse_reply_create(r->req, e, fi)) : -EALREADY;
}

int reply_attr(struct request *r, const struct stat *st, double timeout)
{
	return request_claim(r) ? sent(r, fuse_reply_attr(r->req, st, timeout)) : -EALREADY;
}

int reply_open(struct request *r, const struct fuse_file_info *fi)
{
	return request_claim(r) ? sent(r, fuse_reply_open(r->req, fi)) : -EALREADY;
}

int reply_data(struct request *r, const struct iovec *iov, unsigned niov)
{
	if (!request_claim(r))
		return -EALREADY;
	return sent(r, niov ? fuse_reply_iov(r->req, iov, (int)niov)
			    : fuse_reply_buf(r->req, NULL, 0));
}

int reply_buf(struct request *r, const char *buf, size_t len)
{
	return request_claim(r) ? sent(r, fuse_reply_buf(r->req, buf, len)) : -EALREADY;
}

int reply_write(struct request *r, size_t count)
{
	return request_claim(r) ? sent(r, fuse_reply_write(r->req, count)) : -EALREADY;
}

int reply_xattr(struct request *r, size_t count)
{
	return request_claim(r) ? sent(r, fuse_reply_xattr(r->req, count)) : -EALREADY;
}

int reply_statfs(struct request *r, const struct statvfs *st)
{
	return request_claim(r) ? sent(r, fuse_reply_statfs(r->req, st)) : -EALREADY;
}
