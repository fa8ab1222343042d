/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Block maps: the table of versions (under pf's lock) and the cells of one
 * version (under its own).
 *
 *   cell     event                              becomes
 *   EMPTY    a fetch is made for it             WANTED (one cell reserved)
 *   WANTED   its last byte has arrived          READY
 *   WANTED   the fetch failed or was dropped    EMPTY
 *   READY    passed, evicted or stale           EMPTY (memory, reservation back)
 *
 * Invariants: a READY cell without pins is in the LRU; a pinned cell leaves READY
 * never, and WANTED only for READY, except that a failing fetch first takes its
 * readers away; a slot is in the table while one of its cells is live or pinned.
 * All live cells together hold one reference to their object, so a version that
 * has bytes is found again by the next open.
 */
#include "prefetch/object.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "prefetch/engine.h"
#include "prefetch/verify.h"

static uint64_t version_hash(const char *key, const char *etag)
{
	return hash_bytes(etag, strlen(etag), hash_bytes(key, strlen(key), 0));
}

static struct object *find_locked(struct pf *pf, uint64_t hash, const char *key, const char *etag)
{
	struct hash_node *n;

	hash_for_each_match(n, &pf->objects, hash)
	{
		struct object *o = container_of(n, struct object, node);

		if (strcmp(o->key, key) == 0 && strcmp(o->etag, etag) == 0)
			return o;
	}
	return NULL;
}

static struct object *object_new(struct pf *pf, const char *key, const char *etag, uint64_t size)
{
	size_t key_len = strlen(key) + 1, etag_len = strlen(etag) + 1;
	struct object *o = calloc(1, sizeof(*o) + key_len + etag_len);

	if (!o)
		return NULL;
	memcpy(o->names, key, key_len);
	memcpy(o->names + key_len, etag, etag_len);
	o->pf = pf;
	o->key = o->names;
	o->etag = o->names + key_len;
	o->size = size;
	o->cells = (size + PF_CELL - 1) / PF_CELL;
	atomic_init(&o->refs, 1);
	lock_init(&o->lock, RANK_OBJECT);
	list_init(&o->parked);
	list_init(&o->in_line);
	list_init(&o->fetches);
	list_init(&o->streams);
	return o;
}

static void object_free(struct object *o)
{
	assert(o->live == 0 && o->slots.count == 0 && list_empty(&o->parked));
	verify_free(o->verify);
	hash_fini(&o->slots);
	lock_fini(&o->lock);
	free(o);
}

/* About to be retired: nobody new is to find it. */
static bool is_stale(struct object *o)
{
	WITH_LOCK(&o->lock);
	return o->stale;
}

int object_get(struct pf *pf, const char *key, const char *etag, uint64_t size, struct object **ret)
{
	uint64_t hash = version_hash(key, etag);
	struct object *o;

	WITH_LOCK(&pf->lock);
	o = find_locked(pf, hash, key, etag);
	if (o && o->size == size && !is_stale(o)) {
		*ret = object_ref(o);
		return 0;
	}
	if (o) { /* void, or one ETag and two sizes: the newer word counts */
		hash_remove(&pf->objects, &o->node);
		o->in_table = false;
	}
	o = object_new(pf, key, etag, size);
	if (!o)
		return -ENOMEM;
	if (hash_insert(&pf->objects, &o->node, hash) < 0) {
		object_free(o);
		return -ENOMEM;
	}
	o->in_table = true;
	*ret = o;
	return 0;
}

struct object *object_ref(struct object *o)
{
	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

/* The last reference goes under the table's lock, so that nobody finds the object meanwhile. */
void object_unref(struct object *o)
{
	struct pf *pf = o->pf;
	unsigned n = atomic_load_explicit(&o->refs, memory_order_relaxed);

	while (n > 1)
		if (atomic_compare_exchange_weak_explicit(&o->refs, &n, n - 1, memory_order_release,
							  memory_order_relaxed))
			return;
	{
		WITH_LOCK(&pf->lock);
		if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) > 1)
			return;
		if (o->in_table)
			hash_remove(&pf->objects, &o->node);
	}
	object_free(o);
}

void object_retire(struct object *o)
{
	struct pf *pf = o->pf;

	WITH_LOCK(&pf->lock);
	if (o->in_table)
		hash_remove(&pf->objects, &o->node);
	o->in_table = false;
}

static struct slot *find_slot_locked(struct object *o, uint64_t index)
{
	struct hash_node *n;

	hash_for_each_match(n, &o->slots, hash_u64(index))
	{
		struct slot *s = container_of(n, struct slot, node);

		if (s->index == index)
			return s;
	}
	return NULL;
}

struct cell *object_cell_locked(struct object *o, uint64_t index)
{
	struct slot *s = find_slot_locked(o, index / POOL_SLAB_CELLS);

	return s ? &s->cell[index % POOL_SLAB_CELLS] : NULL;
}

struct cell *object_make_cell_locked(struct object *o, uint64_t index)
{
	struct cell *c = object_cell_locked(o, index);
	struct slot *s;

