/* SPDX-License-Identifier: Apache-2.0 */

/* The bytes of one part of an upload, in slabs of the budget. Private to upload/. */
#ifndef UPLOAD_PART_H
#define UPLOAD_PART_H

#include <stdint.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "prefetch/prefetch.h"
#include "s3/s3.h"

struct upload;

struct upload_part {
	struct list node; /* in the upload's queue */
	struct upload *upload;
	unsigned number;   /* from 1 */
	uint64_t capacity; /* bytes, multiple of PF_SLAB */
	uint64_t used;
	struct s3_body_sum sum;	 /* of the bytes that are in it */
	unsigned nslabs;	 /* slabs that are there */
	unsigned lead, borrowed; /* so many of our own, then the budget's; the rest are our own */
	bool sending;		 /* given to a request, which will end */
	struct iovec *iov;	 /* filled by upload_part_seal */
	struct loop_task task;
	union {
		struct s3_upload_part_call send;
		struct s3_put_call put;
	} call;
	void *slabs[]; /* capacity / PF_SLAB */
};

/* In upload.c: what the upload's parts are summed with. */
enum s3_sum_kind upload_sum_kind(const struct upload *u);

int upload_part_new(struct upload *u, unsigned number, uint64_t capacity,
		    struct upload_part **ret) must_check;
/* Gives the slabs back; wakes who waits for memory, so no lock may be held. */
void upload_part_free(struct upload_part *p, struct budget *b);

/* Bytes that fit in the slabs that are there. */
uint64_t upload_part_room(const struct upload_part *p);
/* Slabs to ask for next: one at first, then all the rest, so that a part once begun can fill. */
unsigned upload_part_wants(const struct upload_part *p);
/*
 * Copies up to `len` bytes into the room; returns how many. The sum is taken of
 * the bytes as they come, and *whole, of all before, is carried on.
 */
size_t upload_part_fill(struct upload_part *p, const void *data, size_t len, uint64_t *whole);
/*
 * Takes the full slab at *slab as the next PF_SLAB bytes and leaves an empty one
 * there. False: they would not begin in an empty slab of the budget.
 */
bool upload_part_swap(struct upload_part *p, void **slab, uint64_t *whole);
/* `n` slabs of the budget were put behind those that are there. */
void upload_part_lend(struct upload_part *p, unsigned n);
/*
 * Takes the slabs that upload_part_wants from the heap instead of the budget; the
 * part gets no larger than `most`, a multiple of PF_SLAB. 0 or -ENOMEM.
 */
int upload_part_overcommit(struct upload_part *p, uint64_t most) must_check;
/* The filled bytes as iovecs in p->iov; *ret_n entries. 0 or -ENOMEM. */
int upload_part_seal(struct upload_part *p, unsigned *ret_n) must_check;

/*
 * Size of part `number` of a stream of unknown length: `first` up to part 5,000,
 * then doubled every 500 parts, at most `most`.
 */
uint64_t upload_part_capacity(unsigned number, uint64_t first, uint64_t most);

#endif
