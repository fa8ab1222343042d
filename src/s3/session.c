/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The session of a client and who waits for it. States, by what is there:
 *
 *	creds	fetching
 *	no	no	nobody needed it yet, it has expired or was refused
 *	no	yes	CreateSession is under way, requests wait
 *	yes	no	requests are signed at once
 *	yes	yes	half of its life is over: the next one is under way
 *
 * There is one CreateSession at a time, a control call on the loop that first found
 * that one is due; if that loop ends before the answer, those who wait on other loops
 * look again and the first begins anew. How long a session lives is told by the
 * difference of two times of the server's clock; ours only measures it.
 * All fields are under the client's lock, save for the call, which is its loop's.
 */
#include "s3/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "s3/control.h"

#define LIFE_MAX_S     3600		   /* what a server may claim; S3's live 5 minutes */
#define MARGIN_MAX     (10 * NSEC_PER_SEC) /* the last part of a life, in which none is used */
#define RETRY_WAIT     (1 * NSEC_PER_SEC)  /* of a refresh that failed */
#define PATIENCE_SHARE 6 /* a caller's deadline minus 1/6: time to hear the error */

struct s3_session {
	/* under the client's lock */
	struct s3_creds *creds; /* NULL: none */
	uint64_t refresh_at, good_until;
	bool fetching;
	struct list waiters;

	/* of the loop that fetches, while fetching */
	struct s3_client *client;
	struct s3_call call;
	struct s3_creds *fresh;
	uint64_t life;
};

int s3_session_new(struct s3_session **ret)
{
	struct s3_session *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	list_init(&s->waiters);
	*ret = s;
	return 0;
}

void s3_session_free(struct s3_session *s)
{
	if (!s)
		return;
	s3_creds_unref(s->creds);
	s3_creds_unref(s->fresh);
	free(s);
}

/* --- CreateSession --- */

static struct s3_session *session_of(const struct control *c)
{
	return container_of(c->call, struct s3_session, call);
}

static void prepare(struct control *c)
{
	s3_request_start(&c->request, "GET", NULL);
	c->request.own_creds = true;
	s3_request_query(&c->request, "session", "");
	s3_request_header(&c->request, "x-amz-create-session-mode", "ReadWrite");
	c->xml_kind = S3_XML_SESSION;
}

static enum control_result success(struct control *c)
{
	const struct s3_xml_session *x = &c->result->session;
	struct s3_session *s = session_of(c);
	int64_t now = c->retry.date ? c->retry.date : s3_client_time(c->client);
	int64_t life = x->expires - now - 1; /* both were cut to whole seconds */

	if (s3_creds_new(x->access_key, x->secret, x->token, &s->fresh) < 0) {
		s3_error_set(&c->error, S3_LOCAL, -ENOMEM, "out of memory");
		return CONTROL_DONE;
	}
	s->fresh->session = true;
	s->life = (uint64_t)(life < 1 ? 1 : life > LIFE_MAX_S ? LIFE_MAX_S : life) * NSEC_PER_SEC;
	return CONTROL_DONE;
}

static const struct control_type session_type = {
	.name = "CreateSession",
	.prepare = prepare,
	.success = success,
};

static void on_waiter(struct loop_task *t)
{
	struct s3_session_wait *w = container_of(t, struct s3_session_wait, task);
	struct s3_error error;

	if (!w->error) {
		w->done(w, NULL);
		return;
	}
	error = *w->error;
	free(take_ptr(&w->error));
	w->done(w, &error);
}

static void waiter_post(struct s3_session_wait *w)
{
	w->task.run = on_waiter;
	loop_post(w->loop, &w->task);
}

/*
 * Those that are not told an error look again: after a success, and where another
 * loop has ended with the call. (One that cannot be told meets it itself.)
 */
