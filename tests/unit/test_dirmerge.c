/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pages of a directory: each name once over all page borders, whatever the size
 * of the pages. The model is the set of names computed from all keys at once.
 */
#include "base/macro.h"
#include "fuse/dirmerge.h"
#include "fuse/name.h"
#include "lib/test.h"

#define KEYS_MAX 64

static char output[4096];
static unsigned hidden; /* of all pages of the last listing */

static void strcat_bar(void)
{
	size_t used = strlen(output);

	(void)snprintf(output + used, sizeof(output) - used, "|");
}

static void out(const struct merge_name *n)
{
	static const char kinds[] = {[MERGE_DIR] = '/', [MERGE_LOCAL] = '+', [MERGE_FILE] = ' '};
	size_t used = strlen(output);

	(void)snprintf(output + used, sizeof(output) - used, "%.*s%c", (int)n->len, n->name,
		       kinds[n->kind]);
}

/* Reads all pages of `per_page` keys; names come out in `output`, pages parted by '|'. */
static void read_all(const char *const *keys, const char *const *locals, size_t per_page,
		     bool unordered)
{
	struct s3_entry entries[KEYS_MAX] = {0};
	struct merge_name local[KEYS_MAX] = {0};
	struct merge_name carried[KEYS_MAX];
	struct nameset names = {0};
	struct merge_in in = {.locals = local, .carried = carried, .lo = "", .names = &names};
	size_t count = 0, at = 0;

	output[0] = '\0';
	hidden = 0;
	for (; keys[count]; count++) {
		size_t len = strlen(keys[count]);

		entries[count] = (struct s3_entry){.key = keys[count],
						   .key_len = len,
						   .is_prefix = keys[count][len - 1] == '/'};
	}
	for (; locals && locals[in.nlocals]; in.nlocals++)
		local[in.nlocals] = (struct merge_name){.name = locals[in.nlocals],
							.len = strlen(locals[in.nlocals]),
							.kind = MERGE_LOCAL};
	do {
		size_t n = count - at < per_page ? count - at : per_page;
		struct s3_page page = {.entries = entries + at,
				       .count = n,
				       .truncated = at + n < count,
				       .unordered = unordered};
		struct merge_out m;

		in.page = &page;
		if (dirmerge(&in, &m) < 0)
			abort();
		hidden += m.hidden;
		for (size_t i = 0; i < m.count; i++)
			out(&m.entries[i]);
		if (m.ncarry)
			memcpy(carried, m.carry, m.ncarry * sizeof(*carried));
		in.ncarried = m.ncarry;
		in.lo = m.hi;
		in.lo_len = m.hi_len;
		dirmerge_free(&m);
		at += n;
		in.index++;
		if (at < count)
			strcat_bar();
	} while (at < count);
	nameset_fini(&names);
}

#define KEYS(...)                 \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static void a_page_is_sorted_by_name(void)
{
	read_all(KEYS("a-", "a/", "a0", "b"), NULL, 10, false);
	check_str(output, "a/a- a0 b ");
}

static void directory_hides_the_object_of_its_name(void)
{
	read_all(KEYS("a", "a/", "b"), NULL, 10, false);
	check_str(output, "a/b ");
}

static void directory_hides_the_object_over_a_page_border(void)
{
	read_all(KEYS("a", "a-", "a/", "b"), NULL, 2, false);
	check_str(output, "|a/a- b ");
	read_all(KEYS("a", "a-1", "a-2", "a-3", "a/"), NULL, 2, false);
	check_str(output, "|a-1 a-2 |a/a-3 ");
}

static void object_without_directory_comes_out_late_but_once(void)
{
	read_all(KEYS("a", "a-", "b"), NULL, 1, false);
	check_str(output, "||a a- b ");
}

static void what_is_only_here_is_merged_in_order(void)
{
	read_all(KEYS("b", "d", "f"), KEYS("a", "c", "e", "g"), 2, false);
	check_str(output, "a+b c+|d e+f g+");
}

