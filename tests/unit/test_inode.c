/* SPDX-License-Identifier: Apache-2.0 */

/* Inode table: counts, forget, detaching, and what the server says of a name. */
#include <errno.h>

#include "base/buf.h"
#include "fuse/inode.h"
#include "fuse/reconcile.h"
#include "lib/test.h"
#include "s3/s3.h"

static const struct s3_object v1 = {.size = 10, .mtime = 100, .etag = "\"1\""};
static const struct s3_object v2 = {.size = 20, .mtime = 200, .etag = "\"2\""};

static struct inode *add(struct itable *t, struct inode *dir, const char *name, bool is_dir,
			 enum inode_state state)
{
	struct inode *i = NULL;

	if (itable_add(t, dir, name, strlen(name), is_dir, state, &i) < 0)
		abort();
	return i;
}

static struct inode *child(struct itable *t, struct inode *dir, const char *name)
{
	return itable_child(t, dir, name, strlen(name));
}

static int told(struct itable *t, struct inode *dir, const char *name, enum found_kind kind,
		const struct s3_object *o, struct inode **ret)
{
	struct found f = {.kind = kind, .object = o, .expires = 1000};

	*ret = NULL;
	return reconcile(t, dir, name, strlen(name), &f, ret);
}

static void setup(struct itable *t)
{
	if (itable_init(t) < 0)
		abort();
}

static void numbers_count_up_and_are_found(void)
{
	struct itable t;

	setup(&t);
	struct inode *a = add(&t, t.root, "a", false, INODE_REMOTE);
	struct inode *d = add(&t, t.root, "d", true, INODE_REMOTE);
	struct inode *b = add(&t, d, "a", false, INODE_REMOTE);

	check_int(t.root->ino, ==, 1);
	check_int(a->ino, ==, 2);
	check_int(d->ino, ==, 3);
	check_int(b->ino, ==, 4);
	check(itable_get(&t, 1) == t.root && itable_get(&t, 4) == b);
	check(itable_get(&t, 5) == NULL && itable_get(&t, 0) == NULL);
	check(child(&t, t.root, "a") == a && child(&t, d, "a") == b);
	check(child(&t, t.root, "b") == NULL);
	itable_fini(&t);
}

static void forget_frees_a_chain(void)
{
	struct itable t;

	setup(&t);
	struct inode *d = add(&t, t.root, "d", true, INODE_REMOTE);
	struct inode *e = add(&t, d, "e", true, INODE_REMOTE);
	struct inode *f = add(&t, e, "f", false, INODE_REMOTE);

	d->nlookup = 1;
	e->nlookup = 1;
	f->nlookup = 3;
	itable_forget(&t, d, 1);
	itable_forget(&t, e, 1);
	check_int(t.count, ==, 4);
	itable_forget(&t, f, 2);
	check_int(t.count, ==, 4);
	itable_forget(&t, f, 1);
	check_int(t.count, ==, 1);
	check(child(&t, t.root, "d") == NULL);
	itable_fini(&t);
}

static void forget_of_more_than_was_looked_up_is_survived(void)
{
	struct itable t;

	setup(&t);
	struct inode *f = add(&t, t.root, "f", false, INODE_REMOTE);

	f->nlookup = 1;
	itable_forget(&t, f, 1000);
	check_int(t.count, ==, 1);
	itable_fini(&t);
}

static void local_things_stay_when_forgotten(void)
{
	struct itable t;

	setup(&t);
	struct inode *d = add(&t, t.root, "d", true, INODE_LOCAL);

	d->nlookup = 1;
	itable_forget(&t, d, 1);
	check(child(&t, t.root, "d") == d);
	check(!list_empty(&t.root->dir->locals));
	inode_ref(d);
	itable_detach(&t, d);
	check(list_empty(&t.root->dir->locals));
	itable_unref(&t, d);
	check_int(t.count, ==, 1);
	itable_fini(&t);
}

static void detached_inode_lives_with_its_holder(void)
{
	struct itable t;

	setup(&t);
	struct inode *f = add(&t, t.root, "f", false, INODE_REMOTE);
	uint64_t ino = f->ino;

	f->nlookup = 1;
	itable_detach(&t, f);
	check(child(&t, t.root, "f") == NULL);
	check(itable_get(&t, ino) == f);
	itable_forget(&t, f, 1);
	check(itable_get(&t, ino) == NULL);
	itable_fini(&t);
}

