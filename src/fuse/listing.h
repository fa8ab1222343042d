/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pages of directory listings: what readdir reads out, and for as long as they
 * are fresh the answer to lookups of every name they cover, present or absent.
 *
 * A page covers the keys above `lo` up to its last one, `hi` (the last page of a
 * directory has no `hi`). A name is decided when both its object n and its
 * directory "n/" are covered, if need be by two pages. Names in a page are
 * without the directory's key. Where the server lists without order a page covers
 * something only when it is all of the directory.
 */
#ifndef FUSE_LISTING_H
#define FUSE_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/macro.h"
#include "fuse/reconcile.h"
#include "s3/s3.h"

#define LISTING_PAGE_KEYS 1000
/* Lookups that a page made for them must answer to have been worth it. */
#define LISTING_ANSWERS_ENOUGH 3
/* Kept to answer lookups, in the whole mount: many small directories or a few large ones. */
#define LISTING_PAGES_MAX 256
#define LISTING_KEYS_MAX  16000

struct fs;
struct inode;

struct page {
	/* set at creation */
	struct fs *fs;
	struct inode *dir; /* counted */
	char *prefix;	   /* the directory's key */
	size_t prefix_len;
	char *lo;	   /* names above it; "" from the start */
	char *token;	   /* continuation token, NULL: from `lo` */
	char *start_after; /* key of `lo`, NULL: from the start, or by token */
	bool refresh;	   /* made for lookups, not by readdir */
	unsigned keys;	   /* LISTING_PAGE_KEYS, or few: only for names about to be made */
	uint64_t requested;

	_Atomic unsigned refs;

	struct s3_list_call call; /* the loop of page_start only */

	/* under fs->lock until ready, then unchanged */
	bool ready;
	int err;
	struct s3_page *s3; /* NULL on error */
	uint32_t *order;    /* of an unordered page that answers: its entries by key */
	const char *hi;	    /* NULL: up to the end */
	size_t hi_len;
	uint64_t expires;

	/* under fs->lock */
	struct list dir_node, lru; /* in dir->pages from the start; in fs->pages while it answers */
	struct list waiters;
	unsigned answers; /* lookups it decided */
	char **unknown;	  /* names it may not speak for */
	unsigned nunknown;
	bool renewed; /* the page that will follow it in time was asked for */
	bool spoiled; /* too many of them: it speaks for no name */
	bool mute;    /* answers no lookup any more */
};

struct page_wait {
	/* The page is ready (see page->err); no lock held. The page is borrowed. */
	void (*done)(struct page_wait *w, struct page *p);
	struct list node;
};

/*
 * A page not yet requested, one reference for the caller. `lo` and `token` are
 * copied. With fs->lock held.
 */
int page_new_locked(struct fs *fs, struct inode *dir, const char *lo, const char *token,
		    bool refresh, struct page **ret) must_check;
void page_start(struct page *p); /* on a loop thread, no lock */
struct page *page_ref(struct page *p);
void page_unref(struct page *p); /* no lock held */

/* Name of an entry: without the directory's key and a prefix's '/'. */
const char *page_name(const struct page *p, const struct s3_entry *e, size_t *ret_len);

/* False: we changed that name ourselves after the page was asked for. With fs->lock. */
bool page_speaks_locked(const struct page *p, const char *name, size_t len);

/*
 * True when a fresh page decides what `name` is; it was asked for at *ret_told.
 * A page that is used and will expire soon is asked for again: the caller calls
 * listing_start when it has dropped the lock. All of these with fs->lock held.
 */
bool listing_find_locked(struct fs *fs, struct inode *dir, const char *name, size_t len,
			 uint64_t now, struct found *ret, uint64_t *ret_told);
/* How long a LIST took; whether they take long, as with a server that is far. */
void listing_took_locked(struct fs *fs, uint64_t ns, size_t entries);
bool listing_is_slow_locked(const struct fs *fs);
/* The fresh page, of one that is in order, whose entry *ret_index is the object `name`. */
bool listing_place_locked(struct inode *dir, const char *name, size_t len, uint64_t now,
			  struct page **ret, size_t *ret_index);
/* A page in flight that is likely to cover the name, or NULL. */
struct page *listing_loading_locked(struct inode *dir, const char *name, size_t len);
/* What a lookup ended with. */
void listing_note_locked(struct inode *dir, bool found);
/*
 * Counts a lookup that memory could not answer; true when the next thing to do
 * is a page of *ret_keys from *ret_lo (NAME_LEN_MAX + 4 bytes) instead of this one name.
 */
bool listing_wanted_locked(const struct fs *fs, struct inode *dir, const char *name, size_t len,
			   bool known, uint64_t now, char *ret_lo, unsigned *ret_keys);
/* Lookups in directories beside this one came thick: here they will too. */
bool listing_likely_locked(const struct inode *dir);
/* Requests what listing_find_locked put aside. On a loop thread, no lock held. */
void listing_start(struct fs *fs);
/* Pages may no longer speak for that name. */
void listing_forget_locked(struct inode *dir, const char *name, size_t len);
/* Pages that expired move to `dead`; free them with listing_free_dead, unlocked. */
void listing_sweep_locked(struct fs *fs, uint64_t now, struct list *dead);
void listing_free_dead(struct list *dead);

#endif
