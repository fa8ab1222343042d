/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What an answer means, and what to do about it. Three steps, kept apart:
 *
 *	classify	(status, code) or a transport error -> class, errno: error.tbl; pure
 *	decide		class, attempts, time -> what comes next; pure
 *	account		takes from the retry budget, corrects skew and region,
 *			reloads credentials: s3_retry_next, on the client (retry.c)
 *
 * How an attempt is made into an error:
 *
 *	s3_error_reset(&e);
 *	s3_error_header(&e, ...)	for each header line
 *	s3_error_document(&e, ...)	with the body of an answer that is not 2xx
 *	s3_error_classify(&e, status)	or s3_error_transport(&e, err, text)
 */
#ifndef S3_ERROR_H
#define S3_ERROR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"
#include "s3/s3.h"

/* One row of error.tbl. */
struct s3_rule {
	int status;	  /* 0: any */
	const char *code; /* "" : any */
	enum s3_class cls;
	bool retry;
	int err; /* -errno */
};

/* The row that fits best: status and code, else code, else status, else the last. */
const struct s3_rule *s3_error_rule(int status, const char *code);
size_t s3_error_rules(const struct s3_rule **ret); /* all rows, for tests */

/* Clears all but `attempts`. */
void s3_error_reset(struct s3_error *e);
/* Notes x-amz-request-id, x-amz-bucket-region; everything else is ignored. */
void s3_error_header(struct s3_error *e, const char *name, size_t name_len, const char *value,
		     size_t value_len);
/* Sets status, cls, err from `status` and e->code. 2xx gives S3_OK and 0 if there is no code. */
void s3_error_classify(struct s3_error *e, int status);
/* An attempt without a whole answer. `err` as net.h's on_done gives it, `text` for people. */
void s3_error_transport(struct s3_error *e, int err, const char *text);
/* Something wrong on our side or with the answer: S3_LOCAL, S3_PROTOCOL. */
void s3_error_set(struct s3_error *e, enum s3_class cls, int err, const char *text);
const char *s3_class_name(enum s3_class cls);

enum s3_next {
	S3_GIVE_UP,
	S3_RETRY,	 /* after a wait */
	S3_RETRY_SKEW,	 /* at once, with the clock corrected */
	S3_RETRY_REGION, /* at once, in the region the server named */
	S3_RETRY_CREDS,	 /* at once, with credentials read again */
	S3_RETRY_PLAIN,	 /* at once, without the header that the server may not know */
};

/* What an operation remembers between its attempts. Zeroed at its start. */
struct s3_retry {
	unsigned attempts;		 /* begun */
	unsigned retries;		 /* with a wait, for the backoff */
	unsigned spent;			 /* taken from the retry budget by the last retry */
	bool skew, region, creds, plain; /* each correction is made once */
	/* The client's flag of an optional header that the last attempt sent, or was told to leave.
	 */
	atomic_bool *optional;
	int64_t date; /* of the Date header, 0: none */
};

struct s3_decide_input {
	const struct s3_error *error;
	unsigned max_attempts;
	bool region_inferred;
	bool signs;	    /* requests carry a signature */
	bool optional_sent; /* a header that some servers do not know */
	int64_t clock;	    /* the time that was signed */
};

enum s3_next s3_error_decide(const struct s3_decide_input *in, const struct s3_retry *r);

#endif
