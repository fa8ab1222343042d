/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Counters and request log: see log.h. Any thread; counters are atomic, the
 * ring has a lock.
 */

#include <errno.h>
#include <string.h>

#include "log.h"

static uint64_t load(atomic_uint_fast64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void add(atomic_uint_fast64_t *v, uint64_t n)
{
	atomic_fetch_add_explicit(v, n, memory_order_relaxed);
}

int log_init(struct log *l)
{
	memset(l, 0, sizeof(*l));
	pthread_mutex_init(&l->lock, NULL);
	l->first = l->next = 1;
	l->ring = calloc(LOG_MAX, sizeof(*l->ring));
	return l->ring ? 0 : -ENOMEM;
}

static void clear_locked(struct log *l)
{
	for (; l->first < l->next; l->first++)
		free(take_ptr(&l->ring[l->first % LOG_MAX].fields));
}

void log_fini(struct log *l)
{
	if (l->ring)
		clear_locked(l);
	free(l->ring);
	pthread_mutex_destroy(&l->lock);
}

void log_reset(struct log *l)
{
	for (int i = 0; i < OP_COUNT; i++)
		atomic_store(&l->ops[i], 0);
	atomic_store(&l->connections, 0);
	atomic_store(&l->bytes_in, 0);
	atomic_store(&l->bytes_out, 0);
	atomic_store(&l->errors, 0);
	WITH_LOCK(&l->lock);
	clear_locked(l);
}

uint64_t log_add(struct log *l, struct log_entry *e)
{
	struct log_entry *slot;

	add(&l->ops[e->op], 1);
	add(&l->bytes_out, e->bytes_out);
	add(&l->bytes_in, e->bytes_in);
	if (e->status >= 400 || !e->status)
		add(&l->errors, 1);
	e->time_ms = clock_real_ns() / 1000000u;

	WITH_LOCK(&l->lock);
	if (l->next - l->first == LOG_MAX) {
		free(take_ptr(&l->ring[l->first % LOG_MAX].fields));
		l->first++;
	}
	e->seq = l->next++;
	slot = &l->ring[e->seq % LOG_MAX];
	*slot = *e;
	return e->seq;
}

void log_correct(struct log *l, uint64_t seq, unsigned status, uint64_t bytes_out,
		 uint64_t bytes_in)
{
	struct log_entry *e;
	WITH_LOCK(&l->lock);

	if (seq < l->first || seq >= l->next)
		return;
	e = &l->ring[seq % LOG_MAX];
	add(&l->bytes_out, bytes_out - e->bytes_out);
	add(&l->bytes_in, bytes_in - e->bytes_in);
	e->status = status;
	e->bytes_out = bytes_out;
	e->bytes_in = bytes_in;
}

void log_cut(struct log *l, uint64_t seq, uint64_t planned, uint64_t bytes)
{
	WITH_LOCK(&l->lock);

	/* After a reset the entry and its bytes are gone. */
	if (seq < l->first || seq >= l->next)
		return;
	add(&l->bytes_out, bytes - planned);
	l->ring[seq % LOG_MAX].bytes_out = bytes;
	l->ring[seq % LOG_MAX].aborted = true;
}

void log_print(struct log *l, struct buf *out)
{
	WITH_LOCK(&l->lock);

	for (uint64_t seq = l->first; seq < l->next; seq++) {
		const struct log_entry *e = &l->ring[seq % LOG_MAX];

		buf_printf(out,
			   "{\"seq\":%llu,\"time_ms\":%llu,\"op\":\"%s\",\"status\":%u,"
			   "\"bytes\":%llu,\"bytes_in\":%llu,\"conn\":%llu,\"fault\":",
			   (unsigned long long)e->seq, (unsigned long long)e->time_ms,
			   op_name(e->op), e->status, (unsigned long long)e->bytes_out,
			   (unsigned long long)e->bytes_in, (unsigned long long)e->conn);
		buf_json(out, e->fault == FAULT_NONE ? NULL : fault_name(e->fault));
		buf_printf(out, ",\"aborted\":%s", e->aborted ? "true" : "false");
		buf_str(out, e->fields ? e->fields : "");
		buf_str(out, "}\n");
	}
}

void log_counters(struct log *l, struct buf *out)
{
	buf_char(out, '{');
	for (int i = 0; i < OP_COUNT; i++)
		if (i != OP_Admin)
			buf_printf(out, "\"%s\":%llu,", op_name((enum op)i),
				   (unsigned long long)load(&l->ops[i]));
	buf_printf(
		out, "\"connections\":%llu,\"bytes_in\":%llu,\"bytes_out\":%llu,\"errors\":%llu}\n",
		(unsigned long long)load(&l->connections), (unsigned long long)load(&l->bytes_in),
		(unsigned long long)load(&l->bytes_out), (unsigned long long)load(&l->errors));
}
