/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Ordered map as a skip list: a node of height h is linked on the levels
 * 0..h-1, heights are geometric with factor 1/4, so a million keys need about
 * ten levels and 1.33 pointers a key. Keys are compared as unsigned bytes,
 * which for UTF-8 is the order of S3.
 */

#include <errno.h>
#include <string.h>

#include "index.h"

/* For each level, the link that leads to the first key >= key (> if after). */
static void find_links(struct index *ix, const char *key, bool after, struct index_node ***ret)
{
	struct index_node **links = ix->head;

	for (int l = INDEX_LEVELS - 1; l >= 0; l--) {
		while (links[l]) {
			int c = strcmp(links[l]->key, key);

			if (c > 0 || (c == 0 && !after))
				break;
			links = links[l]->next;
		}
		ret[l] = &links[l];
	}
}

struct index_node *index_seek(const struct index *ix, const char *key, bool after)
{
	struct index_node *const *links = ix->head;

	for (int l = (int)ix->levels - 1; l >= 0; l--) {
		while (links[l]) {
			int c = strcmp(links[l]->key, key);

			if (c > 0 || (c == 0 && !after))
				break;
			links = links[l]->next;
		}
	}
	return links[0];
}

struct object *index_find(const struct index *ix, const char *key)
{
	struct index_node *n = index_seek(ix, key, false);

	return n && strcmp(n->key, key) == 0 ? n->object : NULL;
}

static unsigned random_height(struct index *ix)
{
	unsigned h = 1;
	uint64_t r = mix64(ix->random++);

	for (; (r & 3) == 0 && h < INDEX_LEVELS; r >>= 2)
		h++;
	return h;
}

int index_put(struct index *ix, const char *key, struct object *o, struct object **ret_old)
{
	struct index_node **links[INDEX_LEVELS], *n;
	size_t len = strlen(key) + 1;
	unsigned height;

	find_links(ix, key, false, links);
	n = *links[0];
	if (n && strcmp(n->key, key) == 0) {
		*ret_old = n->object;
		n->object = o;
		return 0;
	}
	height = random_height(ix);
	n = malloc(sizeof(*n) + height * sizeof(n->next[0]) + len);
	if (!n)
		return -ENOMEM;
	n->object = o;
	n->key = (char *)&n->next[height];
	memcpy(n->key, key, len);
	for (unsigned l = 0; l < height; l++) {
		n->next[l] = *links[l];
		*links[l] = n;
	}
	ix->levels = MAX(ix->levels, height);
	ix->count++;
	*ret_old = NULL;
	return 0;
}

struct object *index_remove(struct index *ix, const char *key)
{
	struct index_node **links[INDEX_LEVELS], *n;
	struct object *o;

	find_links(ix, key, false, links);
	n = *links[0];
	if (!n || strcmp(n->key, key) != 0)
		return NULL;
	/* A level on which n is not linked points elsewhere. */
	for (unsigned l = 0; l < INDEX_LEVELS && *links[l] == n; l++)
		*links[l] = n->next[l];
	o = n->object;
	free(n);
	ix->count--;
	return o;
}
