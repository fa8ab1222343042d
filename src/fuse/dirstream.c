/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Loading of pages, one after the other in a chain: the token of page n + 1 is
 * known when page n has come. `wanted` is the page the reader asked for last; pages
 * up to AHEAD beyond it are requested without being asked for. Where requests take
 * long, further ones are asked for with guessed starts (dirahead.h), and the chain
 * goes on with them as far as they fit.
 *
 *   idle     reader wants a page that is not here, or one ahead   loading
 *   idle     the same, and a guessed page begins there   idle until it comes
 *   loading  page came                       slot filled, mark of the next set
 *   loading  failed                          idle; who waits is told, a later
 *                                            read tries again
 *
 * Locals and marks never change once made, so that merging runs without a lock
 * on the loop where the page came in.
 */
#include "fuse/dirstream.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fuse/dirahead.h"
#include "fuse/name.h"
#include "fuse/state.h"

#define AHEAD 1

/* Where a page starts. */
struct mark {
	char *token;		    /* NULL: the first page, or a guessed one */
	char *start;		    /* of a guessed page: asked for behind this name */
	char *lo;		    /* last key before it, "" for the first */
	struct merge_name *carried; /* names and objects are ours */
	size_t ncarried;
};

struct dirstream {
	/* set at creation */
	struct fs *fs;
	struct inode *dir; /* counted */
	struct merge_name *locals;
	size_t nlocals;

	_Atomic unsigned refs;

	struct page_wait arrival; /* the one load in flight */
	struct nameset names;	  /* of an unordered listing: whoever has the page in flight */

	/* under fs->lock */
	struct mark *marks;
	size_t nmarks;
	struct dirpage slots[DIRSTREAM_SLOTS];
	unsigned nslots;
	uint64_t wanted, loading_index;
	bool loading;
	uint64_t npages; /* known when the last page was seen, else UINT64_MAX */
	struct list waiters;
	struct dirahead ahead;
};

static void on_ahead(struct dirahead *a);

static void names_free(struct merge_name *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free((char *)(uintptr_t)names[i].name);
		free((void *)(uintptr_t)names[i].object);
	}
	free(names);
}

static int name_copy(const struct merge_name *from, struct merge_name *ret)
{
	struct s3_object *o = NULL;
	char *name = strndup(from->name, from->len);

	if (from->object)
		o = malloc(sizeof(*o));
	if (!name || (from->object && !o)) {
		free(name);
		free(o);
		return -ENOMEM;
	}
	if (o)
		*o = *from->object;
	*ret = *from;
	ret->name = name;
	ret->object = o;
	return 0;
}

static int by_name(const void *pa, const void *pb)
{
	const struct merge_name *a = pa, *b = pb;

	return name_cmp(a->name, a->len, b->name, b->len);
}

static int snapshot_locals(struct dirstream *s)
{
	struct list *n, *head = &s->dir->dir->locals;
	size_t count = 0;

	list_for_each (n, head)
		count++;
	s->locals = calloc(count + 1, sizeof(*s->locals));
	if (!s->locals)
		return -ENOMEM;
	list_for_each (n, head) {
		const struct inode *i = list_entry(n, struct inode, local_node);
		struct merge_name name = {.name = i->name, .len = i->name_len, .kind = MERGE_LOCAL};

		if (name_copy(&name, &s->locals[s->nlocals]) < 0)
			return -ENOMEM;
		s->nlocals++;
	}
	if (s->nlocals > 1)
		qsort(s->locals, s->nlocals, sizeof(*s->locals), by_name);
	return 0;
}

static void marks_free(struct dirstream *s)
{
	for (size_t i = 0; i < s->nmarks; i++) {
		free(s->marks[i].token);
		free(s->marks[i].start);
		free(s->marks[i].lo);
		names_free(s->marks[i].carried, s->marks[i].ncarried);
	}
	free(s->marks);
}

int dirstream_new_locked(struct fs *fs, struct inode *dir, struct dirstream **ret)
{
	struct dirstream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fs = fs;
	s->dir = dir;
	s->refs = 1;
	s->npages = UINT64_MAX;
	list_init(&s->waiters);
	dirahead_init(&s->ahead, fs, dir, on_ahead);
	s->marks = calloc(1, sizeof(*s->marks));
	if (s->marks) {
		s->nmarks = 1;
		s->marks[0].lo = strdup("");
	}
	if (!s->marks || !s->marks[0].lo || snapshot_locals(s) < 0) {
		names_free(s->locals, s->nlocals);
		marks_free(s);
		free(s);
		return -ENOMEM;
	}
	inode_ref(dir);
	*ret = s;
	return 0;
}

struct dirstream *dirstream_ref(struct dirstream *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

static void slot_free(struct dirpage *slot)
{
	dirmerge_free(&slot->merge);
	page_unref(slot->page);
}

void dirstream_unref(struct dirstream *s)
{
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < s->nslots; i++)
		slot_free(&s->slots[i]);
	dirahead_fini(&s->ahead);
	names_free(s->locals, s->nlocals);
	nameset_fini(&s->names);
	marks_free(s);
	fs_unref(s->fs, s->dir);
	free(s);
}

