/* SPDX-License-Identifier: Apache-2.0 */

/* Attributes and small helpers that every file may use. */
#ifndef BASE_MACRO_H
#define BASE_MACRO_H

#include <stddef.h>
#include <stdint.h>

#define must_check	  __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define likely(x)	  __builtin_expect(!!(x), 1)
#define unlikely(x)	  __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a)	  (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member)                                            \
	__extension__({                                                            \
		const __typeof__(((type *)0)->member) *member_ptr_ = (ptr);        \
		(type *)((char *)(uintptr_t)member_ptr_ - offsetof(type, member)); \
	})

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* `align` must be a power of two. */
static inline uint64_t round_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

static inline uint64_t round_up(uint64_t v, uint64_t align)
{
	return round_down(v + align - 1, align);
}

#endif
