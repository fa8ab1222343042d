/* SPDX-License-Identifier: Apache-2.0 */

/* Resource limits, read once at start. Main thread. */
#include "resources.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/parse.h"

#define DEFAULT_MEMORY (512 * MIB)
#define LEAST_MEMORY   (64 * MIB)

/* The number in a one-line file; UINT64_MAX for "max" or when it cannot be read. */
static uint64_t read_limit(const char *path)
{
	char line[64] = "";
	uint64_t v;
	FILE *f = fopen(path, "re");

	if (!f)
		return UINT64_MAX;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	(void)fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return parse_u64(line, 0, UINT64_MAX, &v) == 0 ? v : UINT64_MAX;
}

/* The least limit on the way from this process's cgroup to the root (v2), or v1's own. */
static uint64_t cgroup_limit(void)
{
	char line[4096], path[8192];
	uint64_t least = UINT64_MAX;
	FILE *f = fopen("/proc/self/cgroup", "re");

	if (!f)
		return least;
	while (fgets(line, sizeof(line), f)) {
		bool v2 = strncmp(line, "0::", 3) == 0;
		char *dir = v2 ? line + 3 : strstr(line, ":memory:");

		if (!dir)
			continue;
		dir += v2 ? 0 : strlen(":memory:");
		dir[strcspn(dir, "\n")] = '\0';
		for (;;) {
			char *slash = strrchr(dir, '/');

			(void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s%s/%s",
				       v2 ? "" : "/memory", dir,
				       v2 ? "memory.max" : "memory.limit_in_bytes");
			least = min_u64(least, read_limit(path));
			if (!slash || *dir == '\0')
				break;
			*slash = '\0';
		}
	}
	(void)fclose(f);
	/* In a container the own cgroup is mounted as the root. */
	least = min_u64(least, read_limit("/sys/fs/cgroup/memory.max"));
	return min_u64(least, read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
}

uint64_t resources_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t ram = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
	uint64_t quarter = min_u64(ram, cgroup_limit()) / 4;

	return max_u64(LEAST_MEMORY, min_u64(DEFAULT_MEMORY, quarter));
}

unsigned resources_loops(uint64_t max_threads)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t n = cores <= 5 ? 2 : min_u64(8, (uint64_t)cores / 2);

	return (unsigned)(max_threads ? min_u64(n, max_threads) : n);
}

/*
 * The dynamic linker and the libraries' constructors have touched most of the
 * text of some thirty libraries. Executable mappings of files are never written
 * (no text relocations), so that dropping them costs a fault on the next use
 * and nothing else.
 */
void resources_settle(void)
{
	char line[4096], perms[8], path[2];
	unsigned long from, to;
	FILE *f = fopen("/proc/self/maps", "re");

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		/* from-to perms offset device inode path */
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %1s", &from, &to, perms, path) != 4 ||
		    strcmp(perms, "r-xp") != 0 || path[0] != '/')
			continue;
		if (madvise((void *)(uintptr_t)from, to - from, MADV_DONTNEED) < 0)
			log_debug(LOG_MAIN, "madvise: %s", strerror(errno));
	}
	(void)fclose(f);
}

void resources_apply(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) < 0)
			log_warn(LOG_MAIN, "cannot raise the limit of open files: %s",
				 strerror(errno));
	}
	/* 1, not 0: a core piped to a program is refused only at 1 (core(5)). */
	if (getrlimit(RLIMIT_CORE, &r) == 0) {
		r.rlim_cur = min_u64(1, r.rlim_max);
		if (setrlimit(RLIMIT_CORE, &r) < 0)
			log_warn(LOG_MAIN, "cannot forbid core dumps: %s", strerror(errno));
	}
	/* Few threads, so few arenas; bulk memory does not come from malloc. */
	(void)mallopt(M_ARENA_MAX, 2);
	(void)mallopt(M_TRIM_THRESHOLD, (int)MIB);
}
