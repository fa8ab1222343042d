/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One request, from its first line to the last byte of the answer. It is
 * touched by the thread that serves its connection only.
 */

#ifndef S3D_REQ_H
#define S3D_REQ_H

#include "body.h"
#include "error.h"
#include "server.h"

struct MHD_Connection;

#define REQ_HEADERS_MAX	  96
#define REQ_PARAMS_MAX	  32
#define REPLY_HEADERS_MAX 64
#define KEY_MAX		  1024

struct pair {
	const char *name, *value;
};

/* Of the TCP connection; several requests follow each other on it. */
struct conn {
	uint64_t id;
	uint64_t paced_ns; /* bandwidth: nothing moves before */
	bool counted;
};

struct reply {
	unsigned status;
	struct pair headers[REPLY_HEADERS_MAX];
	unsigned nheaders;
	struct buf body;
	/* instead of `body`: bytes of req->object */
	bool from_object;
	uint64_t off, len;
};

struct req {
	/* set at creation */
	struct server *srv;
	struct MHD_Connection *con;
	struct conn *conn;
	char *uri;  /* as it came */
	char *path; /* decoded, without the query */
	uint64_t id;

	/* set when the headers are there */
	const char *method;
	struct pair headers[REQ_HEADERS_MAX];
	unsigned nheaders;
	struct pair params[REQ_PARAMS_MAX]; /* decoded */
	unsigned nparams;
	char *raw_query; /* or NULL */
	enum op op;
	const char *bucket_name; /* or NULL */
	const char *key;	 /* or NULL */
	bool begun, waited, expects_continue;
	bool ran; /* reply_run() was called */
	struct fault fault;

	/* as far as it got */
	enum err err;
	const char *err_extra; /* XML elements */
	const char *err_message;
	bool drop; /* close instead of answering */
	struct bucket *bucket;
	struct object *object;
	int object_fd; /* file of the object, or -1 */
	struct body body;
	struct reply reply;
	char range_text[64];

	/* end of the answer */
	uint64_t log_seq, planned, sent_before;
	uint64_t reset_wait_ns; /* reset-body: how long to let sent bytes arrive */

	struct chunk *pool; /* memory that lives as long as the request */
};

struct req *req_new(struct server *srv, struct MHD_Connection *con, const char *uri);
void req_free(struct req *r);

/* Memory of the request; never NULL: a request that cannot have it ends the server. */
void *req_alloc(struct req *r, size_t n);
char *req_strdup(struct req *r, const char *s);
char *req_printf(struct req *r, const char *fmt, ...) printf_like(2, 3);

/* Take URI, headers and parameters apart; sets r->err. */
void req_parse(struct req *r, const char *method);
const char *req_header(const struct req *r, const char *name); /* NULL if absent */
const char *req_param(const struct req *r, const char *name);
/* A number from a parameter; `def` if absent; sets r->err if wrong. */
uint64_t req_param_u64(struct req *r, const char *name, uint64_t def);

/* The first error of a request stays. */
void req_fail(struct req *r, enum err e);
/* With an own message. */
void req_fail_because(struct req *r, enum err e, const char *message);
/* From -errno of the store. */
void req_fail_errno(struct req *r, int e);

/* Answer headers. The value must live as long as the request. */
void reply_header(struct req *r, const char *name, const char *value);
/* An XML answer begins: declaration and nothing else; returns the body. */
struct buf *reply_xml(struct req *r);
/* The ETag as it goes over the wire. */
const char *req_etag_text(struct req *r, const char *etag);
/* Strip quotes (and W/) off a condition's ETag. */
const char *req_etag_plain(struct req *r, const char *text);

#endif
