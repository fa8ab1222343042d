/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Additional checksums: see checksum.h. Pure.
 */

#include <string.h>

#include "checksum.h"
#include "text.h"

static const struct {
	const char *lower, *upper;
	size_t size;
} kinds[CHECKSUM_KINDS] = {
	[CHECKSUM_NONE] = {"none", "NONE", 0},
	[CHECKSUM_CRC32] = {"crc32", "CRC32", 4},
	[CHECKSUM_CRC32C] = {"crc32c", "CRC32C", 4},
	[CHECKSUM_CRC64NVME] = {"crc64nvme", "CRC64NVME", 8},
	[CHECKSUM_SHA1] = {"sha1", "SHA1", 20},
	[CHECKSUM_SHA256] = {"sha256", "SHA256", 32},
};

const char *checksum_lower(enum checksum_kind kind)
{
	return kinds[kind].lower;
}

const char *checksum_upper(enum checksum_kind kind)
{
	return kinds[kind].upper;
}

size_t checksum_size(enum checksum_kind kind)
{
	return kinds[kind].size;
}

enum checksum_kind checksum_by_name(const char *name)
{
	for (int k = CHECKSUM_NONE + 1; k < CHECKSUM_KINDS; k++)
		if (strcasecmp(kinds[k].lower, name) == 0)
			return (enum checksum_kind)k;
	return CHECKSUM_NONE;
}

bool checksum_is_crc(enum checksum_kind kind)
{
	return kind == CHECKSUM_CRC32 || kind == CHECKSUM_CRC32C || kind == CHECKSUM_CRC64NVME;
}

static enum crc_kind crc_of(enum checksum_kind kind)
{
	return kind == CHECKSUM_CRC32 ? CRC_32 : kind == CHECKSUM_CRC32C ? CRC_32C : CRC_64NVME;
}

int summer_init(struct summer *s, enum checksum_kind kind)
{
	*s = (struct summer){.kind = kind};
	if (kind == CHECKSUM_SHA1)
		return hash_init(&s->hash, HASH_SHA1);
	if (kind == CHECKSUM_SHA256)
		return hash_init(&s->hash, HASH_SHA256);
	return 0;
}

void summer_fini(struct summer *s)
{
	hash_fini(&s->hash);
}

void summer_add(struct summer *s, const void *data, size_t len)
{
	if (s->hash.ctx)
		hash_add(&s->hash, data, len);
	else if (s->kind != CHECKSUM_NONE)
		s->crc = crc_add(crc_of(s->kind), s->crc, data, len);
}

static void crc_store(struct checksum *c, uint64_t crc)
{
	size_t n = kinds[c->kind].size;

	for (size_t i = 0; i < n; i++)
		c->raw[i] = (uint8_t)(crc >> (8 * (n - 1 - i)));
}

static uint64_t crc_load(const struct checksum *c)
{
	uint64_t crc = 0;

	for (size_t i = 0; i < kinds[c->kind].size; i++)
		crc = crc << 8 | c->raw[i];
	return crc;
}

void checksum_print(struct checksum *c)
{
	text_base64(c->raw, kinds[c->kind].size, c->text);
}

void summer_end(struct summer *s, struct checksum *ret)
{
	*ret = (struct checksum){.kind = s->kind};
	if (s->hash.ctx)
		hash_end(&s->hash, ret->raw);
	else if (s->kind != CHECKSUM_NONE)
		crc_store(ret, s->crc);
	checksum_print(ret);
}

void checksum_join(struct checksum *a, const struct checksum *b, uint64_t len_b)
{
	crc_store(a, crc_combine(crc_of(a->kind), crc_load(a), crc_load(b), len_b));
	checksum_print(a);
}
