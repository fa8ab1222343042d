/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One GET. It is made under its object's lock with all its cells WANTED, then
 * travels to its loop; from there until its end the memory of these cells is
 * its own. Bytes are received straight into cells; those that are complete
 * become READY at once, and the reads that lacked nothing else are answered from
 * this thread, outside the lock.
 *
 *   event             cells                       reads that wait for them
 *   bytes             complete ones: READY        answered
 *   end, all there    -                           -
 *   end, error        the rest: EMPTY             the error
 *   another version   the rest: EMPTY             all of the object's: -ESTALE
 *
 * With `whole` (see verify.h) all cells become READY at the end and not before.
 */
#include "prefetch/fetch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "prefetch/engine.h"
#include "prefetch/pace.h"
#include "prefetch/stream.h"
#include "prefetch/verify.h"

static struct iovec on_space(struct source_fetch *sf, uint64_t pos);
static void on_data(struct source_fetch *sf, uint64_t pos, size_t len);
static void on_head(struct source_fetch *sf);
static bool on_pause(struct source_fetch *sf, uint64_t pos);
static void on_done(struct source_fetch *sf, int err);

static struct fetch *fetch_alloc(struct object *o, size_t nslots)
{
	struct fetch *f = calloc(1, sizeof(*f) + nslots * sizeof(f->slots[0]));

	if (!f)
		return NULL;
	f->object = object_ref(o);
	list_init(&f->in_object);
	f->source = (struct source_fetch){
		.key = o->key,
		.etag = o->etag,
		.on_head = on_head,
		.on_space = on_space,
		.on_data = on_data,
		.on_pause = nslots ? on_pause : NULL,
		.done = on_done,
	};
	return f;
}

void fetch_free(struct fetch *f)
{
	object_unref(f->object);
	free(f);
}

/* True: nobody will come across it any more. */
static bool is_over_locked(const struct fetch *f)
{
	return f->ended && !f->stopping && !f->resuming;
}

void fetch_task_ended(struct fetch *f, bool *flag)
{
	bool over;

	{
		WITH_LOCK(&f->object->lock);
		*flag = false;
		over = is_over_locked(f);
	}
	if (over)
		fetch_free(f);
}

struct cell *fetch_cell(const struct fetch *f, uint64_t index)
{
	struct slot *s = f->slots[index / POOL_SLAB_CELLS - f->first / POOL_SLAB_CELLS];

	return &s->cell[index % POOL_SLAB_CELLS];
}

int fetch_new_locked(struct object *o, uint64_t first, uint64_t ncells, bool demand,
		     struct fetch **ret)
{
	uint64_t slot0 = first / POOL_SLAB_CELLS;
	uint64_t nslots = (first + ncells - 1) / POOL_SLAB_CELLS - slot0 + 1;
	struct fetch *f = fetch_alloc(o, nslots);

	if (!f)
		return -ENOMEM;
	for (uint64_t i = 0; i < nslots; i++) {
		struct cell *c = object_make_cell_locked(o, (slot0 + i) * POOL_SLAB_CELLS);

		if (!c) {
			while (i-- > 0)
				object_settle_locked(o, slot0 + i);
			fetch_free(f);
			return -ENOMEM;
		}
		f->slots[i] = cell_slot(c);
	}
	f->first = first;
	f->ncells = ncells;
	for (uint64_t i = first; i < first + ncells; i++)
		cell_want_locked(fetch_cell(f, i));
	f->source.offset = first * PF_CELL;
	f->source.length = min_u64((first + ncells) * PF_CELL, o->size) - f->source.offset;
	f->source.demand = demand;
	f->source.whole = o->pf->config.verify && o->size <= VERIFY_WHOLE_MAX && ncells == o->cells;
	f->filled = f->source.offset;
	f->pace = pace_start(f);
	list_append(&o->fetches, &f->in_object);
	*ret = f;
	return 0;
}

int fetch_new_check(struct object *o, struct pf_open *open, struct fetch **ret)
{
	struct fetch *f = fetch_alloc(o, 0);

	if (!f)
		return -ENOMEM;
	f->source.length = o->size ? 1 : 0;
	f->source.demand = true;
	f->open = open;
	*ret = f;
	return 0;
}

static uint64_t fetch_end(const struct fetch *f)
{
	return f->source.offset + f->source.length;
}

