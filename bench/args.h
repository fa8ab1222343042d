/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both drivers need to read their command line: numbers with a unit
 * (K, M, G: powers of 1024) and lists of names from a file, one per line.
 * All functions return 0 or a negative errno.
 */
#ifndef BENCH_ARGS_H
#define BENCH_ARGS_H

#include <stddef.h>
#include <stdint.h>

struct names {
	char **items;
	size_t count;
	char *text; /* the file's bytes that items point into, or NULL */
};

/* "128K" → 131072. -EINVAL: not a number; -ERANGE: does not fit. */
int parse_size(const char *text, uint64_t *ret_value);

/* "2.5" → 2.5 seconds; digits with at most one point. */
int parse_seconds(const char *text, double *ret_value);

/* Read a file of names. The caller releases with names_fini(). */
int names_read(const char *path, struct names *ret_names);
void names_fini(struct names *names);

#endif
