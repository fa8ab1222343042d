/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Everything the requests share.
 */

#ifndef S3D_SERVER_H
#define S3D_SERVER_H

#include "fault.h"
#include "log.h"
#include "options.h"
#include "quirk.h"
#include "session.h"
#include "store.h"
#include "timers.h"

struct MHD_Daemon;

#define CREDENTIAL_MAX 256

struct credentials {
	char access[CREDENTIAL_MAX], secret[CREDENTIAL_MAX];
	char token[2048]; /* "": none is asked for */
	bool expired;	  /* the token is */
};

struct signing_key {
	char date[9];
	uint8_t key[32];
};

struct server {
	/* set at creation */
	struct options opt;
	struct store store;
	struct log log;
	struct faults faults;
	struct timers timers;
	struct MHD_Daemon *daemon;
	uint16_t port;

	pthread_mutex_t key_lock;
	/* under key_lock */
	struct credentials cred;
	struct signing_key signing_key; /* of the last day that was used */
	struct sessions sessions;

	/* atomic */
	atomic_uint_fast64_t quirks; /* bit set of enum quirk */
	atomic_uint_fast64_t ttfb_ms, bandwidth, session_ms;
	atomic_uint_fast64_t next_conn, next_request;
};

static inline bool server_quirk(struct server *s, enum quirk q)
{
	return atomic_load_explicit(&s->quirks, memory_order_relaxed) >> q & 1;
}

must_check int server_start(struct server *s);
void server_stop(struct server *s);

#endif
