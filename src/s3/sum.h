/* SPDX-License-Identifier: Apache-2.0 */

/* The checksums of uploads in S3's terms; the sums themselves are in s3.h. Pure. */
#ifndef S3_SUM_H
#define S3_SUM_H

#include "s3/s3.h"

/* Joining in two steps, for many pieces of one length: x^(8 * len), and what it makes of `sum`. */
uint64_t s3_sum_shift(enum s3_sum_kind kind, uint64_t len);
uint64_t s3_sum_shifted(enum s3_sum_kind kind, uint64_t sum, uint64_t shift);
uint64_t s3_sum_iov(enum s3_sum_kind kind, const struct iovec *iov, unsigned n);
/* Big-endian, s3_sum_len bytes. */
void s3_sum_bytes(enum s3_sum_kind kind, uint64_t sum, unsigned char ret[8]);
/* The same in base64, as the headers have it; "" for S3_SUM_OFF and digests. */
void s3_sum_text(enum s3_sum_kind kind, uint64_t sum, char ret[S3_SUM_TEXT]);
/* The number in such a text. False: a digest, composite, or not of this kind's length. */
bool s3_sum_parse(enum s3_sum_kind kind, const char *text, uint64_t *ret);
/* SHA1 and SHA256: s3_sum knows nothing of them. */
bool s3_sum_is_digest(enum s3_sum_kind kind);
/* The digest of a body in base64; -ENOMEM, also when the library does not have it. */
int s3_sum_digest_text(enum s3_sum_kind kind, const struct iovec *iov, unsigned n,
		       char ret[S3_SUM_TEXT_MAX]) must_check;
const char *s3_sum_name(enum s3_sum_kind kind);	   /* "CRC32C" */
const char *s3_sum_header(enum s3_sum_kind kind);  /* "x-amz-checksum-crc32c" */
const char *s3_sum_element(enum s3_sum_kind kind); /* "ChecksumCRC32C" */
unsigned s3_sum_len(enum s3_sum_kind kind);

#endif
