/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Buckets by name (general, directory, aliases of access points) and ARNs of access
 * points (of S3, multi-region, Object Lambda, Outposts). Each kind has its service
 * in the host name, its name in the signature, and options that it does not take.
 */
#include "s3/place.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUCKET_MAX 255 /* S3: 63; older and other servers allow more */

int s3_place_refuse(char *why, size_t why_len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

bool s3_region_valid(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n >= S3_REGION_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), len = strlen(end);

	return n > len && strcmp(name + n - len, end) == 0;
}

bool s3_bucket_is_express(const char *name)
{
	return ends_in(name, "--x-s3") || ends_in(name, "--xa-s3");
}

bool s3_place_is_label(const char *s)
{
	size_t n = strlen(s);

	if (n < 3 || n > 63 || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= '0' && s[i] <= '9') && s[i] != '-')
			return false;
	return true;
}

static bool bucket_possible(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > BUCKET_MAX || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f || strchr("/?#\\:", s[i]))
			return false;
	return true;
}

/* What a partition of AWS has in common; the last row is for all other regions. */
struct partition {
	const char *prefix, *name, *suffix;
};

static const struct partition *partition_of(const char *region)
{
	static const struct partition partitions[] = {
		{"cn-", "aws-cn", "amazonaws.com.cn"},
		{"us-gov-", "aws-us-gov", "amazonaws.com"},
		{"us-iso-", "aws-iso", "c2s.ic.gov"},
		{"us-isob-", "aws-iso-b", "sc2s.sgov.gov"},
		{"eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"},
		{"us-isof-", "aws-iso-f", "csp.hci.ic.gov"},
		{"eusc-", "aws-eusc", "amazonaws.eu"},
		{"", "aws", "amazonaws.com"},
	};
	const struct partition *p = partitions;

	while (strncmp(region, p->prefix, strlen(p->prefix)) != 0)
		p++;
	return p;
}

/* --- buckets --- */

/* ZONE of NAME--ZONE--x-s3. */
static bool zone_of(const char *bucket, char ret[S3_REGION_MAX])
{
	const char *end = bucket + strlen(bucket) - (ends_in(bucket, "--x-s3") ? 6 : 7);
	const char *zone = end;

	while (zone > bucket && !(zone[-1] == '-' && zone - bucket >= 2 && zone[-2] == '-'))
		zone--;
	if (zone - bucket < 3 || zone == end || end - zone >= S3_REGION_MAX)
		return false;
	(void)snprintf(ret, S3_REGION_MAX, "%.*s", (int)(end - zone), zone);
	return true;
}

static int place_express(const struct s3_endpoint_input *in, char *why, size_t why_len,
			 struct s3_place *p)
{
	char zone[S3_REGION_MAX];

	if (!zone_of(in->bucket, zone) || !s3_place_is_label(in->bucket))
		return s3_place_refuse(
			why, why_len,
			"\"%s\" is not the name of a directory bucket, NAME--ZONE--x-s3",
			in->bucket);
	if (in->accelerate)
		return s3_place_refuse(why, why_len,
				       "directory buckets have no transfer acceleration");
	if (in->force_path_style && !in->url)
		return s3_place_refuse(why, why_len,
				       "directory buckets cannot be in the path of a URL");
	p->signing = "s3express";
	p->virtual_only = true;
	(void)snprintf(p->service, sizeof(p->service), "s3express-%s%s.%s", zone,
		       in->dual_stack ? ".dualstack" : "", in->region);
	return 0;
}

/* An alias of an access point on Outposts tells where: kind and Outpost at fixed places. */
static int place_outposts_alias(const struct s3_endpoint_input *in, char *why, size_t why_len,
				struct s3_place *p)
{
	size_t n = strlen(in->bucket);
	const char *end = in->bucket + n;

	if (n < 50 || !s3_place_is_label(in->bucket) || (end[-50] != 'o' && end[-50] != 'e'))
		return s3_place_refuse(why, why_len, "\"%s\" is not an alias of S3 on Outposts",
				       in->bucket);
	if (in->dual_stack || in->accelerate || in->force_path_style)
		return s3_place_refuse(
			why, why_len,
			"S3 on Outposts has no dual stack, acceleration or path style");
	p->signing = "s3-outposts";
	p->virtual_only = p->no_checksums = true;
	if (end[-50] == 'e')
		(void)snprintf(p->service, sizeof(p->service), "ec2.s3-outposts.%s", in->region);
	else
		(void)snprintf(p->service, sizeof(p->service), "op-%.17s.s3-outposts.%s", end - 49,
			       in->region);
	return 0;
}

