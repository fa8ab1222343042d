/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The TLS settings of a client: TLS 1.2 or newer, chain and name verified,
 * AES-128-GCM preferred, records read in large pieces. Made once, shared by all
 * loops; OpenSSL counts its references.
 */
#ifndef S3_TLS_H
#define S3_TLS_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "base/macro.h"

/* `ca_bundle`: PEM file that replaces the system's store; NULL: the system's. */
int tls_context_new(const char *ca_bundle, SSL_CTX **ret) must_check;

/*
 * A client session on `fd` for a server called `name` (a DNS name or an IP
 * address), resuming `session` if given.
 */
int tls_session_new(SSL_CTX *ctx, int fd, const char *name, SSL_SESSION *session,
		    SSL **ret) must_check;

/* Empties OpenSSL's error queue; its first entry, or `fallback`, into `ret`. */
void tls_error_text(const char *fallback, char *ret, size_t len);

#endif
