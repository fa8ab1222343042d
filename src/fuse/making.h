/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Directories in which files are being made, one after another. The kernel holds
 * such a directory's lock while it asks for the next new name, so that one question
 * to the server per file is what they all wait for, however many programs write. So
 * there a "missing" that a page has told within the last second counts for who is
 * about to make the name (proc_may_create), and in a directory that was itself made
 * here a moment ago for everybody, such as cp, which looks first. Pages of few keys
 * are asked for, which tell of the gap that a name falls into.
 * All under fs->lock.
 */
#ifndef FUSE_MAKING_H
#define FUSE_MAKING_H

#include <stdbool.h>
#include <stdint.h>

/* So old may a "missing" be. */
#define MAKING_TRUST NSEC_PER_SEC

struct dir;

/* It was made just now, by mkdir: files will be made in it. */
void making_begins(struct dir *d, uint64_t now);
/* A file was made in it; a lookup in it found nothing. */
void making_file(struct dir *d, uint64_t now);
void making_missed(struct dir *d);
bool making_goes_on(const struct dir *d, uint64_t now);
/* And the directory is one that making_begins was called for. */
bool making_is_ours(const struct dir *d, uint64_t now);
/* How many keys the next page there should have; counts it. */
unsigned making_page_keys(struct dir *d, uint64_t now);

#endif
