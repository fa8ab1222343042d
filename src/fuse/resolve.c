/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One name asked at the server. Both requests run on the loop that started the
 * lookup; the answers meet in step(). For what was a directory LIST goes first
 * and mostly alone.
 *
 *   LIST has a key below "key/"        directory; HEAD is given up
 *   LIST failed                        its error; HEAD is given up
 *   LIST empty, HEAD 200               file
 *   LIST empty, HEAD 404               nothing
 *   LIST empty, HEAD failed            its error, never "not found"
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
#include "fuse/negative.h"
#include "fuse/reconcile.h"
#include "fuse/state.h"

#define RETRIES 3

struct resolve {
	/* set at creation */
	struct fs *fs;
	struct inode *dir; /* counted */
	char *key;	   /* S3_KEY_MAX at most */
	char *dir_key;	   /* key + "/" */
	size_t name_len;
	bool known_dir; /* LIST alone is likely to answer: HEAD only after it */

	/* owner loop only */
	struct s3_head_call head;
	struct s3_list_call list;
	bool head_asked, head_done, list_done, is_dir;
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

static void resolve_free(struct resolve *v)
{
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
	char why[512];

	s3_error_format(v->list.call.error.err ? &v->list.call.error : &v->head.call.error, why,
			sizeof(why));
	log_warn(LOG_FUSE, "lookup of %s failed: %s", v->key, why);
}

static void on_head(struct s3_call *c);

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

static void ask_head(struct resolve *v)
{
	v->head_asked = true;
	v->head = (struct s3_head_call){.call.done = on_head, .key = v->key};
	s3_head(v->fs->config.client, loop_current(), &v->head);
}

static void step(struct resolve *v)
{
	struct found found = {.kind = FOUND_NONE, .expires = fs_expiry(v->fs)};

	if (v->list_done && (v->is_dir || v->err < 0)) {
		s3_cancel(&v->head.call);
		found.kind = FOUND_DIR;
		finish(v, &found);
		return;
	}
	if (v->list_done && !v->head_asked)
		ask_head(v);
	if (!v->list_done || !v->head_done)
		return;
	if (v->head.call.error.err == 0) {
		found.kind = FOUND_FILE;
		found.object = &v->head.object;
	} else if (v->head.call.error.err != -ENOENT) {
		v->err = resolve_errno(v->head.call.error.err);
	}
	finish(v, &found);
}

static void on_head(struct s3_call *c)
{
	struct resolve *v = container_of(c, struct resolve, head.call);

	v->head_done = true;
	step(v);
}

static void on_list(struct s3_call *c)
{
	struct resolve *v = container_of(c, struct resolve, list.call);
	struct s3_page *page = v->list.page;

	v->list_done = true;
	v->list_took = clock_now() - v->list_asked_at;
	/* 404 of a listing is the bucket's, not the name's */
	v->err = resolve_errno(c->error.err == -ENOENT ? -EIO : c->error.err);
	if (page) {
		v->is_dir = page->count > 0 || page->dropped > 0;
		s3_page_free(page);
		v->list.page = NULL;
	}
	step(v);
}

void resolve_start(struct resolve *v)
{
	v->tries++;
	v->head_done = v->is_dir = false;
	v->err = 0;
	/* a prefix longer than any key has nothing below it, and is refused */
	v->list_done = strlen(v->dir_key) > S3_KEY_MAX;
	v->head_asked = false;
	v->head = (struct s3_head_call){0};
	v->list = (struct s3_list_call){
		.call.done = on_list,
		.prefix = v->dir_key,
		.delimiter = true,
		.max_keys = 1,
	};
	if (!v->known_dir || v->list_done)
		ask_head(v);
	v->list_took = 0;
	v->list_asked_at = clock_now();
	if (!v->list_done)
		s3_list(v->fs->config.client, loop_current(), &v->list);
}
