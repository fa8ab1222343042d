/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What was asked: a counter per operation and the last LOG_MAX requests.
 * A request is noted before its answer leaves, so a client that has its answer
 * finds it counted; the byte figure is corrected when the transfer ends early.
 */

#ifndef S3D_LOG_H
#define S3D_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "buf.h"
#include "fault.h"
#include "op.h"

#define LOG_MAX 100000u

struct log_entry {
	uint64_t seq; /* from 1; set by log_add() */
	uint64_t time_ms;
	enum op op;
	char *fields; /* more members of the JSON object, begins with a comma */
	unsigned status;
	uint64_t bytes_out, bytes_in;
	uint64_t conn;
	enum fault_kind fault;
	bool aborted;
};

struct log {
	pthread_mutex_t lock;
	/* under lock */
	struct log_entry *ring; /* LOG_MAX, entry seq is at seq % LOG_MAX */
	uint64_t first, next;	/* sequence numbers */

	/* atomic */
	atomic_uint_fast64_t ops[OP_COUNT];
	atomic_uint_fast64_t connections, bytes_in, bytes_out, errors;
};

must_check int log_init(struct log *l);
void log_fini(struct log *l);
void log_reset(struct log *l);

/* Takes e->fields; counts; returns the sequence number. */
uint64_t log_add(struct log *l, struct log_entry *e);
/* What became of an entry that was added before its answer. */
void log_correct(struct log *l, uint64_t seq, unsigned status, uint64_t bytes_out,
		 uint64_t bytes_in);
/* The transfer of entry `seq` ended after `bytes` instead of `planned`. */
void log_cut(struct log *l, uint64_t seq, uint64_t planned, uint64_t bytes);

void log_print(struct log *l, struct buf *out);
void log_counters(struct log *l, struct buf *out);

#endif
