/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One HTTP exchange. The easy handle is reset for every call, so nothing of one
 * request can be seen in another; connections and the DNS cache live in the
 * multi handle and stay.
 *
 * A call may be cancelled inside its own callbacks or those of another: `call`
 * is NULL from then on and every callback refuses. The caller's strings are
 * read by curl only after on_connected, so it is safe to free them then.
 *
 * Clocks: connecting is curl's. From there a look every quarter of the limit
 * compares curl's byte counts with those of the look before; per byte nothing
 * is done. SENDING and RECEIVING are held to the stall limit, WAITING to that
 * of the first byte, all of it to the deadline.
 */
#include "loop/net_transfer.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

/* CPU-s/GB on loopback: receive 0.14-0.18 from 16 KiB to 512 KiB (curl hands out
 * 16 KiB at most); send 0.25 at 64 KiB, 0.20 at 256 KiB, 0.23-0.25 from 1 MiB. */
#define RECV_BUFFER    (64L * 1024)
#define SEND_BUFFER    (256L * 1024)
#define HEAD_MAX_BYTES (256 * KIB) /* all lines of one response, also interim ones */
#define TICK_MIN       NSEC_PER_MSEC

struct net_transfer *net_transfer_new(struct net *n)
{
	struct net_transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->net = n;
	t->easy = curl_easy_init();
	if (!t->easy) {
		free(t);
		return NULL;
	}
	t->result = NET_TRANSFER_RUNNING;
	list_init(&t->node);
	return t;
}

void net_transfer_free(struct net_transfer *t)
{
	if (!t)
		return;
	curl_easy_cleanup(t->easy);
	free(t->headers);
	free(t);
}

void net_transfer_reset(struct net_transfer *t)
{
	curl_easy_reset(t->easy);
	t->call = NULL;
	t->result = NET_TRANSFER_RUNNING;
	t->body_iov = t->body_off = 0;
	t->body_size = 0;
	t->connected = t->interim = t->head_done = false;
	t->head_bytes = 0;
	t->failure = 0;
	t->phase = NET_CONNECTING;
	t->moved = t->last = 0;
	t->detail[0] = '\0';
}

/*
 * Called when a connection is there, before the request is put together; again
 * when a kept connection died and curl wants to repeat the request on a new one.
 * What changes something may have had its effect by then: the caller must know.
 */
static int on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct net_transfer *t = arg;
	uint64_t next;
	int r;

	if (!t->call)
		return CURL_PREREQFUNC_ABORT;
	if (t->connected && t->call->method[0] == 'P') {
		t->failure = -ECONNRESET;
		return CURL_PREREQFUNC_ABORT;
	}
	t->connected = true;
	r = net_transfer_check(t, clock_now(), &next);
	if (r == 0 && next != NO_DEADLINE)
		r = loop_timer_set(loop_current(), &t->timer, next);
	if (r == 0)
		return CURL_PREREQFUNC_OK;
	t->failure = r;
	return CURL_PREREQFUNC_ABORT;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void give_header(struct net_call *c, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	const char *value, *end = line + len;

	if (!colon || colon == line || is_space(*line) || !c->on_header)
		return;
	value = colon + 1;
	while (value < end && is_space(*value))
		value++;
	while (end > value && is_space(end[-1]))
		end--;
	c->on_header(c, line, (size_t)(colon - line), value, (size_t)(end - value));
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct net_transfer *t = arg;
	size_t len = size * count;
	bool blank = len > 0 && (line[0] == '\r' || line[0] == '\n');

	t->head_bytes += len;
	if (!t->call)
		return 0;
	if (t->head_bytes > HEAD_MAX_BYTES) {
		t->failure = -EPROTO;
		return 0;
	}
	if (t->head_done)
		return len;
	if (len >= 10 && strncmp(line, "HTTP/", 5) == 0) {
		const char *space = memchr(line, ' ', len);

		t->interim = space && space[1] == '1';
	} else if (blank) {
		t->head_done = !t->interim;
	} else if (!t->interim) {
		give_header(t->call, line, len);
	}
	return t->call ? len : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct net_transfer *t = arg;
	size_t len = size * count;
	int r;

	if (!t->call)
		return 0;
	if (!t->call->on_body)
		return len;
	r = t->call->on_body(t->call, data, len);
	if (!t->call)
		return 0;
	if (r < 0) {
		t->failure = r;
		return 0;
	}
	return len;
}

