/* SPDX-License-Identifier: Apache-2.0 */

/* s3_get over TLS: right bytes from the right server only. */
#include <openssl/ssl.h>
#include <signal.h>

#include "lib/get_scene.h"
#include "lib/tls_server.h"

struct secure {
	struct scene s;
	struct tls_server *server;
};

static void secure_open(struct secure *x, struct tls_server_config config, const char *url_host,
			const char *ca)
{
	char url[64];

	*x = (struct secure){.s = {.cancel = CANCEL_NEVER}};
	config.object = object_bytes();
	config.size = SCENE_BYTES;
	config.etag = SCENE_ETAG;
	x->server = tls_server_new(&config);
	(void)snprintf(url, sizeof(url), "https://%s:%d", url_host, tls_server_port(x->server));
	x->s.client = scene_client(url, ca ? ca : tls_server_ca(x->server), NULL);
	x->s.loop = start_loop(NULL);
	scene_prepare(&x->s);
}

static void secure_close(struct secure *x)
{
	scene_close(&x->s);
	tls_server_free(x->server);
}

#define check_secure(x)                                          \
	do {                                                     \
		check_int((x)->s.get.call.error.err, ==, 0);     \
		check_str((x)->s.get.call.error.message, "");    \
		check_int((x)->s.placed, ==, (x)->s.get.length); \
		check_int((x)->s.wrong, ==, 0);                  \
		check_int((x)->s.dones, ==, 1);                  \
	} while (0)

static void ranges(void)
{
	struct secure x;

	secure_open(&x, (struct tls_server_config){.name = "DNS:localhost"}, "localhost", NULL);
	scene_run(&x.s, 0, SCENE_BYTES);
	check_secure(&x);
	x.s.room = 777;
	scene_run(&x.s, 4321, 100000);
	check_secure(&x);
	scene_run(&x.s, 5, 1);
	check_secure(&x);
	check_int(tls_server_handshakes(x.server), ==, 1);
	check_int(x.s.get.call.error.attempts, ==, 1);
	secure_close(&x);
}

static void by_address(void)
{
	struct secure x;

	secure_open(&x, (struct tls_server_config){.name = "IP:127.0.0.1"}, "127.0.0.1", NULL);
	scene_run(&x.s, 0, 100000);
	check_secure(&x);
	secure_close(&x);
}

static void tls_1_2(void)
{
	struct secure x;

	secure_open(
		&x,
		(struct tls_server_config){.name = "DNS:localhost", .max_version = TLS1_2_VERSION},
		"localhost", NULL);
	scene_run(&x.s, 0, 100000);
	check_secure(&x);
	secure_close(&x);
}

