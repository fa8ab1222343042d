/* SPDX-License-Identifier: Apache-2.0 */

/* What the server says of a name against what is known here. Under fs->lock. */
#ifndef FUSE_RECONCILE_H
#define FUSE_RECONCILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

struct inode;
struct itable;
struct s3_object;

enum found_kind { FOUND_NONE, FOUND_FILE, FOUND_DIR };

struct found {
	enum found_kind kind;
	const struct s3_object *object; /* FOUND_FILE */
	uint64_t expires;
};

/*
 * The inode that the name stands for from now on (not referenced for the
 * caller), -ENOENT or -ENOMEM.
 */
int reconcile(struct itable *t, struct inode *dir, const char *name, size_t len,
	      const struct found *found, struct inode **ret) must_check;

#endif
