/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The additional checksums of S3 (x-amz-checksum-*): one running sum of any
 * kind, its base64 form, and joining the sums of parts.
 */

#ifndef S3D_CHECKSUM_H
#define S3D_CHECKSUM_H

#include <stdbool.h>

#include "crc.h"
#include "hash.h"

enum checksum_kind {
	CHECKSUM_NONE,
	CHECKSUM_CRC32,
	CHECKSUM_CRC32C,
	CHECKSUM_CRC64NVME,
	CHECKSUM_SHA1,
	CHECKSUM_SHA256,
	CHECKSUM_KINDS,
};

#define CHECKSUM_TEXT_MAX 48

struct checksum {
	enum checksum_kind kind;
	uint8_t raw[HASH_MAX];
	char text[CHECKSUM_TEXT_MAX]; /* base64 */
};

struct summer {
	enum checksum_kind kind;
	uint64_t crc;
	struct hash hash;
};

/* "crc32c" as in header names; "CRC32C" as in header values and XML. */
const char *checksum_lower(enum checksum_kind kind);
const char *checksum_upper(enum checksum_kind kind);
/* Any case; CHECKSUM_NONE if unknown. */
enum checksum_kind checksum_by_name(const char *name);
bool checksum_is_crc(enum checksum_kind kind);
size_t checksum_size(enum checksum_kind kind);

must_check int summer_init(struct summer *s, enum checksum_kind kind);
void summer_fini(struct summer *s);
void summer_add(struct summer *s, const void *data, size_t len);
void summer_end(struct summer *s, struct checksum *ret);

/* CRCs only: a becomes the sum of a's bytes followed by b's. */
void checksum_join(struct checksum *a, const struct checksum *b, uint64_t len_b);
/* Fill text from raw. */
void checksum_print(struct checksum *c);

#endif
