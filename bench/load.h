/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load driver's inside: what the command line asked for, what the threads
 * of a run share, and what one thread owns. A workload is a row in a table
 * (load.c): a name and a function that each thread runs.
 *
 * Threads share only `struct load`: settings that no one changes after the
 * start, and counters that are atomic. A tally belongs to its thread.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "measure.h"

enum load_mode { LOAD_BUFFERED, LOAD_DIRECT, LOAD_MMAP };

enum { LOAD_THREADS_MAX = 1024, LOAD_ALIGN = 4096 };

struct load_opts {
	enum load_mode mode;
	unsigned threads;
	uint64_t block;	 /* bytes of one application read or write */
	uint64_t ops;	 /* operations of all threads together, 0: no limit */
	uint64_t size;	 /* size of a file to write, or of a sample */
	uint64_t count;	 /* files to write */
	uint64_t header; /* bytes at the start of a file that are no data */
	uint64_t seed;
	double seconds;	 /* stop after this time, 0: no limit */
	double deadline; /* give up the whole run after this time */
	bool one_fd;	 /* threads share one descriptor */
	bool list_first; /* read the directories before the clock starts */
	bool stat_first; /* openlat: the name is known when the clock starts */
	bool no_stat;	 /* list: do not lstat each entry */
	char **paths;
	size_t npaths;
};

struct load {
	/* set before the threads start */
	struct load_opts o;
	uint32_t *order; /* of the paths or samples, shuffled by the seed */
	size_t norder;
	int fd; /* the shared descriptor, or -1 */
	uint64_t file_size;
	pthread_barrier_t start;

	/* atomic */
	_Atomic uint64_t next;	  /* next path, sample or operation */
	_Atomic uint64_t stop_ns; /* when the time limit ends the run; 0: never */
};

struct worker {
	struct load *load;
	unsigned id;
	char *buf; /* load->o.block bytes, aligned for O_DIRECT */
	uint64_t random;
	pthread_t thread;
	struct tally tally;
};

struct workload {
	const char *name;
	const char *help;
	/* runs on the main thread before the clock starts, may be NULL */
	int (*prepare)(struct load *l);
	/* runs on each thread; failures of single operations go to the tally */
	void (*work)(struct worker *w);
};

/* load_read.c: large files */
void work_seqread(struct worker *w);
int prepare_random(struct load *l);
void work_randread(struct worker *w);
int prepare_interleave(struct load *l);
void work_interleave(struct worker *w);

/* load_files.c: many files, and data sets */
int prepare_small(struct load *l);
void work_small(struct worker *w);
void work_openlat(struct worker *w);
int prepare_loader(struct load *l);
void work_loader(struct worker *w);

/* load_slices.c */
int prepare_slices(struct load *l);
void work_slices(struct worker *w);

/* load_names.c: listing, and writing */
void work_list(struct worker *w);
void work_write(struct worker *w);

/* load_io.c: helpers */

/* Open for reading in the mode asked for. A descriptor, or -errno. */
int load_open(const struct load *l, const char *path);

/* The size of what a descriptor stands for, or -errno. */
int load_size(int fd, uint64_t *ret_size);

/* pread until `len` bytes or the end: bytes read or -errno. One operation is up to one block. */
ssize_t load_pread(int fd, void *buf, size_t len, uint64_t offset);

/* Map a whole file for reading. */
int load_map(int fd, uint64_t size, char **ret_map);

/* Touch each page of a mapped range, as a program that uses it would. */
ssize_t load_touch(const char *map, uint64_t offset, uint64_t len);

/* Whether the time limit of the run has passed. */
bool load_time_over(struct load *l);

/* Take the next index below `limit`: false when there is none, or the time is over. */
bool load_take(struct load *l, uint64_t limit, uint64_t *ret_index);

/* Read [offset, end) block by block, each block one operation of the tally. */
void load_range(struct worker *w, int fd, uint64_t offset, uint64_t end);

#endif
