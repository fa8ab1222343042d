/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model file in the manner of safetensors: 8 bytes with the header's length,
 * the header, then tensors back to back. A loader reads the length, the
 * header, and then each tensor as one slice, in an order that is not the
 * file's. Here the header has --header bytes, and tensors have sizes that the
 * seed decides, from 64 KiB to 32 MiB, each power of two equally likely.
 *
 * One operation is one slice: latency is what a program waits for a tensor.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "load.h"

enum { TENSOR_MIN_BITS = 16, TENSOR_MAX_BITS = 25, PREFIX_BYTES = 8 };

struct slice {
	uint64_t offset;
	uint64_t len;
};

/* Tensor `index` of the file: drawn again by each thread, so that nothing is shared. */
static size_t slices_cut(const struct load *l, struct slice *slices, size_t room)
{
	uint64_t state = l->o.seed;
	uint64_t offset = PREFIX_BYTES + l->o.header;
	size_t n = 0;

	while (offset < l->file_size && n < room) {
		unsigned bits = TENSOR_MIN_BITS +
				(unsigned)random_below(&state, TENSOR_MAX_BITS - TENSOR_MIN_BITS);
		uint64_t len = (1ULL << bits) + random_below(&state, 1ULL << bits);

		if (len > l->file_size - offset)
			len = l->file_size - offset;
		if (slices)
			slices[n] = (struct slice){offset, len};
		offset += len;
		n++;
	}
	return n;
}

int prepare_slices(struct load *l)
{
	int fd = load_open(l, l->o.paths[0]);
	int r;

	if (fd < 0)
		return fd;
	r = load_size(fd, &l->file_size);
	(void)close(fd);
	if (r < 0)
		return r;
	if (l->file_size <= PREFIX_BYTES + l->o.header)
		return -EINVAL;
	l->norder = slices_cut(l, NULL, UINT32_MAX);
	l->order = calloc(l->norder, sizeof(*l->order));
	if (!l->order)
		return -ENOMEM;
	random_order(l->order, l->norder, l->o.seed);
	return 0;
}

static ssize_t slice_read(struct worker *w, int fd, const struct slice *s)
{
	uint64_t done = 0;

	while (done < s->len) {
		uint64_t left = s->len - done;
		ssize_t n =
			load_pread(fd, w->buf, left < w->load->o.block ? left : w->load->o.block,
				   s->offset + done);

		if (n < 0)
			return n;
		if (n == 0)
			return -EIO;
		done += (uint64_t)n;
	}
	return (ssize_t)done;
}

void work_slices(struct worker *w)
{
	struct load *l = w->load;
	struct slice *slices = calloc(l->norder, sizeof(*slices));
	int fd = load_open(l, l->o.paths[0]);
	uint64_t i;

	if (!slices || fd < 0) {
		tally_error(&w->tally, slices ? -fd : ENOMEM);
		free(slices);
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	(void)slices_cut(l, slices, l->norder);
	if (w->id == 0) {
		struct slice head = {0, PREFIX_BYTES}, header = {PREFIX_BYTES, l->o.header};
		uint64_t start = now_ns();

		tally_op(&w->tally, start, slice_read(w, fd, &head));
		start = now_ns();
		tally_op(&w->tally, start, slice_read(w, fd, &header));
	}
	while (load_take(l, l->norder, &i)) {
		uint64_t start = now_ns();

		tally_op(&w->tally, start, slice_read(w, fd, &slices[l->order[i]]));
	}
	(void)close(fd);
	free(slices);
}
