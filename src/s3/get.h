/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The GET engine inside: one operation per s3_get, one or two legs per
 * operation, one engine state per loop and client. Loop thread only.
 *
 *	operation	position in the object, retries, deadline, the caller
 *	leg		one request on one connection: sign, send, head, body
 *
 * A leg reports to its operation by the get_op_* functions; after one of them the
 * leg may be gone. Callbacks of the caller run with op->calling set: an s3_cancel
 * from inside takes everything down but the operation's memory.
 */
#ifndef S3_GET_H
#define S3_GET_H

#include "base/buf.h"
#include "base/clock.h"
#include "s3/client.h"
#include "s3/conn_pool.h"
#include "s3/get_check.h"
#include "s3/get_hedge.h"
#include "s3/op.h"
#include "s3/request.h"
#include "s3/session.h"

#define GET_CREDIT	   (64 * KIB) /* progress that renews the deadline */
#define GET_PROTOCOL_TRIES 3	      /* answers that break the rules */
#define GET_ERROR_BODY_MAX (64 * KIB)
#define GET_PAUSE_MAX	   (100 * NSEC_PER_MSEC) /* a server may hang up on who does not read */
#define GET_LEGS	   2

struct get_op;

enum leg_state {
	LEG_OFF,
	LEG_SESSION, /* waits for credentials to sign with */
	LEG_WAIT,    /* for a connection */
	LEG_HEAD,    /* request under way, or sent */
	LEG_BODY,
	LEG_PAUSED, /* nothing of the body is being received */
	LEG_ERROR,  /* body of an answer that is not 2xx */
};

struct get_leg {
	struct get_op *op;
	enum leg_state state;
	struct conn_pool_wait wait;
	struct s3_session_wait session;
	struct conn_pool_conn *pc; /* in HEAD, BODY, ERROR */
	struct s3_request request;
	struct buf out; /* request head */
	char range[64];
	uint64_t since; /* the state's last sign of life */
	size_t scan;	/* of the head parser */
	unsigned interim;
	bool resent;	 /* a stale connection was replaced */
	bool keep_alive; /* the connection may be kept after this answer */
	bool chunked;
	struct http_chunks chunks;
	int status;
	uint64_t left; /* of an error body, UINT64_MAX: until the end */
	struct buf error_body;
};

/* Engine of one loop. */
struct get_loop {
	struct s3_client *client;
	struct get_limits limits;
	struct loop *loop;
	struct conn_pool *pool;
	struct get_hedge hedge;
	struct list ops;  /* running */
	struct list idle; /* kept for reuse */
	unsigned nidle;
};

struct get_op {
	struct s3_op op; /* first: s3_call.op points here */
	struct list node;
	struct get_loop *engine;
	struct s3_get_call *call; /* NULL: cancelled, only memory is left */
	bool calling;		  /* inside a callback of the caller */
	bool posted;		  /* task is with the loop */
	bool no_timer;		  /* no memory for it: the task ends the operation */

	uint64_t pos, end; /* next byte to place, end of the range */
	uint64_t size;	   /* of the object, GET_SIZE_UNKNOWN before the first answer */
	uint64_t credit;   /* position of the last renewal of the deadline */
	uint64_t budget, deadline;
	uint64_t retry_at; /* 0: not waiting */
	uint64_t timer_at;
	bool hedge_denied; /* in this attempt */
	bool unpaced;	   /* had paused for too long */
	unsigned protocol_errors;
	struct s3_retry retry;
	struct loop_timer timer;
	struct loop_task task;
	struct get_leg leg[GET_LEGS];
};

/* get_engine.c: the engine of a loop; one left from a loop that has ended is replaced. */
int get_loop_of(struct s3_client *c, struct loop *l, struct get_loop **ret) must_check;
/* For loops that have not begun to use the client; -ENOMEM. */
int s3_gets_limit(struct s3_client *c, const struct get_limits *limits) must_check;

/* get_leg.c. Starting never calls back; an error is for the caller to report. */
int get_leg_start(struct get_leg *leg) must_check;
void get_leg_stop(struct get_leg *leg);
/* From PAUSED back to BODY; harmless in any other state. */
void get_leg_resume(struct get_leg *leg);
void get_leg_release(struct get_leg *leg, bool reusable);
/* The connection has ended (0) or failed: sends again, or fails the leg. */
void get_leg_broken(struct get_leg *leg, int res);
/* When it must have gone on, NO_DEADLINE if somebody else watches. */
uint64_t get_leg_due(const struct get_leg *leg);

/* get_error.c: reads the body of an answer that is not 2xx, from pc->buf + at on. */
void get_leg_error(struct get_leg *leg, const struct http_head *h, size_t at);

/* get.c: what a leg tells its operation. */
/* A valid head is in. False: the caller cancelled. */
bool get_op_headed(struct get_op *op, struct get_leg *leg, const struct s3_object *object);
/* Room for byte op->pos. */
struct iovec get_op_space(struct get_op *op);
/* Bytes are in place. False: the caller cancelled. */
bool get_op_placed(struct get_op *op, size_t len);
void get_op_done(struct get_op *op);
/* The leg has stopped; call->error says why. */
void get_op_failed(struct get_op *op, struct get_leg *leg);
/* Arms the timer for what is due next. */
void get_op_arm(struct get_op *op);
/* Ends the operation with an error of ours: -ETIMEDOUT, -ECANCELED, -ENOMEM. */
void get_op_finish(struct get_op *op, int err, const char *why);
void get_op_free(struct get_op *op);

static inline struct get_leg *get_leg_of(struct conn *c)
{
	return container_of(c, struct conn_pool_conn, conn)->user;
}

#endif
