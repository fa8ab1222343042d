/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Log sinks. A line is formatted on the caller's stack, then written under one
 * lock (the last rank, so logging is allowed anywhere). A line longer than
 * LINE_MAX_BYTES is cut. The levels are atomics, read without a lock.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/lock.h"

/* syslog.h names levels LOG_INFO and so on, as ours do: only the calls are declared here. */
extern void openlog(const char *ident, int option, int facility);
extern void syslog(int pri, const char *fmt, ...) printf_like(2, 3);
#define SYSLOG_PID  0x01
#define SYSLOG_USER (1 << 3)

#define LINE_MAX_BYTES 2048

static const char *const level_names[] = {"OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
static const char *const filter_names[] = {"off", "error", "warn", "info", "debug", "trace"};
static const int syslog_levels[] = {7, 3, 4, 6, 7, 7};
static const char *const component_names[LOG_NCOMP] = {"main",	"loop",	  "s3",	 "prefetch",
						       "cache", "upload", "fuse"};

_Atomic int log_levels[LOG_NCOMP] = {[0 ... LOG_NCOMP - 1] = LOG_INFO};

static struct lock lock = LOCK_INIT(RANK_LOG);
/* under lock */
static unsigned sinks;
static int file_fd = -1;
static bool syslog_open;

void log_set_level(enum log_level level)
{
	for (int i = 0; i < LOG_NCOMP; i++)
		atomic_store_explicit(&log_levels[i], (int)level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
	return filter_names[level];
}

static int find_name(const char *const *names, size_t n, const char *s, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(names[i]) == len && strncmp(names[i], s, len) == 0)
			return (int)i;
	return -EINVAL;
}

int log_set_filter(const char *filter)
{
	int levels[LOG_NCOMP];

	for (int i = 0; i < LOG_NCOMP; i++)
		levels[i] = atomic_load_explicit(&log_levels[i], memory_order_relaxed);
	while (*filter) {
		size_t len = strcspn(filter, ",");
		const char *eq = memchr(filter, '=', len);
		const char *name = eq ? eq + 1 : filter;
		int level = find_name(filter_names, ARRAY_SIZE(filter_names), name,
				      len - (size_t)(name - filter));
		int c = eq ? find_name(component_names, LOG_NCOMP, filter, (size_t)(eq - filter))
			   : LOG_NCOMP;

		if (level < 0 || c < 0)
			return -EINVAL;
		for (int i = 0; i < LOG_NCOMP; i++)
			if (c == LOG_NCOMP || c == i)
				levels[i] = level;
		filter += len + (filter[len] == ',');
	}
	for (int i = 0; i < LOG_NCOMP; i++)
		atomic_store_explicit(&log_levels[i], levels[i], memory_order_relaxed);
	return 0;
}

void log_set_sinks(unsigned log_sink_flags)
{
	WITH_LOCK(&lock);
	sinks = log_sink_flags;
	if ((sinks & LOG_TO_SYSLOG) && !syslog_open) {
		openlog("mount-s3", SYSLOG_PID, SYSLOG_USER);
		syslog_open = true;
	}
}

static int mkdir_parents(const char *dir)
{
	_cleanup_(freep) char *path = strdup(dir);

	if (!path)
		return -ENOMEM;
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0750) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(path, 0750) < 0 && errno != EEXIST ? -errno : 0;
}

int log_open_file(const char *dir)
{
	static const char alnum[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char stamp[32], rnd[7], path[4096];
	time_t now = time(NULL);
	struct tm tm;
	int fd, n;
	int r = mkdir_parents(dir);

	if (r < 0)
		return r;
	(void)gmtime_r(&now, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H-%M-%SZ", &tm);
	for (int i = 0; i < 6; i++)
		rnd[i] = alnum[backoff_random() % (sizeof(alnum) - 1)];
	rnd[6] = '\0';
	n = snprintf(path, sizeof(path), "%s/mountpoint-s3-%s.%s.log", dir, stamp, rnd);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	log_close();
	WITH_LOCK(&lock);
	file_fd = fd;
	return 0;
}

void log_close(void)
{
	WITH_LOCK(&lock);
	if (file_fd >= 0)
		(void)close(take_fd(&file_fd));
}

/* Whether the site may write now; *ret_skipped counts lines left out before. */
static bool site_allows(struct log_site *site, unsigned *ret_skipped)
{
	uint64_t now = clock_now() / NSEC_PER_SEC;
	uint64_t start = atomic_load_explicit(&site->window, memory_order_relaxed);
	unsigned n;

	if (now - start >= LOG_WINDOW_S &&
	    atomic_compare_exchange_strong(&site->window, &start, now)) {
		n = atomic_exchange(&site->count, 1);
		*ret_skipped = n > LOG_BURST ? n - LOG_BURST : 0;
		return true;
	}
	return atomic_fetch_add(&site->count, 1) < LOG_BURST;
}

/* Keys may hold anything: no line break or terminal escape gets through. */
static void escape_controls(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

static void emit(enum log_level level, const char *stamp, const char *text)
{
	char line[LINE_MAX_BYTES + 64];
	int n = snprintf(line, sizeof(line), "%s %-5s %s\n", stamp, level_names[level], text);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;

	WITH_LOCK(&lock);
	/* A sink that fails has nowhere to report to. */
	if ((sinks & LOG_TO_STDERR) && write(STDERR_FILENO, line, len) < 0)
		sinks &= ~(unsigned)LOG_TO_STDERR;
	if ((sinks & LOG_TO_STDOUT) && write(STDOUT_FILENO, line, len) < 0)
		sinks &= ~(unsigned)LOG_TO_STDOUT;
	if (file_fd >= 0 && write(file_fd, line, len) < 0 && errno == EBADF)
		file_fd = -1;
	if (sinks & LOG_TO_SYSLOG)
		syslog(syslog_levels[level], "[%s] %s", level_names[level], text);
}

void log_write(enum log_component c, enum log_level level, struct log_site *site, const char *fmt,
	       ...)
{
	char text[LINE_MAX_BYTES], stamp[48];
	unsigned skipped = 0;
	struct timespec ts;
	struct tm tm;
	size_t used;
	va_list ap;
	int n;

	if (site && !site_allows(site, &skipped))
		return;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	(void)gmtime_r(&ts.tv_sec, &tm);
	used = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(stamp + used, sizeof(stamp) - used, ".%06ldZ", ts.tv_nsec / 1000);
	n = snprintf(text, sizeof(text), "[%ld] %s: ", syscall(SYS_gettid), component_names[c]);
	used = n > 0 ? (size_t)n : 0;
	va_start(ap, fmt);
	n = vsnprintf(text + used, sizeof(text) - used, fmt, ap);
	va_end(ap);
	used += n > 0 ? (size_t)n : 0;
	if (skipped && used < sizeof(text))
		(void)snprintf(text + used, sizeof(text) - used, " (%u similar lines left out)",
			       skipped);
	escape_controls(text);
	emit(level, stamp, text);
}