static const struct dirpage *slot_find(const struct dirstream *s, uint64_t index)
{
	for (unsigned i = 0; i < s->nslots; i++) {
		if (s->slots[i].index == index)
			return &s->slots[i];
	}
	return NULL;
}

const struct dirpage *dirstream_page_locked(struct dirstream *s, uint64_t index, bool *ret_end)
{
	*ret_end = index >= s->npages;
	if (*ret_end)
		return NULL;
	s->wanted = index;
	return slot_find(s, index);
}

void dirstream_wait_locked(struct dirstream *s, struct dirstream_wait *w)
{
	list_append(&s->waiters, &w->node);
}

/* Where the next page starts, from what this one left. */
static int mark_make(const struct page *p, const struct merge_out *m, struct mark *ret)
{
	struct mark k = {0};

	k.token = strdup(p->s3->next_token);
	k.lo = strndup(m->hi, m->hi_len);
	k.carried = calloc(m->ncarry + 1, sizeof(*k.carried));
	if (k.carried) {
		for (size_t i = 0; i < m->ncarry; i++) {
			if (name_copy(&m->carry[i], &k.carried[k.ncarried]) < 0)
				break;
			k.ncarried++;
		}
	}
	if (!k.token || !k.lo || !k.carried || k.ncarried < m->ncarry) {
		free(k.token);
		free(k.lo);
		names_free(k.carried, k.ncarried);
		return -ENOMEM;
	}
	*ret = k;
	return 0;
}

