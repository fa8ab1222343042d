/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See measure.h. Bin of a duration v: the power of two it lies in, and its
 * next 6 bits; below 64 ns each nanosecond has its own bin.
 */
#include <sys/resource.h>
#include <time.h>

#include "measure.h"

uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

void cpu_used(double *ret_user, double *ret_system)
{
	struct rusage ru;

	(void)getrusage(RUSAGE_SELF, &ru);
	*ret_user = (double)ru.ru_utime.tv_sec + (double)ru.ru_utime.tv_usec / 1e6;
	*ret_system = (double)ru.ru_stime.tv_sec + (double)ru.ru_stime.tv_usec / 1e6;
}

uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

uint64_t random_below(uint64_t *state, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)random_next(state) * n) >> 64);
}

void random_order(uint32_t *order, size_t n, uint64_t seed)
{
	uint64_t state = seed;

	for (size_t i = 0; i < n; i++) {
		size_t j = random_below(&state, i + 1);

		order[i] = order[j];
		order[j] = (uint32_t)i;
	}
}

static unsigned hist_bin(uint64_t ns)
{
	unsigned top;

	if (ns < (1U << HIST_SUB_BITS))
		return (unsigned)ns;
	top = 63U - (unsigned)__builtin_clzll(ns);
	return ((top - HIST_SUB_BITS + 1) << HIST_SUB_BITS) +
	       (unsigned)((ns >> (top - HIST_SUB_BITS)) & ((1U << HIST_SUB_BITS) - 1));
}

/* The largest duration that falls into a bin. */
static uint64_t hist_bin_end(unsigned bin)
{
	unsigned shift = bin >> HIST_SUB_BITS;
	uint64_t low = bin & ((1U << HIST_SUB_BITS) - 1);

	if (shift == 0)
		return low;
	return ((low + (1U << HIST_SUB_BITS) + 1) << (shift - 1)) - 1;
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->count++;
	h->bins[hist_bin(ns)]++;
	if (ns > h->max_ns)
		h->max_ns = ns;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	into->count += from->count;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
	for (unsigned i = 0; i < HIST_BINS; i++)
		into->bins[i] += from->bins[i];
}

uint64_t hist_rank(const struct hist *h, double rank)
{
	uint64_t want = (uint64_t)(rank * (double)h->count);
	uint64_t seen = 0;

	if (want == 0)
		want = 1;
	for (unsigned i = 0; i < HIST_BINS; i++) {
		seen += h->bins[i];
		if (seen >= want)
			return hist_bin_end(i) < h->max_ns ? hist_bin_end(i) : h->max_ns;
	}
	return h->max_ns;
}

void tally_error(struct tally *t, int error)
{
	t->errors++;
	if (t->first_error == 0)
		t->first_error = error;
}

void tally_op(struct tally *t, uint64_t start_ns, ssize_t bytes)
{
	uint64_t took = now_ns() - start_ns;

	if (bytes < 0) {
		tally_error(t, (int)-bytes);
		return;
	}
	if (t->ops == 0)
		t->first_ns = took;
	t->ops++;
	t->bytes += (uint64_t)bytes;
	hist_add(&t->lat, took);
}

void tally_merge(struct tally *into, const struct tally *from)
{
	if (from->ops > 0 && (into->first_ns == 0 || from->first_ns < into->first_ns))
		into->first_ns = from->first_ns;
	into->ops += from->ops;
	into->bytes += from->bytes;
	into->errors += from->errors;
	if (into->first_error == 0)
		into->first_error = from->first_error;
	hist_merge(&into->lat, &from->lat);
}

void report_print(const struct report *r, FILE *out)
{
	const struct tally *t = r->total;
	double seconds = r->seconds > 0 ? r->seconds : 1e-9;

	fprintf(out,
		"{\"workload\": \"%s\", \"mode\": \"%s\", \"threads\": %u, \"block\": %llu, "
		"\"seconds\": %.6f, \"prepare_s\": %.6f, \"bytes\": %llu, \"ops\": %llu, "
		"\"errors\": %llu, \"first_errno\": %d, \"mb_s\": %.3f, \"ops_s\": %.3f, "
		"\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"first_us\": %.1f, "
		"\"user_s\": %.4f, \"system_s\": %.4f}\n",
		r->workload, r->mode, r->threads, (unsigned long long)r->block, r->seconds,
		r->prepare_s, (unsigned long long)t->bytes, (unsigned long long)t->ops,
		(unsigned long long)t->errors, t->first_error, (double)t->bytes / seconds / 1e6,
		(double)t->ops / seconds, (double)hist_rank(&t->lat, 0.50) / 1e3,
		(double)hist_rank(&t->lat, 0.99) / 1e3, (double)t->lat.max_ns / 1e3,
		(double)t->first_ns / 1e3, r->user_s, r->system_s);
}
