/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An HTTPS server on 127.0.0.1 that serves ranges of one object, with a CA made
 * on the spot. Connections are served one after the other, by one thread.
 */
#ifndef TESTS_LIB_TLS_SERVER_H
#define TESTS_LIB_TLS_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_server_config {
	const char *name;   /* subject alternative name: "DNS:..." or "IP:..." */
	int max_version;    /* TLS1_3_VERSION...; 0: newest */
	bool expired;	    /* the certificate is out of date */
	bool tunnel;	    /* expects CONNECT first */
	bool mute;	    /* takes connections, says nothing */
	unsigned requests;  /* per connection; then it closes; 0: no limit */
	size_t cut;	    /* the first answer breaks off after so many body bytes */
	const char *object; /* its bytes */
	size_t size;
	const char *etag;
};

struct tls_server;

/* Aborts on failure. */
struct tls_server *tls_server_new(const struct tls_server_config *config);
void tls_server_free(struct tls_server *s);
int tls_server_port(const struct tls_server *s);
/* A PEM file with the CA, gone with the server. */
const char *tls_server_ca(const struct tls_server *s);
unsigned tls_server_handshakes(struct tls_server *s);
unsigned tls_server_resumed(struct tls_server *s);
unsigned tls_server_requests(struct tls_server *s);
unsigned tls_server_tunnels(struct tls_server *s);

#endif
