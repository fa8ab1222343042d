/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of FUSE calls: unpack, check who asks, call. What is not in it
 * answers ENOSYS, which the kernel remembers and turns into what programs expect:
 * setting extended attributes EOPNOTSUPP, access by mode bits, fsync of a
 * directory success, locks local to the host, copy_file_range and lseek done by
 * itself.
 */
#include "fuse/ops.h"

#include <errno.h>

#include "base/log.h"
#include "fuse/attr.h"
#include "fuse/io.h"
#include "fuse/lookup.h"
#include "fuse/open.h"
#include "fuse/readdir.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"
#include "fuse/tree.h"
#include "fuse/xattr.h"

#define BACKGROUND_DEFAULT 64

#ifdef FUSE_CAP_DIRECT_IO_ALLOW_MMAP
#define MAY_MMAP_DIRECT FUSE_CAP_DIRECT_IO_ALLOW_MMAP
#else
#define MAY_MMAP_DIRECT 0
#endif

static struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/*
 * With --allow-root the kernel lets everybody in, and a device that the caller
 * mounted may do so: then the owner (and root) is checked here.
 */
static bool denied(fuse_req_t req, const char *op, fuse_ino_t ino)
{
	struct fs *fs = fs_of(req);
	uid_t uid = fuse_req_ctx(req)->uid;
	struct request r;

	if (!fs->check_owner || uid == fs->owner || (fs->config.allow_root && uid == 0))
		return false;
	request_init(&r, fs, req, op, ino);
	(void)reply_err(&r, -EACCES);
	return true;
}

static void refuse(fuse_req_t req, const char *op, fuse_ino_t ino, int err)
{
	struct request r;

	request_init(&r, fs_of(req), req, op, ino);
	(void)reply_err(&r, err);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;
	const unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS |
			      FUSE_CAP_READDIRPLUS | FUSE_CAP_ATOMIC_O_TRUNC |
			      FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_HANDLE_KILLPRIV |
			      MAY_MMAP_DIRECT;

	conn->want = conn->capable & want;
	conn->max_write = SESSION_MAX_WRITE;
	conn->max_read = SESSION_MAX_WRITE;
	conn->max_readahead = SESSION_MAX_WRITE;
	conn->max_background =
		fs->config.max_background ? fs->config.max_background : BACKGROUND_DEFAULT;
	conn->congestion_threshold = conn->max_background * 3 / 4;
	conn->time_gran = 1;
	if (fs->config.direct_io != FS_DIRECT_NEVER && !(conn->want & MAY_MMAP_DIRECT))
		log_warn(LOG_FUSE, "files that are read with --direct-io cannot be mapped shared: "
				   "too old a kernel or libfuse");
	if (!(conn->want & FUSE_CAP_ATOMIC_O_TRUNC))
		log_warn(LOG_FUSE, "the kernel has no atomic O_TRUNC: files cannot be replaced");
	log_debug(LOG_FUSE, "kernel protocol %u.%u, capabilities %x of %x", conn->proto_major,
		  conn->proto_minor, conn->want, conn->capable);
	atomic_store(&fs->session.init_done, true);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	log_debug(LOG_FUSE, "lookup parent=%llu name=%s", (unsigned long long)parent, name);
	if (!denied(req, "lookup", parent))
		lookup_name(fs_of(req), req, parent, name);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	lookup_forget(fs_of(req), req, ino, nlookup);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	lookup_forget_multi(fs_of(req), req, count, forgets);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	if (!denied(req, "getattr", ino))
		attr_get(fs_of(req), req, ino);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	if (!denied(req, "setattr", ino))
		attr_set(fs_of(req), req, ino, attr, to_set, fi != NULL);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	(void)rdev;
	log_debug(LOG_FUSE, "mknod parent=%llu name=%s", (unsigned long long)parent, name);
	if (!denied(req, "mknod", parent))
		open_mknod(fs_of(req), req, parent, name, mode);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)mode;
	log_debug(LOG_FUSE, "mkdir parent=%llu name=%s", (unsigned long long)parent, name);
	if (!denied(req, "mkdir", parent))
		tree_mkdir(fs_of(req), req, parent, name);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	log_debug(LOG_FUSE, "unlink parent=%llu name=%s", (unsigned long long)parent, name);
	if (!denied(req, "unlink", parent))
		tree_unlink(fs_of(req), req, parent, name);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	log_debug(LOG_FUSE, "rmdir parent=%llu name=%s", (unsigned long long)parent, name);
	if (!denied(req, "rmdir", parent))
		tree_rmdir(fs_of(req), req, parent, name);
}

static void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	(void)link;
	(void)name;
	refuse(req, "symlink", parent, -EPERM);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)parent;
	(void)name;
	refuse(req, "link", ino, -EPERM);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags)
{
	log_debug(LOG_FUSE, "rename parent=%llu name=%s", (unsigned long long)parent, name);
	if (!denied(req, "rename", parent))
		tree_rename(fs_of(req), req, parent, name, new_parent, new_name, flags);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (!denied(req, "open", ino))
		open_file(fs_of(req), req, ino, fi);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	(void)mode;
	log_debug(LOG_FUSE, "create parent=%llu name=%s", (unsigned long long)parent, name);
	if (!denied(req, "create", parent))
		open_create(fs_of(req), req, parent, name, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	io_read(fs_of(req), req, ino, size, (uint64_t)off, fi);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	io_write(fs_of(req), req, ino, buf, size, (uint64_t)off, fi);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	io_flush(fs_of(req), req, ino, fi);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	io_fsync(fs_of(req), req, ino, fi);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	io_release(fs_of(req), req, ino, fi);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (!denied(req, "opendir", ino))
		readdir_open(fs_of(req), req, ino, fi);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	readdir_read(fs_of(req), req, ino, size, (uint64_t)off, fi, /* plus= */ false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	readdir_read(fs_of(req), req, ino, size, (uint64_t)off, fi, /* plus= */ true);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	readdir_release(fs_of(req), req, ino, fi);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	if (!denied(req, "statfs", ino))
		attr_statfs(fs_of(req), req, ino);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	if (!denied(req, "getxattr", ino))
		xattr_get(fs_of(req), req, ino, name, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (!denied(req, "listxattr", ino))
		xattr_list(fs_of(req), req, ino, size);
}

const struct fuse_lowlevel_ops fs_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.link = op_link,
	.rename = op_rename,
	.open = op_open,
	.create = op_create,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.fsync = op_fsync,
	.release = op_release,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
};
