/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One request: its memory, and taking its head apart. See req.h.
 */

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "req.h"

#define CHUNK_SIZE 4096u

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

void *req_alloc(struct req *r, size_t n)
{
	struct chunk *c = r->pool;

	n = (n + 15) & ~(size_t)15;
	if (!c || c->size - c->used < n) {
		size_t size = MAX(n, CHUNK_SIZE);

		c = malloc(sizeof(*c) + size);
		if (!c) {
			fputs("s3d: out of memory\n", stderr);
			abort();
		}
		*c = (struct chunk){.next = r->pool, .size = size};
		r->pool = c;
	}
	c->used += n;
	return c->data + c->used - n;
}

char *req_strdup(struct req *r, const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(req_alloc(r, n), s, n);
}

char *req_printf(struct req *r, const char *fmt, ...)
{
	va_list ap, again;
	char *s;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	n = n < 0 ? 0 : n;
	s = req_alloc(r, (size_t)n + 1);
	(void)vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	return s;
}

struct req *req_new(struct server *srv, struct MHD_Connection *con, const char *uri)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(con, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct req *r = calloc(1, sizeof(*r));

	if (!r || !info || !info->socket_context) {
		free(r);
		return NULL;
	}
	r->srv = srv;
	r->con = con;
	r->conn = info->socket_context;
	r->id = atomic_fetch_add(&srv->next_request, 1);
	r->uri = req_strdup(r, uri);
	r->object_fd = -1;
	r->op = OP_Unknown;
	return r;
}

void req_free(struct req *r)
{
	if (!r)
		return;
	body_fini(&r->body);
	buf_fini(&r->reply.body);
	object_unref(r->object);
	bucket_unref(r->bucket);
	if (r->object_fd >= 0)
		close(r->object_fd);
	while (r->pool) {
		struct chunk *c = r->pool;

		r->pool = c->next;
		free(c);
	}
	free(r);
}

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name,
				 const char *value)
{
	struct req *r = arg;

	if (r->nheaders == REQ_HEADERS_MAX) {
		req_fail(r, ERR_InvalidRequest);
		return MHD_NO;
	}
	r->headers[r->nheaders++] = (struct pair){name, value ? value : ""};
	return MHD_YES;
}

static void parse_params(struct req *r)
{
	char *s, *next;

	for (s = req_strdup(r, r->raw_query); s; s = next) {
		char *eq;

		next = strchr(s, '&');
		if (next)
			*next++ = '\0';
		if (!*s)
			continue;
		eq = strchr(s, '=');
		if (eq)
			*eq++ = '\0';
		if (r->nparams == REQ_PARAMS_MAX || text_uri_decode(s, true) < 0 ||
		    (eq && text_uri_decode(eq, true) < 0)) {
			req_fail(r, ERR_InvalidURI);
			return;
		}
		r->params[r->nparams++] = (struct pair){s, eq ? eq : ""};
	}
}

void req_parse(struct req *r, const char *method)
{
	char *path = req_strdup(r, r->uri), *query;

	r->method = req_strdup(r, method);
	(void)MHD_get_connection_values(r->con, MHD_HEADER_KIND, on_header, r);

	/* A proxy's form of the request line carries the whole URL. */
	if (strncmp(path, "http://", 7) == 0 || strncmp(path, "https://", 8) == 0) {
		path = strchr(strstr(path, "//") + 2, '/');
		if (!path)
			path = req_strdup(r, "/");
	}
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	r->path = path;
	if (path[0] != '/' || text_uri_decode(path, false) < 0) {
		r->path = req_strdup(r, "/");
		req_fail(r, ERR_InvalidURI);
	}
	r->raw_query = query;
	if (query)
		parse_params(r);
}

const char *req_header(const struct req *r, const char *name)
{
	for (unsigned i = 0; i < r->nheaders; i++)
		if (strcasecmp(r->headers[i].name, name) == 0)
			return r->headers[i].value;
	return NULL;
}

const char *req_param(const struct req *r, const char *name)
{
	for (unsigned i = 0; i < r->nparams; i++)
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	return NULL;
}

uint64_t req_param_u64(struct req *r, const char *name, uint64_t def)
{
	const char *text = req_param(r, name);
	uint64_t v;

	if (!text || !*text)
		return def;
	if (text_u64(text, &v) < 0 || v > INT64_MAX) {
		req_fail_because(r, ERR_InvalidArgument,
				 req_printf(r, "%s is not a valid number", name));
		return def;
	}
	return v;
}

void req_fail(struct req *r, enum err e)
{
	if (r->err == ERR_NONE)
		r->err = e;
}

void req_fail_because(struct req *r, enum err e, const char *message)
{
	if (r->err != ERR_NONE)
		return;
	r->err = e;
	r->err_message = message;
}

void req_fail_errno(struct req *r, int e)
{
	switch (-e) {
	case ENOENT:
		req_fail(r, ERR_NoSuchKey);
		break;
	case ECANCELED:
		req_fail(r, ERR_PreconditionFailed);
		break;
	default:
		req_fail_because(r, ERR_InternalError, req_printf(r, "errno %d", -e));
		break;
	}
}

void reply_header(struct req *r, const char *name, const char *value)
{
	if (r->reply.nheaders < REPLY_HEADERS_MAX)
		r->reply.headers[r->reply.nheaders++] = (struct pair){name, value};
}

struct buf *reply_xml(struct req *r)
{
	buf_reset(&r->reply.body);
	buf_str(&r->reply.body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	reply_header(r, "Content-Type", "application/xml");
	return &r->reply.body;
}

const char *req_etag_text(struct req *r, const char *etag)
{
	if (server_quirk(r->srv, QUIRK_ETAG_NO_QUOTES))
		return req_strdup(r, etag);
	return req_printf(r, "\"%s\"", etag);
}

const char *req_etag_plain(struct req *r, const char *text)
{
	size_t n;

	if (strncmp(text, "W/", 2) == 0)
		text += 2;
	n = strlen(text);
	if (n >= 2 && text[0] == '"' && text[n - 1] == '"')
		return req_printf(r, "%.*s", (int)(n - 2), text + 1);
	return text;
}
