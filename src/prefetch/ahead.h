/* SPDX-License-Identifier: Apache-2.0 */

/* Fetching ahead of a reader; private to prefetch/. */
#ifndef PREFETCH_AHEAD_H
#define PREFETCH_AHEAD_H

#include "prefetch/cursor.h"
#include "prefetch/stream.h"

/*
 * Fetches what is missing of an extent by GETs of `part` bytes, as far as memory
 * goes. `cursor`: told where it stopped, or NULL.
 */
void fetch_ahead(struct pf_stream *s, const struct extent *x, uint64_t part, struct cursor *cursor);

#endif
