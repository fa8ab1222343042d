/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One part's bytes. A part belongs to the writer while it is filled, then to
 * the request that sends it; it is never shared, so it has no lock.
 */
#include "upload/part.h"

#include <errno.h>
#include <string.h>

#define GROW_FROM  5000 /* parts of the first size: 10,000 parts are S3's limit */
#define GROW_EVERY 500
#define STRIDE	   (16 * KIB) /* copied and summed while it is in the first cache */
#define JOIN_FROM  (32 * KIB)

uint64_t upload_part_capacity(unsigned number, uint64_t first, uint64_t most)
{
	uint64_t size = first;

	for (unsigned n = GROW_FROM; n < number && size < most; n += GROW_EVERY)
		size *= 2;
	return round_down(max_u64(first, min_u64(size, most)), PF_SLAB);
}

int upload_part_new(struct upload *u, unsigned number, uint64_t capacity, struct upload_part **ret)
{
	size_t slabs = capacity / PF_SLAB;
	struct upload_part *p = calloc(1, sizeof(*p) + slabs * sizeof(void *));

	if (!p)
		return -ENOMEM;
	list_init(&p->node);
	p->upload = u;
	p->number = number;
	p->capacity = capacity;
	p->sum.kind = upload_sum_kind(u);
	*ret = p;
	return 0;
}

void upload_part_free(struct upload_part *p, struct budget *b)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->nslabs; i++)
		if (i < p->lead || i >= p->lead + p->borrowed)
			free(p->slabs[i]);
	if (p->borrowed)
		budget_put(b, p->slabs + p->lead, p->borrowed);
	free(p->iov);
	free(p);
}

uint64_t upload_part_room(const struct upload_part *p)
{
	return p->nslabs * PF_SLAB - p->used;
}

unsigned upload_part_wants(const struct upload_part *p)
{
	return p->nslabs == 0 ? 1 : (unsigned)(p->capacity / PF_SLAB) - p->nslabs;
}

/* Both sums go on by one piece; joining two costs as much as summing some 10 KiB. */
static void add_sum(struct upload_part *p, const void *data, size_t len, uint64_t piece,
		    uint64_t *whole)
{
	if (len >= JOIN_FROM) {
		p->sum.value = s3_sum_join(p->sum.kind, p->sum.value, piece, len);
		*whole = s3_sum_join(p->sum.kind, *whole, piece, len);
	} else {
		p->sum.value = s3_sum(p->sum.kind, p->sum.value, data, len);
		*whole = s3_sum(p->sum.kind, *whole, data, len);
	}
}

size_t upload_part_fill(struct upload_part *p, const void *data, size_t len, uint64_t *whole)
{
	const char *from = data;
	size_t left = min_u64(len, upload_part_room(p));
	size_t copied = left;
	uint64_t piece = 0;

	while (left) {
		size_t at = p->used % PF_SLAB;
		size_t n = min_u64(min_u64(left, PF_SLAB - at), STRIDE);

		memcpy((char *)p->slabs[p->used / PF_SLAB] + at, from, n);
		if (copied >= JOIN_FROM)
			piece = s3_sum(p->sum.kind, piece, from, n);
		p->used += n;
		from += n;
		left -= n;
	}
	add_sum(p, data, copied, piece, whole);
	return copied;
}

bool upload_part_swap(struct upload_part *p, void **slab, uint64_t *whole)
{
	uint64_t i = p->used / PF_SLAB;
	void *full = *slab;

	if (p->used % PF_SLAB || i < p->lead || i >= p->lead + p->borrowed)
		return false;
	*slab = p->slabs[i];
	p->slabs[i] = full;
	p->used += PF_SLAB;
	add_sum(p, full, PF_SLAB, s3_sum(p->sum.kind, 0, full, PF_SLAB), whole);
	return true;
}

void upload_part_lend(struct upload_part *p, unsigned n)
{
	if (p->borrowed == 0)
		p->lead = p->nslabs;
	p->nslabs += n;
	p->borrowed += n;
}

int upload_part_overcommit(struct upload_part *p, uint64_t most)
{
	p->capacity = max_u64(p->nslabs * PF_SLAB, min_u64(p->capacity, most));
	for (unsigned n = upload_part_wants(p); n; n--) {
		void *slab = malloc(PF_SLAB);

		if (!slab)
			return -ENOMEM;
		p->slabs[p->nslabs++] = slab;
	}
	return 0;
}

int upload_part_seal(struct upload_part *p, unsigned *ret_n)
{
	unsigned n = (unsigned)((p->used + PF_SLAB - 1) / PF_SLAB);

	p->iov = calloc(n ? n : 1, sizeof(*p->iov));
	if (!p->iov)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		p->iov[i] = (struct iovec){.iov_base = p->slabs[i],
					   .iov_len = min_u64(PF_SLAB, p->used - i * PF_SLAB)};
	*ret_n = n;
	return 0;
}
