/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One name asked at the server: what object has the key, and is there a directory
 * of that name, that is a key below "key/"?
 *
 *   "names"   LIST of the first keys that begin with "key": the object is the first
 *             of them; "key/" is behind at most those that go on with a character
 *             below '/', so that it mostly answers the other question as well
 *   "below"   LIST of one key below "key/": first for what was a directory, else
 *             when "names" left that open
 *   HEAD      instead of "names" in directory buckets, whose LIST takes only
 *             prefixes that end with '/'; then "below" is asked with it
 *
 *   a directory, whatever else         directory
 *   no directory, and an object        file
 *   neither                            nothing
 *   a request failed                   its error, never "not found"; of HEAD only
 *                                      when there is no directory
 *
 * All requests run on the loop that started the lookup; the answers meet in step().
 *
 * When we changed the name ourselves meanwhile (`stale`), the answer may be of
 * before: it is asked again, at most RETRIES times.
 */
#include "fuse/resolve.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fuse/listing.h"
#include "fuse/name.h"
#include "fuse/negative.h"
#include "fuse/reconcile.h"
#include "fuse/state.h"

#define RETRIES	  3
#define NAME_KEYS 4 /* MinIO: 0.5-0.7 ms of CPU for a LIST of one, 0.03 for each more */

struct resolve {
	/* set at creation */
	struct fs *fs;
	struct inode *dir; /* counted */
	char *key;	   /* S3_KEY_MAX at most */
	char *dir_key;	   /* key + "/" */
	size_t key_len, name_len;
	bool known_dir; /* "below" alone is likely to answer */
	bool by_head;

	/* owner loop only */
	struct s3_head_call head;
	struct s3_list_call names, below;
	bool object_asked, object_done; /* by HEAD or "names" */
	bool below_asked, below_done;
	bool is_dir;
	const struct s3_object *object;	   /* in `head` or `names` */
	uint64_t list_asked_at, list_took; /* 0: none came */
	int err;
	unsigned tries;

	/* under fs->lock */
	struct hash_node by_name;
	struct list waiters;
	bool stale;

	char name[];
};

int resolve_errno(int err)
{
	switch (err) {
	case 0:
	case -ENOENT:
	case -EACCES:
	case -ENOMEM:
		return err;
	default:
		return -EIO;
	}
}

static void forget_names(struct resolve *v)
{
	if (v->names.page)
		s3_page_free(v->names.page);
	v->names.page = NULL;
	v->object = NULL;
}

static void resolve_free(struct resolve *v)
{
	forget_names(v);
	free(v->key);
	free(v->dir_key);
	free(v);
}

static uint64_t hash_of(const struct inode *dir, const char *name, size_t len)
{
	return hash_bytes(name, len, dir->ino);
}

static struct resolve *find_locked(struct fs *fs, const struct inode *dir, const char *name,
				   size_t len)
{
	struct hash_node *n;

	hash_for_each_match(n, &fs->resolves, hash_of(dir, name, len))
	{
		struct resolve *v = container_of(n, struct resolve, by_name);

		if (v->dir == dir && v->name_len == len && memcmp(v->name, name, len) == 0)
			return v;
	}
	return NULL;
}

static int resolve_new_locked(struct fs *fs, struct inode *dir, const char *name, size_t len,
			      struct resolve **ret)
{
	struct resolve *v = calloc(1, sizeof(*v) + len + 1);
	const struct inode *known;
	int r;

	if (!v)
		return -ENOMEM;
	v->fs = fs;
	v->name_len = len;
	memcpy(v->name, name, len);
	list_init(&v->waiters);
	r = fs_child_key_locked(fs, dir, name, &v->key);
	if (r == 0 && asprintf(&v->dir_key, "%s/", v->key) < 0) {
		v->dir_key = NULL;
		r = -ENOMEM;
	}
	if (r == 0)
		r = hash_insert(&fs->resolves, &v->by_name, hash_of(dir, name, len));
	if (r < 0) {
		resolve_free(v);
		return r;
	}
	v->key_len = strlen(v->key);
	v->by_head = fs->directory;
	v->dir = inode_ref(dir);
	known = itable_child(&fs->table, dir, name, len);
	v->known_dir = known && known->is_dir;
	*ret = v;
	return 0;
}

