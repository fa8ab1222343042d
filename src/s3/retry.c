/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What follows a failed attempt: the pure decision of error.c, then its effect on
 * the client. A correction that changes nothing (the clock was right, the files
 * hold the same keys) counts as made, and the decision is taken again without it.
 * Runs on the loop of the operation.
 */
#include <stdio.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/date.h"
#include "base/log.h"
#include "s3/client.h"
#include "s3/object.h"
#include "s3/request.h"

void s3_retry_header(struct s3_retry *r, const char *name, size_t name_len, const char *value,
		     size_t value_len)
{
	char text[32];

	if (!s3_name_is(name, name_len, "date") || value_len >= sizeof(text))
		return;
	(void)snprintf(text, sizeof(text), "%.*s", (int)value_len, value);
	if (date_parse_http(text, &r->date) < 0)
		r->date = 0;
}

/*
 * A retry after a wait that ends before the deadline. An empty budget does not
 * fail the operation, which may be somebody's only write: it slows all of them
 * down to S3_DEBT_WAIT_MS and more, so that a server in trouble is left alone.
 */
static enum s3_next wait_and_retry(struct s3_client *c, struct s3_retry *r,
				   const struct s3_error *e, uint64_t deadline, uint64_t *ret_wait)
{
	unsigned cost = strcmp(e->code, "Timeout") == 0 ? S3_RETRY_COST_TIMEOUT : S3_RETRY_COST;
	uint64_t random = backoff_random(), now = clock_now();
	uint64_t left = deadline > now ? deadline - now : 0;
	uint64_t wait = backoff_wait(S3_BACKOFF_BASE_MS * NSEC_PER_MSEC,
				     S3_BACKOFF_CAP_MS * NSEC_PER_MSEC, r->retries + 1, random);

	if (left < S3_BACKOFF_BASE_MS * NSEC_PER_MSEC)
		return S3_GIVE_UP;
	if (s3_client_take_retry(c, cost)) {
		r->spent = cost;
	} else {
		log_warn(LOG_S3, "%s: many requests fail, retrying slowly", s3_class_name(e->cls));
		wait = max_u64(wait, (S3_DEBT_WAIT_MS + random % S3_DEBT_WAIT_MS) * NSEC_PER_MSEC);
	}
	r->retries++;
	if (wait >= left)
		return S3_GIVE_UP;
	*ret_wait = wait;
	return S3_RETRY;
}

/* Applies a correction; false when it changed nothing. Each is tried once. */
static bool correct(struct s3_client *c, struct s3_retry *r, const struct s3_error *e,
		    const struct s3_request *used, enum s3_next next)
{
	switch (next) {
	case S3_RETRY_SKEW:
		r->skew = true;
		return s3_client_correct_skew(c, r->date);
	case S3_RETRY_REGION:
		r->region = true;
		return s3_client_correct_region(c, e->region, used->target);
	case S3_RETRY_CREDS:
		r->creds = true;
		return s3_client_reload_creds(c, used->creds);
	case S3_RETRY_PLAIN:
		r->plain = true;
		return true;
	case S3_GIVE_UP:
	case S3_RETRY:
		break;
	}
	return false;
}

enum s3_next s3_retry_next(struct s3_client *c, struct s3_retry *r, const struct s3_error *e,
			   const struct s3_request *used, uint64_t deadline, uint64_t *ret_wait)
{
	const struct s3_decide_input in = {
		.error = e,
		.max_attempts = c->max_attempts,
		.region_inferred = c->region_inferred,
		.signs = used->creds != NULL,
		.optional_sent = r->optional != NULL,
		.clock = s3_client_time(c),
	};

	*ret_wait = 0;
	if (clock_now() >= deadline)
		return S3_GIVE_UP;
	for (;;) {
		enum s3_next next = s3_error_decide(&in, r);

		if (next == S3_GIVE_UP)
			return next;
		if (next == S3_RETRY)
			return wait_and_retry(c, r, e, deadline, ret_wait);
		if (correct(c, r, e, used, next))
			return next;
	}
}

void s3_retry_done(struct s3_client *c, struct s3_retry *r)
{
	s3_client_refund_retry(c, r->spent ? r->spent : 1);
	r->spent = 0;
	/* It was the header: from now on all requests do without. */
	if (r->plain && r->optional && !atomic_exchange(r->optional, true))
		log_warn(LOG_S3, "the server does not know %s",
			 r->optional == &c->no_checksum ? "this checksum: uploads go without"
							: "RestoreStatus: listings go without");
}
