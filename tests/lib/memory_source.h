/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A block source that makes its bytes up, for tests of what is above it: with
 * scripted delays, piece sizes, errors, and a list of all that was fetched.
 * Byte `pos` of any object is memory_byte(pos).
 */
#ifndef TESTS_LIB_MEMORY_SOURCE_H
#define TESTS_LIB_MEMORY_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/cache.h"

struct memory_fetch_record {
	uint64_t offset, length;
	unsigned loop;
	bool demand;
};

/* Zeroed: each fetch is served at once, in pieces as large as on_space gives room. */
struct memory_script {
	uint64_t head_delay_ns; /* before the head; random from 0 when `jitter` */
	uint64_t step_delay_ns; /* between pieces, likewise */
	uint64_t piece_max;	/* bytes of one piece; 0: no limit */
	bool jitter;		/* delays and pieces vary */
	uint64_t pause_max_ns;	/* longest pause that on_pause gets; 0: it is not asked */
	/*
	 * Called for each fetch: 0, or the error that it gets at *fail_at (its
	 * offset: before the head).
	 */
	int (*verdict)(const struct source_fetch *f, uint64_t *fail_at);
	/* Nothing is served until memory_source_allow says how far. */
	bool hold;
	uint64_t hold_from; /* hold only fetches that begin here or later */
	/* Told by describe, with its error, and by fetches of a whole object. */
	struct s3_checksum checksum;
	uint64_t first_part, last_part;
	int describe_err;
	uint64_t flip_at; /* the first `flips` times that this byte is served it is wrong */
	unsigned flips;
};

struct memory_source;

int memory_source_new(const struct memory_script *script, struct memory_source **ret) must_check;
struct block_source *memory_source_base(struct memory_source *m);
void memory_source_set(struct memory_source *m, const struct memory_script *script);

/* Number of fetches so far, bytes asked for, bytes served. */
unsigned memory_source_count(struct memory_source *m);
unsigned memory_source_described(struct memory_source *m); /* calls of describe, ever */
uint64_t memory_source_asked(struct memory_source *m);
uint64_t memory_source_served(struct memory_source *m);
struct memory_fetch_record memory_source_record(struct memory_source *m, unsigned i);
/* Forgets counts and records. */
void memory_source_reset(struct memory_source *m);
/* Waits until `n` fetches have come since the reset; false after 10 s. */
bool memory_source_wait(struct memory_source *m, unsigned n);
/* The same for fetches that were cancelled. */
bool memory_source_wait_cancelled(struct memory_source *m, unsigned n);
/* Serves all that is held to its end; false when some fetch has not ended after 10 s. */
bool memory_source_drain(struct memory_source *m);
/* Fetch number i (of the records), held: serve it up to `pos`. */
void memory_source_allow(struct memory_source *m, unsigned i, uint64_t pos);

unsigned char memory_byte(uint64_t pos);
bool memory_matches(const void *p, uint64_t pos, uint64_t len);

#endif
