/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Log lines: one level, one component, one sink set. A layer either logs an
 * error or returns it; the one that ends it (reply, upload close, mount
 * failure) writes the line. Secrets never come here: callers log key, request
 * id, status, never headers.
 *
 *	log_warn(LOG_S3, "GET %s: %s, retrying in %u ms", key, why, ms);
 *
 * Arguments are evaluated only when the level is on. Each call site of
 * log_err/log_warn writes at most LOG_BURST lines per LOG_WINDOW_S seconds;
 * the next line that passes says how many were left out.
 * Control characters in the text are escaped. Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

enum log_component {
	LOG_MAIN,
	LOG_LOOP,
	LOG_S3,
	LOG_PREFETCH,
	LOG_CACHE,
	LOG_UPLOAD,
	LOG_FUSE,
	LOG_NCOMP
};

#define LOG_BURST    20
#define LOG_WINDOW_S 10

enum log_sink_flags { LOG_TO_STDERR = 1 << 0, LOG_TO_SYSLOG = 1 << 1, LOG_TO_STDOUT = 1 << 2 };

struct log_site {
	_Atomic uint64_t window; /* start of the window, seconds */
	_Atomic unsigned count;	 /* lines asked for in it */
};

extern _Atomic int log_levels[LOG_NCOMP];

/* Level of all components; not thread-safe against itself. */
void log_set_level(enum log_level level);
/* As in MOUNTPOINT_LOG. */
const char *log_level_name(enum log_level level);
/* "warn", "s3=debug,fuse=info,...": -EINVAL changes nothing. */
int log_set_filter(const char *filter) must_check;
void log_set_sinks(unsigned log_sink_flags);
/*
 * Creates `dir` (0750) and the file mountpoint-s3-<UTC>.<random>.log (0640) in
 * it and writes there besides the other sinks. 0 or -errno.
 */
int log_open_file(const char *dir) must_check;
/* Closes the file; the sinks stay. */
void log_close(void);

void log_write(enum log_component c, enum log_level level, struct log_site *site, const char *fmt,
	       ...) printf_like(4, 5);

static inline bool log_on(enum log_component c, enum log_level level)
{
	return atomic_load_explicit(&log_levels[c], memory_order_relaxed) >= (int)level;
}

#define LOG_AT_(c, level, site, ...)                            \
	do {                                                    \
		if (log_on(c, level))                           \
			log_write(c, level, site, __VA_ARGS__); \
	} while (0)
#define LOG_LIMITED_(c, level, ...)                     \
	do {                                            \
		static struct log_site site_;           \
		LOG_AT_(c, level, &site_, __VA_ARGS__); \
	} while (0)

#define log_err(c, ...)	  LOG_LIMITED_(c, LOG_ERROR, __VA_ARGS__)
#define log_warn(c, ...)  LOG_LIMITED_(c, LOG_WARN, __VA_ARGS__)
#define log_info(c, ...)  LOG_AT_(c, LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(c, ...) LOG_AT_(c, LOG_DEBUG, NULL, __VA_ARGS__)

#endif
