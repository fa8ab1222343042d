/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one place that includes libfuse: which of its interfaces we speak, both
 * with 3.14 (Debian 12) and with 3.18.
 */
#ifndef FUSE_API_H
#define FUSE_API_H

#define FUSE_USE_VERSION 312

#include <fuse_lowlevel.h>

#endif
