/* SPDX-License-Identifier: Apache-2.0 */

/* See peek.h. Any loop thread; the call belongs to the loop of its lookup. */
#include "fuse/peek.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fuse/proc.h"
#include "fuse/state.h"
#include "prefetch/prefetch.h"

#define RUNNING_MAX   16 /* their bytes are outside the budget: 16 MiB at most */
#define SIZE_MIN      (2 * PF_CELL)
#define USELESS_MAX   2
#define SKIP	      16
#define PATIENCE(rtt) (2 * (rtt) + 30 * NSEC_PER_MSEC)
/* From the answer to a lookup to the open of the same system call. */
#define PROOF_NS (100 * NSEC_PER_MSEC)

/* Bytes to be asked for, 0: none. A version that was opened before has its bytes somewhere here. */
static uint64_t length_locked(struct fs *fs, const struct inode *dir, const struct inode *i)
{
	struct peeks *all = &fs->peeks;
	const struct inode *parent = dir->parent;
	uint64_t size;

	if (!dir->dir->reads && !(parent && parent->dir->reads_below))
		return 0;
	if (i && (i->is_dir || i->archived || i->state != INODE_REMOTE))
		return 0;
	if (atomic_load(&all->running) >= RUNNING_MAX)
		return 0;
	if (atomic_load(&all->skip) > 0) {
		(void)atomic_fetch_sub(&all->skip, 1);
		return 0;
	}
	if (i && i->opened)
		return 1;
	size = atomic_load(&all->size);
	return size ? max_u64(size, SIZE_MIN) : S3_PEEK_MAX;
}

static void note_use(struct peeks *all, bool useful)
{
	if (useful) {
		atomic_store(&all->useless, 0);
	} else if (atomic_fetch_add(&all->useless, 1) + 1 >= USELESS_MAX) {
		atomic_store(&all->useless, 0);
		atomic_store(&all->skip, SKIP);
	}
}

/* Small files come whole, if they are about as large as the last ones; of a large one a little. */
static uint64_t next_size(uint64_t last, uint64_t size)
{
	if (size > S3_PEEK_MAX)
		return SIZE_MIN;
	return round_up(max_u64(size, (last + size) / 2), PF_CELL);
}

static void on_done(struct s3_call *c)
{
	struct peek *p = container_of(c, struct peek, call.call);
	struct peeks *all = &p->fs->peeks;

	(void)atomic_fetch_sub(&all->running, 1);
	note_use(all, c->error.err == 0);
	if (c->error.err == 0)
		atomic_store(&all->size, next_size(atomic_load(&all->size), p->call.object.size));
	else if (c->error.err != -ENOENT) /* it may have been too much */
		atomic_store(&all->size, SIZE_MIN);
	p->done(p);
}

bool peek_start(struct peek *p, struct fs *fs, uint64_t parent, const char *name, pid_t tid,
		void (*done)(struct peek *p))
{
	uint64_t rtt = pf_seed_worth(fs->config.pf), length = 0;
	struct inode *dir;

	if (rtt == 0)
		return false;
	{
		WITH_LOCK(&fs->lock);
		dir = itable_get(&fs->table, parent);
		if (dir)
			length = length_locked(fs, dir,
					       itable_child(&fs->table, dir, name, strlen(name)));
		if (length == 0 || fs_child_key_locked(fs, dir, name, &p->key) < 0)
			return false;
	}
	if (!proc_opens_to_read(tid)) {
		peek_fini(p);
		return false;
	}
	p->fs = fs;
	p->done = done;
	(void)atomic_fetch_add(&fs->peeks.running, 1);
	p->call = (struct s3_peek_call){
		.call = {.done = on_done, .deadline = clock_now() + PATIENCE(rtt)},
		.key = p->key,
		.length = length,
	};
	s3_peek(fs->config.client, loop_current(), &p->call);
	return true;
}

void peek_tell(const struct peek *p, struct inode *i, pid_t tid)
{
	const struct s3_object *o = &p->call.object;
	bool same;

	if (!p->fs || p->call.call.error.err < 0)
		return;
	{
		WITH_LOCK(&p->fs->lock);
		same = i->state == INODE_REMOTE && i->etag && strcmp(i->etag, o->etag) == 0 &&
		       i->size == o->size;
		if (same) {
			i->proof_tid = tid;
			i->proof_until = clock_now() + PROOF_NS;
		}
	}
	if (same)
		pf_seed(p->fs->config.pf, p->key, o->etag, o->size, p->call.data, p->call.length);
}

void peek_fini(struct peek *p)
{
	free(p->call.data);
	free(p->key);
	*p = (struct peek){0};
}

bool peek_proved_locked(struct inode *i, pid_t tid)
{
	bool proved = tid != 0 && i->proof_tid == tid && clock_now() < i->proof_until;

	i->proof_tid = 0;
	return proved;
}

void peek_opened_locked(struct inode *i)
{
	struct inode *dir = i->parent;

	if (!i->attached || !dir)
		return;
	dir->dir->reads = true;
	if (dir->parent)
		dir->parent->dir->reads_below = true;
}
