/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FACADE of fuse/: the file system and its mount.
 *
 *	fs_new(&config, &fs);
 *	fs_mount(fs, "/mnt", why, sizeof(why));	(the kernel's INIT is answered by fs_serve)
 *	fs_serve(fs, on_ended, arg);		(requests are now handled on the loops)
 *	... on_ended(arg) on a loop: unmounted from outside, or the device failed
 *	fs_unmount(fs);		(main thread; also after on_ended)
 *	fs_drain(fs, deadline);	(finish closed uploads, abort the rest)
 *	loop_stop ... fs_free(fs);
 */
#ifndef FUSE_FS_H
#define FUSE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"
#include "s3/s3.h"

struct budget;
struct fs;
struct loop;
struct pf;

#define FS_TTL_MINIMAL	  0
#define FS_TTL_INDEFINITE UINT64_MAX

/* Which files are read past the kernel's page cache. */
enum fs_direct_io { FS_DIRECT_NEVER, FS_DIRECT_AUTO, FS_DIRECT_ALWAYS };

struct fs_config {
	const char *bucket;
	const char *prefix; /* "" or ends in '/' */
	uid_t uid;
	gid_t gid;
	mode_t dir_mode, file_mode; /* permission bits */
	bool read_only, allow_delete, allow_overwrite;
	bool incremental_upload; /* of directory buckets: append, send while it is written */
	bool allow_other, allow_root, auto_unmount;
	bool immutable; /* nothing changes: the kernel may keep listings for good */
	enum fs_direct_io direct_io;
	/*
	 * Nanoseconds; FS_TTL_MINIMAL: entries live 1 s for names and attributes,
	 * and every open revalidates; otherwise open trusts a fresh entry.
	 */
	uint64_t metadata_ttl, negative_ttl;
	uint64_t write_part_size;
	unsigned parts_in_flight, parts_in_flight_max; /* upload/upload.h */
	bool strict_metadata; /* changes of mode, owner, times are refused, not ignored */
	bool infer_content_type, fixed_part_size;
	struct s3_put_attrs put_attrs;
	unsigned max_background; /* 0: 64, as the peer */
	bool debug_fuse;	 /* libfuse's own request dump on stderr */
	/* borrowed */
	struct s3_client *client;
	struct pf *pf;
	struct budget *budget;
	struct loop **loops;
	unsigned nloops;
};

int fs_new(const struct fs_config *config, struct fs **ret) must_check;
/* `dir` may be /dev/fd/N, a FUSE device already mounted by the caller. `why` gets a sentence. */
int fs_mount(struct fs *fs, const char *dir, char *why, size_t why_len) must_check;
int fs_serve(struct fs *fs, void (*on_ended)(void *arg), void *arg) must_check;
/* Unmounts (lazily when busy) and ends the session; no request comes after it. Bounded in time. */
void fs_unmount(struct fs *fs);
/* Blocks until uploads are done or aborted, at most until `deadline`. Number of uploads lost. */
unsigned fs_drain(struct fs *fs, uint64_t deadline);
void fs_free(struct fs *fs);

/*
 * --auto-unmount starts this program again, as a guard of the mount. Whether this
 * process is one, and what it then does until its exit code.
 */
bool fs_is_guard(int argc, char **argv);
int fs_guard(char **argv);

#endif
