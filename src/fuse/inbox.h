/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where one receiver reads requests into. A small one lies in one piece. Once
 * whole slabs are being written, what follows the head of a write lands in a
 * slab of its own, which an upload takes as it is, in exchange for another: such
 * bytes are copied by the kernel and by nobody else. Owner loop only.
 */
#ifndef FUSE_INBOX_H
#define FUSE_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/macro.h"

struct inbox {
	void *map;
	char *request; /* what was read: head, then the rest unless that has landed */
	void **slab;   /* what it points to may be exchanged; NULL: all is read in one piece */
	bool large, landed;
};

int inbox_init(struct inbox *b) must_check;
void inbox_fini(struct inbox *b);

/* As read(2): one request. */
ssize_t inbox_read(struct inbox *b, int fd);
/* Where the payload is that libfuse takes to be at `data`: a slab. NULL: it is there. */
void **inbox_slab(struct inbox *b, const char *data);

#endif
