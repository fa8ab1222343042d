/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The client as the files of s3/ see it: what was configured, and the few figures
 * that all its operations on all loops share. No call here waits.
 */
#ifndef S3_CLIENT_H
#define S3_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/least.h"
#include "base/lock.h"
#include "s3/creds.h"
#include "s3/endpoint.h"
#include "s3/error.h"
#include "s3/s3.h"
#include "s3/sign.h"
#include "s3/sign4a.h"

/* Control calls; GetObject has its own figures where it differs. */
#define S3_CONNECT_TIMEOUT_MS	 3000
#define S3_FIRST_BYTE_TIMEOUT_MS 10000
#define S3_STALL_TIMEOUT_MS	 10000
#define S3_REQUEST_TIMEOUT_MS	 60000 /* whole operation */
#define S3_STORE_TIMEOUT_MS	 30000 /* first byte when the server has a body to write away */
#define S3_JOIN_TIMEOUT_MS	 60000 /* Complete: it may copy the whole object */
#define S3_MAX_ATTEMPTS		 16    /* the deadline ends most before: 50 % failures must not */
#define S3_DEBT_WAIT_MS		 500   /* least wait of a retry beyond the budget */
#define S3_BACKOFF_BASE_MS	 100
#define S3_BACKOFF_CAP_MS	 20000
#define S3_RETRY_CAPACITY	 500
#define S3_RETRY_COST		 5
#define S3_RETRY_COST_TIMEOUT	 10
#define S3_CREDS_CHECK_S	 10 /* how often the files' dates are looked at */

/* Region and endpoint: immutable; a correction makes another, old ones live as long as the client.
 */
struct s3_target {
	struct s3_target *older;
	char region[S3_REGION_MAX];
	struct s3_endpoint endpoint;
};

struct s3_session;
struct s3_gets;			      /* the GET engine's state, made by get.c */
void s3_gets_free(struct s3_gets *g); /* NULL is fine; all its loops have ended */

struct s3_client {
	/* set at creation */
	char *bucket, *endpoint_url, *expected_owner;
	char *ca_bundle; /* for the GET engine; the loops have their own; NULL: the system's */
	bool force_path_style, dual_stack, accelerate;
	bool sign, region_inferred, requester_pays;
	bool directory; /* the bucket's personality */
	bool express;	/* requests carry the credentials of a session */
	unsigned max_attempts;
	unsigned get_connections; /* of one loop; 0: the default */
	enum s3_sum_kind upload_sum;
	uint64_t timeout; /* ns, of a whole operation */
	bool ready;	  /* the lock is initialised */

	struct lock lock; /* RANK_CLIENT */
	/* under lock */
	unsigned retry_budget;
	struct s3_creds *creds;
	struct s3_target *targets; /* all, newest first */
	unsigned ntargets;
	struct {
		uint64_t serial;
		const struct s3_target *target;
		char date[9];
		struct s3_sign_key key;
	} key_cache;
	struct {
		uint64_t serial;
		EVP_PKEY *key;
	} key4a_cache;

	/* atomic */
	_Atomic(const struct s3_target *) target; /* release on change, acquire on read */
	_Atomic int64_t skew;			  /* seconds to add to our clock */
	_Atomic uint64_t creds_check;		  /* when to look at the files again */
	atomic_bool creds_busy;			  /* whoever sets it owns `provider` */
	struct s3_creds_provider provider;
	atomic_bool no_checksum;	    /* the server does not know them */
	atomic_bool no_restore_status;	    /* nor that header of LIST */
	struct s3_session *session;	    /* of express, made with the client; session.c's */
	_Atomic(struct s3_gets *) gets;	    /* NULL until get.c sets it */
	_Atomic uint64_t requests, retries; /* attempts made; those that were not the first */
	struct least answer; /* ns from a request without a body to the end of its answer */
};

const struct s3_target *s3_client_target(const struct s3_client *c);
/* Our clock with the server's correction. */
int64_t s3_client_time(const struct s3_client *c);
/* A reference to the current snapshot; NULL when requests are not signed. */
struct s3_creds *s3_client_creds(struct s3_client *c);
/* The signing key of (creds, date, target), from the cache or made anew. */
void s3_client_sign_key(struct s3_client *c, const struct s3_creds *creds,
			const struct s3_target *target, const char *date, struct s3_sign_key *ret);
/* The same for SigV4A, which knows no date and no target: EVP_PKEY_free() it. -ENOMEM. */
int s3_client_sign4a_key(struct s3_client *c, const struct s3_creds *creds,
			 EVP_PKEY **ret) must_check;

/* True when the budget had `cost`, which is then gone. */
bool s3_client_take_retry(struct s3_client *c, unsigned cost);
/* After a success: gives back what the last retry cost, or 1. */
void s3_client_refund_retry(struct s3_client *c, unsigned cost);
/* The server's date at a skew error. False when that is what we assumed already. */
bool s3_client_correct_skew(struct s3_client *c, int64_t server_date);
/* False when `region` is no region or was in use by `used` already. */
bool s3_client_correct_region(struct s3_client *c, const char *region,
			      const struct s3_target *used);
/* True when credentials other than `used` are there now. Reads files. */
bool s3_client_reload_creds(struct s3_client *c, const struct s3_creds *used);

/*
 * After a failed attempt: decide and account (retry.c). `used` target and creds
 * are those of the attempt. *ret_wait is in ns, 0 for "at once"; the result is
 * S3_GIVE_UP also when `deadline` would pass during the wait.
 */
struct s3_request;
enum s3_next s3_retry_next(struct s3_client *c, struct s3_retry *r, const struct s3_error *e,
			   const struct s3_request *used, uint64_t deadline, uint64_t *ret_wait);
/* Notes the Date header for a skew correction; other headers are ignored. */
void s3_retry_header(struct s3_retry *r, const char *name, size_t name_len, const char *value,
		     size_t value_len);
/* After a success. */
void s3_retry_done(struct s3_client *c, struct s3_retry *r);

#endif
