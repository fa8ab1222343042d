/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load WORKLOAD [options] PATH...: put one kind of load on a mounted file
 * system, and print what came of it as one line of JSON.
 *
 * The main thread prepares, starts the workers at one barrier, joins them and
 * merges their tallies. The clock runs from the barrier to the last join.
 * Single failed operations are counted and the run goes on; exit status 1 says
 * that there were some, 2 that the run could not begin. A run that passes its
 * deadline ends by SIGALRM, so that a file system that hangs cannot hold us.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "load.h"

static const struct workload workloads[] = {
	{"seqread", "read whole files in order, a thread takes the next file", NULL, work_seqread},
	{"randread", "read blocks at random places of a file", prepare_random, work_randread},
	{"interleave", "each thread reads its own region of one file in order", prepare_interleave,
	 work_interleave},
	{"small", "open, read, close many files in shuffled order", prepare_small, work_small},
	{"openlat", "open and read the first block of files", prepare_small, work_openlat},
	{"loader", "random samples of --size bytes from .npy shards", prepare_loader, work_loader},
	{"slices", "header, then slices in shuffled order, as safetensors", prepare_slices,
	 work_slices},
	{"list", "readdir and lstat of each entry of directories", NULL, work_list},
	{"write", "write --count files of --size bytes into a directory", NULL, work_write},
};

static const char *const mode_names[] = {
	[LOAD_BUFFERED] = "buffered",
	[LOAD_DIRECT] = "direct",
	[LOAD_MMAP] = "mmap",
};

static void usage(FILE *out)
{
	fprintf(out, "usage: load WORKLOAD [options] PATH...\n\nworkloads:\n");
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		fprintf(out, "  %-10s  %s\n", workloads[i].name, workloads[i].help);
	fprintf(out, "\noptions (sizes take K, M, G):\n"
		     "  -b, --block N      bytes per read or write call (128K)\n"
		     "  -t, --threads N    (1)\n"
		     "  -m, --mode M       buffered, direct or mmap (buffered)\n"
		     "  -n, --ops N        stop after N operations\n"
		     "  -s, --seconds T    stop after T seconds\n"
		     "  -S, --size N       size of a written file, or of a sample (100K)\n"
		     "  -c, --count N      files to write (1)\n"
		     "  -H, --header N     bytes of header of a shard or model file (128)\n"
		     "  -r, --seed N       (1)\n"
		     "  -f, --files-from F more paths, one per line\n"
		     "  -1, --one-fd       all threads use one descriptor\n"
		     "  -l, --list-first   read the files' directories before the clock starts\n"
		     "  -N, --no-stat      list: only readdir\n"
		     "  -T, --stat-first   openlat: stat each file before its clock starts\n"
		     "  -D, --deadline T   give up after T seconds (600)\n");
}

static const struct option long_options[] = {
	{"block", required_argument, NULL, 'b'},
	{"threads", required_argument, NULL, 't'},
	{"mode", required_argument, NULL, 'm'},
	{"ops", required_argument, NULL, 'n'},
	{"seconds", required_argument, NULL, 's'},
	{"size", required_argument, NULL, 'S'},
	{"count", required_argument, NULL, 'c'},
	{"header", required_argument, NULL, 'H'},
	{"seed", required_argument, NULL, 'r'},
	{"files-from", required_argument, NULL, 'f'},
	{"one-fd", no_argument, NULL, '1'},
	{"list-first", no_argument, NULL, 'l'},
	{"no-stat", no_argument, NULL, 'N'},
	{"deadline", required_argument, NULL, 'D'},
	{"stat-first", no_argument, NULL, 'T'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int parse_mode(const char *text, enum load_mode *ret_mode)
{
	for (size_t i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++)
		if (strcmp(text, mode_names[i]) == 0) {
			*ret_mode = (enum load_mode)i;
			return 0;
		}
	return -EINVAL;
}

static int parse_threads(const char *text, unsigned *ret_threads)
{
	uint64_t n;
	int r = parse_size(text, &n);

	if (r < 0)
		return r;
	if (n == 0 || n > LOAD_THREADS_MAX)
		return -ERANGE;
	*ret_threads = (unsigned)n;
	return 0;
}

static int parse_one(int opt, const char *arg, struct load_opts *o, struct names *list)
{
	switch (opt) {
	case 'b':
		return parse_size(arg, &o->block);
	case 't':
		return parse_threads(arg, &o->threads);
	case 'm':
		return parse_mode(arg, &o->mode);
	case 'n':
		return parse_size(arg, &o->ops);
	case 's':
		return parse_seconds(arg, &o->seconds);
	case 'S':
		return parse_size(arg, &o->size);
	case 'c':
		return parse_size(arg, &o->count);
	case 'H':
		return parse_size(arg, &o->header);
	case 'r':
		return parse_size(arg, &o->seed);
	case 'f':
		return names_read(arg, list);
	case 'D':
		return parse_seconds(arg, &o->deadline);
	case '1':
		o->one_fd = true;
		return 0;
	case 'l':
		o->list_first = true;
		return 0;
	case 'T':
		o->stat_first = true;
		return 0;
	case 'N':
		o->no_stat = true;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Paths of the command line, or else those of --files-from. */
static int parse_args(int argc, char **argv, struct load_opts *o, struct names *list)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "b:t:m:n:s:S:c:H:r:f:1lNTD:h", long_options, NULL)) !=
	       -1) {
		int r;

		if (opt == 'h' || opt == '?')
			return -EINVAL;
		r = parse_one(opt, optarg, o, list);
		if (r < 0) {
			fprintf(stderr, "load: -%c %s: %s\n", opt, optarg, strerror(-r));
			return r;
		}
	}
	o->paths = optind < argc ? argv + optind : list->items;
	o->npaths = optind < argc ? (size_t)(argc - optind) : list->count;
	if (o->npaths == 0 || o->npaths > UINT32_MAX || o->block == 0 || o->block > SIZE_MAX / 2 ||
	    o->size == 0)
		return -EINVAL;
	if (o->mode == LOAD_DIRECT && o->block % LOAD_ALIGN != 0)
		return -EINVAL;
	return 0;
}

