/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/tls_server.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macro.h"

struct tls_server {
	/* set at creation */
	struct tls_server_config config;
	SSL_CTX *ctx;
	int fd, stop, port;
	char ca_path[64];
	pthread_t thread;
	/* atomic */
	atomic_uint handshakes, resumed, requests, tunnels;
	/* server thread only */
	bool was_cut;
};

#define must(x)                                                                        \
	do {                                                                           \
		if (!(x)) {                                                            \
			fprintf(stderr, "%s:%d: %s failed\n", __FILE__, __LINE__, #x); \
			abort();                                                       \
		}                                                                      \
	} while (0)

static X509 *make_cert(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key,
		       const char *san, bool expired)
{
	X509 *x = X509_new();
	X509_NAME *subject;
	X509V3_CTX v3;

	must(x && X509_set_version(x, X509_VERSION_3) == 1);
	must(ASN1_INTEGER_set(X509_get_serialNumber(x), issuer ? 2 : 1) == 1);
	must(X509_gmtime_adj(X509_getm_notBefore(x), -7200));
	must(X509_gmtime_adj(X509_getm_notAfter(x), expired ? -3600 : 86400));
	subject = X509_get_subject_name(x);
	must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name,
					-1, -1, 0) == 1);
	must(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : subject) == 1);
	must(X509_set_pubkey(x, key) == 1);
	X509V3_set_ctx(&v3, issuer ? issuer : x, x, NULL, NULL, 0);
	X509_EXTENSION *e =
		issuer ? X509V3_EXT_conf_nid(NULL, &v3, NID_subject_alt_name, san)
		       : X509V3_EXT_conf_nid(NULL, &v3, NID_basic_constraints, "critical,CA:TRUE");
	must(e && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
	must(X509_sign(x, issuer_key, EVP_sha256()) > 0);
	return x;
}

static void make_ctx(struct tls_server *s)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca = make_cert(ca_key, "test CA", NULL, ca_key, NULL, false);
	X509 *cert = make_cert(key, "server", ca, ca_key, s->config.name, s->config.expired);

	(void)snprintf(s->ca_path, sizeof(s->ca_path), "/tmp/tls_server.XXXXXX");
	int fd = mkstemp(s->ca_path);
	FILE *f = fdopen(fd, "w");
	must(f && PEM_write_X509(f, ca) == 1 && fclose(f) == 0);

	s->ctx = SSL_CTX_new(TLS_server_method());
	must(s->ctx && SSL_CTX_use_certificate(s->ctx, cert) == 1);
	must(SSL_CTX_use_PrivateKey(s->ctx, key) == 1);
	if (s->config.max_version) {
		SSL_CTX_set_security_level(s->ctx, 0);
		must(SSL_CTX_set_min_proto_version(s->ctx, 0) == 1);
		must(SSL_CTX_set_max_proto_version(s->ctx, s->config.max_version) == 1);
	}
	X509_free(ca);
	X509_free(cert);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
}

/* False when the server is to end. */
static bool readable(struct tls_server *s, int fd)
{
	struct pollfd p[2] = {{.fd = s->stop, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

	return poll(p, 2, 20000) > 0 && !p[0].revents;
}

/* A request head into `buf`, over TLS or (ssl NULL) plain. */
static bool read_head(struct tls_server *s, SSL *ssl, int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size - 1) {
		if (!(ssl && SSL_pending(ssl)) && !readable(s, fd))
			return false;
		int n = ssl ? SSL_read(ssl, buf + len, 1) : (int)recv(fd, buf + len, 1, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		buf[len] = '\0';
		if (len >= 4 && memcmp(buf + len - 4, "\r\n\r\n", 4) == 0)
			return true;
	}
	return false;
}

static bool write_all(SSL *ssl, const char *p, size_t len)
{
	while (len > 0) {
		int n = SSL_write(ssl, p, (int)min_u64(len, 1 << 20));
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool answer(struct tls_server *s, SSL *ssl, const char *request)
{
	const struct tls_server_config *c = &s->config;
	const char *range = strstr(request, "\r\nrange: bytes=");
	uint64_t first, last;
	char head[512];

	if (!range || sscanf(range + 15, "%" SCNu64 "-%" SCNu64, &first, &last) != 2 ||
	    last >= c->size || first > last)
		return false;
	size_t len = last - first + 1;
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 206 x\r\nETag: %s\r\nContent-Length: %zu\r\n"
			 "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%zu\r\n\r\n",
			 c->etag, len, first, last, c->size);
	if (!write_all(ssl, head, (size_t)n))
		return false;
	if (c->cut && !s->was_cut) {
		s->was_cut = true;
		(void)write_all(ssl, c->object + first, c->cut);
		return false;
	}
	return write_all(ssl, c->object + first, len);
}

static void serve(struct tls_server *s, int fd)
{
	char buf[8192];

	if (s->config.tunnel) {
		static const char ok[] = "HTTP/1.1 200 Connection established\r\n\r\n";
		if (!read_head(s, NULL, fd, buf, sizeof(buf)) || strncmp(buf, "CONNECT ", 8) != 0)
			return;
		s->tunnels++;
		if (send(fd, ok, sizeof(ok) - 1, MSG_NOSIGNAL) < 0)
			return;
	}
	SSL *ssl = SSL_new(s->ctx);
	must(ssl && SSL_set_fd(ssl, fd) == 1);
	if (readable(s, fd) && SSL_accept(ssl) == 1) {
		s->handshakes++;
		s->resumed += SSL_session_reused(ssl) == 1;
		for (unsigned i = 0; !s->config.requests || i < s->config.requests; i++) {
			if (!read_head(s, ssl, fd, buf, sizeof(buf)))
				break;
			s->requests++;
			if (!answer(s, ssl, buf))
				break;
		}
	}
	SSL_free(ssl); /* without a word: no close_notify */
}

static void *serve_all(void *arg)
{
	struct tls_server *s = arg;
	char sink[256];

	while (readable(s, s->fd)) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		if (s->config.mute)
			while (readable(s, fd) && recv(fd, sink, sizeof(sink), 0) > 0)
				;
		else
			serve(s, fd);
		(void)close(fd);
	}
	return NULL;
}

struct tls_server *tls_server_new(const struct tls_server_config *config)
{
	struct tls_server *s = calloc(1, sizeof(*s));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	must(s);
	s->config = *config;
	make_ctx(s);
	s->stop = eventfd(0, EFD_CLOEXEC);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(s->fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s->fd, 64) == 0);
	must(getsockname(s->fd, (struct sockaddr *)&a, &len) == 0);
	s->port = ntohs(a.sin_port);
	must(pthread_create(&s->thread, NULL, serve_all, s) == 0);
	return s;
}

void tls_server_free(struct tls_server *s)
{
	if (!s)
		return;
	(void)eventfd_write(s->stop, 1);
	(void)pthread_join(s->thread, NULL);
	(void)unlink(s->ca_path);
	SSL_CTX_free(s->ctx);
	(void)close(s->fd);
	(void)close(s->stop);
	free(s);
}

int tls_server_port(const struct tls_server *s)
{
	return s->port;
}

const char *tls_server_ca(const struct tls_server *s)
{
	return s->ca_path;
}

unsigned tls_server_handshakes(struct tls_server *s)
{
	return s->handshakes;
}

unsigned tls_server_resumed(struct tls_server *s)
{
	return s->resumed;
}

unsigned tls_server_requests(struct tls_server *s)
{
	return s->requests;
}

unsigned tls_server_tunnels(struct tls_server *s)
{
	return s->tunnels;
}
