/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw get|put|multipart [options] /BUCKET/KEY...: what the server and the
 * loopback can do without a file system, as one line of JSON.
 *
 * get:       ranges of --part bytes of each key of --size bytes, in order or
 *            (--random) at random places; without --size whole objects.
 * put:       --size bytes in objects of --part bytes, KEY-000000 and on.
 * multipart: one object of --size bytes in parts of --part bytes; the two
 *            control requests count in the time, not in the operations.
 *
 * Keys come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
 * AWS_SESSION_TOKEN, the region from AWS_REGION; without keys: anonymous.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "raw_jobs.h"

static const struct command {
	const char *name;
	const char *label;
	int (*run)(struct raw *w, struct tally *tally);
	bool sends;
} commands[] = {
	{"get", "raw-get", run_get, false},
	{"put", "raw-put", run_put, true},
	{"multipart", "raw-multipart", run_multipart, true},
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; name && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

static void usage(void)
{
	fprintf(stderr, "usage: raw get|put|multipart [options] /BUCKET/KEY...\n"
			"  -e, --endpoint IP:PORT  (127.0.0.1:9000)\n"
			"  -k, --connections N     (32)\n"
			"  -p, --part N            bytes of one request (8M)\n"
			"  -S, --size N            bytes of each object; put, multipart: of all\n"
			"  -B, --buffer N          receive buffer of a connection (1M)\n"
			"  -n, --ops N             get: stop after N requests\n"
			"  -R, --random            get: random parts\n"
			"  -f, --files-from F      more keys, one per line\n"
			"  -D, --deadline T        give up after T seconds (600)\n");
}

static int parse_endpoint(const char *text, struct raw_config *c)
{
	const char *colon = strchr(text, ':');
	char ip[INET_ADDRSTRLEN];
	uint64_t port;

	if (!colon || (size_t)(colon - text) >= sizeof(ip) || parse_size(colon + 1, &port) < 0 ||
	    port == 0 || port > 65535)
		return -EINVAL;
	memcpy(ip, text, (size_t)(colon - text));
	ip[colon - text] = '\0';
	c->addr.sin_family = AF_INET;
	c->addr.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, ip, &c->addr.sin_addr) != 1)
		return -EINVAL;
	(void)snprintf(c->host, sizeof(c->host), "%s", text);
	return 0;
}

static int parse_small(const char *text, uint64_t most, uint64_t *ret_value)
{
	int r = parse_size(text, ret_value);

	return r < 0 ? r : *ret_value == 0 || *ret_value > most ? -ERANGE : 0;
}

static int parse_one(int opt, const char *arg, struct raw *w, struct names *list)
{
	uint64_t n = 0;
	int r;

	switch (opt) {
	case 'e':
		return parse_endpoint(arg, &w->config);
	case 'k':
		r = parse_small(arg, RAW_CONNECTIONS_MAX, &n);
		w->config.connections = (unsigned)n;
		return r;
	case 'B':
		r = parse_small(arg, 1U << 30, &n);
		w->config.buffer = n;
		return r;
	case 'p':
		return parse_small(arg, 1U << 30, &w->part);
	case 'S':
		return parse_size(arg, &w->size);
	case 'n':
		return parse_size(arg, &w->ops);
	case 'D':
		return parse_small(arg, 1U << 20, &w->deadline);
	case 'f':
		return names_read(arg, list);
	case 'R':
		w->random = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int parse_args(int argc, char **argv, struct raw *w, struct names *list)
{
	static const struct option options[] = {
		{"endpoint", required_argument, NULL, 'e'},
		{"connections", required_argument, NULL, 'k'},
		{"part", required_argument, NULL, 'p'},
		{"size", required_argument, NULL, 'S'},
		{"buffer", required_argument, NULL, 'B'},
		{"ops", required_argument, NULL, 'n'},
		{"random", no_argument, NULL, 'R'},
		{"files-from", required_argument, NULL, 'f'},
		{"deadline", required_argument, NULL, 'D'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "e:k:p:S:B:n:Rf:D:", options, NULL)) != -1) {
		int r = opt == '?' ? -EINVAL : parse_one(opt, optarg, w, list);

		if (r < 0)
			return r;
	}
	w->keys = optind < argc ? argv + optind : list->items;
	w->nkeys = optind < argc ? (size_t)(argc - optind) : list->count;
	if (w->nkeys == 0 || (w->random && (w->size < w->part || w->ops == 0)))
		return -EINVAL;
	return 0;
}

static void parse_environment(struct raw_config *c)
{
	c->access_key = getenv("AWS_ACCESS_KEY_ID");
	c->secret_key = getenv("AWS_SECRET_ACCESS_KEY");
	c->session_token = getenv("AWS_SESSION_TOKEN");
	c->region = getenv("AWS_REGION");
	if (!c->secret_key)
		c->access_key = NULL;
	if (!c->region)
		c->region = "us-east-1";
}

/* Bytes that no server can shrink. */
static int body_new(struct raw *w)
{
	w->body = malloc(w->part);
	if (!w->body)
		return -ENOMEM;
	for (uint64_t i = 0; i < w->part; i++)
		w->body[i] = (char)(random_next(&w->state) >> 56);
	return 0;
}

int main(int argc, char **argv)
{
	static struct tally tally;
	const struct command *command = command_find(argc > 1 ? argv[1] : NULL);
	struct raw w = {
		.config = {.connections = 32, .buffer = 1 << 20},
		.part = 8 << 20,
		.deadline = 600,
		.state = 1,
	};
	struct report report = {.mode = "sockets", .total = &tally};
	struct names list = {0};
	uint64_t begin;
	int r;

	(void)parse_endpoint("127.0.0.1:9000", &w.config);
	parse_environment(&w.config);
	if (!command || parse_args(argc - 1, argv + 1, &w, &list) < 0 ||
	    (command->sends && (w.size == 0 || body_new(&w) < 0))) {
		usage();
		return 2;
	}
	(void)alarm((unsigned)w.deadline);
	begin = now_ns();
	r = command->run(&w, &tally);
	report.seconds = (double)(now_ns() - begin) / 1e9;
	report.workload = command->label;
	report.threads = w.config.connections;
	report.block = w.part;
	cpu_used(&report.user_s, &report.system_s);
	names_fini(&list);
	free(w.body);
	if (r < 0) {
		fprintf(stderr, "raw: %s\n", strerror(-r));
		return 2;
	}
	report_print(&report, stdout);
	return tally.errors > 0;
}
