/* SPDX-License-Identifier: Apache-2.0 */

/*
 * getloop: what the GET engine costs without a file system.
 *
 * Reads one object over and over with N range GETs at a time, each into recycled
 * slabs that nobody looks at, on one or more loops, and prints one line of JSON:
 * bytes, seconds, MB/s, CPU seconds per GB (1e9 bytes) and context switches.
 *
 *	getloop --endpoint http://127.0.0.1:9000 --bucket b --key big [--part 8M]
 *		[--parallel 8] [--loops 1] [--total 8G] [--slab 1M]
 *		[--ca-bundle FILE] [--sign]
 */
#include <errno.h>
#include <getopt.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "args.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "s3/s3.h"

enum { LOOPS_MAX = 8 };

struct options {
	struct s3_config s3;
	const char *key;
	uint64_t part, total, parallel, loops, slab;
};

struct shared {
	const struct options *o;
	struct s3_head_call head; /* what the object is */
	struct loop_task ask;
	struct loop *loop;
	struct s3_client *client;
	atomic_uint_fast64_t next; /* bytes handed out */
	atomic_uint_fast64_t done;
	atomic_uint running, failed;
	sem_t over;
};

struct worker {
	struct s3_get_call get; /* first: done() gets its head */
	struct loop_task task;
	struct shared *shared;
	struct loop *loop;
	char *slab;
};

static struct iovec on_space(struct s3_get_call *g, uint64_t pos)
{
	struct worker *w = (struct worker *)g;
	uint64_t at = pos % w->shared->o->slab;

	return (struct iovec){w->slab + at, w->shared->o->slab - at};
}

static void on_data(struct s3_get_call *g, uint64_t pos, size_t len)
{
	struct worker *w = (struct worker *)g;

	(void)pos;
	atomic_fetch_add_explicit(&w->shared->done, len, memory_order_relaxed);
}

static void next_part(struct worker *w);

static void on_done(struct s3_call *c)
{
	struct worker *w = (struct worker *)c;
	char text[512];

	if (c->error.err < 0) {
		s3_error_format(&c->error, text, sizeof(text));
		fprintf(stderr, "getloop: %s\n", text);
		atomic_fetch_add(&w->shared->failed, 1);
	}
	next_part(w);
}

static void next_part(struct worker *w)
{
	struct shared *s = w->shared;
	const struct options *o = s->o;
	uint64_t at = atomic_fetch_add(&s->next, o->part);

	if (at >= o->total || atomic_load(&s->failed) > 0) {
		if (atomic_fetch_sub(&s->running, 1) == 1)
			(void)sem_post(&s->over);
		return;
	}
	const struct s3_object *object = &s->head.object;
	at %= object->size;
	memset(&w->get, 0, sizeof(w->get));
	w->get.call.done = on_done;
	w->get.key = o->key;
	w->get.if_match = object->etag;
	w->get.offset = at;
	w->get.length = min_u64(o->part, object->size - at);
	w->get.on_space = on_space;
	w->get.on_data = on_data;
	s3_get(s->client, w->loop, &w->get);
}

static void start(struct loop_task *t)
{
	next_part(container_of(t, struct worker, task));
}

static void on_head(struct s3_call *c)
{
	(void)sem_post(&container_of(c, struct shared, head.call)->over);
}

static void ask(struct loop_task *t)
{
	struct shared *s = container_of(t, struct shared, ask);

	s3_head(s->client, s->loop, &s->head);
}

static void wait_over(struct shared *s)
{
	while (sem_wait(&s->over) < 0)
		;
}

