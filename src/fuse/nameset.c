/* SPDX-License-Identifier: Apache-2.0 */

/* Open addressing, at most three quarters full, two arrays to waste nothing on padding. */
#include "fuse/nameset.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

#define FIRST_SLOTS 2048

static size_t place(const struct nameset *s, uint64_t hash)
{
	size_t at = hash & s->mask;

	while (s->hashes[at] != 0 && s->hashes[at] != hash)
		at = (at + 1) & s->mask;
	return at;
}

static int grow(struct nameset *s)
{
	size_t slots = s->hashes ? (s->mask + 1) * 2 : FIRST_SLOTS;
	struct nameset more = {.mask = slots - 1, .count = s->count};

	more.hashes = calloc(slots, sizeof(*more.hashes));
	more.pages = calloc(slots, sizeof(*more.pages));
	if (!more.hashes || !more.pages) {
		nameset_fini(&more);
		return -ENOMEM;
	}
	for (size_t i = 0; s->hashes && i <= s->mask; i++) {
		size_t at;

		if (s->hashes[i] == 0)
			continue;
		at = place(&more, s->hashes[i]);
		more.hashes[at] = s->hashes[i];
		more.pages[at] = s->pages[i];
	}
	nameset_fini(s);
	*s = more;
	return 0;
}

int nameset_first(struct nameset *s, const char *name, size_t len, uint32_t page, uint32_t *ret)
{
	uint64_t hash = hash_bytes(name, len, 0);
	size_t at;

	hash += hash == 0;
	if (s->count < NAMESET_MAX && (!s->hashes || s->count >= (s->mask + 1) / 4 * 3)) {
		int r = grow(s);

		if (r < 0)
			return r;
	}
	at = place(s, hash);
	if (s->hashes[at] == 0 && s->count < NAMESET_MAX) {
		s->hashes[at] = hash;
		s->pages[at] = page;
		s->count++;
	}
	*ret = s->hashes[at] == hash && s->pages[at] < page ? s->pages[at] : page;
	return 0;
}

void nameset_fini(struct nameset *s)
{
	free(s->hashes);
	free(s->pages);
	*s = (struct nameset){0};
}
