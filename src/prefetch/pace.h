/* SPDX-License-Identifier: Apache-2.0 */

/* How far beyond the readers a GET is received; private to prefetch/. */
#ifndef PREFETCH_PACE_H
#define PREFETCH_PACE_H

#include "prefetch/fetch.h"

/* A new GET: how far it may be received before a reader comes near. */
uint64_t pace_start(const struct fetch *f);
/* Somebody reads [begin, end): lets what follows be received. */
void pace_reader_locked(struct object *o, uint64_t begin, uint64_t end);
/* True: `f` is to be left alone at byte `pos` until a reader comes nearer. */
bool pace_must_wait(struct fetch *f, uint64_t pos);

#endif