static int find_object(struct shared *s, struct loop *l)
{
	char text[512];

	s->loop = l;
	s->head = (struct s3_head_call){.call.done = on_head, .key = s->o->key};
	s->ask.run = ask;
	loop_post(l, &s->ask);
	wait_over(s);
	if (s->head.call.error.err < 0) {
		s3_error_format(&s->head.call.error, text, sizeof(text));
		fprintf(stderr, "getloop: %s\n", text);
	}
	return s->head.call.error.err;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void report(const struct shared *s, double wall, const struct rusage *before)
{
	struct rusage after;

	(void)getrusage(RUSAGE_SELF, &after);
	double gb = (double)atomic_load(&s->done) / 1e9;
	double user = seconds(after.ru_utime) - seconds(before->ru_utime);
	double sys = seconds(after.ru_stime) - seconds(before->ru_stime);

	printf("{\"bytes\": %llu, \"seconds\": %.3f, \"mb_s\": %.0f, \"cpu_s_per_gb\": %.3f, "
	       "\"user\": %.3f, \"sys\": %.3f, \"switches_per_mb\": %.2f, \"rss_mb\": %.1f, "
	       "\"failed\": %u}\n",
	       (unsigned long long)atomic_load(&s->done), wall, gb * 1e3 / wall, (user + sys) / gb,
	       user / gb, sys / gb,
	       (double)(after.ru_nvcsw + after.ru_nivcsw - before->ru_nvcsw - before->ru_nivcsw) /
		       (gb * 1e3),
	       (double)after.ru_maxrss / 1024, atomic_load(&s->failed));
}

static int run(struct shared *s)
{
	const struct options *o = s->o;
	struct loop *loops[LOOPS_MAX];
	struct worker *workers = calloc(o->parallel, sizeof(*workers));
	size_t bytes = o->parallel * o->slab;
	char *slabs = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rusage before;

	if (!workers || slabs == MAP_FAILED)
		return -ENOMEM;
	(void)madvise(slabs, bytes, MADV_HUGEPAGE);
	for (unsigned i = 0; i < o->loops; i++) {
		const struct loop_config config = {.index = i, .net.ca_bundle = o->s3.ca_bundle};
		int r = loop_new(&config, &loops[i]);
		if (r == 0)
			r = loop_start(loops[i]);
		if (r < 0)
			return r;
	}
	int r = find_object(s, loops[0]);
	if (r < 0)
		return r;
	(void)getrusage(RUSAGE_SELF, &before);
	uint64_t begin = clock_now();
	atomic_store(&s->running, (unsigned)o->parallel);
	for (unsigned i = 0; i < o->parallel; i++) {
		workers[i].shared = s;
		workers[i].loop = loops[i % o->loops];
		workers[i].slab = slabs + i * o->slab;
		workers[i].task.run = start;
		loop_post(workers[i].loop, &workers[i].task);
	}
	wait_over(s);
	report(s, (double)(clock_now() - begin) / 1e9, &before);
	for (unsigned i = 0; i < o->loops; i++) {
		loop_stop(loops[i]);
		loop_free(loops[i]);
	}
	(void)munmap(slabs, bytes);
	free(workers);
	return 0;
}

static const struct option long_options[] = {
	{"endpoint", required_argument, NULL, 'e'},
	{"bucket", required_argument, NULL, 'b'},
	{"key", required_argument, NULL, 'k'},
	{"part", required_argument, NULL, 'p'},
	{"parallel", required_argument, NULL, 'n'},
	{"loops", required_argument, NULL, 'l'},
	{"total", required_argument, NULL, 'T'},
	{"ca-bundle", required_argument, NULL, 'c'},
	{"slab", required_argument, NULL, 'S'},
	{"sign", no_argument, NULL, 'g'},
	{NULL, 0, NULL, 0},
};

static int parse_one(int opt, const char *arg, struct options *o)
{
	switch (opt) {
	case 'e':
		o->s3.endpoint_url = arg;
		return 0;
	case 'b':
		o->s3.bucket = arg;
		return 0;
	case 'k':
		o->key = arg;
		return 0;
	case 'c':
		o->s3.ca_bundle = arg;
		return 0;
	case 'g':
		o->s3.no_sign_request = false;
		return 0;
	case 'p':
		return parse_size(arg, &o->part);
	case 'n':
		return parse_size(arg, &o->parallel);
	case 'l':
		return parse_size(arg, &o->loops);
	case 'S':
		return parse_size(arg, &o->slab);
	case 'T':
		return parse_size(arg, &o->total);
	default:
		return -EINVAL;
	}
}

int main(int argc, char **argv)
{
	struct options o = {
		.s3 = {.region = "us-east-1", .force_path_style = true, .no_sign_request = true},
		.part = 8 * MIB,
		.parallel = 8,
		.loops = 1,
		.slab = MIB,
		.total = 8 * GIB,
	};
	static struct shared s;
	char why[256];
	int opt;

	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (parse_one(opt, optarg, &o) < 0)
			return 2;
	if (!o.s3.bucket || !o.key || !o.part || !o.parallel || !o.slab || o.loops < 1 ||
	    o.loops > LOOPS_MAX) {
		fprintf(stderr, "getloop: see the top of getloop.c for the options\n");
		return 2;
	}
	s.o = &o;
	(void)sem_init(&s.over, 0, 0);
	if (s3_client_new(&o.s3, why, sizeof(why), &s.client) < 0) {
		fprintf(stderr, "getloop: %s\n", why);
		return 2;
	}
	int r = run(&s);
	s3_client_free(s.client);
	if (r < 0)
		fprintf(stderr, "getloop: %s\n", strerror(-r));
	return r < 0 || atomic_load(&s.failed) > 0;
}
