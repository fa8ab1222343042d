/* SPDX-License-Identifier: Apache-2.0 */

/* The memory budget: the limit, the lines, fairness, and memory given back. */
#include "prefetch/budget.h"

#include <sys/mman.h>

#include "lib/test.h"
#include "prefetch/pool.h"

#define CELLS_OF(mib) ((unsigned)((mib)*MIB / PF_CELL))

static struct budget *b;

static unsigned order[64], norder;

struct reader {
	struct budget_claim c;
	unsigned name;
};

struct writer {
	struct budget_wait w;
	void *mem[64];
	unsigned name;
};

static void note(unsigned name)
{
	order[norder++] = name;
}

static void reader_granted(struct budget_claim *c)
{
	note(container_of(c, struct reader, c)->name);
}

static void writer_granted(struct budget_wait *w)
{
	note(container_of(w, struct writer, w)->name);
}

static bool claim(struct reader *r, unsigned name, unsigned cells)
{
	*r = (struct reader){.c = {.cells = cells, .granted = reader_granted}, .name = name};
	return budget_claim(b, &r->c);
}

static bool get(struct writer *w, unsigned name, unsigned slabs)
{
	*w = (struct writer){.w = {.slabs = slabs, .granted = writer_granted}, .name = name};
	w->w.mem = w->mem;
	return budget_get(b, &w->w);
}

static void put(struct writer *w)
{
	budget_put(b, w->mem, w->w.slabs);
}

static void unreserve(unsigned cells)
{
	budget_unreserve(b, cells);
	budget_wake(b);
}

static void start(uint64_t limit)
{
	norder = 0;
	if (budget_new(limit, &b) < 0)
		abort();
}

static void stop(void)
{
	check_int(budget_used(b), ==, 0);
	budget_free(b);
}

static void counts(void)
{
	start(64 * MIB);
	check_int(budget_limit(b), ==, 64 * MIB);
	check(budget_try(b, CELLS_OF(60), BUDGET_DEMAND));
	check_int(budget_used(b), ==, 60 * MIB);
	check(!budget_try(b, CELLS_OF(5), BUDGET_DEMAND));
	check(!budget_try(b, 1, BUDGET_SPECULATIVE)); /* an eighth is for those who wait */
	check(budget_try(b, CELLS_OF(4), BUDGET_DEMAND));
	unreserve(CELLS_OF(64));
	check(budget_try(b, CELLS_OF(56), BUDGET_SPECULATIVE));
	unreserve(CELLS_OF(56));
	stop();
}

static void first_come_first_served(void)
{
	struct reader r[4];

	start(8 * MIB);
	check(claim(&r[0], 0, 60));
	check(!claim(&r[1], 1, 30));
	check(!claim(&r[2], 2, 2)); /* would fit, but may not pass */
	check(!budget_try(b, 1, BUDGET_DEMAND));
	check(!claim(&r[3], 3, 40));
	check(budget_tight(b));
	unreserve(20);
	check_int(norder, ==, 0);
	unreserve(8);
	check_int(norder, ==, 2);
	check(order[0] == 1 && order[1] == 2);
	unreserve(32 + 30);
	check_int(norder, ==, 3);
	check(!budget_tight(b));
	unreserve(42);
	stop();
}

static void leaving_the_line(void)
{
	struct reader r[3];
	struct writer w;

	start(8 * MIB);
	check(claim(&r[0], 0, 60));
	check(!claim(&r[1], 1, 30));
	check(!claim(&r[2], 2, 4));
	check(budget_unclaim(b, &r[1].c));
	check(!budget_unclaim(b, &r[1].c));
	budget_wake(b);
	check_int(norder, ==, 1);
	check(!budget_unclaim(b, &r[2].c)); /* granted */
	check(!get(&w, 9, 2));
	check(budget_cancel(b, &w.w));
	check(!budget_cancel(b, &w.w));
	check(!budget_tight(b));
	unreserve(64);
	stop();
}

