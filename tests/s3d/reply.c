/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Running an operation and sending the answer: see reply.h.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "http.h"
#include "ops.h"
#include "reply.h"
#include "req.h"
#include "stream.h"

static enum err err_by_code(const char *code)
{
	for (int e = ERR_NONE + 1; e < ERR_COUNT; e++)
		if (strcmp(err_info((enum err)e)->code, code) == 0)
			return (enum err)e;
	return ERR_NONE;
}

/* An unknown code is answered as InternalError under its own name. */
void reply_fault_status(struct req *r)
{
	const struct fault *f = &r->fault;
	enum err e = f->s3code[0] ? err_by_code(f->s3code) : ERR_SlowDown;

	r->err = e == ERR_NONE ? ERR_InternalError : e;
	r->err_message = NULL;
	r->err_extra = NULL;
}

static void error_subject(struct req *r, struct buf *x)
{
	if (r->err == ERR_NoSuchBucket || r->err == ERR_BucketNotEmpty)
		buf_elem(x, "BucketName", r->bucket_name ? r->bucket_name : "");
	else if (r->err == ERR_NoSuchUpload)
		buf_elem(x, "UploadId", req_param(r, "uploadId") ? req_param(r, "uploadId") : "");
	else if (r->key)
		buf_elem(x, "Key", r->key);
}

/* The error document of r->err, or of the fault's code. */
static void error_document(struct req *r)
{
	const struct err_info *info = err_info(r->err);
	const char *code = info->code;
	struct buf *x = reply_xml(r);

	r->reply.status = info->status;
	if (r->fault.kind == FAULT_STATUS || r->fault.kind == FAULT_STATUS200ERROR) {
		code = r->fault.s3code[0] ? r->fault.s3code : code;
		if (r->fault.code)
			r->reply.status = r->fault.code;
	}
	if (r->fault.kind == FAULT_STATUS200ERROR)
		r->reply.status = 200;
	buf_str(x, "<Error>");
	buf_elem(x, "Code", code);
	buf_elem(x, "Message", r->err_message ? r->err_message : info->message);
	error_subject(r, x);
	buf_elem(x, "Resource", r->path);
	buf_str(x, r->err_extra ? r->err_extra : "");
	buf_printf(x, "<RequestId>%016llX</RequestId><HostId>s3d</HostId></Error>",
		   (unsigned long long)mix64(r->id));
}

void reply_run(struct req *r)
{
	if (r->fault.kind == FAULT_STATUS200ERROR) {
		reply_fault_status(r);
		if (!r->fault.s3code[0])
			r->err = ERR_InternalError;
		return;
	}
	if (r->fault.kind == FAULT_INVALID_PART && r->op == OP_CompleteMultipartUpload)
		req_fail(r, ERR_InvalidPart);
	if (r->err != ERR_NONE)
		return;
	r->reply.status = 200;
	op_finish(r->op)(r);
}

static void add_json(struct req *r, struct buf *b, const char *name, const char *value)
{
	buf_printf(b, ",\"%s\":", name);
	buf_json(b, value);
}

/* What the log tells of the head. */
static char *log_fields(struct req *r)
{
	struct buf b = {0};

	add_json(r, &b, "bucket", r->bucket_name);
	add_json(r, &b, "key", r->key);
	add_json(r, &b, "query", r->raw_query);
	add_json(r, &b, "range", req_header(r, "range"));
	add_json(r, &b, "ua", req_header(r, "user-agent"));
	add_json(r, &b, "if_match", req_header(r, "if-match"));
	add_json(r, &b, "if_none_match", req_header(r, "if-none-match"));
	add_json(r, &b, "content_length", req_header(r, "content-length"));
	add_json(r, &b, "content_encoding", req_header(r, "content-encoding"));
	add_json(r, &b, "checksum",
		 r->body.sum.kind == CHECKSUM_NONE ? NULL : checksum_lower(r->body.sum.kind));
	add_json(r, &b, "payload", req_header(r, "x-amz-content-sha256"));
	buf_printf(&b, ",\"expect\":%s,\"https\":%s", r->expects_continue ? "true" : "false",
		   r->srv->opt.tls_cert ? "true" : "false");
	if (b.failed)
		buf_fini(&b);
	return b.data;
}

