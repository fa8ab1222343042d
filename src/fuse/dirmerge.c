/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Merging. S3 lists "a", "a-", "a/" in that order; programs see the names "a"
 * and "a-" once each, the directory winning over the object. So an entry is held
 * back (carried) until the listing has passed the place of its directory, and a
 * page is sorted by name. A listing that is not in byte order (directory buckets)
 * comes as the server sends it, what exists only here at its end; of a name that
 * comes twice on a page the directory is shown, on two pages what came first.
 *
 * Invariant: over all pages each name comes out once; of an unordered listing as
 * long as there are no more names than a nameset keeps.
 * Pure; any thread.
 */
#include "fuse/dirmerge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/name.h"

static int compare(const void *pa, const void *pb)
{
	const struct merge_name *a = pa, *b = pb;
	int c = name_cmp(a->name, a->len, b->name, b->len);

	return c != 0 ? c : (int)a->kind - (int)b->kind;
}

static void add_page(const struct merge_in *in, struct merge_out *out)
{
	const struct s3_page *page = in->page;

	for (size_t i = 0; i < page->count; i++) {
		const struct s3_entry *e = &page->entries[i];
		struct merge_name n = {
			.name = e->key + in->prefix_len,
			.len = e->key_len - in->prefix_len - (e->is_prefix ? 1 : 0),
			.kind = e->is_prefix ? MERGE_DIR : MERGE_FILE,
			.object = e->is_prefix ? NULL : &e->object,
		};

		if (in->lo_len > 0 && !page->unordered &&
		    name_cmp(e->key + in->prefix_len, e->key_len - in->prefix_len, in->lo,
			     in->lo_len) <= 0)
			continue; /* the page before had it: this one began earlier than need be */
		if (n.len == 0 && !e->is_prefix)
			continue; /* the directory's own marker */
		if (!e->is_prefix && n.name[n.len - 1] == '/')
			continue; /* a marker of a directory, which is listed as such */
		if (name_valid(n.name, n.len))
			out->entries[out->count++] = n;
		else
			out->invalid++;
	}
	if (page->count > 0) {
		const struct s3_entry *last = &page->entries[page->count - 1];

		out->hi = last->key + in->prefix_len;
		out->hi_len = last->key_len - in->prefix_len;
	}
}

/* Whether the page decides about a name that exists only here. */
static bool in_range(const struct merge_in *in, const struct merge_out *out,
		     const struct merge_name *n)
{
	if (in->lo_len > 0 && name_cmp(n->name, n->len, in->lo, in->lo_len) <= 0)
		return false;
	return !in->page->truncated || name_cmp(n->name, n->len, out->hi, out->hi_len) <= 0;
}

static void sort(struct merge_out *out)
{
	for (size_t i = 1; i < out->count; i++) {
		if (compare(&out->entries[i - 1], &out->entries[i]) > 0) {
			qsort(out->entries, out->count, sizeof(*out->entries), compare);
			return;
		}
	}
}

/* Not what is known here as well, which is one file or directory and not two. */
static bool is_hidden(const struct merge_name *n, const struct merge_name *by)
{
	return n->kind == MERGE_FILE && by->kind == MERGE_DIR;
}

/* One entry per name, the first kind winning; what must wait goes to `carry`. */
static void settle(const struct merge_in *in, struct merge_out *out)
{
	size_t kept = 0;
	const struct merge_name *prev = NULL;
	struct merge_name last;

	for (size_t i = 0; i < out->count; i++) {
		struct merge_name n = out->entries[i];

		if (prev && name_cmp(prev->name, prev->len, n.name, n.len) == 0) {
			out->hidden += is_hidden(&n, prev);
			continue;
		}
		last = n;
		prev = &last;
		if (in->page->truncated && n.kind != MERGE_DIR &&
		    name_cmp_as_dir(n.name, n.len, out->hi, out->hi_len) > 0)
			out->carry[out->ncarry++] = n;
		else
			out->entries[kept++] = n;
	}
	out->count = kept;
}

static int merge_ordered(const struct merge_in *in, struct merge_out *out)
{
	for (size_t i = 0; i < in->ncarried; i++)
		out->entries[out->count++] = in->carried[i];
	for (size_t i = 0; i < in->nlocals; i++) {
		if (in_range(in, out, &in->locals[i]))
			out->entries[out->count++] = in->locals[i];
	}
	sort(out);
	out->carry = calloc(out->count + 1, sizeof(*out->carry));
	if (!out->carry)
		return -ENOMEM;
	settle(in, out);
	return 0;
}

static int compare_at(const void *pa, const void *pb)
{
	return compare(*(const struct merge_name *const *)pa,
		       *(const struct merge_name *const *)pb);
}

/* What has a name that another entry of the page has, too, gets length 0. */
static int hide_twins(struct merge_out *out)
{
	struct merge_name **sorted = calloc(out->count + 1, sizeof(struct merge_name *));
	const struct merge_name *kept = NULL;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < out->count; i++)
		sorted[i] = &out->entries[i];
	qsort(sorted, out->count, sizeof(*sorted), compare_at);
	for (size_t i = 0; i < out->count; i++) {
		struct merge_name *n = sorted[i];

		if (kept && name_cmp(kept->name, kept->len, n->name, n->len) == 0) {
			out->hidden += is_hidden(n, kept);
			n->len = 0;
		} else {
			kept = n;
		}
	}
	free(sorted);
	return 0;
}

/* Leaves one entry per name, that no page before has had. */
static int settle_unordered(const struct merge_in *in, struct merge_out *out)
{
	size_t kept = 0;
	int r = hide_twins(out);

	for (size_t i = 0; i < out->count && r == 0; i++) {
		struct merge_name n = out->entries[i];
		uint32_t first = in->index;

		if (n.len > 0 && in->names)
			r = nameset_first(in->names, n.name, n.len, in->index, &first);
		if (n.len > 0 && first >= in->index)
			out->entries[kept++] = n;
		else if (n.len > 0)
			out->hidden += n.kind == MERGE_FILE;
	}
	out->count = kept;
	return r;
}

static int merge_unordered(const struct merge_in *in, struct merge_out *out)
{
	int r = settle_unordered(in, out);

	if (r < 0)
		return r;
	for (size_t i = 0; i < out->count && in->nlocals > 0; i++) {
		struct merge_name key = out->entries[i], *l;

		key.kind = MERGE_LOCAL;
		l = bsearch(&key, in->locals, in->nlocals, sizeof(key), compare);
		if (l)
			l->seen = true;
	}
	for (size_t i = 0; i < in->ncarried; i++)
		out->entries[out->count++] = in->carried[i];
	for (size_t i = 0; i < in->nlocals && !in->page->truncated; i++) {
		if (!in->locals[i].seen)
			out->entries[out->count++] = in->locals[i];
	}
	return 0;
}

int dirmerge(const struct merge_in *in, struct merge_out *ret)
{
	struct merge_out out = {.hi = in->lo, .hi_len = in->lo_len};
	int r = 0;

	out.entries =
		calloc(in->page->count + in->nlocals + in->ncarried + 1, sizeof(*out.entries));
	if (!out.entries)
		return -ENOMEM;
	add_page(in, &out);
	if (in->page->unordered)
		r = merge_unordered(in, &out);
	else
		r = merge_ordered(in, &out);
	if (r < 0) {
		dirmerge_free(&out);
		return r;
	}
	*ret = out;
	return 0;
}

void dirmerge_free(struct merge_out *m)
{
	free(m->entries);
	free(m->carry);
	*m = (struct merge_out){0};
}
