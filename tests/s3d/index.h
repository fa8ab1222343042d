/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Ordered map from key to object, in the byte order in which S3 lists. The
 * owner provides the lock: seeking and walking need it for reading, changing
 * for writing.
 */

#ifndef S3D_INDEX_H
#define S3D_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct object;

#define INDEX_LEVELS 20

struct index_node {
	struct object *object;
	char *key; /* points behind next[] */
	struct index_node *next[];
};

struct index {
	struct index_node *head[INDEX_LEVELS];
	unsigned levels;
	size_t count;
	uint64_t random;
};

/* The first node with a key >= key, or > key if `after`. */
struct index_node *index_seek(const struct index *ix, const char *key, bool after);
struct object *index_find(const struct index *ix, const char *key);

/* Store the object; the replaced one or NULL comes back. */
must_check int index_put(struct index *ix, const char *key, struct object *o,
			 struct object **ret_old);
/* Unhook and return the object, NULL if there is none. */
struct object *index_remove(struct index *ix, const char *key);

static inline struct index_node *index_next(const struct index_node *n)
{
	return n->next[0];
}

#endif
