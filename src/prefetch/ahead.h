/* SPDX-License-Identifier: Apache-2.0 */

/* Fetching ahead of a reader; private to prefetch/. */
#ifndef PREFETCH_AHEAD_H
#define PREFETCH_AHEAD_H

#include "prefetch/cursor.h"
#include "prefetch/stream.h"

/*
 * Fetches what is missing of an extent of a plan, as far as memory goes; tells
 * the cursor where it stopped.
 */
void fetch_ahead(struct pf_stream *s, const struct cursor_plan *plan, const struct extent *x);

#endif