static const struct workload *workload_find(const char *name)
{
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (strcmp(name, workloads[i].name) == 0)
			return &workloads[i];
	return NULL;
}

/* The buffer holds a block, a sample and a header: whatever a workload puts there. */
static size_t buffer_size(const struct load_opts *o)
{
	uint64_t most = o->block;

	if (o->header > most)
		most = o->header;
	if (o->size > most && o->size <= (1U << 30))
		most = o->size;
	return (most + LOAD_ALIGN - 1) / LOAD_ALIGN * LOAD_ALIGN;
}

struct start {
	struct worker *worker;
	void (*work)(struct worker *w);
};

static void *worker_main(void *arg)
{
	struct start *start = arg;
	struct load *l = start->worker->load;

	(void)pthread_barrier_wait(&l->start);
	start->work(start->worker);
	return NULL;
}

static int workers_new(struct load *l, struct worker **ret_workers)
{
	struct worker *workers = calloc(l->o.threads, sizeof(*workers));
	size_t size = buffer_size(&l->o);

	if (!workers)
		return -ENOMEM;
	for (unsigned i = 0; i < l->o.threads; i++) {
		workers[i].load = l;
		workers[i].id = i;
		workers[i].random = l->o.seed * 1000003U + i;
		if (posix_memalign((void **)&workers[i].buf, LOAD_ALIGN, size) != 0)
			return -ENOMEM; /* the process ends here, and its memory with it */
		memset(workers[i].buf, 0, size);
	}
	*ret_workers = workers;
	return 0;
}

/* Start all, wait for all. The clock starts when every thread is ready. */
static int workers_run(struct load *l, struct worker *workers, const struct workload *what,
		       struct report *report)
{
	struct start *starts = calloc(l->o.threads, sizeof(*starts));
	uint64_t begin;
	int r;

	if (!starts || pthread_barrier_init(&l->start, NULL, l->o.threads + 1) != 0) {
		free(starts);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < l->o.threads; i++) {
		starts[i] = (struct start){&workers[i], what->work};
		r = pthread_create(&workers[i].thread, NULL, worker_main, &starts[i]);
		if (r != 0)
			return -r; /* others wait at the barrier: the process ends */
	}
	begin = now_ns();
	if (l->o.seconds > 0)
		atomic_store(&l->stop_ns, begin + (uint64_t)(l->o.seconds * 1e9));
	(void)pthread_barrier_wait(&l->start);
	for (unsigned i = 0; i < l->o.threads; i++) {
		(void)pthread_join(workers[i].thread, NULL);
		tally_merge(report->total, &workers[i].tally);
	}
	report->seconds = (double)(now_ns() - begin) / 1e9;
	(void)pthread_barrier_destroy(&l->start);
	free(starts);
	return 0;
}

static int run(struct load *l, const struct workload *what, struct report *report)
{
	struct worker *workers = NULL;
	double user, system;
	uint64_t begin = now_ns();
	int r = what->prepare ? what->prepare(l) : 0;

	report->prepare_s = (double)(now_ns() - begin) / 1e9;
	if (r < 0)
		return r;
	r = workers_new(l, &workers);
	if (r < 0)
		return r;
	cpu_used(&user, &system);
	r = workers_run(l, workers, what, report);
	cpu_used(&report->user_s, &report->system_s);
	report->user_s -= user;
	report->system_s -= system;
	for (unsigned i = 0; i < l->o.threads; i++)
		free(workers[i].buf);
	free(workers);
	if (l->fd >= 0)
		(void)close(l->fd);
	free(l->order);
	return r;
}

int main(int argc, char **argv)
{
	static struct tally total;
	struct load l = {
		.o = {.threads = 1,
		      .block = 128 << 10,
		      .size = 100 << 10,
		      .count = 1,
		      .header = 128,
		      .seed = 1,
		      .deadline = 600},
		.fd = -1,
	};
	const struct workload *what = argc > 1 ? workload_find(argv[1]) : NULL;
	struct names list = {0};
	struct report report = {.total = &total};
	int r;

	if (!what || parse_args(argc - 1, argv + 1, &l.o, &list) < 0) {
		usage(stderr);
		return 2;
	}
	(void)alarm((unsigned)l.o.deadline + 1);
	report.workload = what->name;
	report.mode = mode_names[l.o.mode];
	report.threads = l.o.threads;
	report.block = l.o.block;
	r = run(&l, what, &report);
	names_fini(&list);
	if (r < 0) {
		fprintf(stderr, "load: %s: %s\n", what->name, strerror(-r));
		return 2;
	}
	report_print(&report, stdout);
	return total.errors > 0;
}
