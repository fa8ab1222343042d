/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One thread accepts, one per connection plays. All of them wait in poll(2) on
 * their socket and on `stop`, an eventfd that becomes readable for good.
 */
#include "lib/raw_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/macro.h"
#include "base/parse.h"

#define CONNECTIONS_MAX 64
#define REQUESTS_MAX	256
#define REQUEST_MAX	(64 * MIB)
#define WAIT_SECONDS	20

struct request {
	char *data;
	size_t len;
};

struct connection {
	struct raw_server *server;
	pthread_t thread;
	int fd;
	const struct raw_step *script;
	char *in; /* received, not taken yet */
	size_t len, cap;
};

struct raw_server {
	/* set at creation */
	const struct raw_step *const *scripts;
	unsigned nscripts;
	int fd, stop, port;
	pthread_t thread;

	struct lock lock;
	/* under lock */
	pthread_cond_t changed;
	struct request requests[REQUESTS_MAX];
	unsigned nrequests, nconnections, errors;

	/* accepting thread, then the one that frees */
	struct connection connections[CONNECTIONS_MAX];
};

static void error(struct raw_server *s, const char *what)
{
	WITH_LOCK(&s->lock);
	s->errors++;
	printf("# raw server: %s\n", what);
}

/* False: stopped, or `ms` (-1: none) have passed. */
static bool wait_for(struct raw_server *s, int fd, short events, int ms)
{
	struct pollfd p[2] = {{.fd = s->stop, .events = POLLIN}, {.fd = fd, .events = events}};
	int n;

	do {
		n = poll(p, 2, ms);
	} while (n < 0 && errno == EINTR);
	return n > 0 && !p[0].revents;
}

/* Receives some more; false at the end of the connection or of the server. */
static bool more(struct connection *c)
{
	ssize_t n;

	if (c->len == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 65536;
		assert(c->cap <= 2 * REQUEST_MAX);
		c->in = realloc(c->in, c->cap + 1);
		assert(c->in);
	}
	if (!wait_for(c->server, c->fd, POLLIN, -1))
		return false;
	n = recv(c->fd, c->in + c->len, c->cap - c->len, 0);
	if (n <= 0)
		return false;
	c->len += (size_t)n;
	return true;
}

static size_t content_length(const char *head)
{
	const char *p = strcasestr(head, "\r\ncontent-length:");
	uint64_t n = 0;

	if (!p)
		return 0;
	p += strlen("\r\ncontent-length:");
	p += strspn(p, " ");
	if (parse_u64n(p, strspn(p, "0123456789"), &n) < 0)
		return 0;
	return (size_t)n;
}

static void record(struct connection *c, size_t len)
{
	struct raw_server *s = c->server;
	char *copy = malloc(len + 1);

	assert(copy);
	memcpy(copy, c->in, len);
	copy[len] = '\0';
	WITH_LOCK(&s->lock);
	assert(s->nrequests < REQUESTS_MAX);
	s->requests[s->nrequests++] = (struct request){copy, len};
	(void)pthread_cond_broadcast(&s->changed);
}

static bool take_request(struct connection *c, const struct raw_step *step)
{
	char *end = NULL;
	size_t len;

	for (;;) {
		if (c->in)
			c->in[c->len] = '\0';
		end = c->in ? strstr(c->in, "\r\n\r\n") : NULL;
		if (end)
			break;
		if (!more(c))
			return false;
	}
	len = (size_t)(end - c->in) + 4;
	if (step->action == RAW_ACT_EXPECT)
		len += content_length(c->in);
	while (c->len < len) {
		if (!more(c))
			return false;
	}
	if (len < step->n || memcmp(c->in, step->data, step->n) != 0)
		error(c->server, "another request than the script wants");
	record(c, len);
	memmove(c->in, c->in + len, c->len - len);
	c->len -= len;
	return true;
}

static bool send_all(struct connection *c, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0 && !wait_for(c->server, c->fd, POLLOUT, -1))
			return false;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static bool fill(struct connection *c, size_t total)
{
	char block[251 * 64];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (char)(i % 251);
	for (size_t sent = 0; sent < total; sent += sizeof(block)) {
		if (!send_all(c, block, min_u64(sizeof(block), total - sent)))
			return false;
	}
	return true;
}

