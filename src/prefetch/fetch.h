/* SPDX-License-Identifier: Apache-2.0 */

/* One GET: a run of cells, or one byte as a check; private to prefetch/. */
#ifndef PREFETCH_FETCH_H
#define PREFETCH_FETCH_H

#include "cache/cache.h"
#include "loop/loop.h"
#include "prefetch/object.h"
#include "prefetch/prefetch.h"

struct fetch {
	/* set at creation */
	struct source_fetch source;
	struct object *object; /* reference */
	struct pf_open *open;  /* answered at the response head, or NULL */
	bool early;	       /* before anybody has opened the object: pf_prefetch */
	uint64_t first, ncells;
	struct lane *lane;

	/* under the object's lock */
	struct list in_object;
	bool running;  /* handed to the source */
	bool stopping; /* `stop` is on its way to the loop */
	bool resuming; /* likewise `resume` */
	bool ended;    /* freed as soon as neither is */
	bool paused;   /* at `paused_at`, until a reader comes nearer */
	uint64_t pace; /* received freely up to here; pace.c */
	uint64_t paused_at;

	/* owner loop only */
	struct list node;
	struct loop_task task, stop, resume;
	uint64_t filled; /* bytes are there up to here */
	uint64_t started_ns;
	bool started; /* counted as running by its lane */
	bool again;   /* the whole object came, with a wrong checksum */
	char sink[1]; /* the byte of a check */

	struct slot *slots[]; /* of the cells, from first / 8 */
};

/*
 * A GET of cells that are all EMPTY and reserved: they become WANTED.
 * -ENOMEM changes nothing.
 */
int fetch_new_locked(struct object *o, uint64_t first, uint64_t ncells, bool demand,
		     struct fetch **ret) must_check;
/* A GET of the object's first byte (none if it is empty), for `open`. */
int fetch_new_check(struct object *o, struct pf_open *open, struct fetch **ret) must_check;

/* Called by the lane, on its loop. */
void fetch_start(struct fetch *f);
/* Instead of its start: its bytes are here. Frees it. */
void fetch_fill(struct fetch *f, const char *data);
/* Before its start. True: nobody wants it any more, and it has been ended. */
bool fetch_given_up(struct fetch *f);

/* Nobody has the object open: ends what is being fetched. */
void fetch_stop_ahead_locked(struct object *o);
struct cell *fetch_cell(const struct fetch *f, uint64_t index);
/* The i-th of its cells that are not filled completely. */
struct cell *fetch_rest_cell(const struct fetch *f, uint64_t i);
uint64_t fetch_rest_count(const struct fetch *f);
/* These become EMPTY; nobody waits for them. */
void fetch_drop_rest_locked(struct fetch *f);
/* Its task, for which `flag` stands, has run: frees it if it has ended. With no lock held. */
void fetch_task_ended(struct fetch *f, bool *flag);
/* With no lock held, or the object's if the caller has a reference of its own. */
void fetch_free(struct fetch *f);

#endif
