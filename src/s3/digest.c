/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Checksums that a server has of its objects: reading them from header lines, and
 * computing what they should be. A CRC is joined from pieces, SHA-1 and SHA-256
 * (EVP) take the bytes in order. No state but the caller's; any thread.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "s3/object.h"
#include "s3/sum.h"

static const struct {
	const char *name, *header;
	unsigned len;
	enum s3_sum_kind crc; /* S3_SUM_OFF: not a CRC */
} kinds[] = {
	[S3_DIGEST_NONE] = {"none", "", 0, S3_SUM_OFF},
	[S3_DIGEST_CRC32] = {"CRC32", "x-amz-checksum-crc32", 4, S3_SUM_CRC32},
	[S3_DIGEST_CRC32C] = {"CRC32C", "x-amz-checksum-crc32c", 4, S3_SUM_CRC32C},
	[S3_DIGEST_CRC64NVME] = {"CRC64NVME", "x-amz-checksum-crc64nvme", 8, S3_SUM_CRC64NVME},
	[S3_DIGEST_SHA1] = {"SHA1", "x-amz-checksum-sha1", 20, S3_SUM_OFF},
	[S3_DIGEST_SHA256] = {"SHA256", "x-amz-checksum-sha256", 32, S3_SUM_OFF},
};

const char *s3_digest_name(enum s3_digest_kind kind)
{
	return kinds[kind].name;
}

unsigned s3_digest_len(enum s3_digest_kind kind)
{
	return kinds[kind].len;
}

enum s3_sum_kind s3_digest_crc(enum s3_digest_kind kind)
{
	return kinds[kind].crc;
}

/* Base64 of just `want` bytes, padded. */
static bool decode(const char *text, size_t len, unsigned want, unsigned char ret[S3_DIGEST_MAX])
{
	unsigned char out[S3_DIGEST_MAX + 4];
	unsigned pad = (3 - want % 3) % 3;

	if (len != (want + pad) / 3 * 4 || (pad && text[len - 1] != '=') ||
	    EVP_DecodeBlock(out, (const unsigned char *)text, (int)len) != (int)(want + pad))
		return false;
	memcpy(ret, out, want);
	return true;
}

/* "value" of the bytes, "value-N" of the checksums of N parts. */
static void read_value(struct s3_checksum *c, enum s3_digest_kind kind, const char *value,
		       size_t len)
{
	const char *dash = memchr(value, '-', len);
	size_t digits = dash ? (size_t)(value + len - dash) - 1 : 0;
	struct s3_checksum got = {.kind = kind, .by_parts = c->by_parts};
	uint64_t parts = 0;

	if (dash && (parse_u64n(dash + 1, digits, &parts) < 0 || parts < 1 || parts > S3_PARTS_MAX))
		return;
	got.parts = (unsigned)parts;
	if (decode(value, len - (dash ? digits + 1 : 0), kinds[kind].len, got.value))
		*c = got;
}

void s3_checksum_header(struct s3_checksum *c, const char *name, size_t name_len, const char *value,
			size_t value_len)
{
	if (name_len < 15 || !s3_name_is(name, 15, "x-amz-checksum-"))
		return;
	if (s3_name_is(name, name_len, "x-amz-checksum-type"))
		c->by_parts = s3_name_is(value, value_len, "composite");
	/* Where there are several, the cheapest to compute. */
	for (int k = S3_DIGEST_SHA256; k > S3_DIGEST_NONE; k--)
		if (s3_name_is(name, name_len, kinds[k].header) && (!c->kind || k < (int)c->kind))
			read_value(c, (enum s3_digest_kind)k, value, value_len);
}

void s3_checksum_text(const struct s3_checksum *c, char ret[S3_CHECKSUM_TEXT])
{
	int n = EVP_EncodeBlock((unsigned char *)ret, c->value, (int)kinds[c->kind].len);

	if (c->parts)
		(void)snprintf(ret + n, S3_CHECKSUM_TEXT - (size_t)n, "-%u", c->parts);
}

int s3_digest_begin(struct s3_digest *d, enum s3_digest_kind kind)
{
	*d = (struct s3_digest){.kind = kind};
	if (kinds[kind].crc != S3_SUM_OFF)
		return 0;
	d->ctx = EVP_MD_CTX_new();
	if (!d->ctx)
		return -ENOMEM;
	if (EVP_DigestInit_ex(d->ctx, kind == S3_DIGEST_SHA1 ? EVP_sha1() : EVP_sha256(), NULL) ==
	    1)
		return 0;
	s3_digest_fini(d);
	return -ENOMEM;
}

void s3_digest_fini(struct s3_digest *d)
{
	EVP_MD_CTX_free(d->ctx);
	*d = (struct s3_digest){0};
}

void s3_digest_add(struct s3_digest *d, const void *data, size_t len)
{
	if (!d->ctx)
		d->crc = s3_sum(kinds[d->kind].crc, d->crc, data, len);
	else if (EVP_DigestUpdate(d->ctx, data, len) != 1)
		d->failed = true;
}

void s3_digest_join(struct s3_digest *d, uint64_t crc, uint64_t len)
{
	if (d->shift_len != len) {
		d->shift_len = len;
		d->shift = s3_sum_shift(kinds[d->kind].crc, len);
	}
	d->crc = s3_sum_shifted(kinds[d->kind].crc, d->crc, d->shift) ^ crc;
}

int s3_digest_end(struct s3_digest *d, unsigned char ret[S3_DIGEST_MAX])
{
	bool failed = d->failed;

	if (!d->ctx) {
		s3_sum_bytes(kinds[d->kind].crc, d->crc, ret);
		d->crc = 0;
		return 0;
	}
	d->failed = false;
	if (EVP_DigestFinal_ex(d->ctx, ret, NULL) != 1 ||
	    EVP_DigestInit_ex(d->ctx, NULL, NULL) != 1 || failed)
		return -ENOMEM;
	return 0;
}