static void precedence_is_directory_local_object(void)
{
	read_all(KEYS("a", "b", "b/", "c"), KEYS("a", "b", "c"), 10, false);
	check_str(output, "a+b/c+");
	read_all(KEYS("a", "b", "b/", "c"), KEYS("a", "b", "c"), 2, false);
	check_str(output, "a+|b/c+");
}

/* What is counted, and told in the log, is what nobody can reach. */
static void only_objects_behind_directories_count_as_hidden(void)
{
	for (int unordered = 0; unordered < 2; unordered++) {
		read_all(KEYS("a", "a/", "b"), NULL, 10, unordered);
		check_int(hidden, ==, 1);
		/* "b/" was made here and has come to the bucket; "c" was uploaded just now */
		read_all(KEYS("b/", "c"), KEYS("b", "c"), 10, unordered);
		check_int(hidden, ==, 0);
	}
}

static void markers_and_invalid_names_are_hidden(void)
{
	read_all(KEYS("/", "../", "./", "a", "b\xff", "c/"), NULL, 10, false);
	check_str(output, "a c/");
}

static void empty_directory_shows_what_is_only_here(void)
{
	read_all((const char *const[]){NULL}, KEYS("x", "y"), 10, false);
	check_str(output, "x+y+");
}

static void unordered_listing_keeps_its_order(void)
{
	read_all(KEYS("c", "a/", "b"), KEYS("b", "x"), 2, true);
	check_str(output, "c a/|b x+");
}

static void unordered_listing_has_each_name_once(void)
{
	/* on one page the directory */
	read_all(KEYS("a", "c", "a/", "b/", "b"), NULL, 10, true);
	check_str(output, "c a/b/");
	/* on two what came first */
	read_all(KEYS("a", "c", "b", "a/", "b/", "c"), KEYS("a", "d"), 2, true);
	check_str(output, "a c |b |d+");
}

/* All keys that sort around "a" and "a/", as sets, in pages of every size. */
static void every_name_once_for_every_page_size(void)
{
	static const char *const all[] = {"a", "a!", "a-", "a-/", "a.", "a/", "a0", "a0/"};

	for (unsigned set = 1; set < 1U << ARRAY_SIZE(all); set++) {
		const char *keys[ARRAY_SIZE(all) + 1];
		size_t n = 0;

		for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
			if (set >> i & 1)
				keys[n++] = all[i];
		}
		keys[n] = NULL;
		for (size_t per_page = 1; per_page <= n; per_page++) {
			char sorted[sizeof(output)];

			read_all(keys, NULL, n, false);
			(void)snprintf(sorted, sizeof(sorted), "%s", output);
			read_all(keys, NULL, per_page, false);
			for (size_t i = 0; i < n; i++) {
				char name[8];
				size_t len = strlen(keys[i]);
				bool dir = keys[i][len - 1] == '/';
				const char *first;

				(void)snprintf(name, sizeof(name), "%s%s", keys[i], dir ? "" : " ");
				first = strstr(sorted, name);
				if (!first)
					continue; /* hidden by a directory */
				first = strstr(output, name);
				if (!first || strstr(first + 1, name))
					test_fail_("set %x, pages of %zu: \"%s\" in \"%s\"", set,
						   per_page, name, output);
			}
			if (strlen(sorted) + (n - 1) / per_page != strlen(output))
				test_fail_("set %x, pages of %zu: \"%s\" against \"%s\"", set,
					   per_page, output, sorted);
		}
	}
}

int main(void)
{
	return test_run((struct test[]){
		TEST(a_page_is_sorted_by_name),
		TEST(directory_hides_the_object_of_its_name),
		TEST(directory_hides_the_object_over_a_page_border),
		TEST(object_without_directory_comes_out_late_but_once),
		TEST(what_is_only_here_is_merged_in_order),
		TEST(precedence_is_directory_local_object),
		TEST(only_objects_behind_directories_count_as_hidden),
		TEST(markers_and_invalid_names_are_hidden),
		TEST(empty_directory_shows_what_is_only_here),
		TEST(unordered_listing_keeps_its_order),
		TEST(unordered_listing_has_each_name_once),
		TEST(every_name_once_for_every_page_size),
		{0},
	});
}
