/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The cursors of one open file. Pure arithmetic: no I/O, no lock, no clock.
 *
 *   kind        a read of its kind                     becomes
 *   NEW         begins exactly at the cursor's end     SEQUENTIAL
 *   NEW         ends exactly at the cursor's begin     NEW, longer (two reads
 *                                                      that arrived swapped)
 *   SEQUENTIAL  near its end: kernel read-ahead,       SEQUENTIAL, further
 *               several requests at once, out of order
 *   any other   -                                      a NEW cursor
 *
 * To a server that is far a first read of FIRST_READ at the object's begin is
 * SEQUENTIAL as well: a MiB in vain costs less than a round trip.
 *
 * The step to SEQUENTIAL is strict on purpose: with a tolerance of a megabyte,
 * random reads of a small object would start read-ahead all the time. A
 * sequential cursor is tolerant, but only reads in place move its window; after
 * some out of place in a row it is NEW again.
 *
 * Reads that belong to no sequential cursor are compared with the one before:
 * the same distance three times in a row is a stride, and the next reads at
 * that distance are predicted. A dense stride (backward reading among them)
 * fetches whole slabs.
 */
#include "prefetch/cursor.h"

#include <assert.h>
#include <stdlib.h>

#include "base/macro.h"
#include "prefetch/prefetch.h"

#define BEHIND	     (2 * MIB) /* how late a read of kernel read-ahead may come */
#define AHEAD	     (2 * MIB) /* how early */
#define MAX_STRAYS   4
#define FIRST_READ   (128 * KIB) /* at the begin of an object: it will be read on */
#define SLAB_WISE    (4 * MIB)	 /* from this window on, GETs end where slabs do */
#define STRIDE_PROOF 2

static bool belongs(const struct cursor *c, uint64_t offset, uint64_t end)
{
	switch ((enum cursor_kind)c->kind) {
	case CURSOR_NEW:
		return offset == c->next || end == c->begin ||
		       (offset >= c->begin && end <= c->next);
	case CURSOR_SEQUENTIAL:
		return offset + BEHIND >= c->next && offset >= c->begin &&
		       offset <= c->next + min_u64(AHEAD, c->window.size);
	case CURSOR_UNUSED:
		break;
	}
	return false;
}

struct cursor *cursor_at(struct cursor_set *set, unsigned i)
{
	if (set->all)
		return i < CURSORS ? &set->all[i] : NULL;
	return i == 0 ? &set->one : NULL;
}

void cursor_fini(struct cursor_set *set)
{
	free(set->all);
	set->all = NULL;
}

/* The cursor whose end is nearest. */
static struct cursor *find(struct cursor_set *set, uint64_t offset, uint64_t end)
{
	struct cursor *best = NULL, *c;
	uint64_t best_gap = UINT64_MAX;

	for (unsigned i = 0; (c = cursor_at(set, i)); i++) {
		uint64_t gap = offset > c->next ? offset - c->next : c->next - offset;

		if (gap < best_gap && belongs(c, offset, end)) {
			best = c;
			best_gap = gap;
		}
	}
	return best;
}

/* Makes room for all cursors; without memory the file goes on with one. */
static void expand(struct cursor_set *set)
{
	set->all = calloc(CURSORS, sizeof(*set->all));
	if (set->all)
		set->all[0] = set->one;
}

/* An unused one, else the NEW one, else the sequential one that rested longest. */
static struct cursor *replace(struct cursor_set *set)
{
	struct cursor *best, *c;

	if (!set->all && set->one.kind != CURSOR_UNUSED)
		expand(set);
	best = cursor_at(set, 0);
	for (unsigned i = 0; (c = cursor_at(set, i)); i++) {
		if (c->kind == CURSOR_UNUSED)
			return c;
		if (c->kind < best->kind || (c->kind == best->kind && c->used < best->used))
			best = c;
	}
	return best;
}

static void start(struct cursor *c, uint64_t offset, uint64_t end)
{
	*c = (struct cursor){.begin = offset, .next = end, .kind = CURSOR_NEW};
}

/* Reads that came early started cursors of their own: take them in. */
static void absorb(struct cursor_set *set, struct cursor *c)
{
	struct cursor *d;

	for (unsigned i = 0; (d = cursor_at(set, i)); i++) {
		if (d == c || d->kind != CURSOR_NEW || d->begin < c->begin || d->begin > c->next)
			continue;
		if (d->next > c->next)
			c->next = d->next;
		d->kind = CURSOR_UNUSED;
	}
}

/* True: in place, the reader moved on. */
static bool advance(struct cursor *c, uint64_t offset, uint64_t end)
{
	bool in_place = offset <= c->next && end > c->next;

	if (c->kind == CURSOR_NEW) {
		if (offset == c->next)
			c->kind = CURSOR_SEQUENTIAL;
		else if (end == c->begin)
			c->begin = offset;
	} else if (offset > c->next && ++c->strays > MAX_STRAYS) {
		start(c, offset, end);
	}
	if (in_place)
		c->strays = 0;
	if (end > c->next)
		c->next = end;
	return in_place;
}