static size_t on_read(char *buf, size_t size, size_t count, void *arg)
{
	struct net_transfer *t = arg;
	size_t room = size * count, done = 0;

	if (!t->call)
		return CURL_READFUNC_ABORT;
	while (done < room && t->body_iov < t->call->nbody) {
		const struct iovec *v = &t->call->body[t->body_iov];
		size_t n = min_u64(room - done, v->iov_len - t->body_off);

		if (n)
			memcpy(buf + done, (char *)v->iov_base + t->body_off, n);
		done += n;
		t->body_off += n;
		if (t->body_off == v->iov_len) {
			t->body_iov++;
			t->body_off = 0;
		}
	}
	return done;
}

/* curl goes back to the start when a kept connection turns out to be closed. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct net_transfer *t = arg;

	if (!t->call || origin != SEEK_SET || offset != 0)
		return CURL_SEEKFUNC_FAIL;
	t->body_iov = t->body_off = 0;
	return CURL_SEEKFUNC_OK;
}

#define set(t, option, value)                                                         \
	do {                                                                          \
		if (curl_easy_setopt((t)->easy, CURLOPT_##option, value) != CURLE_OK) \
			return -ENOMEM;                                               \
	} while (0)

static int set_common(struct net_transfer *t, const char *ca_bundle, const char *user_agent)
{
	set(t, PRIVATE, t);
	set(t, ERRORBUFFER, t->detail);
	set(t, NOSIGNAL, 1L);
	set(t, QUICK_EXIT, 1L); /* never wait for a resolver thread */
	set(t, PROTOCOLS_STR, "http,https");
	set(t, HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	set(t, SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	set(t, PATH_AS_IS, 1L);
	set(t, SUPPRESS_CONNECT_HEADERS, 1L);
	set(t, DNS_SHUFFLE_ADDRESSES, 1L);
	set(t, TCP_KEEPALIVE, 1L);
	set(t, BUFFERSIZE, RECV_BUFFER);
	set(t, HEADERFUNCTION, on_header);
	set(t, HEADERDATA, t);
	set(t, WRITEFUNCTION, on_body);
	set(t, WRITEDATA, t);
	set(t, PREREQFUNCTION, on_connected);
	set(t, PREREQDATA, t);
	if (ca_bundle) {
		set(t, CAINFO, ca_bundle);
		set(t, CAPATH, NULL);
	}
	if (user_agent)
		set(t, USERAGENT, user_agent);
	return 0;
}

static int set_body(struct net_transfer *t)
{
	const struct net_call *c = t->call;

	for (unsigned i = 0; i < c->nbody; i++)
		t->body_size += c->body[i].iov_len;
	set(t, UPLOAD, 1L);
	set(t, UPLOAD_BUFFERSIZE, SEND_BUFFER);
	set(t, INFILESIZE_LARGE, (curl_off_t)t->body_size);
	set(t, READFUNCTION, on_read);
	set(t, READDATA, t);
	set(t, SEEKFUNCTION, on_seek);
	set(t, SEEKDATA, t);
	return 0;
}

static int set_method(struct net_transfer *t)
{
	const char *m = t->call->method;

	if (strcmp(m, "PUT") == 0)
		return set_body(t);
	if (strcmp(m, "POST") == 0) {
		set(t, CUSTOMREQUEST, m);
		return set_body(t);
	}
	if (t->call->nbody)
		return -EINVAL;
	if (strcmp(m, "GET") == 0)
		return 0;
	if (strcmp(m, "HEAD") == 0)
		set(t, NOBODY, 1L);
	else if (strcmp(m, "DELETE") == 0)
		set(t, CUSTOMREQUEST, m);
	else
		return -EINVAL;
	return 0;
}

/* curl drops a header that has no value, and a line break would be a second one. */
static bool header_ok(const char *h)
{
	const char *colon = strchr(h, ':');

	return colon && colon != h && colon[strspn(colon + 1, " \t") + 1] && !strpbrk(h, "\r\n");
}

static int set_headers(struct net_transfer *t)
{
	static char no_accept[] = "Accept:", no_expect[] = "Expect:";
	const char *const *h = t->call->headers;
	size_t n = 0, i;

	while (h && h[n]) {
		if (!header_ok(h[n++]))
			return -EINVAL;
	}
	if (n + 2 > t->headers_cap) {
		struct curl_slist *p = reallocarray(t->headers, n + 2, sizeof(*p));

		if (!p)
			return -ENOMEM;
		t->headers = p;
		t->headers_cap = n + 2;
	}
	for (i = 0; i < n; i++)
		t->headers[i].data = (char *)(uintptr_t)h[i];
	t->headers[i++].data = no_accept;
	t->headers[i++].data = no_expect;
	while (i-- > 0)
		t->headers[i].next = i == n + 1 ? NULL : &t->headers[i + 1];
	set(t, HTTPHEADER, t->headers);
	return 0;
}

static bool url_ok(const char *url)
{
	return (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0) &&
	       !strpbrk(url, "\r\n ");
}

int net_transfer_prepare(struct net_transfer *t, struct net_call *c, const char *ca_bundle,
			 const char *user_agent)
{
	int r;

	if (!url_ok(c->url))
		return -EINVAL;
	t->call = c;
	t->last = clock_now();
	r = set_common(t, ca_bundle, user_agent);
	if (r == 0)
		r = set_method(t);
	if (r == 0)
		r = set_headers(t);
	if (r < 0)
		return r;
	set(t, URL, c->url);
	if (c->connect_timeout_ms)
		set(t, CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms);
	return 0;
}

static uint64_t count_of(const struct net_transfer *t, CURLINFO info)
{
	curl_off_t n = 0;

	(void)curl_easy_getinfo(t->easy, info, &n);
	return (uint64_t)n;
}

static enum net_phase phase_of(const struct net_transfer *t, uint64_t sent)
{
	if (!t->connected)
		return NET_CONNECTING;
	if (t->head_bytes)
		return NET_RECEIVING;
	return sent < t->body_size ? NET_SENDING : NET_WAITING;
}

static int timed_out(struct net_transfer *t, const char *what, uint64_t limit_ns)
{
	(void)snprintf(t->detail, sizeof(t->detail), "%s for %llu ms", what,
		       (unsigned long long)(limit_ns / NSEC_PER_MSEC));
	return -ETIMEDOUT;
}

int net_transfer_check(struct net_transfer *t, uint64_t now, uint64_t *ret_next)
{
	const struct net_call *c = t->call;
	uint64_t sent = count_of(t, CURLINFO_SIZE_UPLOAD_T);
	uint64_t moved = sent + count_of(t, CURLINFO_SIZE_DOWNLOAD_T) + t->head_bytes;
	enum net_phase phase = phase_of(t, sent);
	uint64_t stall = c->stall_timeout_ms * NSEC_PER_MSEC;
	uint64_t first = c->first_byte_timeout_ms * NSEC_PER_MSEC;
	uint64_t limit = phase == NET_WAITING ? first : phase == NET_CONNECTING ? 0 : stall;
	uint64_t tick;

	if (now >= c->deadline) {
		(void)snprintf(t->detail, sizeof(t->detail), "past the deadline");
		return -ETIMEDOUT;
	}
	if (moved != t->moved || phase != t->phase) {
		t->moved = moved;
		t->phase = phase;
		t->last = now;
	}
	if (limit && now - t->last >= limit)
		return timed_out(t, phase == NET_WAITING ? "no response head" : "no byte moved",
				 limit);
	*ret_next = c->deadline;
	if (phase == NET_CONNECTING || (!stall && !first))
		return 0;
	/* the next phase may begin any time, with the shorter of both limits */
	tick = stall && first ? min_u64(stall, first) : stall + first;
	tick = now + max_u64(tick / 4, TICK_MIN);
	if (limit)
		tick = min_u64(tick, max_u64(t->last + limit, now + TICK_MIN));
	*ret_next = min_u64(*ret_next, tick);
	return 0;
}

int net_transfer_status(const struct net_transfer *t)
{
	long status = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

static int connect_error(int os_error)
{
	switch (os_error) {
	case ETIMEDOUT:
		return -ETIMEDOUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
		return -EHOSTUNREACH;
	default:
		return -ECONNREFUSED;
	}
}

int net_transfer_error(const struct net_transfer *t)
{
	long os_error = 0;

	if (t->failure)
		return t->failure;
	(void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_error);
	switch ((int)t->result) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return connect_error((int)os_error);
	case CURLE_SSL_CONNECT_ERROR:
		return os_error == ECONNRESET ? -ECONNRESET : -EPROTO;
	case CURLE_RECV_ERROR: /* also what curl says of a broken chunk */
		return os_error ? -ECONNRESET : -EPROTO;
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND:
		return -ECONNRESET;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return -EKEYREJECTED;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EPROTO;
	}
}
