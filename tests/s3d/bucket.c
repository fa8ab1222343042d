/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The keys of one bucket. With --dir an object is also a file: its name
 * changes under the bucket's lock together with the index, so that a reader
 * that looked up the key and opened the file under the lock has one version.
 * A file that another program changed is noticed at open and taken in anew.
 */

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "hash.h"
#include "store.h"
#include "text.h"

/* Can the key be a path below the bucket's folder? */
static bool key_is_path(const char *key)
{
	const char *p = key;

	if (strlen(key) > PATH_MAX / 2)
		return false;
	for (;;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || n > NAME_MAX || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (!p[n])
			return true;
		p += n + 1;
	}
}

/* Create the folders above `path`, below `root`. */
static int make_parents(char *path, size_t root)
{
	for (char *p = strchr(path + root + 1, '/'); p; p = strchr(p + 1, '/')) {
		int r;

		*p = '\0';
		r = mkdir(path, 0777) < 0 && errno != EEXIST ? -errno : 0;
		*p = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

static void remove_parents(char *path, size_t root)
{
	for (char *p = strrchr(path, '/'); p && p > path + root; p = strrchr(path, '/')) {
		*p = '\0';
		if (rmdir(path) < 0)
			return;
	}
}

/* Name for a key that cannot be a path, or whose path is taken by a folder. */
static int hashed_path(const struct bucket *b, const char *key, char **ret)
{
	char hex[65], *path, *s;
	uint8_t d[32];

	if (asprintf(&s, "%s/%s", b->name, key) < 0)
		return -ENOMEM;
	hash_once(HASH_SHA256, s, strlen(s), d);
	free(s);
	text_hex(d, sizeof(d), hex);
	if (asprintf(&path, "%s/%s", b->store->temp, hex) < 0)
		return -ENOMEM;
	*ret = path;
	return 0;
}

/* Give the temporary file its name; the blob is not shared yet. */
static int file_publish_locked(struct bucket *b, const char *key, struct blob *blob)
{
	_cleanup_(freep) char *path = NULL;
	int r = -EINVAL;

	if (key_is_path(key)) {
		if (asprintf(&path, "%s/%s", b->dir, key) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = make_parents(path, strlen(b->dir));
		if (r >= 0 && rename(blob->path, path) < 0)
			r = -errno;
	}
	if (r < 0) {
		free(take_ptr(&path));
		r = hashed_path(b, key, &path);
		if (r < 0)
			return r;
		if (rename(blob->path, path) < 0)
			return -errno;
	}
	free(blob->path);
	blob->path = take_ptr(&path);
	blob->temp = false;
	return 0;
}

/* A file has no MD5 at hand: an ETag of its identity, marked as not an MD5. */
static int object_of_file(const char *path, const struct stat *st, bool borrowed,
			  struct object **ret)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	uint64_t id[4] = {(uint64_t)st->st_ino, (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec,
			  (uint64_t)st->st_mtim.tv_nsec};
	uint8_t d[16];
	int r;

	r = object_new(1, &o);
	if (r < 0)
		return r;
	r = blob_new_file(path, st, borrowed, &o->seg[0].blob);
	if (r < 0) {
		o->nseg = 0;
		return r;
	}
	o->size = o->seg[0].len = (uint64_t)st->st_size;
	o->mtime_ns = id[2] * 1000000000u + id[3];
	hash_once(HASH_MD5, id, sizeof(id), d);
	text_other_etag(d, o->etag);
	*ret = take_ptr(&o);
	return 0;
}

/* Somebody else changed the key's file: take it in as it is now. */
static int bucket_refresh(struct bucket *b, const char *key)
{
	struct object *o, *fresh, *old;
	const struct blob *blob;
	struct stat st;
	int r;
	WITH_WRITE(&b->lock);

	o = index_find(&b->index, key);
	blob = o ? object_file(o) : NULL;
	if (!blob)
		return 0;
	if (stat(blob->path, &st) < 0 || !S_ISREG(st.st_mode)) {
		object_unref(index_remove(&b->index, key));
		return 0;
	}
	r = object_of_file(blob->path, &st, blob->borrowed, &fresh);
	if (r < 0)
		return r;
	r = index_put(&b->index, key, fresh, &old);
	if (r < 0)
		object_unref(fresh);
	else
		object_unref(old);
	return r;
}

static int get_locked(struct bucket *b, const char *key, struct object **ret, int *ret_fd)
{
	struct object *o = index_find(&b->index, key);
	const struct blob *file = o ? object_file(o) : NULL;
	int r;

	if (!o)
		return -ENOENT;
	if (ret_fd) {
		*ret_fd = -1;
		r = file ? blob_open(file, ret_fd) : 0;
		if (r < 0)
			return r;
	}
	*ret = object_ref(o);
	return 0;
}

int bucket_get(struct bucket *b, const char *key, struct object **ret, int *ret_fd)
{
	int r = -ESTALE;

	for (int tries = 0; tries < 3 && r == -ESTALE; tries++) {
		pthread_rwlock_rdlock(&b->lock);
		r = get_locked(b, key, ret, ret_fd);
		pthread_rwlock_unlock(&b->lock);
		if (r == -ESTALE) {
			int e = bucket_refresh(b, key);

			if (e < 0)
				return e;
		}
	}
	return r;
}

static bool etag_matches(const struct object *o, const char *etag)
{
	return strcmp(etag, "*") == 0 || strcmp(o->etag, etag) == 0;
}

static int condition_check(const struct object *o, const struct condition *c)
{
	if (!c)
		return 0;
	if (c->has_base && o != c->base)
		return -EAGAIN;
	if (c->if_match && !o)
		return -ENOENT;
	if (c->if_match && !etag_matches(o, c->if_match))
		return -ECANCELED;
	if (c->if_none_match && o && etag_matches(o, c->if_none_match))
		return -ECANCELED;
	return 0;
}

int bucket_put(struct bucket *b, const char *key, struct object *o, const struct condition *c)
{
	struct object *old = NULL;
	int r;

	pthread_rwlock_wrlock(&b->lock);
	r = condition_check(index_find(&b->index, key), c);
	if (r >= 0 && object_file(o) && o->seg[0].blob->temp)
		r = file_publish_locked(b, key, o->seg[0].blob);
	if (r >= 0)
		r = index_put(&b->index, key, o, &old);
	pthread_rwlock_unlock(&b->lock);
	object_unref(old);
	return r;
}

int bucket_delete(struct bucket *b, const char *key, const struct condition *c)
{
	struct object *old = NULL;
	const struct blob *file;
	int r;

	pthread_rwlock_wrlock(&b->lock);
	r = condition_check(index_find(&b->index, key), c);
	if (r == -ENOENT)
		r = 0;
	else if (r >= 0)
		old = index_remove(&b->index, key);
	file = old ? object_file(old) : NULL;
	if (file && !file->borrowed) {
		(void)unlink(file->path);
		if (strncmp(file->path, b->dir, strlen(b->dir)) == 0) {
			_cleanup_(freep) char *path = strdup(file->path);

			if (path)
				remove_parents(path, strlen(b->dir));
		}
	}
	pthread_rwlock_unlock(&b->lock);
	object_unref(old);
	return r;
}

/* A rename of this token: 1 it was this one, -EINVAL another, 0 none. */
static int token_find_locked(const struct bucket *b, const char *token, const char *source,
			     const char *key)
{
	for (size_t i = 0; i < RENAME_TOKENS; i++) {
		const struct rename_token *t = &b->renames[i];

		if (!t->source || strcmp(t->token, token) != 0)
			continue;
		return strcmp(t->source, source) == 0 && strcmp(t->key, key) == 0 ? 1 : -EINVAL;
	}
	return 0;
}

static int token_keep_locked(struct bucket *b, const char *token, const char *source,
			     const char *key)
{
	struct rename_token *t = &b->renames[b->rename_next];
	_cleanup_(freep) char *s = strdup(source), *k = strdup(key);

	if (!s || !k)
		return -ENOMEM;
	free(t->source);
	free(t->key);
	(void)snprintf(t->token, sizeof(t->token), "%s", token);
	t->source = take_ptr(&s);
	t->key = take_ptr(&k);
	b->rename_next = (b->rename_next + 1) % RENAME_TOKENS;
	return 0;
}

/* Index and file of an object that is there; *ret_old: what had the key before. */
static int move_locked(struct bucket *b, const char *source, const char *key, struct object *o,
		       struct object **ret_old)
{
	const struct blob *file = object_file(o);
	_cleanup_(freep) char *path = file ? strdup(file->path) : NULL;
	int r = 0;

	if (file && !path)
		return -ENOMEM;
	if (strcmp(source, key) == 0)
		return 0;
	if (file && !file->borrowed) {
		r = file_publish_locked(b, key, o->seg[0].blob);
		if (r >= 0 && strncmp(path, b->dir, strlen(b->dir)) == 0)
			remove_parents(path, strlen(b->dir));
	}
	if (r >= 0)
		r = index_put(&b->index, key, object_ref(o), ret_old);
	if (r >= 0)
		object_unref(index_remove(&b->index, source));
	return r;
}

static int rename_locked(struct bucket *b, const char *source, const char *key,
			 const struct condition *from, const struct condition *to,
			 struct object **ret_old)
{
	struct object *o = index_find(&b->index, source);
	int r;

	if (!o)
		return -ENOENT;
	if (condition_check(o, from) < 0)
		return -ESTALE;
	r = condition_check(index_find(&b->index, key), to);
	if (r < 0)
		return -ECANCELED;
	return move_locked(b, source, key, o, ret_old);
}

int bucket_rename(struct bucket *b, const char *source, const char *key,
		  const struct condition *from, const struct condition *to, const char *token)
{
	struct object *old = NULL;
	int r;

	pthread_rwlock_wrlock(&b->lock);
	r = token ? token_find_locked(b, token, source, key) : 0;
	if (r == 0) {
		r = rename_locked(b, source, key, from, to, &old);
		if (r == 0 && token)
			r = token_keep_locked(b, token, source, key);
	}
	pthread_rwlock_unlock(&b->lock);
	object_unref(old);
	return r < 0 ? r : 0;
}

int bucket_import(struct bucket *b, const char *tree, bool borrowed)
{
	char *roots[] = {(char *)tree, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	size_t skip = strlen(tree);
	int r = 0;

	if (!fts)
		return -errno;
	for (FTSENT *e = fts_read(fts); e && r >= 0; e = fts_read(fts)) {
		const char *key = e->fts_path + skip;
		struct object *o;

		if (e->fts_info != FTS_F)
			continue;
		while (*key == '/')
			key++;
		r = object_of_file(e->fts_path, e->fts_statp, borrowed, &o);
		if (r < 0)
			break;
		r = bucket_put(b, key, o, NULL);
		if (r < 0)
			object_unref(o);
	}
	fts_close(fts);
	return r;
}