static void on_head(struct source_fetch *sf)
{
	struct fetch *f = container_of(sf, struct fetch, source);

	pf_note_head(f->object->pf, clock_now() - f->started_ns);
	if (f->open)
		open_finish(take_ptr(&f->open), 0);
}

/* Memory for cell `index` and, where there is a run of it, for those after it in the slot. */
static void fetch_give_memory(struct fetch *f, uint64_t index)
{
	uint64_t in_slot = POOL_SLAB_CELLS - index % POOL_SLAB_CELLS;
	unsigned want = (unsigned)min_u64(in_slot, f->first + f->ncells - index), got;
	char *mem = budget_mem(f->object->pf->config.budget, want, &got);

	for (unsigned i = 0; i < got; i++)
		fetch_cell(f, index + i)->mem = mem + i * PF_CELL;
}

static struct iovec on_space(struct source_fetch *sf, uint64_t pos)
{
	struct fetch *f = container_of(sf, struct fetch, source);
	uint64_t index = pos / PF_CELL, last = f->first + f->ncells - 1;
	uint64_t end;
	char *mem;

	if (f->ncells == 0)
		return (struct iovec){f->sink, sizeof(f->sink)};
	assert(pos >= f->filled && pos < fetch_end(f));
	if (!fetch_cell(f, index)->mem)
		fetch_give_memory(f, index);
	mem = fetch_cell(f, index)->mem;
	end = (index + 1) * PF_CELL;
	while (index < last && fetch_cell(f, index + 1)->mem == mem + PF_CELL) {
		index++;
		mem += PF_CELL;
		end += PF_CELL;
	}
	end = min_u64(end, fetch_end(f));
	return (struct iovec){mem + PF_CELL - ((index + 1) * PF_CELL - pos), end - pos};
}

/* Moves reads that lack nothing but this cell to `full`. */
static void wake_readers_locked(struct object *o, uint64_t index, struct list *full)
{
	uint64_t begin = index * PF_CELL, end = begin + PF_CELL;
	struct list *n, *tmp;

	list_for_each_safe (n, tmp, &o->parked) {
		struct pf_read *r = list_entry(n, struct pf_read, node);

		if (r->offset >= end || r->offset + r->len <= begin)
			continue;
		assert(r->missing > 0);
		if (--r->missing == 0) {
			read_fill_locked(o, r);
			list_del(&r->node);
			list_append(full, &r->node);
		}
	}
}

/* What a checksum needs of cells that nobody else sees yet. */
static void sum_cells(struct fetch *f, uint64_t index, uint64_t end)
{
	struct object *o = f->object;
	enum s3_sum_kind kind = verify_sum_kind(o, index);

	for (; kind != S3_SUM_OFF && index < end; index++) {
		struct cell *c = fetch_cell(f, index);

		c->sum = s3_sum(kind, 0, c->mem, min_u64(PF_CELL, o->size - index * PF_CELL));
		c->summed = true;
	}
}

/* Cells index..end - 1 have all their bytes. */
static void cells_arrived(struct fetch *f, uint64_t index, uint64_t end)
{
	struct object *o = f->object;
	struct list full = LIST_INIT(full), failed = LIST_INIT(failed);
	bool right = true;

	if (o->pf->config.verify)
		sum_cells(f, index, end);
	{
		WITH_LOCK(&o->lock);
		for (; index < end; index++) {
			cell_ready_locked(fetch_cell(f, index));
			right = right && verify_ready_locked(o, index);
			if (right && !list_empty(&o->parked))
				wake_readers_locked(o, index, &full);
		}
		if (!right)
			verify_refuse_locked(o, &failed);
	}
	read_answer_all(&full);
	if (!right)
		verify_refused(o, &failed);
	budget_relieve(o->pf->config.budget);
}

static void on_data(struct source_fetch *sf, uint64_t pos, size_t len)
{
	struct fetch *f = container_of(sf, struct fetch, source);
	uint64_t index = pos / PF_CELL, complete;

	if (f->ncells == 0)
		return;
	assert(pos == f->filled && pos + len <= fetch_end(f));
	f->filled = pos + len;
	/* The object's last cell may be short. */
	complete = f->filled == fetch_end(f) ? f->first + f->ncells : f->filled / PF_CELL;
	if (index < complete && !f->source.whole)
		cells_arrived(f, index, complete);
}

static bool on_pause(struct source_fetch *sf, uint64_t pos)
{
	return pace_must_wait(container_of(sf, struct fetch, source), pos);
}

