/* SPDX-License-Identifier: Apache-2.0 */

/* CRC32C (Castagnoli), CRC64NVME, CRC32, and the first's form in S3's headers. Pure, any thread. */
#ifndef S3_CHECKSUM_H
#define S3_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define S3_CRC32C_TEXT 12 /* 8 characters of base64, NUL, room */

/* `crc` is 0 or the result for the bytes before. */
uint32_t s3_crc32c(uint32_t crc, const void *data, size_t len);
uint32_t s3_crc32c_iov(const struct iovec *iov, unsigned n);
/* The plain table version, for machines without the instruction and for tests. */
uint32_t s3_crc32c_table(uint32_t crc, const void *data, size_t len);
/* CRC64NVME and CRC32 (IEEE), the same way. */
uint64_t s3_crc64nvme(uint64_t crc, const void *data, size_t len);
uint64_t s3_crc64nvme_table(uint64_t crc, const void *data, size_t len);
uint32_t s3_crc32(uint32_t crc, const void *data, size_t len);
uint32_t s3_crc32_table(uint32_t crc, const void *data, size_t len);
/* Big-endian base64, as x-amz-checksum-crc32c has it. */
void s3_crc32c_text(uint32_t crc, char ret[S3_CRC32C_TEXT]);

#endif
