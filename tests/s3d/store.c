/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The list of buckets: see store.h. Any thread.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store.h"
#include "upload.h"

static void bucket_free(struct bucket *b)
{
	struct index_node *n = b->index.head[0];

	while (n) {
		struct index_node *next = index_next(n);

		object_unref(n->object);
		free(n);
		n = next;
	}
	upload_free_all(b);
	for (size_t i = 0; i < RENAME_TOKENS; i++) {
		free(b->renames[i].source);
		free(b->renames[i].key);
	}
	pthread_rwlock_destroy(&b->lock);
	pthread_mutex_destroy(&b->upload_lock);
	free(b->name);
	free(b->dir);
	free(b);
}

struct bucket *bucket_ref(struct bucket *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void bucket_unref(struct bucket *b)
{
	if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		bucket_free(b);
}

/* Listings must not keep writers out. */
static void init_rwlock(pthread_rwlock_t *l)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(l, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static int bucket_new(struct store *s, const char *name, struct bucket **ret)
{
	_cleanup_(bucket_unrefp) struct bucket *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	atomic_init(&b->refs, 1);
	b->store = s;
	b->created_ns = clock_real_ns();
	init_rwlock(&b->lock);
	pthread_mutex_init(&b->upload_lock, NULL);
	b->name = strdup(name);
	if (!b->name)
		return -ENOMEM;
	if (s->dir) {
		if (asprintf(&b->dir, "%s/%s", s->dir, name) < 0) {
			b->dir = NULL;
			return -ENOMEM;
		}
		if (mkdir(b->dir, 0777) < 0 && errno != EEXIST)
			return -errno;
	}
	*ret = take_ptr(&b);
	return 0;
}

/* Position of the name, or of the first greater one. */
static size_t bucket_pos_locked(const struct store *s, const char *name, bool *ret_found)
{
	size_t i = 0;

	while (i < s->bucket_count && strcmp(s->buckets[i]->name, name) < 0)
		i++;
	*ret_found = i < s->bucket_count && strcmp(s->buckets[i]->name, name) == 0;
	return i;
}

int store_create_bucket(struct store *s, const char *name)
{
	struct bucket *b = NULL, **list;
	bool found;
	size_t i;
	int r;
	WITH_WRITE(&s->lock);

	i = bucket_pos_locked(s, name, &found);
	if (found)
		return -EEXIST;
	list = reallocarray(s->buckets, s->bucket_count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	s->buckets = list;
	r = bucket_new(s, name, &b);
	if (r < 0)
		return r;
	memmove(&list[i + 1], &list[i], (s->bucket_count - i) * sizeof(*list));
	list[i] = b;
	s->bucket_count++;
	return 0;
}

int store_delete_bucket(struct store *s, const char *name)
{
	struct bucket *b;
	size_t i, count;
	bool found;
	WITH_WRITE(&s->lock);

	i = bucket_pos_locked(s, name, &found);
	if (!found)
		return -ENOENT;
	b = s->buckets[i];
	pthread_rwlock_rdlock(&b->lock);
	count = b->index.count;
	pthread_rwlock_unlock(&b->lock);
	if (count)
		return -ENOTEMPTY;
	if (b->dir && rmdir(b->dir) < 0 && errno != ENOENT)
		return -ENOTEMPTY;
	s->bucket_count--;
	memmove(&s->buckets[i], &s->buckets[i + 1], (s->bucket_count - i) * sizeof(b));
	bucket_unref(b);
	return 0;
}

struct bucket *store_bucket(struct store *s, const char *name)
{
	bool found;
	size_t i;
	WITH_READ(&s->lock);

	i = bucket_pos_locked(s, name, &found);
	return found ? bucket_ref(s->buckets[i]) : NULL;
}

int store_buckets(struct store *s, struct bucket ***ret, size_t *ret_count)
{
	struct bucket **list;
	WITH_READ(&s->lock);

	list = calloc(s->bucket_count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < s->bucket_count; i++)
		list[i] = bucket_ref(s->buckets[i]);
	*ret = list;
	*ret_count = s->bucket_count;
	return 0;
}

int store_blob(struct store *s, uint64_t len, struct blob **ret)
{
	if (s->dir && !s->discard)
		return blob_new_temp(s->temp, len, ret);
	return blob_new_arena(&s->arena, UINT64_MAX, len, s->discard, ret);
}

/* --dir: every sub-folder is a bucket. */
static int load_buckets(struct store *s)
{
	DIR *d = opendir(s->dir);
	int r = 0;

	if (!d)
		return -errno;
	for (struct dirent *e = readdir(d); e && r >= 0; e = readdir(d)) {
		_cleanup_(bucket_unrefp) struct bucket *b = NULL;

		if (e->d_name[0] == '.' || e->d_type != DT_DIR)
			continue;
		r = store_create_bucket(s, e->d_name);
		if (r < 0)
			break;
		b = store_bucket(s, e->d_name);
		r = bucket_import(b, b->dir, /* borrowed= */ false);
	}
	closedir(d);
	return r;
}

int store_init(struct store *s, const char *dir, bool discard, bool reuse)
{
	int r;

	*s = (struct store){.discard = discard};
	init_rwlock(&s->lock);
	r = arena_init(&s->arena, reuse);
	if (r < 0 || !dir)
		return r;
	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return -errno;
	s->dir = realpath(dir, NULL);
	if (!s->dir)
		return -errno;
	if (asprintf(&s->temp, "%s/.s3d", s->dir) < 0) {
		s->temp = NULL;
		return -ENOMEM;
	}
	if (mkdir(s->temp, 0700) < 0 && errno != EEXIST)
		return -errno;
	return load_buckets(s);
}

void store_fini(struct store *s)
{
	for (size_t i = 0; i < s->bucket_count; i++)
		bucket_unref(s->buckets[i]);
	free(s->buckets);
	if (s->temp)
		(void)rmdir(s->temp);
	free(s->temp);
	free(s->dir);
	arena_fini(&s->arena);
	pthread_rwlock_destroy(&s->lock);
}