static void upload_makes_ancestors_remote(void)
{
	struct itable t;

	setup(&t);
	struct inode *d = add(&t, t.root, "d", true, INODE_LOCAL);
	struct inode *e = add(&t, d, "e", true, INODE_LOCAL);

	itable_ancestors_remote(&t, e);
	check_int(d->state, ==, INODE_REMOTE);
	check_int(e->state, ==, INODE_REMOTE);
	check(list_empty(&t.root->dir->locals) && list_empty(&d->dir->locals));
	itable_fini(&t);
}

static void keys_are_prefix_and_path(void)
{
	struct itable t;
	_cleanup_(buf_fini) struct buf b = BUF_INIT(100);

	setup(&t);
	struct inode *d = add(&t, t.root, "d", true, INODE_REMOTE);
	struct inode *f = add(&t, d, "f", false, INODE_REMOTE);

	inode_key(f, "p/", &b);
	check_str(buf_str(&b), "p/d/f");
	buf_reset(&b);
	inode_key(d, "", &b);
	check_str(buf_str(&b), "d/");
	buf_reset(&b);
	inode_key(t.root, "p/", &b);
	check_str(buf_str(&b), "p/");
	itable_fini(&t);
}

static void same_version_keeps_the_inode_another_does_not(void)
{
	struct itable t;
	struct inode *i, *j;

	setup(&t);
	check_int(told(&t, t.root, "f", FOUND_FILE, &v1, &i), ==, 0);
	i->nlookup = 1;
	check_int(i->size, ==, 10);
	check_int(i->expires, ==, 1000);
	check_int(told(&t, t.root, "f", FOUND_FILE, &v1, &j), ==, 0);
	check(i == j);
	check_int(told(&t, t.root, "f", FOUND_FILE, &v2, &j), ==, 0);
	check(i != j && i->ino != j->ino);
	check_int(j->size, ==, 20);
	check(!i->attached && i->expires == 0);
	check_int(told(&t, t.root, "f", FOUND_NONE, NULL, &j), ==, -ENOENT);
	check(child(&t, t.root, "f") == NULL);
	itable_fini(&t);
}

static void kind_changes_make_a_new_inode(void)
{
	struct itable t;
	struct inode *i, *j;

	setup(&t);
	check_int(told(&t, t.root, "x", FOUND_FILE, &v1, &i), ==, 0);
	i->nlookup = 1;
	check_int(told(&t, t.root, "x", FOUND_DIR, NULL, &j), ==, 0);
	check(j->is_dir && j != i);
	j->nlookup = 1;
	check_int(told(&t, t.root, "x", FOUND_FILE, &v1, &i), ==, 0);
	check(!i->is_dir && i != j);
	itable_fini(&t);
}

static void local_file_wins_over_a_remote_file_not_over_a_directory(void)
{
	struct itable t;
	struct inode *i, *f;

	setup(&t);
	f = add(&t, t.root, "f", false, INODE_WRITING);
	inode_ref(f);
	check_int(told(&t, t.root, "f", FOUND_FILE, &v1, &i), ==, 0);
	check(i == f && i->size == 0);
	check_int(told(&t, t.root, "f", FOUND_NONE, NULL, &i), ==, 0);
	check(i == f);
	check_int(told(&t, t.root, "f", FOUND_DIR, NULL, &i), ==, 0);
	check(i != f && i->is_dir && !f->attached);
	itable_unref(&t, f);
	itable_fini(&t);
}

static void local_directory_wins_over_a_file_and_becomes_remote(void)
{
	struct itable t;
	struct inode *i, *d;

	setup(&t);
	d = add(&t, t.root, "d", true, INODE_LOCAL);
	check_int(told(&t, t.root, "d", FOUND_FILE, &v1, &i), ==, 0);
	check(i == d && d->state == INODE_LOCAL);
	check_int(told(&t, t.root, "d", FOUND_DIR, NULL, &i), ==, 0);
	check(i == d && d->state == INODE_REMOTE);
	check(list_empty(&t.root->dir->locals));
	itable_fini(&t);
}

