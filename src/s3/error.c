/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Classify and decide: both pure, both without knowledge of the client. The facts
 * are in error.tbl.
 */
#include "s3/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "s3/endpoint.h"
#include "s3/object.h"

/* S3 tolerates 15 minutes; a 403 without a code at a lesser difference has other causes. */
#define SKEW_MIN_S INT64_C(300)

static const struct s3_rule rules[] = {
#define S3_RULE(status_, code_, cls_, retry_, errno_) \
	{.status = (status_), .code = (code_), .cls = (cls_), .retry = (retry_), .err = -(errno_)},
#include "s3/error.tbl"
#undef S3_RULE
};

/* How well a row fits, 0 when it does not. */
static int fit(const struct s3_rule *r, int status, const char *code)
{
	bool same_code = r->code[0] && strcmp(r->code, code) == 0;

	if (r->code[0] && !same_code)
		return 0;
	if (r->status == status && status)
		return same_code ? 5 : 3;
	if (r->status == 0)
		return same_code ? 4 : 1;
	return r->status == status / 100 ? 2 : 0;
}

const struct s3_rule *s3_error_rule(int status, const char *code)
{
	const struct s3_rule *best = NULL;
	int best_fit = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int f = fit(&rules[i], status, code);

		if (f > best_fit) {
			best = &rules[i];
			best_fit = f;
		}
	}
	return best; /* the last row fits everything */
}

size_t s3_error_rules(const struct s3_rule **ret)
{
	*ret = rules;
	return ARRAY_SIZE(rules);
}

void s3_error_reset(struct s3_error *e)
{
	*e = (struct s3_error){.attempts = e->attempts};
}

static void text_copy(char *ret, size_t size, const char *s, size_t len)
{
	(void)snprintf(ret, size, "%.*s", (int)(len < size ? len : size - 1), s);
}

void s3_error_header(struct s3_error *e, const char *name, size_t name_len, const char *value,
		     size_t value_len)
{
	if (s3_name_is(name, name_len, "x-amz-request-id"))
		text_copy(e->request_id, sizeof(e->request_id), value, value_len);
	else if (s3_name_is(name, name_len, "x-amz-bucket-region"))
		text_copy(e->region, sizeof(e->region), value, value_len);
}

/* An error document behind a good status means what its code says, else a server's trouble. */
static const struct s3_rule *rule_of(const struct s3_error *e)
{
	const struct s3_rule *rule;

	if (e->status < 200 || e->status >= 300)
		return s3_error_rule(e->status, e->code);
	rule = s3_error_rule(0, e->code);
	return rule->code[0] ? rule : s3_error_rule(500, "");
}

static void apply(struct s3_error *e)
{
	const struct s3_rule *rule = rule_of(e);

	e->cls = rule->cls;
	e->err = rule->err;
}

void s3_error_classify(struct s3_error *e, int status)
{
	e->status = status;
	if (status >= 200 && status < 300 && e->code[0] == '\0') {
		e->cls = S3_OK;
		e->err = 0;
		return;
	}
	apply(e);
	/* HEAD of a bucket elsewhere: 400 without a document. */
	if (status == 400 && e->code[0] == '\0' && e->region[0])
		e->cls = S3_WRONG_REGION;
}

static const char *transport_code(int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return "Timeout";
	case -ECONNREFUSED:
		return "ConnectionRefused";
	case -ECONNRESET:
	case -EPIPE:
		return "ConnectionReset";
	case -EHOSTUNREACH:
		return "HostNotFound";
	case -EKEYREJECTED:
		return "TLSVerification";
	case -EPROTO:
		return "BadResponse";
	default:
		return "NetworkError";
	}
}

void s3_error_transport(struct s3_error *e, int err, const char *text)
{
	if (err == -ECANCELED || err == -ENOMEM) {
		s3_error_set(e, S3_LOCAL, err, err == -ENOMEM ? "out of memory" : "stopped");
		return;
	}
	text_copy(e->code, sizeof(e->code), transport_code(err), SIZE_MAX);
	text_copy(e->message, sizeof(e->message), text, SIZE_MAX);
	e->status = 0;
	apply(e);
}

void s3_error_set(struct s3_error *e, enum s3_class cls, int err, const char *text)
{
	e->code[0] = '\0';
	if (cls == S3_LOCAL)
		e->status = 0;
	if (cls == S3_PROTOCOL)
		text_copy(e->code, sizeof(e->code), "BadDocument", SIZE_MAX);
	text_copy(e->message, sizeof(e->message), text, SIZE_MAX);
	e->cls = cls;
	e->err = err;
}

