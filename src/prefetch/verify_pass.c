/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A *pass* goes over the cells of an object in their order: it takes cell `next`
 * when that is READY. A CRC is computed for each cell where it arrives and only joined
 * here; SHA reads the bytes here. The kernel asks for some pages before those in front
 * of them have come, so that cells are also used, and dropped, ahead of a pass: their
 * CRCs stay with it, and where bytes are needed the cells do.
 *
 *   pass     event                                      becomes
 *   -        a reader opens it, or reads its start      at cell 0
 *   at i     cell i is READY                            at i + 1, and on
 *   at i     another pass is there with the same sum    gone
 *   at the end, right                                   gone
 *   at the end, wrong                                   gone; the object is refused
 *
 * A pass stays where it is when its reader went elsewhere, and PASSES_MAX later
 * ones push it out: what was not read in order is not compared, and never refused.
 * All under the object's lock.
 */
#include "prefetch/verify_pass.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "prefetch/engine.h"

#define PASSES_MAX 16
#define JUST_BEGUN 16 /* cells */

int pass_init(const struct verify *v, struct pass *p)
{
	int r = s3_digest_begin(&p->bytes, v->want.kind);

	if (r == 0 && v->part_cells)
		r = s3_digest_begin(&p->parts, v->want.kind);
	return r;
}

void pass_fini(struct pass *p)
{
	s3_digest_fini(&p->bytes);
	s3_digest_fini(&p->parts);
	free(p->ahead);
}

static bool is_ahead(const struct pass *p, uint64_t index)
{
	return index > p->next && index - p->next < PASS_AHEAD;
}

static uint64_t ahead_bit(uint64_t index)
{
	return UINT64_C(1) << index % 64;
}

static uint64_t *ahead_word(struct pass *p, uint64_t index)
{
	return &p->has[index % PASS_AHEAD / 64];
}

static void pass_free(struct verify *v, struct pass *p)
{
	list_del(&p->node);
	v->npasses--;
	pass_fini(p);
	free(p);
}

void verify_free(struct verify *v)
{
	if (!v)
		return;
	while (!list_empty(&v->passes))
		pass_free(v, list_entry(v->passes.next, struct pass, node));
	free(v);
}

/* Without memory there is none, and the object is not verified. */
static struct pass *pass_new(struct verify *v)
{
	struct pass *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (pass_init(v, p) < 0) {
		pass_fini(p);
		free(p);
		return NULL;
	}
	if (v->npasses == PASSES_MAX)
		pass_free(v, list_entry(v->passes.next, struct pass, node));
	list_append(&v->passes, &p->node);
	v->npasses++;
	return p;
}

static uint64_t cell_len(const struct object *o, uint64_t index)
{
	return min_u64(PF_CELL, o->size - index * PF_CELL);
}

bool pass_take(const struct object *o, const struct verify *v, struct pass *p, const struct cell *c)
{
	enum s3_sum_kind crc = s3_digest_crc(v->want.kind);
	uint64_t len = cell_len(o, p->next);
	unsigned char part[S3_DIGEST_MAX];

	if (!c)
		s3_digest_join(&p->bytes, p->ahead[p->next % PASS_AHEAD], len);
	else if (crc == S3_SUM_OFF)
		s3_digest_add(&p->bytes, c->mem, len);
	else
		s3_digest_join(&p->bytes, c->summed ? c->sum : s3_sum(crc, 0, c->mem, len), len);
	*ahead_word(p, p->next) &= ~ahead_bit(p->next);
	p->next++;
	if (!v->part_cells || (p->next % v->part_cells != 0 && p->next != o->cells))
		return true;
	if (s3_digest_end(&p->bytes, part) < 0)
		return false;
	s3_digest_add(&p->parts, part, s3_digest_len(v->want.kind));
	return true;
}

bool pass_is_right(const struct object *o, const struct verify *v, struct pass *p)
{
	struct s3_checksum got = {.kind = v->want.kind, .parts = v->want.parts};
	char want_text[S3_CHECKSUM_TEXT], got_text[S3_CHECKSUM_TEXT];

	if (s3_digest_end(v->part_cells ? &p->parts : &p->bytes, got.value) < 0) {
		log_warn(LOG_PREFETCH, "%s: not verified: out of memory", o->key);
		return true;
	}
	if (memcmp(got.value, v->want.value, s3_digest_len(got.kind)) == 0) {
		log_debug(LOG_PREFETCH, "%s: %s verified", o->key, s3_digest_name(got.kind));
		return true;
	}
	s3_checksum_text(&v->want, want_text);
	s3_checksum_text(&got, got_text);
	log_err(LOG_PREFETCH, "%s: the bytes received have %s %s, the server's object has %s",
		o->key, s3_digest_name(got.kind), got_text, want_text);
	return false;
}

