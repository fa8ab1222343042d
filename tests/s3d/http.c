/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The HTTP side: a pool of libmicrohttpd threads, each with its own epoll.
 * A request is served by the thread that has its connection, from head to
 * answer; what has to wait is parked (timers.h) and comes back here.
 *
 *   head        route, signature, faults, place for the body
 *   body        pieces as they arrive
 *   end         wait if asked to, run the operation, answer
 *   completed   free; correct the log if the answer was cut
 */

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "http.h"
#include "reply.h"
#include "req.h"
#include "sigv4.h"

#define CONNECTION_MEMORY (128u << 10)
#define CONNECTIONS_MAX	  8192u
#define IDLE_SECONDS	  600u
#define BUCKET_OWNER	  "123456789012"
#define PACE_STEP_NS	  2000000u
#define STALL_MAX_NS	  ((uint64_t)3600 * 1000000000u)

static int socket_of(const struct req *r)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(r->con, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

void http_reset_connection(struct req *r)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	/* Dissolving the association of a TCP socket sends the RST at once. */
	(void)connect(socket_of(r), &none, sizeof(none));
}

/* libmicrohttpd itself may close only at the connection's next event. */
void http_close_connection(struct req *r)
{
	(void)shutdown(socket_of(r), SHUT_RDWR);
}

uint64_t http_bytes_sent(struct req *r)
{
	struct tcp_info ti;
	socklen_t len = sizeof(ti);

	memset(&ti, 0, sizeof(ti));
	if (getsockopt(socket_of(r), IPPROTO_TCP, TCP_INFO, &ti, &len) < 0)
		return 0;
	return ti.tcpi_bytes_sent - ti.tcpi_bytes_retrans + ti.tcpi_notsent_bytes;
}

bool http_all_delivered(struct req *r)
{
	int pending = 0;

	return ioctl(socket_of(r), SIOCOUTQ, &pending) < 0 || pending == 0;
}

bool http_park(struct req *r, uint64_t deadline_ns, bool stalled)
{
	return timers_park(&r->srv->timers, r->con, deadline_ns, stalled);
}

uint64_t http_bandwidth(const struct req *r)
{
	if (r->op == OP_Admin)
		return 0;
	return r->fault.bandwidth ? r->fault.bandwidth : atomic_load(&r->srv->bandwidth);
}

size_t http_pace(struct req *r, size_t want)
{
	uint64_t rate = http_bandwidth(r), now, n;

	if (!rate)
		return want;
	now = clock_mono_ns();
	if (r->conn->paced_ns > now)
		return http_park(r, r->conn->paced_ns, false) ? 0 : want;
	/* About 5 ms worth; a late timer is made good within 20 ms. */
	n = MIN(want, MAX(rate / 200, 1024));
	r->conn->paced_ns =
		MAX(r->conn->paced_ns, now - MIN(now, 20000000u)) + n * 1000000000u / rate;
	return n;
}

static void check_owner(struct req *r)
{
	const char *owner = req_header(r, "x-amz-expected-bucket-owner");

	if (owner && strcmp(owner, BUCKET_OWNER) != 0)
		req_fail(r, ERR_AccessDenied);
}

/* Head: everything that can be decided before the body. */
static void begin(struct req *r, const char *method)
{
	struct server *s = r->srv;
	const char *expect;
	op_fn fn;

	req_parse(r, method);
	route(r);
	expect = req_header(r, "expect");
	r->expects_continue = expect && strcasecmp(expect, "100-continue") == 0;
	if (r->op != OP_Admin) {
		if (!r->conn->counted)
			atomic_fetch_add(&s->log.connections, 1);
		r->conn->counted = true;
		sigv4_check(r);
		check_owner(r);
		faults_match(&s->faults, r->op, r->key, &r->fault);
		if (server_quirk(s, QUIRK_NO_CONTENT_LENGTH_0) && req_header(r, "content-length") &&
		    strcmp(r->method, "PUT") != 0 && strcmp(r->method, "POST") != 0)
			req_fail_because(r, ERR_InvalidRequest, "Content-Length is not allowed");
	}
	body_begin(r);
	if (r->bucket_name && r->op != OP_CreateBucket && r->err == ERR_NONE) {
		r->bucket = store_bucket(&s->store, r->bucket_name);
		if (!r->bucket)
			req_fail(r, ERR_NoSuchBucket);
	}
	if (r->fault.kind == FAULT_STATUS)
		reply_fault_status(r);
	fn = op_begin(r->op);
	if (fn && r->err == ERR_NONE)
		fn(r);
}

/* Faults of an upload in the middle of its body; false: close. */
static bool upload_fault(struct req *r, size_t *size)
{
	struct fault *f = &r->fault;
	uint64_t at = r->body.wire;

	if (op_body(r->op) != BODY_DATA || at + *size <= f->arg)
		return true;
	if (f->kind == FAULT_RESET_BODY) {
		reply_note(r, 0, 0);
		http_reset_connection(r);
		return false;
	}
	if (f->kind == FAULT_STALL_BODY) {
		f->kind = FAULT_NONE;
		reply_note(r, 0, 0);
		return http_park(r, clock_mono_ns() + STALL_MAX_NS, true);
	}
	return true;
}

/*
 * A piece is always taken whole and paid for afterwards: libmicrohttpd 0.9.75
 * does not come back for what was left unless more arrives.
 */
static void pace_upload(struct req *r, size_t n)
{
	uint64_t rate = http_bandwidth(r), now = clock_mono_ns();

	if (!rate)
		return;
	r->conn->paced_ns = MAX(r->conn->paced_ns, now) + n * 1000000000u / rate;
	if (r->conn->paced_ns > now + PACE_STEP_NS)
		(void)http_park(r, r->conn->paced_ns, false);
}

