/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sessions: see session.h.
 */

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "directory.h"
#include "ops.h"
#include "req.h"
#include "text.h"

bool session_find(struct server *s, const char *access, struct session *ret)
{
	WITH_LOCK(&s->key_lock);

	for (unsigned i = 0; s->sessions.ring && i < SESSIONS_MAX; i++) {
		const struct session *x = &s->sessions.ring[i];

		if (x->access[0] && strcmp(x->access, access) == 0) {
			*ret = *x;
			return true;
		}
	}
	return false;
}

void sessions_clear(struct server *s)
{
	WITH_LOCK(&s->key_lock);

	free(s->sessions.ring);
	s->sessions = (struct sessions){0};
}

static bool keep(struct server *s, const struct session *x)
{
	WITH_LOCK(&s->key_lock);

	if (!s->sessions.ring)
		s->sessions.ring = calloc(SESSIONS_MAX, sizeof(*x));
	if (!s->sessions.ring)
		return false;
	s->sessions.ring[s->sessions.next] = *x;
	s->sessions.next = (s->sessions.next + 1) % SESSIONS_MAX;
	return true;
}

/* Hex that nobody can guess, `len` digits. */
static bool random_hex(char *ret, size_t len)
{
	uint8_t raw[32];

	if (getrandom(raw, len / 2, 0) != (ssize_t)(len / 2))
		return false;
	text_hex(raw, len / 2, ret);
	return true;
}

void op_CreateSession(struct req *r)
{
	const char *mode = req_header(r, "x-amz-create-session-mode");
	uint64_t life = atomic_load(&r->srv->session_ms);
	struct session x = {.read_only = mode && strcmp(mode, "ReadOnly") == 0};
	char date[TEXT_DATE_MAX];
	struct buf *b;

	if (!directory_name(r->bucket_name)) {
		req_fail(r, ERR_NotImplemented);
		return;
	}
	if (mode && !x.read_only && strcmp(mode, "ReadWrite") != 0) {
		req_fail_because(r, ERR_InvalidArgument, "Unknown x-amz-create-session-mode");
		return;
	}
	(void)snprintf(x.bucket, sizeof(x.bucket), "%s", r->bucket_name);
	x.expires_ns = clock_real_ns() + life * 1000000;
	memcpy(x.access, "S3DS", 4);
	if (!random_hex(x.access + 4, 16) || !random_hex(x.secret, 40) ||
	    !random_hex(x.token, 64) || !keep(r->srv, &x)) {
		req_fail(r, ERR_InternalError);
		return;
	}
	text_iso_date(x.expires_ns, date);
	b = reply_xml(r);
	buf_str(b, "<CreateSessionResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		   "<Credentials>");
	buf_elem(b, "SessionToken", x.token);
	buf_elem(b, "SecretAccessKey", x.secret);
	buf_elem(b, "AccessKeyId", x.access);
	buf_elem(b, "Expiration", date);
	buf_str(b, "</Credentials></CreateSessionResult>");
}