/* One that is where this one is, with the same bytes behind it, does the same again. */
static void drop_equal(struct verify *v, const struct pass *p)
{
	struct list *n, *tmp;

	if (s3_digest_crc(v->want.kind) == S3_SUM_OFF)
		return;
	list_for_each_safe (n, tmp, &v->passes) {
		struct pass *other = list_entry(n, struct pass, node);

		if (other != p && other->next == p->next && other->bytes.crc == p->bytes.crc &&
		    other->parts.crc == p->parts.crc)
			pass_free(v, other);
	}
}

static bool advance_locked(struct object *o, struct pass *p)
{
	struct verify *v = o->verify;
	uint64_t begin = p->next;
	bool right = true;

	while (p->next < o->cells) {
		bool ready = object_state_locked(o, p->next) == CELL_READY;

		if (!ready && !(*ahead_word(p, p->next) & ahead_bit(p->next)))
			break;
		if (pass_take(o, v, p, ready ? object_cell_locked(o, p->next) : NULL))
			continue;
		log_warn(LOG_PREFETCH, "%s: not verified: out of memory", o->key);
		pass_free(v, p);
		return true;
	}
	if (p->next == o->cells) {
		right = pass_is_right(o, v, p);
		pass_free(v, p);
	} else if (p->next != begin) {
		list_del(&p->node);
		list_append(&v->passes, &p->node);
		drop_equal(v, p);
	}
	return right;
}

/* There is something to compare with, and some use in it. */
static bool is_known_locked(const struct object *o)
{
	const struct verify *v = o->verify;

	return v && !o->stale && !v->asking && v->want.kind != S3_DIGEST_NONE;
}

/* What it has taken is what a reader of the start will get. */
static bool serves_start_locked(struct object *o, const struct pass *p)
{
	if (p->next > JUST_BEGUN)
		return false;
	for (uint64_t i = 0; i < p->next; i++)
		if (object_state_locked(o, i) != CELL_READY)
			return false;
	return true;
}

bool verify_begin_locked(struct object *o, bool advance)
{
	struct verify *v = o->verify;
	struct pass *p = NULL;
	struct list *n;

	if (!is_known_locked(o))
		return true;
	list_for_each (n, &v->passes)
		if (serves_start_locked(o, list_entry(n, struct pass, node)))
			p = list_entry(n, struct pass, node);
	if (!p)
		p = pass_new(v);
	return !p || !advance || advance_locked(o, p);
}

bool verify_ready_locked(struct object *o, uint64_t index)
{
	struct verify *v = o->verify;
	struct pass *found;
	struct list *n;

	if (!is_known_locked(o))
		return true;
	/* One that moves may take others with it: look from the start again. */
	do {
		found = NULL;
		list_for_each (n, &v->passes)
			if (list_entry(n, struct pass, node)->next == index)
				found = list_entry(n, struct pass, node);
		if (found && !advance_locked(o, found))
			return false;
	} while (found);
	return true;
}

/* Soon to be taken by some pass, while the bytes are still in the CPU's cache. */
enum s3_sum_kind verify_sum_kind(struct object *o, uint64_t index)
{
	struct list *n;

	WITH_LOCK(&o->lock);
	if (!is_known_locked(o))
		return S3_SUM_OFF;
	list_for_each (n, &o->verify->passes) {
		const struct pass *p = list_entry(n, struct pass, node);

		if (p->next == index || is_ahead(p, index))
			return s3_digest_crc(o->verify->want.kind);
	}
	return S3_SUM_OFF;
}

void verify_dropped_locked(struct object *o, const struct cell *c, uint64_t index)
{
	struct list *n;

	if (!is_known_locked(o) || !c->summed)
		return;
	list_for_each (n, &o->verify->passes) {
		struct pass *p = list_entry(n, struct pass, node);

		if (!is_ahead(p, index))
			continue;
		if (!p->ahead)
			p->ahead = calloc(PASS_AHEAD, sizeof(*p->ahead));
		if (!p->ahead)
			continue; /* not verified */
		p->ahead[index % PASS_AHEAD] = c->sum;
		*ahead_word(p, index) |= ahead_bit(index);
	}
}

bool verify_needs_locked(const struct object *o, uint64_t index)
{
	struct list *n;

	if (!is_known_locked(o) || s3_digest_crc(o->verify->want.kind) != S3_SUM_OFF)
		return false;
	list_for_each (n, &o->verify->passes)
		if (is_ahead(list_entry(n, struct pass, node), index))
			return true;
	return false;
}