static int place_bucket(const struct s3_endpoint_input *in, char *why, size_t why_len,
			struct s3_place *p)
{
	if (in->accelerate && (in->force_path_style || !s3_place_is_label(in->bucket)))
		return s3_place_refuse(
			why, why_len,
			"transfer acceleration needs the bucket in the host name: \"%s\" with "
			"dots or --force-path-style cannot be there",
			in->bucket);
	if (in->accelerate && strcmp(p->suffix, "amazonaws.com") != 0)
		return s3_place_refuse(why, why_len, "region \"%s\" has no transfer acceleration",
				       in->region);
	if (in->accelerate)
		(void)snprintf(p->service, sizeof(p->service), "s3-accelerate%s",
			       in->dual_stack ? ".dualstack" : "");
	else
		(void)snprintf(p->service, sizeof(p->service), "s3%s.%s",
			       in->dual_stack ? ".dualstack" : "", in->region);
	return 0;
}

/* --- ARNs --- */

#define ARN_FIELDS 6 /* "arn", partition, service, region, account, resource */

struct arn {
	char text[512];
	const char *field[ARN_FIELDS];
};

static bool arn_parse(const char *s, struct arn *a)
{
	char *p = a->text;

	if (snprintf(a->text, sizeof(a->text), "%s", s) >= (int)sizeof(a->text))
		return false;
	for (unsigned i = 0; i < ARN_FIELDS; i++) {
		char *colon = i + 1 < ARN_FIELDS ? strchr(p, ':') : NULL;

		a->field[i] = p;
		if (i + 1 == ARN_FIELDS)
			break;
		if (!colon)
			return false;
		*colon = '\0';
		p = colon + 1;
	}
	/* The resource's parts are separated by either. */
	for (p = a->text + (a->field[5] - a->text); *p; p++)
		if (*p == ':')
			*p = '/';
	return a->field[5][0] != '\0';
}

static bool is_account(const char *s)
{
	return strlen(s) == 12 && strspn(s, "0123456789") == 12;
}

/* "accesspoint/NAME" -> NAME; NULL: another resource, or not a name. */
static const char *access_point(const char *resource)
{
	static const char kind[] = "accesspoint/";
	const char *name = resource + sizeof(kind) - 1;

	return strncmp(resource, kind, sizeof(kind) - 1) == 0 && s3_place_is_label(name) ? name
											 : NULL;
}

static int place_multi_region(const struct s3_endpoint_input *in, const struct arn *a, char *why,
			      size_t why_len, struct s3_place *p)
{
	const char *alias = a->field[5] + strlen("accesspoint/");

	if (strncmp(a->field[5], "accesspoint/", strlen("accesspoint/")) != 0 ||
	    !ends_in(alias, ".mrap") ||
	    strspn(alias, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(alias))
		return s3_place_refuse(why, why_len,
				       "\"%s\" names no region and no multi-region access point",
				       in->bucket);
	if (in->dual_stack || in->url)
		return s3_place_refuse(
			why, why_len,
			"a multi-region access point has no dual stack and no other endpoint");
	(void)snprintf(p->name, sizeof(p->name), "%s", alias);
	(void)snprintf(p->service, sizeof(p->service), "accesspoint.s3-global");
	(void)snprintf(p->region, sizeof(p->region), "*");
	p->all_regions = true;
	return 0;
}

/* outpost/ID/accesspoint/NAME */
static int place_outposts(const struct s3_endpoint_input *in, const struct arn *a, char *why,
			  size_t why_len, struct s3_place *p)
{
	static const char kind[] = "outpost/";
	const char *id = a->field[5] + sizeof(kind) - 1, *slash, *name;

	slash = strncmp(a->field[5], kind, sizeof(kind) - 1) == 0 ? strchr(id, '/') : NULL;
	name = slash ? access_point(slash + 1) : NULL;
	if (!name || slash == id ||
	    strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != (size_t)(slash - id))
		return s3_place_refuse(why, why_len, "\"%s\" names no access point of an Outpost",
				       in->bucket);
	(void)snprintf(p->name, sizeof(p->name), "%s-%s.%.*s", name, a->field[4], (int)(slash - id),
		       id);
	p->no_checksums = true;
	return 0;
}

static int place_access_point(const struct s3_endpoint_input *in, const struct arn *a, char *why,
			      size_t why_len, struct s3_place *p)
{
	const char *name = access_point(a->field[5]);

	if (!name && strcmp(a->field[2], "s3") == 0)
		return s3_place_refuse(why, why_len,
				       "\"%s\" is no access point: give buckets by their name",
				       in->bucket);
	if (!name)
		return s3_place_refuse(why, why_len, "\"%s\" names no access point", in->bucket);
	(void)snprintf(p->name, sizeof(p->name), "%s-%s", name, a->field[4]);
	return 0;
}

/* The checks that all ARNs of one region have in common. */
static int check_arn(const struct s3_endpoint_input *in, const struct arn *a, char *why,
		     size_t why_len)
{
	const char *region = a->field[3], *account = a->field[4];

	if (!is_account(account))
		return s3_place_refuse(why, why_len, "\"%s\": \"%s\" is no account", in->bucket,
				       account);
	if (!region[0])
		return 0;
	if (!s3_region_valid(region) || strchr(region, '.'))
		return s3_place_refuse(why, why_len, "\"%s\": \"%s\" is no region", in->bucket,
				       region);
	if (strcmp(partition_of(region)->name, a->field[1]) != 0)
		return s3_place_refuse(why, why_len, "\"%s\": region %s is not in partition %s",
				       in->bucket, region, a->field[1]);
	return 0;
}

static const struct arn_service {
	const char *name, *host; /* in the ARN; in the host name */
} arn_services[] = {
	{"s3", "s3-accesspoint"},
	{"s3-object-lambda", "s3-object-lambda"},
	{"s3-outposts", "s3-outposts"},
};

static const struct arn_service *arn_service_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(arn_services); i++)
		if (strcmp(arn_services[i].name, name) == 0)
			return &arn_services[i];
	return NULL;
}