static void wake_locked(struct s3_session *s, const struct s3_error *e)
{
	struct list *n;

	while ((n = list_pop(&s->waiters)) != NULL) {
		struct s3_session_wait *w = list_entry(n, struct s3_session_wait, node);

		bool tell = e->err == -ECANCELED ? w->loop == s->call.loop : e->err != 0;

		list_init(&w->node);
		w->error = tell ? malloc(sizeof(*e)) : NULL;
		if (w->error)
			*w->error = *e;
		waiter_post(w);
	}
}

static void install_locked(struct s3_session *s)
{
	uint64_t now = clock_now();

	s->creds = take_ptr(&s->fresh);
	s->refresh_at = now + s->life / 2;
	s->good_until = now + s->life - min_u64(s->life / 10, MARGIN_MAX);
}

static void on_done(struct s3_call *call)
{
	struct s3_session *s = container_of(call, struct s3_session, call);
	const struct s3_error *e = &call->error;
	struct s3_creds *old = NULL;
	char text[512];

	s3_error_format(e, text, sizeof(text));
	{
		WITH_LOCK(&s->client->lock);
		s->fetching = false;
		if (s->fresh) {
			old = s->creds;
			install_locked(s);
		} else {
			s->refresh_at = clock_now() + RETRY_WAIT;
		}
		wake_locked(s, e);
	}
	s3_creds_unref(old);
	if (e->err != 0 && e->err != -ECANCELED)
		log_warn(LOG_S3, "CreateSession: %s", text);
}

/* With s->fetching just set by the caller; on its loop. */
static void fetch(struct s3_client *c, struct loop *l, uint64_t deadline)
{
	struct s3_session *s = c->session;
	uint64_t now = clock_now();

	s->client = c;
	s->call = (struct s3_call){.done = on_done};
	if (deadline > now && deadline != NO_DEADLINE)
		s->call.deadline =
			min_u64(now + c->timeout, deadline - (deadline - now) / PATIENCE_SHARE);
	control_start(c, l, &s->call, NULL, &session_type, 0, NULL);
}

/* --- what others see --- */

struct s3_creds *s3_session_creds(struct s3_client *c)
{
	struct s3_session *s = c->session;
	struct loop *l = loop_current();
	struct s3_creds *creds = NULL;
	uint64_t now = clock_now();
	bool due = false;

	{
		WITH_LOCK(&c->lock);
		if (s->creds && now < s->good_until) {
			creds = s3_creds_ref(s->creds);
			due = l && !s->fetching && now >= s->refresh_at;
			s->fetching = s->fetching || due;
		}
	}
	if (due)
		fetch(c, l, NO_DEADLINE);
	return creds;
}

void s3_session_wait(struct s3_client *c, struct loop *l, uint64_t deadline,
		     struct s3_session_wait *w)
{
	struct s3_session *s = c->session;
	bool begin = false;

	w->loop = l;
	w->error = NULL;
	list_init(&w->node);
	{
		WITH_LOCK(&c->lock);
		if (s->creds && clock_now() < s->good_until) {
			waiter_post(w); /* it has come meanwhile */
		} else {
			list_append(&s->waiters, &w->node);
			begin = !s->fetching;
			s->fetching = true;
		}
	}
	if (begin)
		fetch(c, l, deadline);
}

void s3_session_cancel(struct s3_client *c, struct s3_session_wait *w)
{
	{
		WITH_LOCK(&c->lock);
		if (!list_empty(&w->node)) {
			list_del(&w->node);
			list_init(&w->node);
			return;
		}
	}
	(void)loop_unpost(w->loop, &w->task);
	free(take_ptr(&w->error));
}

bool s3_session_drop(struct s3_client *c, const struct s3_creds *used)
{
	struct s3_session *s = c->session;
	struct s3_creds *old = NULL;

	{
		WITH_LOCK(&c->lock);
		if (s->creds && s->creds->serial == used->serial)
			old = take_ptr(&s->creds);
	}
	if (old)
		log_info(LOG_S3,
			 "the server does not take the session any more, asking for another");
	s3_creds_unref(old);
	return true;
}
