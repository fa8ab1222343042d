/* SPDX-License-Identifier: Apache-2.0 */

/* Intrusive structures: base/list, base/hash, and the macros they stand on. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/list.h"
#include "lib/test.h"

struct item {
	int value;
	struct list node;
	struct hash_node hashed;
};

static int sum_in_order(const struct list *head)
{
	const struct list *n;
	int v = 0;

	list_for_each (n, head)
		v = v * 10 + container_of(n, struct item, node)->value;
	return v;
}

static void list_keeps_order(void)
{
	struct list a = LIST_INIT(a), b = LIST_INIT(b), *n, *tmp;
	struct item i[6];

	check(list_empty(&a));
	check(list_pop(&a) == NULL);
	for (int k = 0; k < 6; k++) {
		i[k].value = k + 1;
		list_init(&i[k].node);
	}
	list_append(&a, &i[0].node);
	list_append(&a, &i[1].node);
	list_push(&a, &i[2].node);
	check_int(sum_in_order(&a), ==, 312);
	list_append(&b, &i[3].node);
	list_append(&b, &i[4].node);
	list_splice(&a, &b);
	check(list_empty(&b));
	check_int(sum_in_order(&a), ==, 31245);
	list_splice(&a, &b);
	list_splice(&b, &a);
	check_int(sum_in_order(&b), ==, 31245);
	check(list_empty(&a));
	list_del(&i[1].node);
	list_del(&i[1].node);
	check_int(sum_in_order(&b), ==, 3145);
	check(list_entry(list_pop(&b), struct item, node) == &i[2]);
	list_for_each_safe (n, tmp, &b)
		list_del(n);
	check(list_empty(&b));
}

static void hash_finds_all_and_only_equals(void)
{
	enum { N = 5000 };
	struct item *items = calloc(N, sizeof(*items));
	struct hash h = {0};
	struct hash_node *n;
	unsigned wrong = 0;

	check(hash_first(&h, 1) == NULL);
	for (int k = 0; k < N; k++) {
		items[k].value = k;
		/* three of each */
		wrong += hash_insert(&h, &items[k].hashed, hash_u64((uint64_t)k / 3)) != 0;
	}
	check_int(h.count, ==, N);
	for (int k = 0; k < N; k += 3) {
		unsigned seen = 0;

		hash_for_each_match(n, &h, hash_u64((uint64_t)k / 3))
		{
			int v = container_of(n, struct item, hashed)->value;

			wrong += v / 3 != k / 3;
			seen |= 1u << v % 3;
		}
		wrong += seen != (k + 2 < N ? 7u : k + 1 < N ? 3u : 1u);
	}
	for (int k = 0; k < N; k += 2)
		hash_remove(&h, &items[k].hashed);
	check_int(h.count, ==, N / 2);
	for (int k = 0; k < N; k++) {
		bool found = false;

		hash_for_each_match(n, &h, hash_u64((uint64_t)k / 3)) found |=
			n == &items[k].hashed;
		wrong += found != (k % 2 == 1);
	}
	check_int(wrong, ==, 0);
	hash_fini(&h);
	check(hash_first(&h, hash_u64(1)) == NULL);
	free(items);
}

struct visit {
	struct hash *h;
	unsigned count;
};

static void remove_and_free(struct hash_node *n, void *arg)
{
	struct visit *v = arg;

	v->count++;
	hash_remove(v->h, n);
	free(container_of(n, struct item, hashed));
}

static void hash_visit_may_remove_what_it_sees(void)
{
	struct hash h = {0};
	struct visit v = {.h = &h};

	hash_visit(&h, remove_and_free, &v);
	for (int k = 0; k < 100; k++) {
		struct item *i = calloc(1, sizeof(*i));

		require(i && hash_insert(&h, &i->hashed, (uint64_t)k % 7) == 0);
	}
	hash_visit(&h, remove_and_free, &v);
	check_int(v.count, ==, 100);
	check_int(h.count, ==, 0);
	hash_fini(&h);
}

static void hash_bytes_sees_every_byte(void)
{
	char text[40] = "the quick brown fox jumps over a dog.";
	uint64_t base[41];

	for (size_t len = 0; len <= 40; len++) {
		base[len] = hash_bytes(text, len, 1);
		for (size_t shorter = 0; shorter < len; shorter++)
			check(base[shorter] != base[len]);
		check(hash_bytes(text, len, 2) != base[len]);
	}
	for (size_t i = 0; i < 40; i++) {
		text[i] ^= 1;
		check(hash_bytes(text, 40, 1) != base[40]);
		check(hash_bytes(text, i, 1) == base[i]);
		text[i] ^= 1;
	}
}

static void rounding(void)
{
	check_int(round_down(4097, 4096), ==, 4096);
	check_int(round_up(4097, 4096), ==, 8192);
	check_int(round_up(4096, 4096), ==, 4096);
	check_int(round_up(0, 4096), ==, 0);
	check_int(min_u64(1, 2), ==, 1);
	check_int(max_u64(1, 2), ==, 2);
}

static void ownership_is_taken(void)
{
	_cleanup_(freep) char *kept = strdup("x");
	char *taken = take_ptr(&kept);
	int fd = 7;

	check(kept == NULL);
	check_str(taken, "x");
	free(taken);
	check_int(take_fd(&fd), ==, 7);
	check_int(fd, ==, -1);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(list_keeps_order),
		TEST(hash_finds_all_and_only_equals),
		TEST(hash_visit_may_remove_what_it_sees),
		TEST(hash_bytes_sees_every_byte),
		TEST(rounding),
		TEST(ownership_is_taken),
		{0},
	});
}
