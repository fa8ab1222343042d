/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Negative entries in a hash, oldest first in a list: all have the same TTL, so
 * that the oldest expires first. At most NEGATIVE_MAX are kept.
 */
#include "fuse/negative.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fuse/state.h"

struct negative {
	struct hash_node node;
	struct list lru;
	uint64_t dir, expires;
	size_t len;
	char name[];
};

static struct negative *find(struct fs *fs, uint64_t dir, const char *name, size_t len)
{
	struct hash_node *n;

	hash_for_each_match(n, &fs->negatives, hash_bytes(name, len, dir))
	{
		struct negative *e = container_of(n, struct negative, node);

		if (e->dir == dir && e->len == len && memcmp(e->name, name, len) == 0)
			return e;
	}
	return NULL;
}

static void drop(struct fs *fs, struct negative *e)
{
	hash_remove(&fs->negatives, &e->node);
	list_del(&e->lru);
	free(e);
}

static void drop_oldest(struct fs *fs, uint64_t now)
{
	while (!list_empty(&fs->negative_lru)) {
		struct negative *e = list_entry(fs->negative_lru.next, struct negative, lru);

		if (e->expires > now && fs->negatives.count < NEGATIVE_MAX)
			return;
		drop(fs, e);
	}
}

void negative_add_locked(struct fs *fs, const struct inode *dir, const char *name, size_t len)
{
	uint64_t now = clock_now(), ttl = fs->config.negative_ttl;
	struct negative *e;

	if (ttl == FS_TTL_MINIMAL)
		return;
	negative_remove_locked(fs, dir, name, len);
	drop_oldest(fs, now);
	e = malloc(sizeof(*e) + len);
	if (!e)
		return; /* a miss that is not remembered is asked again */
	e->dir = dir->ino;
	e->len = len;
	e->expires = ttl > UINT64_MAX - now ? UINT64_MAX : now + ttl;
	memcpy(e->name, name, len);
	if (hash_insert(&fs->negatives, &e->node, hash_bytes(name, len, e->dir)) < 0) {
		free(e);
		return;
	}
	list_append(&fs->negative_lru, &e->lru);
}

void negative_remove_locked(struct fs *fs, const struct inode *dir, const char *name, size_t len)
{
	struct negative *e = find(fs, dir->ino, name, len);

	if (e)
		drop(fs, e);
}

bool negative_find_locked(struct fs *fs, const struct inode *dir, const char *name, size_t len,
			  uint64_t now)
{
	struct negative *e = find(fs, dir->ino, name, len);

	return e && e->expires > now;
}

void negative_clear_locked(struct fs *fs)
{
	while (!list_empty(&fs->negative_lru))
		drop(fs, list_entry(fs->negative_lru.next, struct negative, lru));
	hash_fini(&fs->negatives);
}