	if (c)
		return c;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->object = o;
	s->index = index / POOL_SLAB_CELLS;
	for (unsigned i = 0; i < POOL_SLAB_CELLS; i++) {
		s->cell[i].place = (uint8_t)i;
		list_init(&s->cell[i].lru);
	}
	if (hash_insert(&o->slots, &s->node, hash_u64(s->index)) < 0) {
		free(s);
		return NULL;
	}
	return &s->cell[index % POOL_SLAB_CELLS];
}

enum cell_state object_state_locked(struct object *o, uint64_t index)
{
	struct cell *c = object_cell_locked(o, index);

	return c ? (enum cell_state)c->state : CELL_EMPTY;
}

uint64_t object_empty_run_locked(struct object *o, uint64_t first, uint64_t end)
{
	uint64_t i = first;

	while (i < end && object_state_locked(o, i) == CELL_EMPTY)
		i++;
	return i - first;
}

/* Frees the slot when nothing of it is used. */
static void slot_settle_locked(struct slot *s)
{
	if (s->live)
		return;
	for (unsigned i = 0; i < POOL_SLAB_CELLS; i++)
		if (s->cell[i].pins)
			return;
	hash_remove(&s->object->slots, &s->node);
	free(s);
}

void object_settle_locked(struct object *o, uint64_t slot)
{
	struct slot *s = find_slot_locked(o, slot);

	if (s)
		slot_settle_locked(s);
}

void cell_want_locked(struct cell *c)
{
	struct object *o = cell_slot(c)->object;

	assert(c->state == CELL_EMPTY && !c->mem);
	c->state = CELL_WANTED;
	c->was_read = c->summed = false;
	cell_slot(c)->live++;
	if (o->live++ == 0)
		(void)object_ref(o);
}

void cell_ready_locked(struct cell *c)
{
	assert(c->state == CELL_WANTED && c->mem);
	c->state = CELL_READY;
	if (c->pins == 0)
		(void)lru_add(&cell_slot(c)->object->pf->lru, c, LRU_FRESH);
}

void cell_drop_locked(struct cell *c)
{
	struct budget *b = cell_slot(c)->object->pf->config.budget;
	char *mem = cell_abandon_locked(c);

	if (mem)
		budget_mem_put(b, mem, 1);
	budget_unreserve(b, 1);
}

char *cell_abandon_locked(struct cell *c)
{
	struct slot *s = cell_slot(c);
	struct object *o = s->object;
	char *mem = take_ptr(&c->mem);

	assert(c->state != CELL_EMPTY && c->pins == 0);
	if (c->state == CELL_READY) {
		lru_del(&o->pf->lru, c);
		if (o->verify)
			verify_dropped_locked(o, c, cell_index(c));
	}
	c->state = CELL_EMPTY;
	s->live--;
	slot_settle_locked(s);
	if (--o->live == 0) /* never the last one: the caller has its own */
		atomic_fetch_sub_explicit(&o->refs, 1, memory_order_release);
	return mem;
}

void cell_pin_locked(struct cell *c)
{
	if (c->pins++ == 0 && c->state == CELL_READY)
		lru_del(&cell_slot(c)->object->pf->lru, c);
}

void cell_unpin_locked(struct cell *c, enum cell_fate fate)
{
	struct lru *lru = &cell_slot(c)->object->pf->lru;

	assert(c->pins > 0);
	if (--c->pins > 0 || c->state != CELL_READY)
		return;
	if (fate == CELL_RELEASE)
		cell_drop_locked(c);
	else if (fate == CELL_KEEP_SHORT)
		(void)lru_add(lru, c, LRU_PASSED);
	else if (fate == CELL_SHARE)
		(void)lru_add(lru, c, LRU_SHARED);
	else
		(void)lru_add(lru, c, c->was_read ? LRU_USED : LRU_FRESH);
}

enum sweep { SWEEP_DROP, SWEEP_COOL };

static void sweep_slot(struct hash_node *n, void *arg)
{
	struct slot *s = container_of(n, struct slot, node);
	enum sweep what = *(enum sweep *)arg;
	struct lru *lru = &s->object->pf->lru;
	struct cell *idle[POOL_SLAB_CELLS];
	unsigned count = 0;

	for (unsigned i = 0; i < POOL_SLAB_CELLS; i++)
		if (s->cell[i].state == CELL_READY && s->cell[i].pins == 0)
			idle[count++] = &s->cell[i];
	/* Dropping the last one frees the slot. */
	for (unsigned i = 0; i < count; i++) {
		if (what == SWEEP_DROP) {
			cell_drop_locked(idle[i]);
			continue;
		}
		lru_del(lru, idle[i]);
		(void)lru_add(lru, idle[i], LRU_PASSED);
	}
}

void object_drop_idle_locked(struct object *o)
{
	enum sweep what = SWEEP_DROP;

	hash_visit(&o->slots, sweep_slot, &what);
}

void object_cool_locked(struct object *o)
{
	enum sweep what = SWEEP_COOL;

	hash_visit(&o->slots, sweep_slot, &what);
}
