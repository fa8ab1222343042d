/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Parser of an HTTP/1.x response head. Pure: no I/O, no allocation; every text
 * result points into the caller's buffer.
 *
 * Incremental: call it again with the same `scan` whenever more bytes were
 * appended to the buffer; looking for the end of the head costs each byte once.
 *
 *	size_t scan = 0;
 *	n = http_head_parse(buf, len, &scan, &head);
 *	n > 0: the head is the first n bytes; 0: more bytes are needed
 *
 * Strict where a lax reading could mix up message boundaries: conflicting or
 * malformed Content-Length, Content-Range, ETag or Transfer-Encoding, folded
 * lines, control characters and a Content-Length beside Transfer-Encoding are
 * all -EPROTO.
 */
#ifndef S3_HTTP_HEAD_H
#define S3_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"

#define HTTP_HEAD_MAX	(16 * KIB)
#define HTTP_FIELDS_MAX 100
#define HTTP_SIZE_ANY	UINT64_MAX /* "*" in Content-Range */

struct http_str {
	const char *p; /* NULL: the field was absent */
	size_t len;
};

struct http_head {
	int status;	 /* 100..599 */
	bool keep_alive; /* the server will take another request on this connection */
	bool chunked;
	bool has_length;
	bool has_range; /* "bytes first-last/size" */
	uint64_t length;
	uint64_t first, last, size;
	struct http_str etag, last_modified, date;
	struct http_str storage_class, restore, request_id, bucket_region;
	/* x-amz-checksum-...: its name, and what it says; that of the last one, and the type's. */
	struct http_str checksum_name, checksum, checksum_type;
};

struct http_range {
	uint64_t first, last, size; /* size: HTTP_SIZE_ANY for "*" */
	bool some;		    /* false: the range is "*", as in a 416 */
};
/* A Content-Range. 0 or -EPROTO. */
int http_range_parse(struct http_str v, struct http_range *ret) must_check;

/* Head length, 0 (incomplete), -EMSGSIZE (over a limit) or -EPROTO. */
ssize_t http_head_parse(const char *buf, size_t len, size_t *scan,
			struct http_head *ret) must_check;

/*
 * Chunked transfer coding, decoded in place by spans. Start from a zeroed
 * struct. Each call looks at `len` bytes and returns how many it consumed, or
 * -EPROTO; when *ret_data is not NULL, that many payload bytes are the last
 * *ret_len of the consumed ones. `done` is set after the final chunk and its
 * trailer.
 */
struct http_chunks {
	int state; /* private */
	unsigned line;
	uint64_t left;
	bool done;
};
ssize_t http_chunks_next(struct http_chunks *c, const char *buf, size_t len, const char **ret_data,
			 size_t *ret_len) must_check;

#endif