int resolve_join_locked(struct fs *fs, struct inode *dir, const char *name, struct resolve_wait *w,
			struct resolve **ret_start)
{
	size_t len = strlen(name);
	struct resolve *v = find_locked(fs, dir, name, len);

	*ret_start = NULL;
	if (!v) {
		int r = resolve_new_locked(fs, dir, name, len, &v);

		if (r < 0)
			return r;
		*ret_start = v;
	}
	list_append(&v->waiters, &w->node);
	return 0;
}

void resolve_changed_locked(struct fs *fs, const struct inode *dir, const char *name, size_t len)
{
	struct resolve *v = find_locked(fs, dir, name, len);

	if (v)
		v->stale = true;
}

/* The answer becomes the inode; a reference for each waiter. */
static int settle_locked(struct resolve *v, const struct found *found, struct inode **ret)
{
	struct fs *fs = v->fs;
	struct list *n;
	int r;

	r = reconcile(&fs->table, v->dir, v->name, v->name_len, found, ret);
	listing_note_locked(v->dir, r == 0);
	if (found->kind == FOUND_NONE && r == -ENOENT)
		negative_add_locked(fs, v->dir, v->name, v->name_len);
	else
		negative_remove_locked(fs, v->dir, v->name, v->name_len);
	if (r < 0)
		return r;
	(*ret)->told = clock_now();
	if (found->kind != FOUND_NONE)
		itable_confirm(v->dir, found->expires);
	list_for_each (n, &v->waiters)
		inode_ref(*ret);
	return 0;
}

static void log_failure(const struct resolve *v)
{
	const struct s3_error *e = &v->head.call.error;
	char why[512];

	if (v->below.call.error.err)
		e = &v->below.call.error;
	else if (v->names.call.error.err)
		e = &v->names.call.error;
	s3_error_format(e, why, sizeof(why));
	log_warn(LOG_FUSE, "lookup of %s failed: %s", v->key, why);
}

static void finish(struct resolve *v, const struct found *found)
{
	struct fs *fs = v->fs;
	struct list waiters = LIST_INIT(waiters);
	struct inode *i = NULL;
	struct list *n;
	bool again = false;
	int r = v->err;

	if (r < 0)
		log_failure(v);
	{
		WITH_LOCK(&fs->lock);
		if (v->list_took)
			listing_took_locked(fs, v->list_took, 0);
		again = v->stale && v->tries < RETRIES && r == 0;
		v->stale = false;
		if (!again) {
			if (r == 0)
				r = settle_locked(v, found, &i);
			hash_remove(&fs->resolves, &v->by_name);
			list_splice(&waiters, &v->waiters);
			itable_unref(&fs->table, v->dir);
		}
	}
	if (again) {
		resolve_start(v);
		return;
	}
	while ((n = list_pop(&waiters))) {
		struct resolve_wait *w = list_entry(n, struct resolve_wait, node);

		w->done(w, r, i);
	}
	resolve_free(v);
}

static void step(struct resolve *v);

static void on_head(struct s3_call *c)
{
	struct resolve *v = container_of(c, struct resolve, head.call);

	v->object_done = true;
	if (c->error.err == 0)
		v->object = &v->head.object;
	step(v);
}

/* The answer of a LIST, or NULL and v->err. */
static const struct s3_page *list_answer(struct resolve *v, const struct s3_list_call *l)
{
	int err = l->call.error.err;

	v->list_took = clock_now() - v->list_asked_at;
	/* 404 of a listing is the bucket's, not the name's */
	v->err = resolve_errno(err == -ENOENT ? -EIO : err);
	return v->err < 0 ? NULL : l->page;
}

