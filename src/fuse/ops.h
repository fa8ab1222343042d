/* SPDX-License-Identifier: Apache-2.0 */

#ifndef FUSE_OPS_H
#define FUSE_OPS_H

#include "fuse/api.h"

/* The table given to libfuse; its userdata is the struct fs. */
extern const struct fuse_lowlevel_ops fs_ops;

#endif
