/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The inode table. Numbers count up from 2 and are never used twice, so that the
 * generation can stay 0. No lock and no I/O in here: fs->lock is held by the
 * caller.
 *
 *   attached, kernel or we hold it     found by number and name
 *   detached, kernel or we hold it     found by number only
 *   attached, nobody holds it          freed, unless pinned: it is local, being
 *                                      written, or a directory to be kept
 *   detached, nobody holds it          freed
 */
#include "fuse/inode.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "s3/s3.h"

static uint64_t name_hash(const struct inode *parent, const char *name, size_t len)
{
	return hash_bytes(name, len, parent->ino);
}

static int inode_new(const char *name, size_t len, bool is_dir, struct inode **ret)
{
	struct inode *i = calloc(1, sizeof(*i) + len + 1);

	if (!i)
		return -ENOMEM;
	if (is_dir) {
		i->dir = calloc(1, sizeof(*i->dir));
		if (!i->dir) {
			free(i);
			return -ENOMEM;
		}
		list_init(&i->dir->locals);
		list_init(&i->dir->pages);
	}
	list_init(&i->local_node);
	i->is_dir = is_dir;
	i->name_len = (uint16_t)len;
	memcpy(i->first_name, name, len);
	i->name = i->first_name;
	*ret = i;
	return 0;
}

static void free_name(struct inode *i)
{
	if (i->name != i->first_name)
		free((char *)(uintptr_t)i->name);
}

static void inode_free(struct inode *i)
{
	free_name(i);
	free(i->etag);
	free(i->dir);
	free(i);
}

int itable_init(struct itable *t)
{
	struct inode *root;
	int r;

	*t = (struct itable){.next_ino = INODE_ROOT};
	r = inode_new("", 0, /* is_dir= */ true, &root);
	if (r < 0)
		return r;
	root->ino = t->next_ino++;
	root->refs = 1;
	root->attached = true;
	root->expires = EXPIRES_NEVER;
	root->mtime = root->atime = clock_wall();
	r = hash_insert(&t->by_ino, &root->by_ino, hash_u64(root->ino));
	if (r < 0) {
		inode_free(root);
		return r;
	}
	t->root = root;
	t->count = 1;
	return 0;
}

static void free_node(struct hash_node *n, void *arg)
{
	(void)arg;
	inode_free(container_of(n, struct inode, by_ino));
}

void itable_fini(struct itable *t)
{
	hash_visit(&t->by_ino, free_node, NULL);
	hash_fini(&t->by_ino);
	hash_fini(&t->by_name);
	t->root = NULL;
	t->count = 0;
}

struct inode *itable_get(struct itable *t, uint64_t ino)
{
	struct hash_node *n;

	if (ino == INODE_ROOT)
		return t->root;
	hash_for_each_match(n, &t->by_ino, hash_u64(ino))
	{
		struct inode *i = container_of(n, struct inode, by_ino);

		if (i->ino == ino)
			return i;
	}
	return NULL;
}

struct inode *itable_child(struct itable *t, const struct inode *parent, const char *name,
			   size_t len)
{
	struct hash_node *n;

	hash_for_each_match(n, &t->by_name, name_hash(parent, name, len))
	{
		struct inode *i = container_of(n, struct inode, by_name);

		if (i->parent == parent && i->name_len == len && memcmp(i->name, name, len) == 0)
			return i;
	}
	return NULL;
}

int itable_add(struct itable *t, struct inode *parent, const char *name, size_t len, bool is_dir,
	       enum inode_state state, struct inode **ret)
{
	struct inode *i;
	int r;

	assert(parent->is_dir && !itable_child(t, parent, name, len));
	r = inode_new(name, len, is_dir, &i);
	if (r < 0)
		return r;
	i->ino = t->next_ino;
	r = hash_insert(&t->by_ino, &i->by_ino, hash_u64(i->ino));
	if (r < 0) {
		inode_free(i);
		return r;
	}
	r = hash_insert(&t->by_name, &i->by_name, name_hash(parent, name, len));
	if (r < 0) {
		hash_remove(&t->by_ino, &i->by_ino);
		inode_free(i);
		return r;
	}
	t->next_ino++;
	t->count++;
	i->attached = true;
	i->parent = inode_ref(parent);
	i->mtime = i->atime = is_dir ? t->root->mtime : clock_wall();
	i->state = INODE_REMOTE;
	itable_set_state(t, i, state);
	*ret = i;
	return 0;
}

/* It is there whatever the server says: made or kept here, or something below it is. */
static bool stays(const struct inode *i)
{
	return i->attached &&
	       (i->state != INODE_REMOTE || i->keep || (i->dir && !list_empty(&i->dir->locals)));
}