void reply_note(struct req *r, unsigned status, uint64_t bytes)
{
	struct log *l = &r->srv->log;

	if (r->op == OP_Admin)
		return;
	r->planned = bytes;
	if (r->log_seq) {
		log_correct(l, r->log_seq, status, bytes, r->body.wire);
		return;
	}
	struct log_entry e = {
		.op = r->op,
		.fields = log_fields(r),
		.status = status,
		.bytes_out = bytes,
		.bytes_in = r->body.wire,
		.conn = r->conn->id,
		.fault = r->fault.kind,
	};
	r->log_seq = log_add(l, &e);
}

void reply_cut(struct req *r)
{
	uint64_t sent;

	if (!r->log_seq || !r->planned)
		return;
	sent = http_bytes_sent(r) - r->sent_before;
	if (sent < r->planned)
		log_cut(&r->srv->log, r->log_seq, r->planned, sent);
}

static void change_header(struct req *r, const char *name, const char *value)
{
	for (unsigned i = 0; i < r->reply.nheaders; i++)
		if (strcasecmp(r->reply.headers[i].name, name) == 0)
			r->reply.headers[i].value = value;
}

static void spoil_headers(struct req *r)
{
	if (r->fault.kind == FAULT_WRONG_ETAG)
		change_header(r, "ETag", "\"ffffffffffffffffffffffffffffffff\"");
	else if (r->fault.kind == FAULT_BAD_CONTENT_RANGE && r->reply.status == 206)
		change_header(r, "Content-Range",
			      req_printf(r, "bytes %llu-%llu/%llu",
					 (unsigned long long)r->reply.off + 1,
					 (unsigned long long)(r->reply.off + r->reply.len),
					 (unsigned long long)r->object->size));
}

/* sendfile where the bytes lie in one piece, otherwise piece by piece. */
static struct MHD_Response *object_response(struct req *r)
{
	struct reply *p = &r->reply;
	struct extent e;
	int fd;

	if (p->len == 0 || strcmp(r->method, "HEAD") == 0 || stream_needed(r))
		return stream_response(r, p->len);
	if (object_map(r->object, &r->srv->store.arena, r->object_fd, p->off, p->len, &e) < 0)
		return NULL;
	if (e.len < p->len)
		return stream_response(r, p->len);
	fd = fcntl(e.fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? NULL : MHD_create_response_from_fd_at_offset64(p->len, fd, e.off);
}

static struct MHD_Response *make_response(struct req *r)
{
	struct reply *p = &r->reply;
	struct MHD_Response *resp;

	if (p->from_object)
		return object_response(r);
	p->len = p->body.len;
	if (p->len && stream_needed(r))
		return stream_response(r, p->len);
	resp = MHD_create_response_from_buffer(p->body.len, p->body.data, MHD_RESPMEM_MUST_FREE);
	if (resp)
		p->body = (struct buf){0}; /* it is the response's now */
	return resp;
}

static void add_headers(struct req *r, struct MHD_Response *resp)
{
	char id[20];

	(void)snprintf(id, sizeof(id), "%016llX", (unsigned long long)mix64(r->id));
	(void)MHD_add_response_header(resp, "Server", "s3d");
	(void)MHD_add_response_header(resp, "x-amz-request-id", id);
	(void)MHD_add_response_header(resp, "x-amz-id-2", "s3d");
	for (unsigned i = 0; i < r->reply.nheaders; i++)
		(void)MHD_add_response_header(resp, r->reply.headers[i].name,
					      r->reply.headers[i].value);
}

enum MHD_Result reply_send(struct req *r)
{
	bool head = strcmp(r->method, "HEAD") == 0;
	struct MHD_Response *resp;
	enum MHD_Result res;

	if (r->err != ERR_NONE) {
		error_document(r);
		if (head)
			buf_reset(&r->reply.body);
		r->reply.from_object = false;
	}
	spoil_headers(r);
	if (r->fault.kind == FAULT_AFTER_SUCCESS) {
		reply_note(r, 0, 0);
		http_reset_connection(r);
		return MHD_NO;
	}
	if (r->reply.body.failed)
		return MHD_NO;
	reply_note(r, r->reply.status,
		   head			  ? 0
		   : r->reply.from_object ? r->reply.len
					  : r->reply.body.len);
	r->sent_before = http_bytes_sent(r);
	resp = make_response(r);
	if (!resp)
		return MHD_NO;
	add_headers(r, resp);
	res = MHD_queue_response(r->con, r->reply.status, resp);
	MHD_destroy_response(resp);
	return res;
}
