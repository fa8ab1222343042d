/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Faults on demand: see fault.h. Any thread.
 */

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"

static const char *const names[FAULT_COUNT] = {
	[FAULT_NONE] = "none",
#define FAULT(id, name, help) [FAULT_##id] = name,
#include "fault.tbl"
#undef FAULT
};

const char *fault_name(enum fault_kind kind)
{
	return names[kind];
}

enum fault_kind fault_by_name(const char *name)
{
	for (int k = FAULT_NONE + 1; k < FAULT_COUNT; k++)
		if (strcmp(names[k], name) == 0)
			return (enum fault_kind)k;
	return FAULT_NONE;
}

void faults_init(struct faults *f)
{
	*f = (struct faults){.next_id = 1, .random = 1};
	pthread_mutex_init(&f->lock, NULL);
}

void faults_fini(struct faults *f)
{
	faults_clear(f);
	pthread_mutex_destroy(&f->lock);
}

void faults_clear(struct faults *f)
{
	WITH_LOCK(&f->lock);

	while (f->rules) {
		struct fault_rule *rule = f->rules;

		f->rules = rule->next;
		free(rule);
	}
}

void faults_seed(struct faults *f, uint64_t seed)
{
	WITH_LOCK(&f->lock);

	f->random = seed;
}

unsigned faults_add(struct faults *f, struct fault_rule *rule)
{
	struct fault_rule **end = &f->rules;
	WITH_LOCK(&f->lock);

	while (*end)
		end = &(*end)->next;
	*end = rule;
	rule->next = NULL;
	rule->id = f->next_id++;
	return rule->id;
}

static bool rule_fires_locked(struct faults *f, struct fault_rule *rule, enum op op,
			      const char *key)
{
	if (!rule->left || (rule->op != OP_COUNT && rule->op != op))
		return false;
	if (rule->key[0] && fnmatch(rule->key, key ? key : "", 0) != 0)
		return false;
	if (rule->skip) {
		rule->skip--;
		return false;
	}
	if (rule->rate < 100 && (double)(mix64(f->random++) >> 11) * 0x1p-53 * 100 >= rule->rate)
		return false;
	if (rule->left != UINT64_MAX)
		rule->left--;
	rule->fired++;
	return true;
}

void faults_match(struct faults *f, enum op op, const char *key, struct fault *ret)
{
	*ret = (struct fault){.kind = FAULT_NONE};
	WITH_LOCK(&f->lock);

	for (struct fault_rule *rule = f->rules; rule; rule = rule->next) {
		bool extra = rule->kind == FAULT_DELAY || rule->kind == FAULT_BANDWIDTH;

		if (!extra && ret->kind != FAULT_NONE)
			continue;
		if (!rule_fires_locked(f, rule, op, key))
			continue;
		if (rule->kind == FAULT_DELAY) {
			ret->delay_ms += rule->arg;
		} else if (rule->kind == FAULT_BANDWIDTH) {
			ret->bandwidth = rule->arg;
		} else {
			ret->kind = rule->kind;
			ret->arg = rule->arg;
			ret->code = rule->code;
			(void)snprintf(ret->s3code, sizeof(ret->s3code), "%s", rule->s3code);
		}
	}
}
