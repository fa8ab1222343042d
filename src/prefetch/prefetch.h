/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FACADE of prefetch/: the read engine and the one memory budget.
 *
 *	pf_new(&config, &pf);
 *	pf_open(pf, &open);		(revalidates the version, starts the first GET)
 *	... open.done(&open): open.err, open.stream
 *	pf_read(stream, &read);		... read.done(&read): iovecs, or an error
 *	pf_close(stream);
 *
 * Calls come from any loop thread; callbacks come on some loop thread, possibly
 * inside the call (pf_read whose cells are ready), with no lock held. One block
 * map per object version (key + ETag), shared by all streams.
 */
#ifndef PREFETCH_PREFETCH_H
#define PREFETCH_PREFETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"
#include "base/macro.h"
#include "loop/loop.h"

#define PF_CELL	    ((uint64_t)128 * 1024) /* smallest unit kept; ready as soon as its bytes are in */
#define PF_SLAB	    ((uint64_t)1024 * 1024) /* unit of memory: 8 cells */
#define PF_READ_MAX ((size_t)1024 * 1024)   /* a kernel read is at most 256 pages */
#define PF_IOV_MAX  10 /* cells that 1 MiB at any alignment can touch, plus one */

struct block_source;
struct pf;
struct pf_stream;

/* ---- memory budget: hard limit on part buffers of reads and uploads ---- */

struct budget;
/* At least 64 MiB makes sense. Memory is mapped lazily and returned when idle. */
int budget_new(uint64_t limit, struct budget **ret) must_check;
void budget_free(struct budget *b);
uint64_t budget_limit(const struct budget *b);
uint64_t budget_used(struct budget *b);
/* Memory that the system may have given us, and the most ever: never over the limit. */
uint64_t budget_resident(struct budget *b);
uint64_t budget_peak(struct budget *b);
/* Gives free memory back that was not touched since the last call. pf_trim calls it. */
void budget_trim(struct budget *b);

/*
 * Slabs for uploads: PF_SLAB bytes each. A request that cannot be met now waits
 * in line (first come, first served); `granted` is called once, on a thread
 * that freed memory, possibly before budget_get has returned false.
 */
struct budget_wait {
	/* set by the caller */
	unsigned slabs; /* 1..budget limit / 2 */
	void (*granted)(struct budget_wait *w);
	/* result: `slabs` pointers, the caller's array */
	void **mem;
	/* private */
	struct list node;
	bool queued;
};
/* true: granted now. false: not to be had at once; nothing was queued. */
bool budget_try_get(struct budget *b, struct budget_wait *w) must_check;
/*
 * true: granted now, `granted` is not called. false: queued, or granted already.
 * Callbacks of others may run inside this, budget_cancel and budget_put: the
 * caller holds no lock.
 */
bool budget_get(struct budget *b, struct budget_wait *w) must_check;
/* true: taken out of the line, will not be granted. false: already granted. */
bool budget_cancel(struct budget *b, struct budget_wait *w);
void budget_put(struct budget *b, void **mem, unsigned slabs);
/*
 * Slabs beyond the limit, of the same kind, so that one can stand in for one of
 * an upload's. Before anybody else uses the budget; false: not to be had.
 */
bool budget_keep(struct budget *b, void **mem, unsigned slabs) must_check;
void budget_release(struct budget *b, void **mem, unsigned slabs);

/* A read's place in line; private, here only because struct pf_read holds one. */
struct budget_claim {
	unsigned cells;
	void (*granted)(struct budget_claim *c);
	struct list node;
	bool queued;
};

/* ---- the read engine ---- */

struct pf_config {
	struct block_source *source; /* borrowed */
	struct budget *budget;	     /* borrowed */
	struct loop **loops;	     /* borrowed array */
	unsigned nloops;
	uint64_t part_size;   /* most bytes of one GET */
	uint64_t random_size; /* a random read fetches whole blocks of this size; multiple of
				 PF_CELL */
	uint64_t max_window;  /* most bytes requested beyond a reader */
	bool verify; /* compare what is read whole and in order with the server's checksum */
};
int pf_new(const struct pf_config *config, struct pf **ret) must_check;
/* After all streams were closed and all loops stopped. */
void pf_free(struct pf *pf);
/*
 * Drops cells that nobody used for some seconds and returns free memory. From a
 * timer on any loop, every 2 s: then all that is idle is back within 12 s.
 */
void pf_trim(struct pf *pf);

/*
 * Open one version for reading. With `revalidate` the first GET, which starts
 * here, is the check at the server: done comes when its response head is in. It
 * brings the first bytes of the object, or one byte only when `data_cached`
 * says that the kernel still holds the pages, or the block map has them.
 * Without `revalidate` done comes at once (inside the call), and nothing is fetched
 * but what is usual, far.
 * With `verify` it also waits for the checksum of an object that is not small.
 */
struct pf_open {
	/* set by the caller; valid until done */
	const char *key, *etag;
	uint64_t size;
	bool revalidate;
	bool data_cached;
	void (*done)(struct pf_open *o);
	/* result */
	int err; /* 0, -ESTALE, -ENOENT, -EACCES, -EIO, -ENOMEM */
	struct pf_stream *stream;
	/* private */
	struct list node;
	unsigned pending; /* what it waits for; under the object's lock */
	void *impl;
};
void pf_open(struct pf *pf, struct pf_open *o);

/*
 * Fetches all of a small object (PF_SLAB at most) that is likely to be opened soon,
 * unless some of it is here already or no memory is free. Nobody is told.
 */
void pf_prefetch(struct pf *pf, const char *key, const char *etag, uint64_t size);

/*
 * Takes the first `len` bytes of a version, which came otherwise than by the engine's
 * own GETs, unless some of them are here already or no memory is free: whole cells, and the
 * object's end. `data` stays the caller's.
 */
void pf_seed(struct pf *pf, const char *key, const char *etag, uint64_t size, const void *data,
	     uint64_t len);
/*
 * Whether it is worth a request of its own: ns until the server, which is far, answers. 0:
 * it is near, or contents are verified, which an open has to begin.
 */
uint64_t pf_seed_worth(struct pf *pf);

/* Closes; reads still in flight are answered first (with an error if they must wait). */
void pf_close(struct pf_stream *s);

struct pf_read {
	/* set by the caller; valid until done */
	uint64_t offset;
	size_t len;    /* at most PF_READ_MAX; cut at the object's end by the engine */
	bool uncached; /* the kernel does not keep what is answered */
	void (*done)(struct pf_read *r);
	/* result, valid inside done only */
	int err; /* 0, -ESTALE, -EIO, -ENOMEM, -EINTR (cancelled), -EBADMSG (wrong checksum) */
	struct iovec iov[PF_IOV_MAX]; /* the bytes; niov 0 at end of file */
	unsigned niov;
	/* private */
	struct pf_stream *stream;
	struct list node;
	struct budget_claim claim;
	uint64_t beyond;  /* cell up to which to fetch along */
	unsigned missing; /* cells that are not ready */
	uint8_t state;
	bool cancelled, passed;
};
void pf_read(struct pf_stream *s, struct pf_read *r);
/*
 * Asks for an early end: done comes with -EINTR, inside the call or at the same
 * time on another thread; exactly once in any case. Harmless after done only if
 * the caller still keeps the struct.
 */
void pf_cancel(struct pf_stream *s, struct pf_read *r);

#endif
