/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sessions of directory buckets: CreateSession gives short-lived credentials for one
 * bucket, with which all other requests to it are signed.
 */

#ifndef S3D_SESSION_H
#define S3D_SESSION_H

#include <stdbool.h>
#include <stdint.h>

struct server;

#define SESSIONS_MAX	1024
#define SESSION_LIFE_MS 300000

struct session {
	char access[24], secret[41], token[65];
	char bucket[64];
	uint64_t expires_ns; /* real time */
	bool read_only;
};

/* The newest ones; under the server's key_lock. */
struct sessions {
	struct session *ring; /* SESSIONS_MAX of them, NULL: none yet */
	unsigned next;
};

/* The session of an access key; false if there is none. */
bool session_find(struct server *s, const char *access, struct session *ret);
/* None is known any more. */
void sessions_clear(struct server *s);

#endif
