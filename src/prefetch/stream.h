/* SPDX-License-Identifier: Apache-2.0 */

/* One open file; private to prefetch/. */
#ifndef PREFETCH_STREAM_H
#define PREFETCH_STREAM_H

#include <stdatomic.h>

#include "prefetch/cursor.h"
#include "prefetch/object.h"
#include "prefetch/prefetch.h"

enum read_state {
	READ_IDLE,
	READ_IN_LINE, /* for memory; holds nothing */
	READ_PARKED,  /* in object->parked, its cells are pinned */
	READ_DONE,    /* being answered */
};

struct pf_stream {
	/* set at creation */
	struct object *object; /* reference */

	/* atomic: the owner's, one per read */
	_Atomic unsigned refs;

	/* under the object's lock */
	struct list node; /* in object->streams */
	bool closed;
	bool expects; /* its first window was fetched when it was opened */
	struct cursor_set cursors;
};

int stream_new(struct object *o, struct pf_stream **ret) must_check;
void stream_unref(struct pf_stream *s);

/* `r` lacks nothing any more: notes where its bytes are. */
void read_fill_locked(struct object *o, struct pf_read *r);
/* Unparks and unpins. */
void read_unpark_locked(struct object *o, struct pf_read *r);
/* The same for all reads that wait for cells; they go to `taken`. */
void read_take_all_locked(struct object *o, struct list *taken);
/* Answers; with no lock held. r is gone afterwards. */
void read_answer(struct pf_read *r);
void read_fail(struct pf_read *r, int err);
/* The same for a list of them. */
void read_answer_all(struct list *reads);
void read_fail_all(struct list *reads, int err);

/* The open that a fetch was the check for; with no lock held. */
void open_finish(struct pf_open *o, int err);

#endif