static void stall(struct connection *c)
{
	char sink[4096];

	while (wait_for(c->server, c->fd, POLLRDHUP, -1)) {
		if (recv(c->fd, sink, sizeof(sink), MSG_DONTWAIT) <= 0)
			return;
	}
}

static void reset(struct connection *c)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* False: the connection is over. */
static bool play(struct connection *c, const struct raw_step *step)
{
	switch (step->action) {
	case RAW_ACT_EXPECT:
	case RAW_ACT_HEAD:
		return take_request(c, step);
	case RAW_ACT_SEND:
		return send_all(c, step->data, step->n);
	case RAW_ACT_FILL:
		return fill(c, step->n);
	case RAW_ACT_DELAY:
		(void)wait_for(c->server, -1, 0, (int)step->n);
		return true;
	case RAW_ACT_STALL:
		stall(c);
		return false;
	case RAW_ACT_RESET:
		reset(c);
		return false;
	case RAW_ACT_END:
		break;
	}
	return false;
}

static void *play_script(void *arg)
{
	struct connection *c = arg;

	for (const struct raw_step *step = c->script; play(c, step); step++)
		;
	(void)close(c->fd);
	free(c->in);
	return NULL;
}

static void *accept_all(void *arg)
{
	static const struct raw_step refuse[] = {RAW_RESET};
	struct raw_server *s = arg;

	while (wait_for(s, s->fd, POLLIN, -1)) {
		struct connection *c = &s->connections[s->nconnections];
		const int one = 1;
		int r;

		c->server = s;
		c->fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		if (c->fd < 0)
			continue;
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->script = refuse;
		if (s->nconnections < s->nscripts)
			c->script = s->scripts[s->nconnections];
		else
			error(s, "a connection without a script");
		{
			WITH_LOCK(&s->lock);
			s->nconnections++;
			assert(s->nconnections < CONNECTIONS_MAX);
		}
		r = pthread_create(&c->thread, NULL, play_script, c);
		assert(r == 0);
	}
	return NULL;
}

struct raw_server *raw_server_new(const struct raw_step *const *scripts)
{
	struct raw_server *s = calloc(1, sizeof(*s));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int r;

	assert(s);
	s->scripts = scripts;
	while (scripts[s->nscripts])
		s->nscripts++;
	lock_init(&s->lock, RANK_LOG);
	(void)pthread_cond_init(&s->changed, NULL);
	s->stop = eventfd(0, EFD_CLOEXEC);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = bind(s->fd, (struct sockaddr *)&a, sizeof(a));
	assert(s->stop >= 0 && r == 0);
	r = listen(s->fd, 128);
	assert(r == 0);
	r = getsockname(s->fd, (struct sockaddr *)&a, &len);
	assert(r == 0);
	s->port = ntohs(a.sin_port);
	r = pthread_create(&s->thread, NULL, accept_all, s);
	assert(r == 0);
	return s;
}

void raw_server_free(struct raw_server *s)
{
	if (!s)
		return;
	(void)eventfd_write(s->stop, 1);
	(void)pthread_join(s->thread, NULL);
	for (unsigned i = 0; i < s->nconnections; i++)
		(void)pthread_join(s->connections[i].thread, NULL);
	for (unsigned i = 0; i < s->nrequests; i++)
		free(s->requests[i].data);
	(void)close(s->fd);
	(void)close(s->stop);
	(void)pthread_cond_destroy(&s->changed);
	lock_fini(&s->lock);
	free(s);
}

int raw_server_port(const struct raw_server *s)
{
	return s->port;
}

const char *raw_server_request(struct raw_server *s, unsigned index)
{
	WITH_LOCK(&s->lock);
	return index < s->nrequests ? s->requests[index].data : NULL;
}

size_t raw_server_request_len(struct raw_server *s, unsigned index)
{
	WITH_LOCK(&s->lock);
	return index < s->nrequests ? s->requests[index].len : 0;
}

bool raw_server_wait_requests(struct raw_server *s, unsigned count)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += WAIT_SECONDS;
	WITH_LOCK(&s->lock);
	while (s->nrequests < count) {
		if (pthread_cond_timedwait(&s->changed, &s->lock.mutex, &ts) == ETIMEDOUT)
			return false;
	}
	return true;
}

unsigned raw_server_connections(struct raw_server *s)
{
	WITH_LOCK(&s->lock);
	return s->nconnections;
}

unsigned raw_server_errors(struct raw_server *s)
{
	WITH_LOCK(&s->lock);
	return s->errors;
}