static int mark_add_locked(struct dirstream *s, uint64_t index, const struct page *p,
			   const struct merge_out *m)
{
	struct mark *more, k;
	int r;

	if (index < s->nmarks)
		return 0; /* a page that was read again */
	more = realloc(s->marks, (s->nmarks + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->marks = more;
	r = mark_make(p, m, &k);
	if (r < 0)
		return r;
	s->marks[s->nmarks++] = k;
	return 0;
}

/* Makes room: the page farthest from the reader goes, to be freed by the caller. */
static bool evict_locked(struct dirstream *s, struct dirpage *ret)
{
	unsigned worst = 0;
	uint64_t far = 0;

	if (s->nslots < DIRSTREAM_SLOTS)
		return false;
	for (unsigned i = 0; i < s->nslots; i++) {
		uint64_t at = s->slots[i].index;
		uint64_t d = at > s->wanted ? at - s->wanted : s->wanted - at;

		if (d >= far) {
			far = d;
			worst = i;
		}
	}
	*ret = s->slots[worst];
	s->slots[worst] = s->slots[--s->nslots];
	return true;
}

static int store_locked(struct dirstream *s, struct page *p, struct merge_out *m,
			struct dirpage *evicted, bool *ret_evicted)
{
	uint64_t index = s->loading_index;
	bool last = !p->s3->truncated;
	int r;

	if (!last) {
		r = mark_add_locked(s, index + 1, p, m);
		if (r < 0)
			return r;
	} else {
		s->npages = index + 1;
	}
	*ret_evicted = evict_locked(s, evicted);
	s->slots[s->nslots++] =
		(struct dirpage){.index = index, .page = page_ref(p), .merge = *m, .last = last};
	return 0;
}

/* Once for a directory as long as its inode lives, however often it is listed. */
static void warn_once(struct dirstream *s, const struct page *p, const struct merge_out *m)
{
	if (m->invalid == 0 && m->hidden == 0)
		return;
	{
		WITH_LOCK(&s->fs->lock);
		if (s->dir->dir->warned)
			return;
		s->dir->dir->warned = true;
	}
	log_warn(LOG_FUSE,
		 "%s: %u keys are hidden behind an entry of the same name, "
		 "%u are not valid file names and are hidden",
		 p->prefix[0] ? p->prefix : "/", m->hidden, m->invalid);
}

static int merge_page(struct dirstream *s, struct page *p, struct merge_out *ret)
{
	const struct mark *k = &s->marks[s->loading_index];
	struct merge_in in = {
		.page = p->s3,
		.prefix_len = p->prefix_len,
		.lo = k->lo,
		.lo_len = strlen(k->lo),
		.locals = s->locals,
		.nlocals = s->nlocals,
		.carried = k->carried,
		.ncarried = k->ncarried,
		.names = s->loading_index > 0 || p->s3->truncated ? &s->names : NULL,
		.index = (uint32_t)s->loading_index,
	};

	return dirmerge(&in, ret);
}

/* A page is here: its names are merged, whoever waits looks again. */
static int take_page(struct dirstream *s, struct page *p)
{
	struct fs *fs = s->fs;
	struct merge_out m = {0};
	struct dirpage evicted;
	bool have_evicted = false;
	struct list waiters = LIST_INIT(waiters);
	struct list *n;
	int r = p->err;

	if (r == 0)
		r = merge_page(s, p, &m);
	if (r == 0)
		warn_once(s, p, &m);
	{
		WITH_LOCK(&fs->lock);
		if (r == 0)
			r = store_locked(s, p, &m, &evicted, &have_evicted);
		s->loading = false;
		list_splice(&waiters, &s->waiters);
	}
	if (r < 0)
		dirmerge_free(&m);
	if (have_evicted)
		slot_free(&evicted);
	while ((n = list_pop(&waiters))) {
		struct dirstream_wait *wait = list_entry(n, struct dirstream_wait, node);

		wait->done(wait, r);
	}
	return r;
}

static void on_page(struct page_wait *w, struct page *p)
{
	struct dirstream *s = container_of(w, struct dirstream, arrival);

	if (take_page(s, p) == 0)
		dirstream_run(s);
	dirstream_unref(s);
}

static void on_ahead(struct dirahead *a)
{
	struct dirstream *s = container_of(a, struct dirstream, ahead);

	dirstream_run(s);
	dirstream_unref(s);
}

/* The page to request now: what is wanted, else the next ones; false: none. */
static bool next_load_locked(struct dirstream *s, uint64_t *ret)
{
	if (s->loading)
		return false;
	for (uint64_t index = s->wanted; index <= s->wanted + AHEAD; index++) {
		if (index >= s->npages)
			return false;
		if (slot_find(s, index))
			continue;
		/* beyond what is known, the chain is followed from its end */
		*ret = index < s->nmarks ? index : s->nmarks - 1;
		return true;
	}
	return false;
}

/* What one look at the stream found to do. */
struct work {
	struct page *start; /* to be requested: the next one of the chain */
	struct page *here;  /* came by a guess, to be merged */
	struct list starts; /* guessed pages to be requested */
	struct list dead, waiters;
	int err;
};

static void load_begins_locked(struct dirstream *s, uint64_t index)
{
	s->loading = true;
	s->loading_index = index;
	dirstream_ref(s);
}

/* The chain goes on with a guessed page; false: it has to be requested. */
static bool take_ahead_locked(struct dirstream *s, uint64_t index, struct work *w)
{
	struct mark *k = &s->marks[index];
	char *start = NULL;

	if (index + 1 < s->nmarks || s->npages != UINT64_MAX || index == 0)
		return false; /* it was read before, by what its mark says */
	switch (dirahead_take_locked(&s->ahead, k->lo, strlen(k->lo), &w->here, &start, &w->dead)) {
	case DIRAHEAD_WAIT:
		return true;
	case DIRAHEAD_READY:
		free(k->token);
		k->token = NULL;
		k->start = start;
		load_begins_locked(s, index);
		return true;
	case DIRAHEAD_NONE:
		break;
	}
	return false;
}

static void request_locked(struct dirstream *s, uint64_t index, struct work *w)
{
	const struct mark *k = &s->marks[index];

	w->err = page_new_locked(s->fs, s->dir, k->start ? k->start : k->lo, k->token,
				 /* refresh= */ false, &w->start);
	if (w->err < 0) {
		list_splice(&w->waiters, &s->waiters);
		return;
	}
	s->arrival.done = on_page;
	list_append(&w->start->waiters, &s->arrival.node);
	load_begins_locked(s, index);
}

/* The last page of the chain that is known, if it is still kept. */
static const struct dirpage *newest_locked(const struct dirstream *s)
{
	return s->nmarks < 2 || s->npages != UINT64_MAX ? NULL : slot_find(s, s->nmarks - 2);
}

static void look_locked(struct dirstream *s, struct work *w)
{
	const struct dirpage *newest = newest_locked(s);
	uint64_t index;

	if (next_load_locked(s, &index) && !take_ahead_locked(s, index, w))
		request_locked(s, index, w);
	/* the chain's next page is under way, or will be a guessed one: those behind it */
	if (newest && (s->loading || s->ahead.nloads > 0)) {
		unsigned n =
			dirahead_ask_locked(&s->ahead, newest->page, s->nmarks - 1, &w->starts);

		while (n-- > 0)
			dirstream_ref(s);
	}
}

/* True when it is worth another look. */
static bool run_once(struct dirstream *s)
{
	struct work w = {.starts = LIST_INIT(w.starts),
			 .dead = LIST_INIT(w.dead),
			 .waiters = LIST_INIT(w.waiters)};
	struct list *n;
	bool again = false;

	{
		WITH_LOCK(&s->fs->lock);
		look_locked(s, &w);
	}
	if (w.start) {
		page_start(w.start);
		page_unref(w.start);
	}
	dirahead_start(&w.starts);
	dirahead_drop(&w.dead);
	while ((n = list_pop(&w.waiters))) {
		struct dirstream_wait *wait = list_entry(n, struct dirstream_wait, node);

		wait->done(wait, w.err);
	}
	if (w.here) {
		again = take_page(s, w.here) == 0;
		page_unref(w.here);
		dirstream_unref(s);
	}
	return again;
}

void dirstream_run(struct dirstream *s)
{
	while (run_once(s))
		;
}