/* The access point of an ARN with a region. */
static int place_in_region(const struct s3_endpoint_input *in, const struct arn *a,
			   const struct arn_service *service, char *why, size_t why_len,
			   struct s3_place *p)
{
	const char *region = a->field[3];

	if (!region[0])
		return s3_place_refuse(why, why_len, "\"%s\" names no region", in->bucket);
	(void)snprintf(p->region, sizeof(p->region), "%s", region);
	p->suffix = partition_of(region)->suffix;
	(void)snprintf(p->service, sizeof(p->service), "%s%s.%s", service->host,
		       in->dual_stack ? ".dualstack" : "", region);
	p->signing = service->name;
	return strcmp(service->name, "s3-outposts") == 0
		       ? place_outposts(in, a, why, why_len, p)
		       : place_access_point(in, a, why, why_len, p);
}

static int place_arn(const struct s3_endpoint_input *in, char *why, size_t why_len,
		     struct s3_place *p)
{
	const struct arn_service *service;
	struct arn a;
	bool plain;
	int r;

	if (!arn_parse(in->bucket, &a))
		return s3_place_refuse(why, why_len, "\"%s\" is not an ARN", in->bucket);
	service = arn_service_of(a.field[2]);
	if (!service)
		return s3_place_refuse(why, why_len, "\"%s\" is not an ARN of S3", in->bucket);
	plain = service == &arn_services[0];
	if (plain && !a.field[4][0])
		return place_access_point(in, &a, why, why_len, p); /* a bucket's: says so */
	r = check_arn(in, &a, why, why_len);
	if (r < 0)
		return r;
	if (in->force_path_style || in->accelerate)
		return s3_place_refuse(
			why, why_len,
			"access points have no path style and no transfer acceleration");
	if (in->dual_stack && !plain)
		return s3_place_refuse(why, why_len, "%s has no dual stack", service->name);
	p->arn = p->virtual_only = true;
	if (plain && !a.field[3][0])
		return place_multi_region(in, &a, why, why_len, p);
	return place_in_region(in, &a, service, why, why_len, p);
}

int s3_place_find(const struct s3_endpoint_input *in, char *why, size_t why_len,
		  struct s3_place *ret)
{
	*ret = (struct s3_place){.signing = "s3", .suffix = partition_of(in->region)->suffix};
	(void)snprintf(ret->region, sizeof(ret->region), "%s", in->region);
	if (strncmp(in->bucket, "arn:", 4) == 0)
		return place_arn(in, why, why_len, ret);
	if (!bucket_possible(in->bucket))
		return s3_place_refuse(why, why_len, "\"%s\" is not a bucket name", in->bucket);
	(void)snprintf(ret->name, sizeof(ret->name), "%s", in->bucket);
	if (s3_bucket_is_express(in->bucket))
		return place_express(in, why, why_len, ret);
	if (ends_in(in->bucket, "--op-s3"))
		return place_outposts_alias(in, why, why_len, ret);
	return place_bucket(in, why, why_len, ret);
}
