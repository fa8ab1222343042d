/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Table of operations, generated from ops.tbl, and routing: path style or
 * virtual-host style, then method, level and sub-resource.
 */

#include <string.h>

#include "ops.h"
#include "req.h"

enum level { LEVEL_S, LEVEL_B, LEVEL_K };

static const struct op_info {
	const char *name, *method;
	enum level level;
	const char *param;
	enum body_kind body;
	op_fn finish;
} ops[OP_COUNT] = {
#define OP(op, verb, lvl, par, kind) \
	[OP_##op] = {#op, #verb, LEVEL_##lvl, par, BODY_##kind, op_##op},
#include "ops.tbl"
#undef OP
	[OP_UploadPartCopy] = {"UploadPartCopy", "PUT", LEVEL_K, "-", BODY_NONE,
			       op_not_implemented},
	[OP_Unknown] = {"Unknown", "", LEVEL_S, NULL, BODY_NONE, op_not_implemented},
	[OP_Admin] = {"Admin", "", LEVEL_S, NULL, BODY_XML, op_admin},
};

/* Sub-resources that are none of the table's: never to be taken for a plain request. */
static const char *const unsupported[] = {
	"accelerate",
	"acl",
	"analytics",
	"attributes",
	"cors",
	"encryption",
	"intelligent-tiering",
	"inventory",
	"legal-hold",
	"lifecycle",
	"logging",
	"metrics",
	"notification",
	"object-lock",
	"ownershipControls",
	"policy",
	"policyStatus",
	"publicAccessBlock",
	"replication",
	"requestPayment",
	"restore",
	"retention",
	"select",
	"torrent",
	"versions",
	"website",
};

const char *op_name(enum op op)
{
	return ops[op].name;
}

enum op op_by_name(const char *name)
{
	for (int i = 0; i < OP_COUNT; i++)
		if (strcmp(ops[i].name, name) == 0)
			return (enum op)i;
	return OP_COUNT;
}

enum body_kind op_body(enum op op)
{
	return ops[op].body;
}

op_fn op_begin(enum op op)
{
	return op == OP_PutObject ? begin_PutObject : op == OP_UploadPart ? begin_UploadPart : NULL;
}

op_fn op_finish(enum op op)
{
	return ops[op].finish;
}

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len > n && strncasecmp(s + len - n, end, n) == 0;
}

/* The bucket in front of the host name, NULL for path style. */
static const char *bucket_of_host(struct req *r)
{
	const char *host = req_header(r, "host"), *p, *domain = r->srv->opt.domain;
	size_t n;

	if (!host)
		return NULL;
	n = strcspn(host, ":");
	if (ends_with(host, n, ".localhost"))
		return req_printf(r, "%.*s", (int)(n - strlen(".localhost")), host);
	if (domain && ends_with(host, n, domain) && host[n - strlen(domain) - 1] == '.')
		return req_printf(r, "%.*s", (int)(n - strlen(domain) - 1), host);
	if (!ends_with(host, n, ".amazonaws.com"))
		return NULL;
	p = strstr(host, ".s3");
	return p ? req_printf(r, "%.*s", (int)(p - host), host) : NULL;
}

static void split_path(struct req *r)
{
	const char *rest = r->path + 1;
	size_t n;

	r->bucket_name = bucket_of_host(r);
	if (!r->bucket_name) {
		n = strcspn(rest, "/");
		if (n)
			r->bucket_name = req_printf(r, "%.*s", (int)n, rest);
		rest += n + (rest[n] == '/');
	}
	if (*rest)
		r->key = rest;
}

static bool has_unsupported(const struct req *r)
{
	for (size_t i = 0; i < ARRAY_LEN(unsupported); i++)
		if (req_param(r, unsupported[i]))
			return true;
	return false;
}

static enum op find_op(const struct req *r)
{
	enum level level = r->key ? LEVEL_K : r->bucket_name ? LEVEL_B : LEVEL_S;

	if (has_unsupported(r))
		return OP_Unknown;
	for (int i = 0; i < OP_Unknown; i++)
		if (ops[i].level == level && strcmp(ops[i].method, r->method) == 0 &&
		    (!ops[i].param || req_param(r, ops[i].param)))
			return (enum op)i;
	return OP_Unknown;
}

void route(struct req *r)
{
	if (strncmp(r->path, "/_s3d/", 6) == 0) {
		r->op = OP_Admin;
		return;
	}
	split_path(r);
	r->op = find_op(r);
	if (req_header(r, "x-amz-copy-source")) {
		if (r->op == OP_PutObject)
			r->op = OP_CopyObject;
		else if (r->op == OP_UploadPart)
			r->op = OP_UploadPartCopy;
	}
	if (r->key && strlen(r->key) > KEY_MAX)
		req_fail(r, ERR_KeyTooLongError);
}
