/* SPDX-License-Identifier: Apache-2.0 */

/* A read engine on real loops over a memory source, and calls that wait. */
#ifndef TESTS_LIB_PF_RIG_H
#define TESTS_LIB_PF_RIG_H

#include <semaphore.h>

#include "lib/memory_source.h"
#include "prefetch/prefetch.h"

#define RIG_LOOPS 2

struct rig {
	struct loop *loops[RIG_LOOPS];
	struct memory_source *memory;
	struct budget *budget;
	struct pf *pf;
};

struct rig_config {
	struct memory_script script;
	uint64_t budget;     /* 0: 64 MiB */
	uint64_t max_window; /* 0: 64 MiB */
	uint64_t part_size;  /* 0: 8 MiB */
	unsigned nloops;     /* 0: 2 */
	bool verify;
};

/* Ends the program when something cannot be had. */
void rig_init(struct rig *rig, const struct rig_config *config);
/* Stops the loops, checks that all memory came back. */
void rig_fini(struct rig *rig);

/* Waits; the open's error or 0. */
int rig_open(struct rig *rig, const char *key, uint64_t size, bool revalidate, bool cached,
	     struct pf_stream **ret);
/* Opens without a GET; ends the program on failure. */
struct pf_stream *rig_stream(struct rig *rig, const char *key, uint64_t size);

/* False after 20 s. */
bool rig_wait(sem_t *sem);

/* One read that can be waited for. */
struct rig_read {
	struct pf_read r;
	sem_t done;
	int err;
	uint64_t len;
	bool right; /* the bytes are those of the object */
	_Atomic unsigned answers;
};
void rig_read_start(struct rig_read *rr, struct pf_stream *s, uint64_t offset, size_t len);
/* False after 20 s. */
bool rig_read_wait(struct rig_read *rr);
bool rig_read_ended(struct rig_read *rr);
/* Starts and waits: bytes read, or -errno; -EBADMSG when they are wrong. */
int64_t rig_pread(struct pf_stream *s, uint64_t offset, size_t len);

#endif
