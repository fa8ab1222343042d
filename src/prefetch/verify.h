/* SPDX-License-Identifier: Apache-2.0 */

/* Comparing what was fetched with the server's checksum of it; private to prefetch/. */
#ifndef PREFETCH_VERIFY_H
#define PREFETCH_VERIFY_H

#include "prefetch/fetch.h"
#include "prefetch/object.h"
#include "prefetch/prefetch.h"
#include "s3/s3.h"

/* Objects up to this size come in one GET (cursor.c plans so) and are compared before anybody sees
 * a byte. */
#define VERIFY_WHOLE_MAX PF_SLAB

struct verify;

/*
 * For a larger object, when verification is on: its checksum is asked for, unless
 * it is known, and `open` waits for it. With no lock held; open_finish follows.
 */
int verify_open(struct object *o, struct pf_open *open) must_check;
/* What the object has of it. */
void verify_free(struct verify *v);

/*
 * A reader is at the object's start: from here on the cells are compared as they
 * come. False: they are all there, and wrong. `advance`: looks at those now.
 */
bool verify_begin_locked(struct object *o, bool advance) must_check;
/* Cell `index` has become READY, nobody was told yet. False: the object is wrong. */
bool verify_ready_locked(struct object *o, uint64_t index) must_check;
/* A READY cell is about to go. */
void verify_dropped_locked(struct object *o, const struct cell *c, uint64_t index);
/* A READY cell that was read should stay for a while. */
bool verify_needs_locked(const struct object *o, uint64_t index);
/* What to compute of cell `index` on arrival; S3_SUM_OFF: nothing. Takes the lock. */
enum s3_sum_kind verify_sum_kind(struct object *o, uint64_t index);
/* Nothing of the object may be served any more. Its waiting reads go to `failed`. */
void verify_refuse_locked(struct object *o, struct list *failed);
/* Then, with no lock held. */
void verify_refused(struct object *o, struct list *failed);

/* All bytes of a `whole` fetch are in its cells. False: they are not what the server has. */
bool verify_whole(const struct fetch *f) must_check;

#endif
