/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workloads on many files: small files read whole in a shuffled order, the
 * time to the first byte of a file, and a data loader that takes random
 * samples out of .npy shards as a PyTorch data set does.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"

/* Read a directory's names, once for each directory that paths lie in. */
static int list_parents(const struct load *l)
{
	char last[PATH_MAX] = "";

	for (size_t i = 0; i < l->o.npaths; i++) {
		const char *path = l->o.paths[i];
		const char *slash = strrchr(path, '/');
		size_t len = slash ? (size_t)(slash - path) : 0;
		DIR *dir;

		if (len == 0 || len >= sizeof(last) ||
		    (strncmp(last, path, len) == 0 && last[len] == '\0'))
			continue;
		memcpy(last, path, len);
		last[len] = '\0';
		dir = opendir(last);
		if (!dir)
			return -errno;
		do
			errno = 0;
		while (readdir(dir));
		if (errno != 0) {
			int r = -errno;

			(void)closedir(dir);
			return r;
		}
		(void)closedir(dir);
	}
	return 0;
}

static int shuffle(struct load *l, size_t n)
{
	l->order = calloc(n, sizeof(*l->order));
	if (!l->order)
		return -ENOMEM;
	l->norder = n;
	random_order(l->order, n, l->o.seed);
	return 0;
}

int prepare_small(struct load *l)
{
	int r = shuffle(l, l->o.npaths);

	return r < 0 || !l->o.list_first ? r : list_parents(l);
}

/* Open, read to the end, close: bytes or -errno. */
static ssize_t slurp(struct worker *w, const char *path, bool first_block_only)
{
	int fd = load_open(w->load, path);
	ssize_t total = 0, n;

	if (fd < 0)
		return fd;
	do {
		n = load_pread(fd, w->buf, w->load->o.block, (uint64_t)total);
		if (n > 0)
			total += n;
	} while (n == (ssize_t)w->load->o.block && !first_block_only);
	(void)close(fd);
	return n < 0 ? n : total;
}

void work_small(struct worker *w)
{
	struct load *l = w->load;
	uint64_t i;

	while (load_take(l, l->norder, &i)) {
		uint64_t start = now_ns();

		tally_op(&w->tally, start, slurp(w, l->o.paths[l->order[i]], false));
	}
}

void work_openlat(struct worker *w)
{
	struct load *l = w->load;
	uint64_t i;

	while (load_take(l, l->norder, &i)) {
		const char *path = l->o.paths[l->order[i]];
		struct stat st;
		uint64_t start;

		if (l->o.stat_first)
			(void)stat(path, &st); /* open will tell what is wrong */
		start = now_ns();
		tally_op(&w->tally, start, slurp(w, path, true));
	}
}

/* All shards are as large as the first one; samples are numbered through them. */
int prepare_loader(struct load *l)
{
	int fd = load_open(l, l->o.paths[0]);
	uint64_t samples = 0;
	int r;

	if (fd < 0)
		return fd;
	r = load_size(fd, &l->file_size);
	(void)close(fd);
	if (r < 0)
		return r;
	if (l->file_size > l->o.header)
		samples = (l->file_size - l->o.header) / l->o.size * l->o.npaths;
	if (samples == 0 || samples > UINT32_MAX)
		return -EINVAL;
	return shuffle(l, samples);
}

struct shard {
	int fd; /* -1: not opened yet */
	char *map;
};

/* Open a shard and read its header, as numpy.load() does. */
static int shard_open(struct worker *w, struct shard *s, const char *path)
{
	const struct load *l = w->load;
	int fd = load_open(l, path);
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	n = load_pread(fd, w->buf, l->o.header, 0);
	if (n >= 0 && l->o.mode == LOAD_MMAP) {
		r = load_map(fd, l->file_size, &s->map);
		if (r < 0)
			n = r;
	}
	if (n < 0) {
		(void)close(fd);
		return (int)n;
	}
	s->fd = fd;
	return 0;
}

static ssize_t sample_read(struct worker *w, struct shard *shards, uint64_t sample)
{
	const struct load *l = w->load;
	uint64_t per_shard = l->norder / l->o.npaths;
	struct shard *s = &shards[sample / per_shard];
	uint64_t offset = l->o.header + sample % per_shard * l->o.size;
	int r;

	if (s->fd < 0) {
		r = shard_open(w, s, l->o.paths[sample / per_shard]);
		if (r < 0)
			return r;
	}
	if (s->map) {
		memcpy(w->buf, s->map + offset, l->o.size);
		return (ssize_t)l->o.size;
	}
	return load_pread(s->fd, w->buf, l->o.size, offset);
}

void work_loader(struct worker *w)
{
	struct load *l = w->load;
	struct shard *shards = calloc(l->o.npaths, sizeof(*shards));
	uint64_t limit = l->o.ops && l->o.ops < l->norder ? l->o.ops : l->norder;
	uint64_t i;

	if (!shards) {
		tally_error(&w->tally, ENOMEM);
		return;
	}
	for (size_t k = 0; k < l->o.npaths; k++)
		shards[k].fd = -1;
	while (load_take(l, limit, &i)) {
		uint64_t start = now_ns();

		tally_op(&w->tally, start, sample_read(w, shards, l->order[i]));
	}
	for (size_t k = 0; k < l->o.npaths; k++) {
		if (shards[k].map)
			(void)munmap(shards[k].map, l->file_size);
		if (shards[k].fd >= 0)
			(void)close(shards[k].fd);
	}
	free(shards);
}
