/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workloads on names and on new files: read a directory and lstat each entry
 * (what `ls -l` does), and write files in order.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"

static void list_one(struct worker *w, const char *path)
{
	uint64_t start = now_ns();
	DIR *dir = opendir(path);
	struct dirent *entry = NULL;

	if (!dir) {
		tally_error(&w->tally, errno);
		return;
	}
	while (!load_time_over(w->load)) {
		struct stat st;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (!w->load->o.no_stat &&
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			tally_error(&w->tally, errno);
		else
			tally_op(&w->tally, start, 0);
		start = now_ns();
	}
	if (!entry && errno != 0)
		tally_error(&w->tally, errno);
	(void)closedir(dir);
}

/* One operation is one entry: its share of readdir, and its lstat. */
void work_list(struct worker *w)
{
	struct load *l = w->load;
	uint64_t i;

	while (load_take(l, l->o.npaths, &i))
		list_one(w, l->o.paths[i]);
}

static int write_all(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Create, write, close: the size or -errno. Only after close() is the object there. */
static ssize_t write_file(struct worker *w, const char *path)
{
	const struct load_opts *o = &w->load->o;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r = 0;

	if (fd < 0)
		return -errno;
	for (uint64_t done = 0; done < o->size && r == 0;) {
		uint64_t n = o->size - done < o->block ? o->size - done : o->block;

		r = write_all(fd, w->buf, n);
		done += n;
	}
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r < 0 ? r : (ssize_t)o->size;
}

/* One operation is one file, from open to the return of close. */
void work_write(struct worker *w)
{
	struct load *l = w->load;
	char path[PATH_MAX];
	uint64_t i;

	for (uint64_t k = 0; k + sizeof(i) <= l->o.block; k += sizeof(i)) {
		i = random_next(&w->random);
		memcpy(w->buf + k, &i, sizeof(i));
	}
	while (load_take(l, l->o.count, &i)) {
		uint64_t start = now_ns();
		int n = snprintf(path, sizeof(path), "%s/w%llx-%06llu", l->o.paths[0],
				 (unsigned long long)l->o.seed, (unsigned long long)i);

		if (n < 0 || (size_t)n >= sizeof(path))
			tally_error(&w->tally, ENAMETOOLONG);
		else
			tally_op(&w->tally, start, write_file(w, path));
	}
}
