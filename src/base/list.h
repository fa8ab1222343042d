/* SPDX-License-Identifier: Apache-2.0 */

/* Intrusive doubly linked list; an initialised unlinked node points at itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/macro.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(l)       \
	{                  \
		&(l), &(l) \
	}

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_between_(struct list *n, struct list *prev, struct list *next)
{
	n->prev = prev;
	n->next = next;
	prev->next = n;
	next->prev = n;
}

/* Add `n` as the first element of `head`. */
static inline void list_push(struct list *head, struct list *n)
{
	list_insert_between_(n, head, head->next);
}

/* Add `n` as the last element of `head`. */
static inline void list_append(struct list *head, struct list *n)
{
	list_insert_between_(n, head->prev, head);
}

/* Unlink `n`; harmless on an unlinked node. */
static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

/* Unlink and return the first node, NULL when empty. */
static inline struct list *list_pop(struct list *head)
{
	struct list *n = head->next;

	if (n == head)
		return NULL;
	list_del(n);
	return n;
}

/* Move all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_for_each(n, head)	       for ((n) = (head)->next; (n) != (head); (n) = (n)->next)
/* The current node may be unlinked in the body. */
#define list_for_each_safe(n, tmp, head) \
	for ((n) = (head)->next, (tmp) = (n)->next; (n) != (head); (n) = (tmp), (tmp) = (n)->next)

#endif
