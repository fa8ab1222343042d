/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting and timing for the benchmark drivers: a clock, a latency histogram,
 * the tally that one thread keeps, a generator of pseudo-random numbers, and
 * the JSON line that a driver prints at its end.
 *
 * A tally belongs to one thread until that thread is joined; then the main
 * thread merges it. Nothing here allocates or locks, so that the driver stays
 * cheap beside what it measures.
 *
 * The histogram has 64 bins per power of two: a percentile is right to 1.6 %.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { HIST_SUB_BITS = 6, HIST_BINS = 64 << HIST_SUB_BITS };

struct hist {
	uint64_t count;
	uint64_t max_ns;
	uint32_t bins[HIST_BINS];
};

struct tally {
	uint64_t ops;
	uint64_t bytes;
	uint64_t errors;
	uint64_t first_ns; /* duration of the first operation, 0: none yet */
	int first_error;   /* errno of the first failure */
	struct hist lat;
};

/* What the whole run used, printed as one line of JSON. */
struct report {
	const char *workload;
	const char *mode;
	unsigned threads;
	uint64_t block;
	double seconds;
	double prepare_s;
	double user_s;
	double system_s;
	struct tally *total;
};

/* Monotonic time in nanoseconds. */
uint64_t now_ns(void);

/* CPU time used so far by the calling process, all threads, in seconds. */
void cpu_used(double *ret_user, double *ret_system);

/* The next number of the sequence that *state stands for (splitmix64). */
uint64_t random_next(uint64_t *state);

/* A number below n (n > 0). */
uint64_t random_below(uint64_t *state, uint64_t n);

/* Put 0 .. n-1 into order[] in an order that seed decides. */
void random_order(uint32_t *order, size_t n, uint64_t seed);

void hist_add(struct hist *h, uint64_t ns);
void hist_merge(struct hist *into, const struct hist *from);

/* The smallest duration in ns that a share `rank` (0..1) of the operations do not exceed. */
uint64_t hist_rank(const struct hist *h, double rank);

/* One operation that began at `start_ns` and moved `bytes` (or failed with a negative errno). */
void tally_op(struct tally *t, uint64_t start_ns, ssize_t bytes);
void tally_error(struct tally *t, int error);
void tally_merge(struct tally *into, const struct tally *from);

void report_print(const struct report *r, FILE *out);

#endif
