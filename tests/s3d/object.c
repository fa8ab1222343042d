/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One version of an object: see object.h. Immutable, so any thread may read it
 * while it holds a reference.
 */

#include <errno.h>
#include <string.h>

#include "object.h"

int object_new(uint32_t nseg, struct object **ret)
{
	struct object *o = calloc(1, sizeof(*o) + nseg * sizeof(o->seg[0]));

	if (!o)
		return -ENOMEM;
	o->nseg = nseg;
	o->mtime_ns = clock_real_ns();
	atomic_init(&o->refs, 1);
	*ret = o;
	return 0;
}

struct object *object_ref(struct object *o)
{
	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

void object_unref(struct object *o)
{
	if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (uint32_t i = 0; i < o->nseg; i++)
		blob_unref(o->seg[i].blob);
	free(o->meta);
	free(o->tags);
	free(o->checksum);
	free(o);
}

const char *object_meta(const struct object *o, const char *name)
{
	const char *p = o->meta;

	while (p && *p) {
		const char *value = p + strlen(p) + 1;

		if (strcasecmp(p, name) == 0)
			return value;
		p = value + strlen(value) + 1;
	}
	return NULL;
}

const struct blob *object_file(const struct object *o)
{
	return o->nseg == 1 && o->seg[0].blob->kind == BLOB_FILE ? o->seg[0].blob : NULL;
}

int object_map(const struct object *o, struct arena *a, int file_fd, uint64_t pos, uint64_t want,
	       struct extent *ret)
{
	struct extent e = {.fd = a->fds[0], .len = want};
	uint64_t at = pos, next_off;
	uint32_t i = 0;
	int r;

	if (o->generated) {
		r = arena_pattern(a, o->pattern + pos, want, &e.off, &e.len);
		if (r < 0)
			return r;
		*ret = e;
		return 0;
	}
	while (i < o->nseg && at >= o->seg[i].len)
		at -= o->seg[i++].len;
	if (i == o->nseg)
		return -ERANGE;
	if (o->seg[i].blob->kind == BLOB_FILE) {
		*ret = (struct extent){file_fd, at, MIN(want, o->seg[i].len - at)};
		return 0;
	}
	o->seg[i].blob->read = true;
	/* Parts that lie behind each other are one piece. */
	e.fd = arena_fd(a, o->seg[i].blob->off);
	e.off = o->seg[i].blob->off + at;
	e.len = o->seg[i].len - at;
	next_off = e.off + e.len;
	for (i++; i < o->nseg && e.len < want && o->seg[i].blob->off == next_off &&
		  arena_fd(a, next_off) == e.fd;
	     i++) {
		o->seg[i].blob->read = true;
		e.len += o->seg[i].len;
		next_off += o->seg[i].len;
	}
	e.len = MIN(e.len, want);
	*ret = e;
	return 0;
}