static void emptied_directory_stays_until_rmdir_another_goes(void)
{
	struct itable t;
	struct inode *i, *d;

	setup(&t);
	check_int(told(&t, t.root, "d", FOUND_DIR, NULL, &d), ==, 0);
	itable_keep(d);
	check_int(told(&t, t.root, "d", FOUND_NONE, NULL, &i), ==, 0);
	check(i == d && d->state == INODE_LOCAL);
	check_int(told(&t, t.root, "e", FOUND_DIR, NULL, &i), ==, 0);
	check_int(told(&t, t.root, "e", FOUND_NONE, NULL, &i), ==, -ENOENT);
	itable_fini(&t);
}

static void directory_with_local_children_stays(void)
{
	struct itable t;
	struct inode *i, *d;

	setup(&t);
	check_int(told(&t, t.root, "d", FOUND_DIR, NULL, &d), ==, 0);
	(void)add(&t, d, "new", false, INODE_WRITING);
	check_int(told(&t, t.root, "d", FOUND_NONE, NULL, &i), ==, 0);
	check(i == d && d->state == INODE_LOCAL);
	itable_fini(&t);
}

static void new_version_forgets_what_the_kernel_has(void)
{
	struct itable t;
	struct inode *i;

	setup(&t);
	check_int(told(&t, t.root, "f", FOUND_FILE, &v1, &i), ==, 0);
	i->opened = i->data_seen = true;
	check_int(inode_set_object(i, &v1), ==, 0);
	check(i->opened && i->data_seen);
	check_int(inode_set_object(i, &v2), ==, 0);
	check(!i->opened && !i->data_seen);
	itable_fini(&t);
}

static void confirmation_reaches_remote_ancestors_only(void)
{
	struct itable t;
	struct inode *d, *e;

	setup(&t);
	d = add(&t, t.root, "d", true, INODE_REMOTE);
	e = add(&t, d, "e", true, INODE_REMOTE);
	d->expires = 5;
	e->expires = 900;
	itable_confirm(e, 500);
	check_int(d->expires, ==, 500);
	check_int(e->expires, ==, 900);
	itable_set_state(&t, e, INODE_LOCAL);
	itable_confirm(e, 2000);
	check_int(e->expires, ==, 900);
	itable_fini(&t);
}

static void moved_inode_has_its_new_name_only(void)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(100);
	struct itable t;

	setup(&t);
	struct inode *d = add(&t, t.root, "d", true, INODE_REMOTE);
	struct inode *e = add(&t, t.root, "e", true, INODE_REMOTE);
	struct inode *f = add(&t, d, "f", false, INODE_REMOTE);
	uint64_t ino = f->ino;

	inode_ref(e);
	d->nlookup = 1;
	f->nlookup = 2;
	check_int(itable_move(&t, f, e, "a longer name", 13), ==, 0);
	check(child(&t, d, "f") == NULL);
	check(child(&t, e, "a longer name") == f && itable_get(&t, ino) == f);
	inode_key(f, "p/", &b);
	check_str(buf_str(&b), "p/e/a longer name");
	/* the directory it left is held by the kernel only */
	itable_forget(&t, d, 1);
	check(child(&t, t.root, "d") == NULL);
	check_int(itable_move(&t, f, e, "x", 1), ==, 0);
	check(child(&t, e, "x") == f && child(&t, e, "a longer name") == NULL);
	itable_forget(&t, f, 2);
	check(itable_get(&t, ino) == NULL);
	itable_unref(&t, e);
	check_int(t.count, ==, 1);
	itable_fini(&t);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(numbers_count_up_and_are_found),
		TEST(forget_frees_a_chain),
		TEST(forget_of_more_than_was_looked_up_is_survived),
		TEST(local_things_stay_when_forgotten),
		TEST(detached_inode_lives_with_its_holder),
		TEST(upload_makes_ancestors_remote),
		TEST(keys_are_prefix_and_path),
		TEST(same_version_keeps_the_inode_another_does_not),
		TEST(kind_changes_make_a_new_inode),
		TEST(local_file_wins_over_a_remote_file_not_over_a_directory),
		TEST(local_directory_wins_over_a_file_and_becomes_remote),
		TEST(emptied_directory_stays_until_rmdir_another_goes),
		TEST(directory_with_local_children_stays),
		TEST(new_version_forgets_what_the_kernel_has),
		TEST(confirmation_reaches_remote_ancestors_only),
		TEST(moved_inode_has_its_new_name_only),
		{0},
	});
}
