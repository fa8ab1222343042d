/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Growing byte string with a maximum. A failed allocation or a passed maximum
 * latches `failed`; the writer checks once at the end. The text is always
 * NUL-terminated when `data` is not NULL.
 */

#ifndef S3D_BUF_H
#define S3D_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "util.h"

#define BUF_MAX (256u << 20)

struct buf {
	char *data;
	size_t len, cap;
	size_t max; /* 0: BUF_MAX */
	bool failed;
};

void buf_fini(struct buf *b);
void buf_reset(struct buf *b);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) printf_like(2, 3);

/* Escaped forms. */
void buf_xml(struct buf *b, const char *s);
void buf_json(struct buf *b, const char *s); /* with the quotes; NULL: null */
void buf_uri(struct buf *b, const char *s, bool keep_slash, bool plus_for_space);
void buf_hex(struct buf *b, const void *data, size_t len);

/* <name>escaped value</name> */
void buf_elem(struct buf *b, const char *name, const char *value);

#endif
