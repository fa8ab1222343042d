/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The three CRCs of S3. crc_start() builds the tables once; then pure.
 */

#ifndef S3D_CRC_H
#define S3D_CRC_H

#include <stddef.h>
#include <stdint.h>

enum crc_kind { CRC_32, CRC_32C, CRC_64NVME, CRC_KINDS };

void crc_start(void);

/* Start with 0, feed the pieces in order. */
uint64_t crc_add(enum crc_kind kind, uint64_t crc, const void *data, size_t len);

/* CRC of A followed by B, from crc(A), crc(B) and the length of B. */
uint64_t crc_combine(enum crc_kind kind, uint64_t a, uint64_t b, uint64_t len_b);

#endif