/* Whether "key/", if it existed, would have been among these keys. */
static bool page_reaches_dir(const struct resolve *v, const struct s3_page *page)
{
	const struct s3_entry *last;

	if (!page->truncated)
		return true;
	if (page->unordered || page->count == 0)
		return false;
	last = &page->entries[page->count - 1];
	return name_cmp(last->key, last->key_len, v->dir_key, v->key_len + 1) >= 0;
}

static void read_names(struct resolve *v, const struct s3_page *page)
{
	for (size_t i = 0; i < page->count; i++) {
		const struct s3_entry *e = &page->entries[i];

		if (e->is_prefix && e->key_len == v->key_len + 1)
			v->is_dir |= memcmp(e->key, v->dir_key, e->key_len) == 0;
		else if (!e->is_prefix && e->key_len == v->key_len &&
			 memcmp(e->key, v->key, v->key_len) == 0)
			v->object = &e->object;
	}
	v->below_done |= v->is_dir || page_reaches_dir(v, page);
}

static void on_names(struct s3_call *c)
{
	struct resolve *v = container_of(c, struct resolve, names.call);
	const struct s3_page *page = list_answer(v, &v->names);

	v->object_done = true;
	if (page)
		read_names(v, page);
	step(v);
}

static void on_below(struct s3_call *c)
{
	struct resolve *v = container_of(c, struct resolve, below.call);
	const struct s3_page *page = list_answer(v, &v->below);

	v->below_done = true;
	if (page) {
		v->is_dir = page->count > 0 || page->dropped > 0;
		s3_page_free(v->below.page);
		v->below.page = NULL;
	}
	step(v);
}

static void ask_list(struct resolve *v, struct s3_list_call *l, void (*done)(struct s3_call *),
		     const char *prefix, unsigned keys)
{
	*l = (struct s3_list_call){
		.call.done = done,
		.prefix = prefix,
		.delimiter = true,
		.max_keys = keys,
	};
	v->list_asked_at = clock_now();
	s3_list(v->fs->config.client, loop_current(), l);
}

static void ask_object(struct resolve *v)
{
	v->object_asked = true;
	if (v->by_head) {
		v->head = (struct s3_head_call){.call.done = on_head, .key = v->key};
		s3_head(v->fs->config.client, loop_current(), &v->head);
	} else {
		ask_list(v, &v->names, on_names, v->key, NAME_KEYS);
	}
}

static void ask_below(struct resolve *v)
{
	v->below_asked = true;
	ask_list(v, &v->below, on_below, v->dir_key, 1);
}

static void settle(struct resolve *v)
{
	struct found found = {.kind = FOUND_NONE, .expires = fs_expiry(v->fs)};
	int head = v->head.call.error.err;

	if (v->is_dir) {
		found.kind = FOUND_DIR;
	} else if (v->object) {
		found.kind = FOUND_FILE;
		found.object = v->object;
	} else if (v->err == 0 && head != 0 && head != -ENOENT) {
		v->err = resolve_errno(head);
	}
	finish(v, &found);
}

static void step(struct resolve *v)
{
	if (v->err < 0 || (v->below_done && v->is_dir)) {
		s3_cancel(&v->head.call);
		settle(v);
	} else if (v->below_done && v->object_done) {
		settle(v);
	} else if (v->below_done && !v->object_asked) {
		ask_object(v);
	} else if (v->object_done && !v->below_asked) {
		ask_below(v);
	}
}

void resolve_start(struct resolve *v)
{
	bool below;

	forget_names(v);
	v->tries++;
	v->err = 0;
	v->is_dir = v->object_asked = v->object_done = v->below_asked = false;
	/* a prefix longer than any key has nothing below it, and is refused */
	v->below_done = v->key_len + 1 > S3_KEY_MAX;
	v->head = (struct s3_head_call){0};
	v->names = v->below = (struct s3_list_call){0};
	v->list_took = 0;
	below = !v->below_done && (v->known_dir || v->by_head);
	if (!below || !v->known_dir)
		ask_object(v);
	if (below)
		ask_below(v);
}