/* What another cursor has read already will not be read again by this one. */
static uint64_t stop_at_others(struct cursor_set *set, const struct cursor *c, uint64_t target)
{
	const struct cursor *d;

	for (unsigned i = 0; (d = cursor_at(set, i)); i++)
		if (d->kind == CURSOR_SEQUENTIAL && d->begin >= c->next && d->begin < target)
			target = d->begin;
	return target;
}

static void move_window(struct cursor *c, bool waited, const struct cursor_limits *l)
{
	uint64_t run = c->next - c->begin;

	if (l->delay)
		window_read(&c->window, run, waited, l->now, l->cap, l->delay,
			    c->begin == 0 ? l->start : 0);
	else
		window_read_near(&c->window, run, waited, l->now, l->cap, l->part_max, l->gets);
}

/* Asks for whole parts beyond the edge as soon as the window has room for one. */
static void plan_window(struct cursor_set *set, struct cursor *c, const struct cursor_limits *l,
			struct cursor_plan *p)
{
	uint64_t target = stop_at_others(set, c, c->next + c->window.size), begin;

	p->part = window_part(&c->window, l->gets, l->part_max);
	begin = max_u64(max_u64(c->edge, c->next), p->need.end);
	if (target >= l->size)
		target = l->size;
	else
		target = round_down(target, c->window.size < SLAB_WISE ? PF_CELL : PF_SLAB);
	if (target <= begin ||
	    (target < l->size && target - begin < p->part && begin - c->next >= c->window.size / 2))
		return;
	p->ahead[p->nahead++] = (struct extent){begin, target};
	c->edge = target;
}

static void plan_extent(const struct cursor_limits *l, uint64_t begin, uint64_t len,
			struct cursor_plan *p)
{
	if (begin >= l->size)
		return;
	p->ahead[p->nahead++] = (struct extent){begin, min_u64(begin + len, l->size)};
}

static void plan_stride(const struct cursor_set *set, uint64_t offset, uint64_t len,
			const struct cursor_limits *l, struct cursor_plan *p)
{
	bool back = set->delta < 0;
	uint64_t step = back ? 0 - (uint64_t)set->delta : (uint64_t)set->delta;
	uint64_t reach = l->cap;

	p->part = l->part_max;
	if (step <= max_u64(2 * len, 2 * PF_CELL)) {
		uint64_t at =
			back ? offset - min_u64(offset, PF_SLAB / 2) : offset + len + PF_SLAB / 2;

		if (reach >= PF_SLAB)
			plan_extent(l, round_down(at, PF_SLAB), PF_SLAB, p);
		return;
	}
	for (unsigned i = 1; i <= CURSOR_AHEAD && len * i <= reach; i++) {
		if (back && step * i > offset)
			return;
		plan_extent(l, back ? offset - step * i : offset + step * i, len, p);
	}
}

static void note_distance(struct cursor_set *set, uint64_t offset)
{
	int64_t delta = (int64_t)(offset - set->last);

	if (delta != 0 && delta == set->delta) {
		if (set->repeats < UINT8_MAX)
			set->repeats++;
	} else {
		set->repeats = 0;
	}
	set->delta = delta;
	set->last = offset;
}

void cursor_read(struct cursor_set *set, uint64_t offset, uint64_t len, bool waited,
		 const struct cursor_limits *l, struct cursor_plan *ret)
{
	uint64_t end = offset + len, unit = l->random_size;
	struct cursor *c = find(set, offset, end);
	bool moved = true;

	assert(len > 0 && end <= l->size);
	*ret = (struct cursor_plan){.need = {offset / unit * unit, end}, .part = l->part_max};
	ret->need.end = min_u64((end + unit - 1) / unit * unit, l->size);
	if (l->size <= PF_SLAB)
		ret->need = (struct extent){0, l->size};
	set->tick++;
	if (!c) {
		c = replace(set);
		start(c, offset, end);
		if (l->delay && offset == 0 && len >= FIRST_READ)
			c->kind = CURSOR_SEQUENTIAL;
	} else {
		moved = advance(c, offset, end);
	}
	if (moved && c->kind == CURSOR_SEQUENTIAL) {
		absorb(set, c);
		move_window(c, waited, l);
	}
	c->used = set->tick;
	if (c->kind == CURSOR_SEQUENTIAL) {
		ret->sequential = true;
		ret->cursor = set->all ? (unsigned)(c - set->all) : 0;
		plan_window(set, c, l, ret);
		return;
	}
	note_distance(set, offset);
	if (set->repeats >= STRIDE_PROOF)
		plan_stride(set, offset, len, l, ret);
}

void cursor_stopped(struct cursor_set *set, unsigned cursor, uint64_t pos)
{
	struct cursor *c = cursor_at(set, cursor);

	if (c && c->edge > pos)
		c->edge = pos;
}
