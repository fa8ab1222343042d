/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Multipart uploads: see upload.h. Any thread, under the bucket's upload_lock.
 *
 * Placement: an object whose parts lie behind each other in one file of the arena
 * can be sent by one sendfile across part borders. The first part's size is taken
 * for that of all; a part n of at most that size gets address (n - 1) * size of a
 * reserved run. A greater part starts a new run with its size; a part that comes a
 * second time gets an address of its own.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "upload.h"

void part_free(struct part *p)
{
	if (!p)
		return;
	blob_unref(p->blob);
	free(p);
}

void upload_free(struct upload *u)
{
	if (!u)
		return;
	for (unsigned n = 1; n <= u->part_top; n++)
		part_free(u->parts[n]);
	free(u->key);
	free(u->meta);
	free(u->tags);
	free(u);
}

void upload_free_all(struct bucket *b)
{
	while (b->uploads) {
		struct upload *u = b->uploads;

		b->uploads = u->next;
		upload_free(u);
	}
}

int upload_create(struct bucket *b, const char *key, char *meta, char *tags,
		  enum checksum_kind kind, bool full_object, char ret_id[UPLOAD_ID_MAX])
{
	struct upload *u = calloc(1, sizeof(*u));
	uint64_t seq;

	if (!u)
		return -ENOMEM;
	u->key = strdup(key);
	if (!u->key) {
		free(u);
		return -ENOMEM;
	}
	u->meta = meta;
	u->tags = tags;
	u->sum_kind = kind;
	u->sum_full_object = full_object;
	u->created_ns = clock_real_ns();
	seq = atomic_fetch_add(&b->store->upload_seq, 1);
	(void)snprintf(u->id, sizeof(u->id), "%016llx%08llx",
		       (unsigned long long)mix64(u->created_ns + seq), (unsigned long long)seq);
	memcpy(ret_id, u->id, sizeof(u->id));

	WITH_LOCK(&b->upload_lock);
	u->next = b->uploads;
	b->uploads = u;
	return 0;
}

static struct upload **find_link_locked(struct bucket *b, const char *key, const char *id)
{
	for (struct upload **p = &b->uploads; *p; p = &(*p)->next)
		if (strcmp((*p)->id, id) == 0)
			return strcmp((*p)->key, key) == 0 ? p : NULL;
	return NULL;
}

struct upload *upload_find_locked(struct bucket *b, const char *key, const char *id)
{
	struct upload **link = find_link_locked(b, key, id);

	return link ? *link : NULL;
}

int upload_take(struct bucket *b, const char *key, const char *id, struct upload **ret)
{
	struct upload **link;
	WITH_LOCK(&b->upload_lock);

	link = find_link_locked(b, key, id);
	if (!link)
		return -ENOENT;
	*ret = *link;
	*link = (*ret)->next;
	return 0;
}

void upload_return(struct bucket *b, struct upload *u)
{
	WITH_LOCK(&b->upload_lock);

	u->next = b->uploads;
	b->uploads = u;
}

int upload_abort(struct bucket *b, const char *key, const char *id)
{
	struct upload *u;
	int r = upload_take(b, key, id, &u);

	if (r >= 0)
		upload_free(u);
	return r;
}

/* Address for part n, UINT64_MAX for any. */
static uint64_t slot_locked(struct bucket *b, struct upload *u, unsigned n, uint64_t len)
{
	if (len == 0)
		return UINT64_MAX;
	if (len > u->slot_size) {
		u->slot_size = len;
		u->slot_off = arena_reserve(&b->store->arena, len * UPLOAD_PARTS_MAX);
		memset(u->slot_used, 0, sizeof(u->slot_used));
	}
	if (u->slot_used[n])
		return UINT64_MAX;
	u->slot_used[n] = true;
	return u->slot_off + (n - 1) * u->slot_size;
}

int upload_blob(struct bucket *b, const char *key, const char *id, unsigned n, uint64_t len,
		struct blob **ret)
{
	struct store *s = b->store;
	struct upload *u;
	uint64_t off;

	pthread_mutex_lock(&b->upload_lock);
	u = upload_find_locked(b, key, id);
	off = u ? slot_locked(b, u, n, len) : 0;
	pthread_mutex_unlock(&b->upload_lock);
	if (!u)
		return -ENOENT;
	if (s->dir && !s->discard)
		return blob_new_temp(s->temp, len, ret);
	return blob_new_arena(&s->arena, off, len, s->discard, ret);
}

int upload_add(struct bucket *b, const char *key, const char *id, unsigned n, struct part *p)
{
	struct part *old;
	struct upload *u;

	pthread_mutex_lock(&b->upload_lock);
	u = upload_find_locked(b, key, id);
	if (!u) {
		pthread_mutex_unlock(&b->upload_lock);
		return -ENOENT;
	}
	old = u->parts[n];
	u->parts[n] = p;
	u->part_count += !old;
	u->part_top = MAX(u->part_top, n);
	pthread_mutex_unlock(&b->upload_lock);
	part_free(old);
	return 0;
}
