/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Command line of s3d: see options.h.
 */

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "quirk.h"
#include "text.h"

enum {
	OPT_DIR = 256,
	OPT_MEMORY,
	OPT_LISTEN,
	OPT_PORT_FILE,
	OPT_BUCKET,
	OPT_ACCESS_KEY,
	OPT_SECRET_KEY,
	OPT_ANONYMOUS,
	OPT_REGION,
	OPT_DOMAIN,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_THREADS,
	OPT_QUIRK,
	OPT_DISCARD,
	OPT_REUSE,
	OPT_IMPORT,
	OPT_ETAG,
	OPT_HELP,
};

static const struct option longs[] = {
	{"dir", required_argument, NULL, OPT_DIR},
	{"memory", no_argument, NULL, OPT_MEMORY},
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"port-file", required_argument, NULL, OPT_PORT_FILE},
	{"bucket", required_argument, NULL, OPT_BUCKET},
	{"access-key", required_argument, NULL, OPT_ACCESS_KEY},
	{"secret-key", required_argument, NULL, OPT_SECRET_KEY},
	{"anonymous", no_argument, NULL, OPT_ANONYMOUS},
	{"region", required_argument, NULL, OPT_REGION},
	{"domain", required_argument, NULL, OPT_DOMAIN},
	{"tls-cert", required_argument, NULL, OPT_TLS_CERT},
	{"tls-key", required_argument, NULL, OPT_TLS_KEY},
	{"threads", required_argument, NULL, OPT_THREADS},
	{"quirk", required_argument, NULL, OPT_QUIRK},
	{"discard", no_argument, NULL, OPT_DISCARD},
	{"reuse", no_argument, NULL, OPT_REUSE},
	{"import", required_argument, NULL, OPT_IMPORT},
	{"etag", required_argument, NULL, OPT_ETAG},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static void print_help(void)
{
	fputs("usage: s3d [options]\n"
	      "An S3 server for tests and benchmarks.\n\n"
	      "  --memory              objects in memory (default)\n"
	      "  --dir DIR             objects as files; each sub-folder is a bucket\n"
	      "  --import DIR          files below DIR become keys of the first bucket\n"
	      "  --discard             count uploaded bytes but do not keep them\n"
	      "  --reuse               keep the memory of deleted objects that nobody has read\n"
	      "  --bucket NAME         create a bucket at start (repeatable)\n"
	      "  --listen ADDR:PORT    default 127.0.0.1:0 (0: any free port)\n"
	      "  --port-file FILE      write the port there when ready\n"
	      "  --threads N           serving threads (default 2)\n"
	      "  --tls-cert F --tls-key F   serve HTTPS\n"
	      "  --access-key K        default: $AWS_ACCESS_KEY_ID\n"
	      "  --secret-key S        default: $AWS_SECRET_ACCESS_KEY (safer)\n"
	      "  --anonymous           take requests without signature\n"
	      "  --region R            default us-east-1\n"
	      "  --domain D            BUCKET.D is virtual-host style (always: localhost)\n"
	      "  --etag md5|crc        crc: ETags that cost nothing (default md5)\n"
	      "  --quirk NAME          behave as some servers do (repeatable):\n",
	      stdout);
	for (int q = 0; q < QUIRK_COUNT; q++)
		printf("      %-24s %s\n", quirk_name((enum quirk)q), quirk_help((enum quirk)q));
	fputs("Control while it runs: /_s3d/counters, log, reset, fault, ... on the same port.\n",
	      stdout);
}

/* ADDR:PORT, the address being everything before the last colon. */
static int parse_listen(struct options *o, char *s)
{
	char *colon = strrchr(s, ':');
	uint64_t port;

	if (!colon || text_u64(colon + 1, &port) < 0 || port > 65535)
		return -1;
	*colon = '\0';
	o->listen_host = s;
	o->listen_port = (uint16_t)port;
	return 0;
}

static int parse_bucket(struct options *o, const char *s)
{
	if (o->bucket_count == OPTIONS_LIST_MAX)
		return -1;
	o->buckets[o->bucket_count++] = s;
	return 0;
}

static int parse_quirk(struct options *o, const char *s)
{
	enum quirk q;

	if (quirk_by_name(s, &q) < 0)
		return -1;
	o->quirks |= (uint64_t)1 << q;
	return 0;
}

static int parse_threads(struct options *o, const char *s)
{
	uint64_t n;

	if (text_u64(s, &n) < 0 || n < 1 || n > 256)
		return -1;
	o->threads = (unsigned)n;
	return 0;
}

static int parse_etag(struct options *o, const char *s)
{
	o->fast_etag = strcmp(s, "crc") == 0;
	return o->fast_etag || strcmp(s, "md5") == 0 ? 0 : -1;
}

/* One option; -1 if its value is wrong. */
static int take(struct options *o, int opt, char *arg)
{
	switch (opt) {
	case OPT_DIR:
		o->dir = arg;
		return 0;
	case OPT_MEMORY:
		o->dir = NULL;
		return 0;
	case OPT_LISTEN:
		return parse_listen(o, arg);
	case OPT_PORT_FILE:
		o->port_file = arg;
		return 0;
	case OPT_BUCKET:
		return parse_bucket(o, arg);
	case OPT_ACCESS_KEY:
		o->access_key = arg;
		return 0;
	case OPT_SECRET_KEY:
		o->secret_key = arg;
		return 0;
	case OPT_ANONYMOUS:
		o->anonymous = true;
		return 0;
	case OPT_REGION:
		o->region = arg;
		return 0;
	case OPT_DOMAIN:
		o->domain = arg;
		return 0;
	case OPT_TLS_CERT:
		o->tls_cert = arg;
		return 0;
	case OPT_TLS_KEY:
		o->tls_key = arg;
		return 0;
	case OPT_THREADS:
		return parse_threads(o, arg);
	case OPT_QUIRK:
		return parse_quirk(o, arg);
	case OPT_DISCARD:
		o->discard = true;
		return 0;
	case OPT_REUSE:
		o->reuse = true;
		return 0;
	case OPT_IMPORT:
		o->import = arg;
		return 0;
	case OPT_ETAG:
		return parse_etag(o, arg);
	default:
		return -1;
	}
}

static int check(const struct options *o)
{
	const char *wrong = NULL;

	if (!o->anonymous && (!o->access_key || !o->secret_key))
		wrong = "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
			"--anonymous";
	else if (!o->tls_cert != !o->tls_key)
		wrong = "--tls-cert and --tls-key belong together";
	else if (o->import && o->bucket_count == 0)
		wrong = "--import needs a --bucket";
	if (!wrong)
		return 0;
	fprintf(stderr, "s3d: %s\n", wrong);
	return -1;
}

int options_parse(struct options *o, int argc, char **argv, int *ret_status)
{
	int c, at = -1;

	*o = (struct options){
		.listen_host = "127.0.0.1",
		.threads = 2,
		.region = "us-east-1",
		.access_key = getenv("AWS_ACCESS_KEY_ID"),
		.secret_key = getenv("AWS_SECRET_ACCESS_KEY"),
	};
	*ret_status = 2;
	while ((c = getopt_long(argc, argv, "", longs, &at)) != -1) {
		if (c == OPT_HELP) {
			print_help();
			*ret_status = 0;
			return 1;
		}
		if (c == '?')
			return 1;
		if (take(o, c, optarg) < 0) {
			fprintf(stderr, "s3d: --%s: wrong value\n", longs[at].name);
			return 1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "s3d: unexpected argument: %s\n", argv[optind]);
		return 1;
	}
	return check(o) < 0;
}
