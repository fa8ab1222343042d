/* SPDX-License-Identifier: Apache-2.0 */

/*
 * s3d: an S3 server for tests and benchmarks. This thread starts everything,
 * says one line, waits for SIGTERM or SIGINT, and stops everything in reverse.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "crc.h"
#include "hash.h"
#include "http.h"
#include "sigv4.h"

/* The file appears whole or not at all. */
static int write_port(const struct server *s)
{
	_cleanup_(freep) char *temp = NULL;
	FILE *f;

	if (!s->opt.port_file)
		return 0;
	if (asprintf(&temp, "%s.new", s->opt.port_file) < 0) {
		temp = NULL;
		return -ENOMEM;
	}
	f = fopen(temp, "we");
	if (!f)
		return -errno;
	fprintf(f, "%u\n", s->port);
	if (fclose(f) != 0 || rename(temp, s->opt.port_file) < 0)
		return -errno;
	return 0;
}

/* Later /_s3d/credentials may change them. */
static int take_credentials(struct server *s)
{
	struct credentials c = {0};

	if (s->opt.anonymous)
		return 0;
	if (strlen(s->opt.access_key) >= sizeof(c.access) ||
	    strlen(s->opt.secret_key) >= sizeof(c.secret))
		return -EINVAL;
	(void)snprintf(c.access, sizeof(c.access), "%s", s->opt.access_key);
	(void)snprintf(c.secret, sizeof(c.secret), "%s", s->opt.secret_key);
	sigv4_set_credentials(s, &c);
	return 0;
}

static int fill_store(struct server *s)
{
	int r = store_init(&s->store, s->opt.dir, s->opt.discard, s->opt.reuse);

	for (unsigned i = 0; i < s->opt.bucket_count && r >= 0; i++) {
		r = store_create_bucket(&s->store, s->opt.buckets[i]);
		if (r == -EEXIST)
			r = 0;
	}
	if (r >= 0 && s->opt.import) {
		struct bucket *b = store_bucket(&s->store, s->opt.buckets[0]);

		r = bucket_import(b, s->opt.import, /* borrowed= */ true);
		bucket_unref(b);
	}
	return r;
}

int server_start(struct server *s)
{
	int r = hash_start();

	crc_start();
	pthread_mutex_init(&s->key_lock, NULL);
	atomic_store(&s->session_ms, SESSION_LIFE_MS);
	faults_init(&s->faults);
	atomic_store(&s->quirks, s->opt.quirks);
	if (r >= 0)
		r = take_credentials(s);
	if (r >= 0)
		r = log_init(&s->log);
	if (r >= 0)
		r = fill_store(s);
	if (r >= 0)
		r = timers_start(&s->timers);
	if (r >= 0)
		r = http_start(s);
	if (r >= 0)
		r = write_port(s);
	return r;
}

/* Waiting connections are woken first: libmicrohttpd cannot stop with any suspended. */
void server_stop(struct server *s)
{
	timers_drain(&s->timers);
	http_stop(s);
	timers_stop(&s->timers);
	store_fini(&s->store);
	faults_fini(&s->faults);
	log_fini(&s->log);
	sessions_clear(s);
	pthread_mutex_destroy(&s->key_lock);
	hash_stop();
}

static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

int main(int argc, char **argv)
{
	static struct server server;
	int r, status, sig;
	sigset_t stop;

	if (options_parse(&server.opt, argc, argv, &status))
		return status;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	pthread_sigmask(SIG_BLOCK, &stop, NULL); /* threads inherit it */
	(void)signal(SIGPIPE, SIG_IGN);
	raise_limits();

	r = server_start(&server);
	if (r < 0) {
		fprintf(stderr, "s3d: cannot start: %s\n", strerror(-r));
		return 1;
	}
	printf("s3d: ready on %s://%s:%u\n", server.opt.tls_cert ? "https" : "http",
	       server.opt.listen_host, server.port);
	fflush(stdout);
	(void)sigwait(&stop, &sig);
	server_stop(&server);
	return 0;
}
