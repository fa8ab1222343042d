/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Small files that are opened in the order of their directory's listing, as cp, tar
 * and rsync do: the next ones are fetched before they are opened. Only where names
 * are trusted for a time (--metadata-ttl): else each open asks the server anyway.
 */
#ifndef FUSE_FILEAHEAD_H
#define FUSE_FILEAHEAD_H

#include "base/list.h"

struct fs;
struct inode;

/* A file was opened for reading. What is to be fetched goes to `fetches`. fs->lock held. */
void fileahead_opened_locked(struct fs *fs, struct inode *i, struct list *fetches);
/* On a loop thread, no lock held. Empties `fetches`. */
void fileahead_start(struct fs *fs, struct list *fetches);

#endif
