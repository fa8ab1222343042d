/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The client: configuration, and what its operations on all loops share - the
 * retry budget, the clock's skew, the region, the credentials, the signing key.
 *
 * Corrections are monotone and rare: a target (region + endpoint) once published
 * stays until the client is freed, so that readers need no reference. Credential
 * files are read by one thread at a time, outside the lock; the others go on with
 * the snapshot there is.
 */
#include "s3/client.h"
#include "s3/session.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/log.h"
#include "base/parse.h"

#define MAX_ATTEMPTS_TOP 64
#define MAX_TARGETS	 8 /* corrections are few; a server that names regions at random ends here */

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && v[0] ? v : NULL;
}

static int copy(char **ret, const char *s)
{
	if (!s)
		return 0;
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

/* Makes a target for `region` and publishes it. */
static int target_add(struct s3_client *c, const char *region, char *why, size_t why_len)
{
	struct s3_target *t = calloc(1, sizeof(*t));
	struct s3_endpoint_input in = {.bucket = c->bucket,
				       .region = region,
				       .url = c->endpoint_url,
				       .force_path_style = c->force_path_style,
				       .dual_stack = c->dual_stack,
				       .accelerate = c->accelerate};
	int r;

	if (!t) {
		(void)snprintf(why, why_len, "out of memory");
		return -ENOMEM;
	}
	r = s3_endpoint_resolve(&in, why, why_len, &t->endpoint);
	if (r < 0) {
		free(t);
		return r;
	}
	(void)snprintf(t->region, sizeof(t->region), "%s", t->endpoint.region);
	WITH_LOCK(&c->lock);
	t->older = c->targets;
	c->targets = t;
	c->ntargets++;
	/* release: pairs with the acquire of s3_client_target */
	atomic_store_explicit(&c->target, t, memory_order_release);
	return 0;
}

static unsigned attempts_of(const struct s3_config *config)
{
	const char *text = env("AWS_MAX_ATTEMPTS");
	uint64_t n;

	if (config->max_attempts)
		return (unsigned)min_u64(config->max_attempts, MAX_ATTEMPTS_TOP);
	if (!text)
		return S3_MAX_ATTEMPTS;
	if (parse_u64(text, 1, MAX_ATTEMPTS_TOP, &n) < 0) {
		log_warn(LOG_S3, "AWS_MAX_ATTEMPTS is not a number from 1 to %d: %d is used",
			 MAX_ATTEMPTS_TOP, S3_MAX_ATTEMPTS);
		return S3_MAX_ATTEMPTS;
	}
	return (unsigned)n;
}

static int copy_config(struct s3_client *c, const struct s3_config *config)
{
	const char *url = config->endpoint_url ? config->endpoint_url : env("AWS_ENDPOINT_URL");
	unsigned ms =
		config->request_timeout_ms ? config->request_timeout_ms : S3_REQUEST_TIMEOUT_MS;

	c->force_path_style = config->force_path_style;
	c->sign = !config->no_sign_request;
	c->dual_stack = config->dual_stack;
	c->accelerate = config->transfer_acceleration;
	c->requester_pays = config->requester_pays;
	c->directory =
		config->bucket_type == S3_BUCKET_DIRECTORY ||
		(config->bucket_type == S3_BUCKET_INFER && s3_bucket_is_express(config->bucket));
	c->upload_sum = config->upload_sum;
	c->max_attempts = attempts_of(config);
	c->get_connections = config->get_connections;
	c->timeout = ms * NSEC_PER_MSEC;
	c->retry_budget = S3_RETRY_CAPACITY;
	if (copy(&c->bucket, config->bucket) < 0 || copy(&c->endpoint_url, url) < 0 ||
	    copy(&c->expected_owner, config->expected_owner) < 0 ||
	    copy(&c->ca_bundle, config->ca_bundle ? config->ca_bundle : env("AWS_CA_BUNDLE")) < 0)
		return -ENOMEM;
	return s3_creds_provider_init(&c->provider, config->profile);
}

DEFINE_CLEANUP(struct s3_client, s3_client_free)

int s3_client_new(const struct s3_config *config, char *why, size_t why_len, struct s3_client **ret)
{
	_cleanup_(s3_client_freep) struct s3_client *c = calloc(1, sizeof(*c));
	const char *region = config->region ? config->region : env("AWS_REGION");
	int r;

	if (!c || copy_config(c, config) < 0) {
		(void)snprintf(why, why_len, "out of memory");
		return -ENOMEM;
	}
	lock_init(&c->lock, RANK_CLIENT);
	least_init(&c->answer);
	c->ready = true;
	r = target_add(c, region ? region : "us-east-1", why, why_len);
	if (r < 0)
		return r;
	c->region_inferred = !region && !c->targets->endpoint.fixed_region;
	if (c->targets->endpoint.no_checksums)
		c->upload_sum = S3_SUM_OFF;
	if (c->sign) {
		r = s3_creds_load(&c->provider, why, why_len, &c->creds);
		if (r < 0)
			return r;
	}
	c->express = c->sign && s3_bucket_is_express(c->bucket);
	if (c->express) {
		r = s3_session_new(&c->session);
		if (r < 0) {
			(void)snprintf(why, why_len, "out of memory");
			return r;
		}
	}
	atomic_store(&c->creds_check, clock_now() + S3_CREDS_CHECK_S * NSEC_PER_SEC);
	*ret = take_ptr(&c);
	return 0;
}

void s3_client_free(struct s3_client *c)
{
	if (!c)
		return;
	s3_gets_free(atomic_load(&c->gets));
	s3_session_free(c->session);
	while (c->targets) {
		struct s3_target *t = c->targets;

		c->targets = t->older;
		free(t);
	}
	s3_creds_unref(c->creds);
	s3_creds_provider_fini(&c->provider);
	EVP_PKEY_free(c->key4a_cache.key);
	OPENSSL_cleanse(&c->key_cache, sizeof(c->key_cache));
	if (c->ready)
		lock_fini(&c->lock);
	free(c->bucket);
	free(c->endpoint_url);
	free(c->expected_owner);
	free(c->ca_bundle);
	free(c);
}

enum s3_sum_kind s3_client_sum(const struct s3_client *c)
{
	return atomic_load_explicit(&c->no_checksum, memory_order_relaxed) ? S3_SUM_OFF
									   : c->upload_sum;
}

uint64_t s3_client_delay(const struct s3_client *c)
{
	return least_of(&c->answer);
}

bool s3_client_is_directory(const struct s3_client *c)
{
	return c->directory;
}

const char *s3_client_region(const struct s3_client *c)
{
	return s3_client_target(c)->region;
}

const char *s3_client_endpoint(const struct s3_client *c)
{
	return s3_client_target(c)->endpoint.origin;
}

const struct s3_target *s3_client_target(const struct s3_client *c)
{
	/* acquire: pairs with the release of target_add */
	return atomic_load_explicit(&c->target, memory_order_acquire);
}

int64_t s3_client_time(const struct s3_client *c)
{
	return clock_wall() + atomic_load_explicit(&c->skew, memory_order_relaxed);
}

/* Loads and installs credentials; true when they are others than before. */
static bool creds_load(struct s3_client *c)
{
	struct s3_creds *fresh = NULL, *old;
	char why[256];
	bool changed;

	if (s3_creds_load(&c->provider, why, sizeof(why), &fresh) < 0) {
		log_warn(LOG_S3, "credentials stay as they were: %s", why);
		return false;
	}
	{
		WITH_LOCK(&c->lock);
		old = c->creds;
		changed =
			strcmp(old->access_key, fresh->access_key) != 0 ||
			strcmp(old->secret, fresh->secret) != 0 ||
			strcmp(old->token ? old->token : "", fresh->token ? fresh->token : "") != 0;
		if (changed)
			c->creds = fresh;
	}
	s3_creds_unref(changed ? old : fresh);
	if (changed)
		log_info(LOG_S3, "credentials were read again");
	return changed;
}

/* Time to look at the files, and nobody else does? */
static void creds_look(struct s3_client *c)
{
	uint64_t now = clock_now();

	if (now < atomic_load_explicit(&c->creds_check, memory_order_relaxed) ||
	    atomic_exchange(&c->creds_busy, true))
		return;
	atomic_store_explicit(&c->creds_check, now + S3_CREDS_CHECK_S * NSEC_PER_SEC,
			      memory_order_relaxed);
	if (s3_creds_changed(&c->provider))
		(void)creds_load(c);
	atomic_store(&c->creds_busy, false);
}

struct s3_creds *s3_client_creds(struct s3_client *c)
{
	if (!c->sign)
		return NULL;
	creds_look(c);
	WITH_LOCK(&c->lock);
	return s3_creds_ref(c->creds);
}

bool s3_client_reload_creds(struct s3_client *c, const struct s3_creds *used)
{
	if (used->session)
		return s3_session_drop(c, used);
	/* Another loop is at it: its result counts for us, too. */
	if (atomic_exchange(&c->creds_busy, true))
		return true;
	if (s3_creds_changed(&c->provider))
		(void)creds_load(c);
	atomic_store(&c->creds_busy, false);
	WITH_LOCK(&c->lock);
	return c->creds->serial != used->serial;
}

void s3_client_sign_key(struct s3_client *c, const struct s3_creds *creds,
			const struct s3_target *target, const char *date, struct s3_sign_key *ret)
{
	{
		WITH_LOCK(&c->lock);
		if (c->key_cache.serial == creds->serial && c->key_cache.target == target &&
		    strncmp(c->key_cache.date, date, 8) == 0) {
			*ret = c->key_cache.key;
			return;
		}
	}
	s3_sign_key_init(ret, creds->secret, date, target->region, target->endpoint.service);
	WITH_LOCK(&c->lock);
	c->key_cache.serial = creds->serial;
	c->key_cache.target = target;
	(void)snprintf(c->key_cache.date, sizeof(c->key_cache.date), "%.8s", date);
	c->key_cache.key = *ret;
}

int s3_client_sign4a_key(struct s3_client *c, const struct s3_creds *creds, EVP_PKEY **ret)
{
	EVP_PKEY *old;
	int r;

	{
		WITH_LOCK(&c->lock);
		if (c->key4a_cache.key && c->key4a_cache.serial == creds->serial &&
		    EVP_PKEY_up_ref(c->key4a_cache.key) == 1) {
			*ret = c->key4a_cache.key;
			return 0;
		}
	}
	r = s3_sign4a_key_new(creds->access_key, creds->secret, ret);
	if (r < 0 || EVP_PKEY_up_ref(*ret) != 1)
		return r;
	{
		WITH_LOCK(&c->lock);
		old = c->key4a_cache.key;
		c->key4a_cache.key = *ret;
		c->key4a_cache.serial = creds->serial;
	}
	EVP_PKEY_free(old);
	return 0;
}

bool s3_client_take_retry(struct s3_client *c, unsigned cost)
{
	WITH_LOCK(&c->lock);
	if (c->retry_budget < cost)
		return false;
	c->retry_budget -= cost;
	return true;
}

void s3_client_refund_retry(struct s3_client *c, unsigned cost)
{
	WITH_LOCK(&c->lock);
	c->retry_budget = (unsigned)min_u64(c->retry_budget + cost, S3_RETRY_CAPACITY);
}

bool s3_client_correct_skew(struct s3_client *c, int64_t server_date)
{
	int64_t skew = server_date - clock_wall();
	int64_t old = atomic_exchange(&c->skew, skew);
	int64_t change = skew - old;

	if (change > -2 && change < 2)
		return false;
	log_warn(LOG_S3, "this machine's clock is %lld s off the server's: corrected in requests",
		 (long long)-skew);
	return true;
}

bool s3_client_correct_region(struct s3_client *c, const char *region, const struct s3_target *used)
{
	const struct s3_target *now = s3_client_target(c);
	char why[256];

	if (!s3_region_valid(region))
		return false;
	if (strcmp(now->region, region) == 0)
		return now != used; /* another operation was faster */
	{
		WITH_LOCK(&c->lock);
		if (c->ntargets >= MAX_TARGETS)
			return false;
	}
	if (target_add(c, region, why, sizeof(why)) < 0) {
		log_warn(LOG_S3, "the server names region \"%s\": %s", region, why);
		return false;
	}
	log_warn(LOG_S3, "bucket %s is in region %s, not %s: use --region", c->bucket, region,
		 used->region);
	return true;
}
