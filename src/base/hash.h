/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Intrusive chained hash table. The table grows by doubling and never owns its
 * nodes; the caller computes the hash (hash_bytes, hash_u64) and compares.
 *
 *	struct hash_node *n;
 *	hash_for_each_match (n, &table, hash_bytes(key, len, 0))
 *		if (same(container_of(n, struct thing, node), key)) ...
 *
 * Not thread-safe: the lock of the table's owner protects it.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

struct hash_node {
	struct hash_node *next;
	uint64_t hash;
};

struct hash {
	struct hash_node **buckets; /* NULL until the first insert */
	size_t mask;		    /* number of buckets - 1 */
	size_t count;
};

uint64_t hash_bytes(const void *p, size_t len, uint64_t seed);
uint64_t hash_u64(uint64_t v);

/* -ENOMEM only when not even the first bucket array can be had. */
int hash_insert(struct hash *h, struct hash_node *n, uint64_t hash) must_check;
void hash_remove(struct hash *h, struct hash_node *n);
struct hash_node *hash_first(const struct hash *h, uint64_t hash);
struct hash_node *hash_next_match(const struct hash_node *n);
/* Frees the bucket array; the nodes stay the caller's. */
void hash_fini(struct hash *h);

/* Visits all nodes; `fn` may remove and free the node it is given, no other. */
void hash_visit(struct hash *h, void (*fn)(struct hash_node *n, void *arg), void *arg);

#define hash_for_each_match(n, h, hv) for ((n) = hash_first(h, hv); (n); (n) = hash_next_match(n))

#endif
