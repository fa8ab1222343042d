/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bounded byte string. Text is always NUL-terminated; growth past the maximum
 * given at init sets `failed` and later appends do nothing, so a sequence of
 * appends needs one check at its end:
 *
 *	_cleanup_(buf_fini) struct buf b = BUF_INIT(8192);
 *	buf_puts(&b, "a=");
 *	buf_printf(&b, "%d", 1);
 *	r = buf_error(&b);	(0, -ENOMEM or -EMSGSIZE)
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/macro.h"

struct buf {
	char *data; /* never NULL after the first append; use buf_str() before */
	size_t len;
	size_t cap;
	size_t max; /* most bytes, without the NUL */
	int failed; /* 0 or the -errno of the first failed append */
};

#define BUF_INIT(maximum)        \
	{                        \
		.max = (maximum) \
	}

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* empties, keeps the memory and the maximum */
void buf_append(struct buf *b, const void *p, size_t len);
void buf_putc(struct buf *b, char c);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) printf_like(2, 3);
int buf_error(const struct buf *b) must_check;
const char *buf_str(const struct buf *b); /* "" when empty */
char *buf_take(struct buf *b);		  /* heap string, the caller's; NULL if failed */

#endif
