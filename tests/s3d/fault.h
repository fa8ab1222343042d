/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Faults on demand: rules added through /_s3d/fault, matched once per request.
 */

#ifndef S3D_FAULT_H
#define S3D_FAULT_H

#include <stdbool.h>

#include "op.h"

#define FAULT_NAME_MAX 64
#define FAULT_KEY_MAX  1100

enum fault_kind {
	FAULT_NONE,
#define FAULT(id, name, help) FAULT_##id,
#include "fault.tbl"
#undef FAULT
	FAULT_COUNT,
};

struct fault_rule {
	struct fault_rule *next;
	unsigned id;
	enum fault_kind kind;
	enum op op;		 /* OP_COUNT: any */
	char key[FAULT_KEY_MAX]; /* glob, "" for any */
	uint64_t left;		 /* how often it still fires; UINT64_MAX: always */
	uint64_t skip;		 /* matches to let pass first */
	double rate;		 /* percent of the matches */
	uint64_t arg;
	unsigned code;
	char s3code[FAULT_NAME_MAX];
	uint64_t fired;
};

/*
 * What one request meets. DELAY and BANDWIDTH rules add to any other kind, of
 * which the first rule that fires counts.
 */
struct fault {
	enum fault_kind kind;
	uint64_t arg;
	unsigned code;
	char s3code[FAULT_NAME_MAX];
	uint64_t delay_ms;
	uint64_t bandwidth;
};

struct faults {
	pthread_mutex_t lock;
	/* under lock */
	struct fault_rule *rules; /* in the order in which they were added */
	unsigned next_id;
	uint64_t random;
};

void faults_init(struct faults *f);
void faults_fini(struct faults *f);
void faults_clear(struct faults *f);
void faults_seed(struct faults *f, uint64_t seed);
/* Takes the rule; returns its id. */
unsigned faults_add(struct faults *f, struct fault_rule *rule);
void faults_match(struct faults *f, enum op op, const char *key, struct fault *ret);

const char *fault_name(enum fault_kind kind);
/* FAULT_NONE if unknown. */
enum fault_kind fault_by_name(const char *name);

#endif