static enum MHD_Result on_body(struct req *r, const char *data, size_t *size)
{
	bool stalls = r->fault.kind == FAULT_STALL_BODY;

	if (!upload_fault(r, size))
		return MHD_NO;
	if (stalls && r->fault.kind == FAULT_NONE)
		return MHD_YES; /* parked */
	body_add(r, data, *size);
	pace_upload(r, *size);
	*size = 0;
	return MHD_YES;
}

/* The waiting time before the answer, 0 for none. */
static uint64_t wait_ns(struct req *r, bool *ret_stalled)
{
	uint64_t ms = r->fault.delay_ms;

	if (r->op == OP_Admin)
		return 0;
	ms += atomic_load_explicit(&r->srv->ttfb_ms, memory_order_relaxed);
	*ret_stalled = r->fault.kind == FAULT_STALL;
	if (*ret_stalled && !r->fault.arg)
		return STALL_MAX_NS;
	if (*ret_stalled)
		ms += r->fault.arg;
	return ms * 1000000u;
}

static enum MHD_Result on_end(struct req *r)
{
	if (!r->waited) {
		bool stalled = false;
		uint64_t ns = wait_ns(r, &stalled);

		r->waited = true;
		body_end(r);
		if (stalled)
			reply_note(r, 0, 0);
		if (ns)
			return http_park(r, clock_mono_ns() + ns, stalled) ? MHD_YES : MHD_NO;
	}
	if (r->fault.kind == FAULT_RESET) {
		reply_note(r, 0, 0);
		http_reset_connection(r);
		return MHD_NO;
	}
	if (!r->ran) {
		r->ran = true;
		reply_run(r);
		if (r->fault.kind == FAULT_AFTER_SUCCESS && r->fault.arg)
			return http_park(r, clock_mono_ns() + r->fault.arg * 1000000u, true)
				       ? MHD_YES
				       : MHD_NO;
	}
	return reply_send(r);
}

/*
 * Before the body: because the client waits for our word, or because the fault
 * says so. Otherwise a body is read and dropped, so that the error arrives.
 */
static bool answers_early(const struct req *r)
{
	if (r->err == ERR_NONE || r->fault.kind == FAULT_RESET || r->op == OP_Admin)
		return false;
	return r->expects_continue || (r->fault.kind == FAULT_STATUS && r->fault.arg);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *con, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **ctx)
{
	struct req *r = *ctx;

	if (!r)
		return MHD_NO;
	if (!r->begun) {
		r->begun = true;
		begin(r, method);
		return answers_early(r) ? reply_send(r) : MHD_YES;
	}
	if (*size)
		return on_body(r, data, size);
	return on_end(r);
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *con)
{
	return req_new(cls, con, uri);
}

static void on_completed(void *cls, struct MHD_Connection *con, void **ctx,
			 enum MHD_RequestTerminationCode how)
{
	struct req *r = *ctx;

	if (r && how != MHD_REQUEST_TERMINATED_COMPLETED_OK)
		reply_cut(r);
	req_free(r);
	*ctx = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *con, void **socket_context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct server *s = cls;
	struct conn *c;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		free(*socket_context);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c)
		c->id = atomic_fetch_add(&s->next_conn, 1) + 1;
	*socket_context = c;
}

/* The path is decoded by req_parse(), which needs it as it came. */
static size_t keep_escapes(void *cls, struct MHD_Connection *con, char *s)
{
	return strlen(s);
}

static int listen_on(struct server *s, int *ret_fd)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE,
				 .ai_socktype = SOCK_STREAM};
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct addrinfo *ai;
	char port[8];
	int fd, one = 1;

	(void)snprintf(port, sizeof(port), "%u", s->opt.listen_port);
	if (getaddrinfo(s->opt.listen_host, port, &hints, &ai) != 0)
		return -EINVAL;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
		int r = -errno;

		freeaddrinfo(ai);
		if (fd >= 0)
			close(fd);
		return r;
	}
	freeaddrinfo(ai);
	s->port = ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
						   : ((struct sockaddr_in *)&addr)->sin_port);
	*ret_fd = fd;
	return 0;
}

static int read_text(const char *path, char **ret)
{
	_cleanup_(freep) char *text = NULL;
	FILE *f = path ? fopen(path, "re") : NULL;
	size_t n;

	*ret = NULL;
	if (!path)
		return 0;
	if (!f)
		return -errno;
	text = calloc(1, 65536);
	n = text ? fread(text, 1, 65535, f) : 0;
	fclose(f);
	if (!n)
		return -EIO;
	*ret = take_ptr(&text);
	return 0;
}

int http_start(struct server *s)
{
	_cleanup_(freep) char *cert = NULL, *key = NULL;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO;
	int fd = -1, r;

	r = read_text(s->opt.tls_cert, &cert);
	if (r >= 0)
		r = read_text(s->opt.tls_key, &key);
	if (r >= 0)
		r = listen_on(s, &fd);
	if (r < 0)
		return r;
	struct MHD_OptionItem tls[] = {
		{cert ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, cert},
		{cert ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, 0, key},
		{MHD_OPTION_END, 0, NULL},
	};
	if (cert)
		flags |= MHD_USE_TLS;
	s->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_THREAD_POOL_SIZE, s->opt.threads > 1 ? s->opt.threads : 0u,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)16384, MHD_OPTION_CONNECTION_LIMIT,
		CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, s, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_ARRAY, tls,
		MHD_OPTION_END);
	if (!s->daemon) {
		close(fd);
		return -EIO;
	}
	return 0;
}

void http_stop(struct server *s)
{
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
}
