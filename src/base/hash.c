/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Chained hash table with power-of-two buckets, doubled at load factor 1. When
 * doubling fails for lack of memory the chains just get longer. Chain order is
 * unspecified. Runs on any thread under the owner's lock.
 */
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 16

/* Multiply and fold, the mixing step of wyhash (public domain). */
static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 r = (unsigned __int128)a * b;

	return (uint64_t)r ^ (uint64_t)(r >> 64);
}

uint64_t hash_u64(uint64_t v)
{
	return mix(v ^ 0x9e3779b97f4a7c15ULL, 0xe7037ed1a0b428dbULL);
}

uint64_t hash_bytes(const void *p, size_t len, uint64_t seed)
{
	const unsigned char *s = p;
	uint64_t h = hash_u64(seed ^ len);
	uint64_t w;

	for (; len >= 8; s += 8, len -= 8) {
		memcpy(&w, s, 8);
		h = mix(h ^ w, 0xa0761d6478bd642fULL);
	}
	if (len) {
		w = 0;
		memcpy(&w, s, len);
		h = mix(h ^ w, 0x8ebc6af09c88c6e3ULL);
	}
	return h;
}

static int grow(struct hash *h)
{
	size_t n = h->buckets ? (h->mask + 1) * 2 : FIRST_BUCKETS;
	struct hash_node **fresh = calloc(n, sizeof(*fresh));

	if (!fresh)
		return h->buckets ? 0 : -ENOMEM;
	for (size_t i = 0; h->buckets && i <= h->mask; i++) {
		struct hash_node *node = h->buckets[i];

		while (node) {
			struct hash_node *next = node->next;

			node->next = fresh[node->hash & (n - 1)];
			fresh[node->hash & (n - 1)] = node;
			node = next;
		}
	}
	free(h->buckets);
	h->buckets = fresh;
	h->mask = n - 1;
	return 0;
}

int hash_insert(struct hash *h, struct hash_node *n, uint64_t hash)
{
	if (!h->buckets || h->count > h->mask) {
		int r = grow(h);

		if (r < 0)
			return r;
	}
	n->hash = hash;
	n->next = h->buckets[hash & h->mask];
	h->buckets[hash & h->mask] = n;
	h->count++;
	return 0;
}

void hash_remove(struct hash *h, struct hash_node *n)
{
	struct hash_node **at = &h->buckets[n->hash & h->mask];

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	n->next = NULL;
	h->count--;
}

struct hash_node *hash_first(const struct hash *h, uint64_t hash)
{
	struct hash_node *n = h->buckets ? h->buckets[hash & h->mask] : NULL;

	while (n && n->hash != hash)
		n = n->next;
	return n;
}

struct hash_node *hash_next_match(const struct hash_node *n)
{
	uint64_t hash = n->hash;
	struct hash_node *next = n->next;

	while (next && next->hash != hash)
		next = next->next;
	return next;
}

void hash_fini(struct hash *h)
{
	free(h->buckets);
	*h = (struct hash){0};
}

void hash_visit(struct hash *h, void (*fn)(struct hash_node *n, void *arg), void *arg)
{
	for (size_t i = 0; h->buckets && i <= h->mask; i++) {
		struct hash_node *n = h->buckets[i];

		while (n) {
			struct hash_node *next = n->next;

			fn(n, arg);
			n = next;
		}
	}
}