const char *s3_class_name(enum s3_class cls)
{
	static const char *const names[] = {
		[S3_OK] = "ok",
		[S3_NOT_FOUND] = "not found",
		[S3_NO_BUCKET] = "no such bucket",
		[S3_FORBIDDEN] = "forbidden",
		[S3_EXPIRED] = "credentials expired",
		[S3_PRECONDITION] = "precondition failed",
		[S3_WRONG_REGION] = "wrong region",
		[S3_THROTTLED] = "throttled",
		[S3_SERVER] = "server error",
		[S3_NETWORK] = "network error",
		[S3_INVALID] = "refused",
		[S3_UNSUPPORTED] = "not supported by the server",
		[S3_PROTOCOL] = "bad answer",
		[S3_LOCAL] = "local error",
	};

	return (size_t)cls < ARRAY_SIZE(names) ? names[cls] : "?";
}

/* What a person can do about it, "" if nothing comes to mind. */
static const char *cure(const struct s3_error *e)
{
	static const struct {
		const char *code, *text;
	} by_code[] = {
		{"InvalidAccessKeyId", "check the access key"},
		{"SignatureDoesNotMatch", "check the secret key and the region"},
		{"RequestTimeTooSkewed", "check the clock of this machine"},
		{"InvalidObjectState", "the object is archived, restore it first"},
		{"ConnectionRefused", "check the endpoint"},
		{"HostNotFound", "check the endpoint and the bucket's name"},
		{"Timeout", "check the endpoint and the network"},
		{"TLSVerification", "check --ca-bundle and the endpoint's certificate"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(by_code); i++)
		if (strcmp(e->code, by_code[i].code) == 0)
			return by_code[i].text;
	if (e->cls == S3_FORBIDDEN)
		return "check the credentials and the permissions";
	if (e->cls == S3_EXPIRED)
		return "get new credentials";
	if (e->cls == S3_NO_BUCKET)
		return "check the bucket's name, the region and the endpoint";
	if (e->cls == S3_WRONG_REGION)
		return e->region[0] ? "use --region with the bucket's region" : "check --region";
	return "";
}

void s3_error_format(const struct s3_error *e, char *ret, size_t len)
{
	const char *what = e->code[0] ? e->code : s3_class_name(e->cls);
	const char *advice = cure(e);
	char status[16] = "", attempts[32] = "", region[64] = "", id[96] = "";

	if (e->status)
		(void)snprintf(status, sizeof(status), "%d ", e->status);
	if (e->attempts > 1)
		(void)snprintf(attempts, sizeof(attempts), " after %u attempts", e->attempts);
	if (e->cls == S3_WRONG_REGION && e->region[0])
		(void)snprintf(region, sizeof(region), ", the bucket is in %s", e->region);
	if (e->request_id[0])
		(void)snprintf(id, sizeof(id), " (request id %s)", e->request_id);
	(void)snprintf(ret, len, "%s%s%s%s%s%s%s%s%s", status, what, e->message[0] ? ": " : "",
		       e->message, attempts, id, region, advice[0] ? ", " : "", advice);
}

/* Answers that can mean "I do not know this header". */
static bool about_header(const struct s3_error *e)
{
	static const char *const codes[] = {"InvalidArgument",	 "InvalidRequest", "InvalidHeader",
					    "UnsupportedHeader", "BadRequest",	   ""};

	if (e->cls == S3_UNSUPPORTED)
		return true;
	if (e->status != 400)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (strcmp(e->code, codes[i]) == 0)
			return true;
	return false;
}

/* Answers after which other credentials may do better; HEAD has no code to tell. */
static bool about_creds(const struct s3_error *e)
{
	return e->cls == S3_EXPIRED || strcmp(e->code, "InvalidAccessKeyId") == 0 ||
	       (e->code[0] == '\0' && (e->status == 400 || e->status == 403));
}

/* `seconds` is how far the server's clock is ahead of ours. */
static bool about_skew(const struct s3_error *e, int64_t seconds)
{
	if (e->code[0])
		return strcmp(e->code, "RequestTimeTooSkewed") == 0;
	return e->status == 403 && (seconds > SKEW_MIN_S || seconds < -SKEW_MIN_S);
}

enum s3_next s3_error_decide(const struct s3_decide_input *in, const struct s3_retry *r)
{
	const struct s3_error *e = in->error;

	if (e->cls == S3_OK || e->cls == S3_LOCAL || r->attempts >= in->max_attempts)
		return S3_GIVE_UP;
	if (e->cls == S3_WRONG_REGION)
		return in->region_inferred && !r->region && s3_region_valid(e->region)
			       ? S3_RETRY_REGION
			       : S3_GIVE_UP;
	if (in->signs && !r->skew && r->date && about_skew(e, r->date - in->clock))
		return S3_RETRY_SKEW;
	if (in->signs && !r->creds && about_creds(e))
		return S3_RETRY_CREDS;
	if (in->optional_sent && !r->plain && about_header(e))
		return S3_RETRY_PLAIN;
	return rule_of(e)->retry ? S3_RETRY : S3_GIVE_UP;
}