static void neither_starves(void)
{
	struct reader r[20];
	struct writer w[20];
	unsigned first_reader = 0, first_writer = 0;

	start(16 * MIB);
	/* Uploads hold all they can; both lines fill up. */
	for (unsigned i = 0; i < 12; i++)
		check(get(&w[i], 100 + i, 1));
	check(claim(&r[0], 0, 32)); /* the readers' quarter is theirs at once */
	for (unsigned i = 12; i < 16; i++)
		check(!get(&w[i], 100 + i, 1));
	for (unsigned i = 1; i < 5; i++)
		check(!claim(&r[i], i, 8));
	/* Each slab that comes back goes to one and the other in turn. */
	for (unsigned i = 0; i < 4; i++)
		put(&w[i]);
	check_int(norder, ==, 4);
	for (unsigned i = 0; i < norder; i++)
		order[i] >= 100 ? first_writer++ : first_reader++;
	check_int(first_reader, ==, 2);
	check_int(first_writer, ==, 2);
	for (unsigned i = 4; i < 14; i++)
		put(&w[i]);
	check_int(norder, ==, 8);
	put(&w[14]);
	put(&w[15]);
	unreserve(32 + 4 * 8);
	stop();
}

/* A large request keeps its turn until enough is free, small ones do not pass it. */
static void large_upload_is_not_passed(void)
{
	struct reader r[7];
	struct writer w;

	start(8 * MIB);
	for (unsigned i = 0; i < 4; i++)
		check(claim(&r[i], i, 16));
	check(!get(&w, 100, 4));
	for (unsigned i = 4; i < 7; i++)
		check(!claim(&r[i], i, 8));
	unreserve(16); /* readers are at their three quarters now */
	check_int(norder, ==, 0);
	unreserve(8);
	check_int(norder, ==, 1);
	check_int(order[0], ==, 4);
	unreserve(8); /* 5 would fit, but it is the upload's turn */
	check_int(norder, ==, 1);
	unreserve(8);
	check_int(norder, ==, 2);
	check_int(order[1], ==, 100);
	unreserve(24);
	check_int(norder, ==, 4);
	put(&w);
	unreserve(3 * 8);
	stop();
}

static unsigned idle;

static unsigned give_up(void *arg, unsigned cells)
{
	unsigned n = cells < idle ? cells : idle;

	(void)arg;
	idle -= n;
	budget_unreserve(b, n);
	return n;
}

static void idle_cells_go_first(void)
{
	struct writer w;
	struct reader r;

	start(8 * MIB);
	check(budget_try(b, 60, BUDGET_DEMAND));
	idle = 50;
	budget_set_reclaim(b, give_up, NULL);
	check(get(&w, 100, 4));
	check_int(idle, <, 50);
	check(!claim(&r, 1, 20));
	budget_relieve(b);
	check_int(norder, ==, 1);
	put(&w);
	unreserve(20 + 10 + idle);
	stop();
}

struct nested {
	struct budget_claim c;
	unsigned depth, *deepest;
	unsigned *now;
};

static void nested_granted(struct budget_claim *c)
{
	struct nested *n = container_of(c, struct nested, c);

	if (++*n->now > *n->deepest)
		*n->deepest = *n->now;
	budget_unreserve(b, c->cells);
	budget_wake(b);
	--*n->now;
}

/* A thousand in line, each of which frees its memory at once: no deep stack. */
static void chain_stays_flat(void)
{
	static struct nested n[1000];
	unsigned now = 0, deepest = 0;

	start(2 * MIB);
	check(budget_try(b, 16, BUDGET_DEMAND));
	for (unsigned i = 0; i < ARRAY_SIZE(n); i++) {
		n[i] = (struct nested){
			.c = {.cells = 9, .granted = nested_granted},
			.now = &now,
			.deepest = &deepest,
		};
		check(!budget_claim(b, &n[i].c));
	}
	unreserve(16);
	check_int(deepest, ==, 1);
	stop();
}

/* ---- the pool ---- */

static unsigned long resident(void *at, size_t len)
{
	static unsigned char vec[4096];
	unsigned long n = 0;

	if (mincore(at, len, vec) < 0)
		abort();
	for (size_t i = 0; i < len / 4096; i++)
		n += vec[i] & 1;
	return n;
}