/* Takes the reads that wait for the cells from `first` on out of the object. */
static void take_readers_locked(struct object *o, uint64_t begin, uint64_t end, struct list *failed)
{
	struct list *n, *tmp;

	list_for_each_safe (n, tmp, &o->parked) {
		struct pf_read *r = list_entry(n, struct pf_read, node);

		if (r->offset >= end || r->offset + r->len <= begin)
			continue;
		read_unpark_locked(o, r);
		list_append(failed, &r->node);
	}
}

uint64_t fetch_rest_count(const struct fetch *f)
{
	return f->filled < fetch_end(f) ? f->first + f->ncells - f->filled / PF_CELL : 0;
}

struct cell *fetch_rest_cell(const struct fetch *f, uint64_t i)
{
	return fetch_cell(f, f->filled / PF_CELL + i);
}

void fetch_drop_rest_locked(struct fetch *f)
{
	for (uint64_t i = 0; i < fetch_rest_count(f); i++)
		cell_drop_locked(fetch_rest_cell(f, i));
}

/* What a reader is told. */
static int read_errno(int err)
{
	switch (err) {
	case -ESTALE:
	case -ENOENT:
		return -ESTALE;
	case -ENOMEM:
	case -EBADMSG:
		return err;
	default:
		return -EIO;
	}
}

/* The version is gone, or not ours to see any more: nothing of it may be served. */
static bool is_gone(int err)
{
	return err == -ESTALE || err == -ENOENT;
}

static void fetch_fail(struct fetch *f, int err)
{
	struct object *o = f->object;
	struct list failed = LIST_INIT(failed);

	{
		WITH_LOCK(&o->lock);
		if (is_gone(err)) {
			o->stale = -ESTALE;
			take_readers_locked(o, 0, UINT64_MAX, &failed);
		}
		if (f->ncells && f->filled < fetch_end(f)) {
			take_readers_locked(o, round_down(f->filled, PF_CELL), fetch_end(f),
					    &failed);
			fetch_drop_rest_locked(f);
		}
		if (o->stale)
			object_drop_idle_locked(o);
	}
	if (is_gone(err))
		object_retire(o);
	log_debug(LOG_PREFETCH, "GET %s %llu+%llu: error %d", o->key,
		  (unsigned long long)f->source.offset, (unsigned long long)f->source.length, -err);
	read_fail_all(&failed, read_errno(err));
}

/*
 * All of a small object came, or an error: nobody has seen a byte of it. False: it
 * was wrong and is fetched once more.
 */
static bool whole_ended(struct fetch *f, int *err)
{
	if (*err == 0 && verify_whole(f)) {
		cells_arrived(f, f->first, f->first + f->ncells);
		return true;
	}
	f->filled = f->source.offset;
	if (*err == 0 && !f->again) {
		f->again = true;
		fetch_start(f);
		return false;
	}
	if (*err == 0)
		*err = -EBADMSG;
	return true;
}

static void on_done(struct source_fetch *sf, int err)
{
	struct fetch *f = container_of(sf, struct fetch, source);
	struct object *o = f->object;
	struct pf *pf = o->pf;
	bool over;

	if (err == 0 && f->ncells && f->filled < fetch_end(f))
		err = -EIO;
	if (f->source.whole && !whole_ended(f, &err))
		return;
	if (err)
		fetch_fail(f, err);
	if (f->open)
		open_finish(take_ptr(&f->open), err ? err : -EIO);
	lane_ended(f->lane, f);
	{
		WITH_LOCK(&o->lock);
		list_del(&f->in_object);
		f->ended = true;
		over = is_over_locked(f);
	}
	if (over)
		fetch_free(f);
	budget_relieve(pf->config.budget);
}

void fetch_start(struct fetch *f)
{
	struct block_source *source = f->object->pf->config.source;

	f->started_ns = clock_now();
	source->ops->fetch(source, f->lane->loop, &f->source);
}

void fetch_fill(struct fetch *f, const char *data)
{
	struct object *o = f->object;
	uint64_t begin = f->source.offset;

	while (f->filled < fetch_end(f)) {
		struct iovec space = on_space(&f->source, f->filled);

		memcpy(space.iov_base, data + (f->filled - begin), space.iov_len);
		on_data(&f->source, f->filled, space.iov_len);
	}
	{
		WITH_LOCK(&o->lock);
		list_del(&f->in_object);
	}
	fetch_free(f);
}