/* The parent lists what stays, which may make it one that stays itself. */
static void list_in_parent(struct inode *i)
{
	for (; i->parent; i = i->parent) {
		bool listed = !list_empty(&i->local_node);

		if (stays(i) == listed)
			return;
		if (listed)
			list_del(&i->local_node);
		else
			list_append(&i->parent->dir->locals, &i->local_node);
	}
}

void itable_set_state(struct itable *t, struct inode *i, enum inode_state state)
{
	(void)t;
	i->state = (uint8_t)state;
	list_in_parent(i);
}

void itable_detach(struct itable *t, struct inode *i)
{
	if (!i->attached || !i->parent)
		return;
	hash_remove(&t->by_name, &i->by_name);
	i->attached = false;
	list_in_parent(i);
	i->expires = 0;
	itable_maybe_free(t, i);
}

int itable_move(struct itable *t, struct inode *i, struct inode *parent, const char *name,
		size_t len)
{
	struct inode *old_parent = i->parent;
	char *copy = strndup(name, len);

	assert(i->attached && !i->is_dir && i->state == INODE_REMOTE);
	assert(!itable_child(t, parent, name, len));
	hash_remove(&t->by_name, &i->by_name);
	if (!copy || hash_insert(&t->by_name, &i->by_name, name_hash(parent, name, len)) < 0) {
		free(copy);
		i->attached = false;
		i->expires = 0;
		itable_maybe_free(t, i);
		return -ENOMEM;
	}
	free_name(i);
	i->name = copy;
	i->name_len = (uint16_t)len;
	i->parent = inode_ref(parent);
	itable_unref(t, old_parent);
	return 0;
}

void itable_ancestors_remote(struct itable *t, struct inode *dir)
{
	for (; dir && dir->state != INODE_REMOTE; dir = dir->parent)
		itable_set_state(t, dir, INODE_REMOTE);
}

void itable_confirm(struct inode *dir, uint64_t expires)
{
	for (; dir && dir->attached && dir->state == INODE_REMOTE; dir = dir->parent) {
		if (dir->expires < expires)
			dir->expires = expires;
	}
}

void itable_keep(struct inode *dir)
{
	for (; dir && !dir->keep; dir = dir->parent) {
		dir->keep = true;
		list_in_parent(dir);
	}
}

static bool inode_pinned(const struct inode *i)
{
	return i->attached && (i->state != INODE_REMOTE || i->keep || !i->parent);
}

struct inode *inode_ref(struct inode *i)
{
	i->refs++;
	return i;
}

void itable_maybe_free(struct itable *t, struct inode *i)
{
	while (i && i->refs == 0 && i->nlookup == 0 && !inode_pinned(i)) {
		struct inode *parent = i->parent;

		if (t->on_free)
			t->on_free(t, i);
		assert(!i->dir || (list_empty(&i->dir->locals) && list_empty(&i->dir->pages)));
		if (i->attached)
			hash_remove(&t->by_name, &i->by_name);
		hash_remove(&t->by_ino, &i->by_ino);
		list_del(&i->local_node);
		t->count--;
		inode_free(i);
		i = parent;
		if (i)
			i->refs--;
	}
}

void itable_unref(struct itable *t, struct inode *i)
{
	assert(i->refs > 0);
	i->refs--;
	itable_maybe_free(t, i);
}

void itable_forget(struct itable *t, struct inode *i, uint64_t nlookup)
{
	i->nlookup -= min_u64(i->nlookup, nlookup);
	itable_maybe_free(t, i);
}

int inode_set_object(struct inode *i, const struct s3_object *o)
{
	if (!i->etag || strcmp(i->etag, o->etag) != 0) {
		char *etag = strdup(o->etag);

		if (!etag)
			return -ENOMEM;
		free(i->etag);
		i->etag = etag;
		i->opened = i->data_seen = i->blank = false;
	}
	i->size = o->size;
	i->mtime = i->atime = o->mtime;
	i->archived = o->storage == S3_ARCHIVED;
	return 0;
}

static void append_path(const struct inode *i, struct buf *b)
{
	const struct inode *chain[NAME_DEPTH_MAX];
	unsigned n = 0;

	for (; i->parent && n < NAME_DEPTH_MAX; i = i->parent)
		chain[n++] = i;
	while (n-- > 0) {
		buf_append(b, chain[n]->name, chain[n]->name_len);
		if (chain[n]->is_dir)
			buf_putc(b, '/');
	}
}

void inode_key(const struct inode *i, const char *prefix, struct buf *b)
{
	buf_puts(b, prefix);
	append_path(i, b);
}
