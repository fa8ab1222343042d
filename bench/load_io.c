/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that the workloads share. Called from all threads; nothing
 * here has state of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"

int load_open(const struct load *l, const char *path)
{
	int flags = O_RDONLY | O_CLOEXEC;
	int fd;

	if (l->o.mode == LOAD_DIRECT)
		flags |= O_DIRECT;
	fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

int load_size(int fd, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

ssize_t load_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, (char *)buf + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

int load_map(int fd, uint64_t size, char **ret_map)
{
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*ret_map = map;
	return 0;
}

ssize_t load_touch(const char *map, uint64_t offset, uint64_t len)
{
	const volatile char *p = map + offset;
	unsigned sum = 0;

	for (uint64_t i = 0; i < len; i += LOAD_ALIGN)
		sum += (unsigned char)p[i];
	(void)sum; /* the reads themselves are the point */
	return (ssize_t)len;
}

bool load_time_over(struct load *l)
{
	uint64_t stop = atomic_load_explicit(&l->stop_ns, memory_order_relaxed);

	return stop != 0 && now_ns() >= stop;
}

bool load_take(struct load *l, uint64_t limit, uint64_t *ret_index)
{
	uint64_t index;

	if (load_time_over(l))
		return false;
	index = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
	if (index >= limit)
		return false;
	*ret_index = index;
	return true;
}

void load_range(struct worker *w, int fd, uint64_t offset, uint64_t end)
{
	uint64_t block = w->load->o.block;

	while (offset < end && !load_time_over(w->load)) {
		uint64_t start = now_ns();
		size_t want = end - offset < block ? end - offset : block;
		ssize_t n;

		/* O_DIRECT wants whole blocks; the file's end shortens the last one */
		n = load_pread(fd, w->buf, w->load->o.mode == LOAD_DIRECT ? block : want, offset);
		if (n == 0)
			n = -EIO; /* shorter than its size said */
		if (n > (ssize_t)want)
			n = (ssize_t)want;
		tally_op(&w->tally, start, n);
		if (n < 0)
			return;
		offset += (uint64_t)n;
	}
}
