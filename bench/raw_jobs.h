/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the raw program can do with the engine: fetch ranges, put objects, put
 * one object in parts. Each job function runs on the one thread there is and
 * returns 0 or -errno; failed requests are in the tally.
 */
#ifndef BENCH_RAW_JOBS_H
#define BENCH_RAW_JOBS_H

#include "raw.h"

enum { RAW_ETAG_ROOM = 136 };

struct raw {
	/* from the command line */
	struct raw_config config;
	uint64_t part;
	uint64_t size;
	uint64_t ops;
	uint64_t deadline;
	bool random;
	char **keys;
	size_t nkeys;

	/* of the running job */
	uint64_t next;
	uint64_t state; /* of the random numbers */
	char *body;
	char upload[RAW_TARGET_MAX / 4]; /* encoded upload id */
	char (*etags)[RAW_ETAG_ROOM];
};

int run_get(struct raw *w, struct tally *tally);
int run_put(struct raw *w, struct tally *tally);
int run_multipart(struct raw *w, struct tally *tally);

#endif