static void refused(void)
{
	static const struct {
		const char *what, *name, *ca;
		bool expired;
	} rows[] = {
		{"another name", "DNS:example.com", NULL, false},
		{"another address", "IP:127.0.0.2", NULL, false},
		{"a wildcard above it", "DNS:*", NULL, false},
		{"an unknown CA", "DNS:localhost", "/etc/ssl/certs/ca-certificates.crt", false},
		{"an old certificate", "DNS:localhost", NULL, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct secure x;

		if (rows[i].ca && access(rows[i].ca, R_OK) != 0)
			continue;
		secure_open(&x,
			    (struct tls_server_config){.name = rows[i].name,
						       .expired = rows[i].expired},
			    "localhost", rows[i].ca);
		scene_run(&x.s, 0, 10);
		printf("# %s: %s\n", rows[i].what, x.s.get.call.error.message);
		check_int(x.s.get.call.error.err, ==, -EIO);
		check_str(x.s.get.call.error.code, "TLSVerification");
		check_int(x.s.get.call.error.attempts, ==, 1);
		check_int(tls_server_requests(x.server), ==, 0);
		secure_close(&x);
	}
}

static void no_such_bundle(void)
{
	struct secure x;

	secure_open(&x, (struct tls_server_config){.name = "DNS:localhost"}, "localhost",
		    "/nonexistent.pem");
	scene_run(&x.s, 0, 10);
	check_int(x.s.get.call.error.err, ==, -EIO);
	check_int(tls_server_requests(x.server), ==, 0);
	secure_close(&x);
}

static void old_version_refused(void)
{
	struct secure x;

	secure_open(
		&x,
		(struct tls_server_config){.name = "DNS:localhost", .max_version = TLS1_1_VERSION},
		"localhost", NULL);
	x.s.get.call.deadline = clock_now() + 200 * NSEC_PER_MSEC;
	scene_run(&x.s, 0, 10);
	check_int(x.s.get.call.error.err, ==, -EIO);
	check_int(tls_server_handshakes(x.server), ==, 0);
	secure_close(&x);
}

static void session_is_resumed(void)
{
	struct secure x;

	secure_open(&x, (struct tls_server_config){.name = "DNS:localhost", .requests = 1},
		    "localhost", NULL);
	for (unsigned i = 0; i < 3; i++) {
		scene_run(&x.s, i * 10, 10);
		check_secure(&x);
		check_int(x.s.get.call.error.attempts, ==, 1);
	}
	check_int(tls_server_handshakes(x.server), ==, 3);
	check_int(tls_server_resumed(x.server), ==, 2);
	secure_close(&x);
}

static void cut_in_the_body(void)
{
	struct secure x;

	secure_open(&x, (struct tls_server_config){.name = "DNS:localhost", .cut = 50001},
		    "localhost", NULL);
	scene_run(&x.s, 100, 100000);
	check_secure(&x);
	check_int(x.s.get.call.error.attempts, ==, 2);
	check_int(tls_server_requests(x.server), ==, 2);
	secure_close(&x);
}

static void cancelled(void)
{
	static const enum scene_cancel where[] = {CANCEL_ON_HEAD, CANCEL_ON_SPACE, CANCEL_ON_DATA};

	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		struct secure x;

		secure_open(&x, (struct tls_server_config){.name = "DNS:localhost"}, "localhost",
			    NULL);
		x.s.room = 10000;
		x.s.cancel = where[i];
		x.s.cancel_at = 50000;
		scene_run(&x.s, 0, SCENE_BYTES);
		end_loop(x.s.loop);
		x.s.loop = NULL;
		check_int(x.s.dones, ==, 0);
		secure_close(&x);
	}
}

static void mute_server(void)
{
	for (int stop = 0; stop < 2; stop++) {
		struct secure x;

		secure_open(&x, (struct tls_server_config){.name = "DNS:localhost", .mute = true},
			    "localhost", NULL);
		x.s.get.call.deadline = clock_now() + 300 * NSEC_PER_MSEC;
		scene_run(&x.s, 0, 10);
		check_int(x.s.get.call.error.err, ==, -EIO);
		check_str(x.s.get.call.error.code, "Timeout");
		x.s.get.call.deadline = 0;
		scene_start(&x.s, 0, 10);
		if (stop) {
			scene_stop(&x.s);
			check_int(x.s.dones, ==, 0);
		} else {
			end_loop(x.s.loop);
			x.s.loop = NULL;
			check_int(x.s.get.call.error.err, ==, -ECANCELED);
		}
		secure_close(&x);
	}
}

static void through_a_tunnel(void)
{
	struct secure x;
	char proxy[64];

	secure_open(&x, (struct tls_server_config){.name = "DNS:s3.example.test", .tunnel = true},
		    "localhost", NULL);
	s3_client_free(x.s.client);
	(void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", tls_server_port(x.server));
	(void)setenv("https_proxy", proxy, 1);
	x.s.client = scene_client("https://s3.example.test", tls_server_ca(x.server), NULL);
	scene_run(&x.s, 0, 100000);
	check_secure(&x);
	scene_run(&x.s, 7, 10);
	check_secure(&x);
	check_int(tls_server_tunnels(x.server), ==, 1);
	(void)unsetenv("https_proxy");
	secure_close(&x);
}

int main(void)
{
	if (no_backend())
		return 77;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setenv("no_proxy", "127.0.0.1,localhost", 1);
	return test_run((struct test[]){TEST(ranges),
					TEST(by_address),
					TEST(tls_1_2),
					TEST(refused),
					TEST(no_such_bundle),
					TEST(old_version_refused),
					TEST(session_is_resumed),
					TEST(cut_in_the_body),
					TEST(cancelled),
					TEST(mute_server),
					TEST(through_a_tunnel),
					{0}});
}