static void runs_and_fragments(void)
{
	void *cells[128];
	unsigned got, n = 0;
	struct pool *p;

	require(pool_new(128, &p) == 0);
	/* Eight at a time, all of it. */
	for (; n < 16; n++) {
		cells[n] = pool_take(p, 8, &got);
		check_int(got, ==, 8);
		memset(cells[n], (int)n, PF_SLAB);
	}
	check_int(pool_resident(p), ==, 128);
	/* Every other cell of each slab back: runs of one only. */
	for (unsigned i = 0; i < 16; i++)
		for (unsigned k = 0; k < 8; k += 2)
			pool_put(p, (char *)cells[i] + k * PF_CELL, 1);
	for (unsigned i = 0; i < 10; i++) {
		void *m = pool_take(p, 8, &got);

		check_int(got, ==, 1);
		pool_put(p, m, 1);
	}
	/* 64 free cells in fragments: whole slabs all the same, within the limit. */
	for (unsigned i = 0; i < 8; i++) {
		void *m = pool_take_slab(p);

		require(m != NULL);
		memset(m, 0xee, PF_SLAB);
		check_int(pool_resident(p), <=, 128);
		cells[16 + i] = m;
	}
	for (unsigned i = 0; i < 16; i++)
		for (unsigned k = 1; k < 8; k += 2)
			check_int(((unsigned char *)cells[i])[k * PF_CELL + 99], ==, i);
	for (unsigned i = 0; i < 16; i++)
		for (unsigned k = 1; k < 8; k += 2)
			pool_put(p, (char *)cells[i] + k * PF_CELL, 1);
	for (unsigned i = 16; i < 24; i++)
		pool_put(p, cells[i], 8);
	check_int(pool_peak(p), <=, 128);
	pool_free(p);
}

/* Kept slabs are beyond the limit, whichever come back for them. */
static void kept_slabs_are_not_counted(void)
{
	struct budget_wait w = {.slabs = 4};
	void *kept[3], *lent[8];

	require(budget_new(8 * MIB, &b) == 0);
	require(budget_keep(b, kept, 3));
	check_int(budget_limit(b), ==, 8 * MIB);
	check_int(budget_used(b), ==, 0);
	for (int i = 0; i < 2; i++) {
		w.mem = lent + (size_t)4 * i;
		require(budget_try_get(b, &w));
	}
	check(!budget_try_get(b, &w));
	for (int i = 0; i < 8; i++)
		memset(lent[i], i, PF_SLAB);
	check_int(budget_resident(b), ==, 8 * MIB);
	w.mem = lent;
	for (int i = 0; i < 3; i++) {
		void *other = kept[i];

		memset(other, 'k', PF_SLAB);
		kept[i] = lent[i];
		lent[i] = other;
	}
	budget_put(b, lent, 8);
	check_int(budget_used(b), ==, 0);
	budget_release(b, kept, 3);
	budget_free(b);
}

static void last_freed_first_used(void)
{
	unsigned got;
	struct pool *p;
	void *a, *c;

	require(pool_new(128, &p) == 0);
	a = pool_take(p, 8, &got);
	c = pool_take(p, 8, &got);
	pool_put(p, c, 8);
	pool_put(p, a, 8);
	check(pool_take(p, 8, &got) == a);
	pool_put(p, a, 8);
	check_int(pool_resident(p), ==, 16);
	pool_free(p);
}

static void memory_goes_back(void)
{
	unsigned got;
	struct pool *p;
	char *a, *c;

	require(pool_new(128, &p) == 0);
	a = pool_take(p, 8, &got);
	c = pool_take(p, 8, &got);
	memset(a, 1, PF_SLAB);
	memset(c, 1, PF_SLAB);
	pool_put(p, c, 8);
	pool_put(p, a + 4 * PF_CELL, 4);
	pool_trim(p);
	check_int(pool_resident(p), ==, 16);
	pool_trim(p);
	check_int(pool_resident(p), ==, 4);
	check_int(resident(c, PF_SLAB), ==, 0);
	check_int(resident(a + 4 * PF_CELL, 4 * PF_CELL), ==, 0);
	check_int(a[3 * PF_CELL], ==, 1);
	pool_put(p, a, 4);
	pool_free(p);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(counts),
		TEST(first_come_first_served),
		TEST(leaving_the_line),
		TEST(neither_starves),
		TEST(large_upload_is_not_passed),
		TEST(idle_cells_go_first),
		TEST(chain_stays_flat),
		TEST(runs_and_fragments),
		TEST(last_freed_first_used),
		TEST(kept_slabs_are_not_counted),
		TEST(memory_goes_back),
		{0},
	});
}
