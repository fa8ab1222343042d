/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Control calls: everything but GetObject. One attempt is sign, net_start,
 * collect, classify; this is the loop of attempts around it. An operation's file
 * gives a `struct control_type` and fills requests and results.
 *
 * An operation may have several steps (CompleteMultipartUpload and the checks
 * after an unclear answer, the pages of ListParts). Each has its own attempts;
 * the deadline is of the whole.
 */
#ifndef S3_CONTROL_H
#define S3_CONTROL_H

#include "base/buf.h"
#include "s3/client.h"
#include "s3/object.h"
#include "s3/op.h"
#include "s3/request.h"
#include "s3/send.h"
#include "s3/session.h"
#include "s3/sum.h"
#include "s3/xml.h"

#define CONTROL_NO_XML (-1)

struct control;

enum control_result {
	CONTROL_DONE, /* the call ends with control->error */
	CONTROL_FAIL, /* like a failed attempt: control->error says how */
	CONTROL_STEP, /* go on with control->step, attempts count from 0 again */
	CONTROL_SAME, /* after a success: go on with control->step, attempts count on */
};

struct control_type {
	const char *name; /* for the log */
	/* Fills in control->request (after its _start), xml, body and timeouts if need be. */
	void (*prepare)(struct control *c);
	/* A good answer of the current step: control->head, control->result are there. */
	enum control_result (*success)(struct control *c);
	/*
	 * After each failed attempt (`last`: there will be no more): the operation's
	 * own reading of control->error. CONTROL_FAIL: goes on as usual. May be NULL.
	 */
	enum control_result (*failure)(struct control *c, bool last);
	/* The call is about to end, well or not: frees control->extra. May be NULL. */
	void (*end)(struct control *c);
	/* A header line of the current attempt's answer. May be NULL. */
	void (*header)(struct control *c, const char *name, size_t name_len, const char *value,
		       size_t value_len);
};

enum control_state {
	CONTROL_POSTED,	 /* the task is with the loop: end of a failed start */
	CONTROL_NET,	 /* an attempt is under way */
	CONTROL_WAIT,	 /* for the next one */
	CONTROL_SESSION, /* for the credentials of a session */
};

struct control {
	struct s3_op op; /* first: s3_call.op points here */
	/* set at creation */
	struct s3_client *client;
	struct loop *loop;
	struct s3_call *call;
	const struct control_type *type;
	const char *key; /* NULL: the bucket */
	uint64_t deadline;

	/* owner loop only */
	enum control_state state;
	struct loop_timer timer;
	struct net_call net;
	struct s3_session_wait session;
	struct send *sender; /* carries net instead of curl; NULL: curl does */
	struct s3_request request;
	struct s3_retry retry;
	unsigned attempts; /* of all steps */
	struct s3_error error;
	struct s3_object_head head;
	int xml_kind; /* enum s3_xml_kind or CONTROL_NO_XML */
	struct s3_xml *xml;
	struct s3_xml_result *result;
	int xml_error;
	uint64_t received;
	uint64_t asked;	 /* when this attempt began */
	struct buf body; /* of an answer without xml_kind */
	/* Set by prepare: a good answer is body.max bytes of an object at most, not a document. */
	bool object_bytes;

	/* of the operation */
	unsigned step;
	bool unclear; /* an attempt may have had its effect, though it failed */
	struct s3_error saved;
	uint64_t whole; /* deadline of the call, when `deadline` is that of its first step */
	char number[16];
	enum s3_sum_kind sum; /* of the body */
	uint64_t sum_value;
	char checksum[S3_SUM_TEXT_MAX];
	struct buf send; /* a document to send */
	struct iovec send_iov;
	void *extra;
};

/*
 * `body_len` stretches the default deadline by a second per MiB. `setup` runs
 * before the first attempt and may be NULL; -errno ends the call.
 */
void control_start(struct s3_client *client, struct loop *l, struct s3_call *call, const char *key,
		   const struct control_type *type, uint64_t body_len,
		   int (*setup)(struct control *c));

/*
 * Adds a header that the server may not know, unless `unknown` says that it does
 * not. A refusal that may be about it is tried once without; if that helps, the
 * flag is set for the whole client. One per request. "": not added.
 */
void control_optional(struct control *c, atomic_bool *unknown, const char *name, const char *value);
/* True when the last attempt carried that header. */
bool control_optional_sent(const struct control *c);
/* The checksum header of the answer, if there is one, against c->checksum. */
bool control_checksum_matches(struct control *c);

#endif
