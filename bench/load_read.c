/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workloads on large files: whole files in order, random blocks, and several
 * threads that each read a region of one file in order.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load.h"

static void touch_file(struct worker *w, int fd, uint64_t size)
{
	uint64_t block = w->load->o.block;
	char *map = NULL;
	int r = load_map(fd, size, &map);

	if (r < 0) {
		tally_error(&w->tally, -r);
		return;
	}
	for (uint64_t offset = 0; offset < size && !load_time_over(w->load); offset += block) {
		uint64_t start = now_ns();
		uint64_t len = size - offset < block ? size - offset : block;

		tally_op(&w->tally, start, load_touch(map, offset, len));
	}
	(void)munmap(map, size);
}

void work_seqread(struct worker *w)
{
	struct load *l = w->load;
	uint64_t i;

	while (load_take(l, l->o.npaths, &i)) {
		uint64_t size = 0;
		int fd = load_open(l, l->o.paths[i]);
		int r = fd < 0 ? fd : load_size(fd, &size);

		if (r < 0)
			tally_error(&w->tally, -r);
		else if (l->o.mode == LOAD_MMAP)
			touch_file(w, fd, size);
		else
			load_range(w, fd, 0, size);
		if (fd >= 0)
			(void)close(fd);
	}
}

/* The first file decides the size that offsets are drawn from. */
int prepare_random(struct load *l)
{
	int fd = load_open(l, l->o.paths[0]);
	int r;

	if (fd < 0)
		return fd;
	r = load_size(fd, &l->file_size);
	if (r >= 0 && l->file_size < l->o.block)
		r = -EINVAL;
	if (r < 0 || !l->o.one_fd) {
		(void)close(fd);
		return r;
	}
	l->fd = fd;
	return 0;
}

void work_randread(struct worker *w)
{
	struct load *l = w->load;
	uint64_t limit = l->o.ops ? l->o.ops : UINT64_MAX;
	uint64_t blocks = l->file_size / l->o.block;
	int fd = l->fd >= 0 ? l->fd : load_open(l, l->o.paths[w->id % l->o.npaths]);
	char *map = NULL;
	uint64_t i;
	int r;

	if (fd < 0) {
		tally_error(&w->tally, -fd);
		return;
	}
	if (l->o.mode == LOAD_MMAP) {
		r = load_map(fd, l->file_size, &map);
		if (r < 0)
			tally_error(&w->tally, -r);
	}
	while ((map || l->o.mode != LOAD_MMAP) && load_take(l, limit, &i)) {
		uint64_t offset = random_below(&w->random, blocks) * l->o.block;
		uint64_t start = now_ns();

		tally_op(&w->tally, start,
			 map ? load_touch(map, offset, l->o.block)
			     : load_pread(fd, w->buf, l->o.block, offset));
	}
	if (map)
		(void)munmap(map, l->file_size);
	if (fd != l->fd)
		(void)close(fd);
}

int prepare_interleave(struct load *l)
{
	return prepare_random(l);
}

/* Each thread reads its own region of the first file from its start to its end. */
void work_interleave(struct worker *w)
{
	struct load *l = w->load;
	uint64_t region = l->file_size / l->o.threads / LOAD_ALIGN * LOAD_ALIGN;
	uint64_t offset = region * w->id;
	uint64_t end = w->id + 1 == l->o.threads ? l->file_size : offset + region;
	int fd = l->fd >= 0 ? l->fd : load_open(l, l->o.paths[0]);

	if (fd < 0) {
		tally_error(&w->tally, -fd);
		return;
	}
	load_range(w, fd, offset, end);
	if (fd != l->fd)
		(void)close(fd);
}
