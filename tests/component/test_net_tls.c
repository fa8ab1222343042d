/* SPDX-License-Identifier: Apache-2.0 */

/*
 * HTTP calls over TLS: only a certificate that the configured bundle vouches for
 * is accepted. The server is one thread with a certificate made on the spot for
 * 127.0.0.1; it answers one request per connection. Runs once per backend.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macro.h"
#include "lib/exchange.h"

static struct tls {
	EVP_PKEY *key;
	X509 *cert;
	char bundle[64]; /* the certificate as a PEM file */
	int fd, port;
	int max_version; /* of the protocol */
	pthread_t thread;
} tls;

static void make_certificate(void)
{
	X509V3_CTX ctx;
	X509_EXTENSION *san;
	X509_NAME *name;
	FILE *f;
	int fd;

	tls.key = EVP_EC_gen("P-256");
	tls.cert = X509_new();
	(void)X509_set_version(tls.cert, X509_VERSION_3);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(tls.cert), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(tls.cert), -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(tls.cert), 3600);
	(void)X509_set_pubkey(tls.cert, tls.key);
	name = X509_get_subject_name(tls.cert);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test",
					 -1, -1, 0);
	(void)X509_set_issuer_name(tls.cert, name);
	X509V3_set_ctx(&ctx, tls.cert, tls.cert, NULL, NULL, 0);
	san = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, "IP:127.0.0.1");
	if (!san || !X509_add_ext(tls.cert, san, -1) || !X509_sign(tls.cert, tls.key, EVP_sha256()))
		abort();
	X509_EXTENSION_free(san);
	(void)snprintf(tls.bundle, sizeof(tls.bundle), "/tmp/test_net_tls.XXXXXX");
	fd = mkstemp(tls.bundle);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f || !PEM_write_X509(f, tls.cert))
		abort();
	(void)fclose(f);
}

static void answer(SSL *ssl)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
				 "Content-Length: 6\r\n\r\nsecret";
	char in[4096];

	if (SSL_accept(ssl) == 1 && SSL_read(ssl, in, sizeof(in)) > 0)
		(void)SSL_write(ssl, ok, sizeof(ok) - 1);
	(void)SSL_shutdown(ssl);
}

static void *serve(void *arg)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int fd;

	(void)SSL_CTX_use_certificate(ctx, tls.cert);
	(void)SSL_CTX_use_PrivateKey(ctx, tls.key);
	SSL_CTX_set_security_level(ctx, 0); /* so that old protocols may be offered */
	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	(void)SSL_CTX_set_max_proto_version(ctx, tls.max_version);
	while ((fd = accept(tls.fd, NULL, NULL)) >= 0) {
		SSL *ssl = SSL_new(ctx);

		(void)SSL_set_fd(ssl, fd);
		answer(ssl);
		SSL_free(ssl);
		(void)close(fd);
	}
	SSL_CTX_free(ctx);
	return NULL;
}

static void tls_start(int max_version)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	tls.max_version = max_version;
	tls.fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(tls.fd, (struct sockaddr *)&a, len) < 0 || listen(tls.fd, 16) < 0 ||
	    getsockname(tls.fd, (struct sockaddr *)&a, &len) < 0 ||
	    pthread_create(&tls.thread, NULL, serve, NULL) != 0)
		abort();
	tls.port = ntohs(a.sin_port);
}

static void tls_stop(void)
{
	(void)shutdown(tls.fd, SHUT_RDWR);
	(void)pthread_join(tls.thread, NULL);
	(void)close(tls.fd);
}

static void certificates_are_verified(void)
{
	static const struct {
		const char *host, *bundle; /* "" stands for the right one */
		int max_version, err;
	} cases[] = {
		{"127.0.0.1", "", TLS1_3_VERSION, 0},
		{"127.0.0.1", "", TLS1_2_VERSION, 0},
		{"127.0.0.1", "", TLS1_1_VERSION, -EPROTO},
		{"localhost", "", TLS1_3_VERSION, -EKEYREJECTED}, /* another name */
		{"127.0.0.1", NULL, TLS1_3_VERSION, -EKEYREJECTED},
		{"127.0.0.1", "/nonexistent.pem", TLS1_3_VERSION, -EKEYREJECTED},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *bundle = cases[i].bundle;
		struct exchange x;

		tls_start(cases[i].max_version);
		loop = start_loop(&(struct net_config){.ca_bundle = bundle && !*bundle ? tls.bundle
										       : bundle});
		exchange_init(&x, "GET");
		(void)snprintf(x.url, sizeof(x.url), "https://%s:%d/", cases[i].host, tls.port);
		check(go(&x));
		if (x.err != cases[i].err)
			printf("# case %u: %s\n", i, x.detail);
		check_int(x.err, ==, cases[i].err);
		check_str(buf_str(&x.body), cases[i].err ? "" : "secret");
		exchange_fini(&x);
		end_loop(loop);
		tls_stop();
	}
}

int main(void)
{
	int failed;

	if (no_backend()) {
		printf("1..0 # SKIP this kernel does not give a ring\n");
		return 0;
	}
	(void)signal(SIGPIPE, SIG_IGN); /* for the server: clients hang up */
	make_certificate();
	failed = test_run((struct test[]){TEST(certificates_are_verified), {0}});
	(void)unlink(tls.bundle);
	X509_free(tls.cert);
	EVP_PKEY_free(tls.key);
	return failed;
}
