/* SPDX-License-Identifier: Apache-2.0 */

/*
 * mount-s3: parse, build the stack from the bottom up, serve until a signal or
 * an outside unmount, take it down in reverse. The one place that knows every
 * layer. Threads: this one waits for signals; all work is on the loops.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "daemon.h"
#include "fstab.h"
#include "fuse/fs.h"
#include "mountpoint.h"
#include "options.h"
#include "options_check.h"
#include "resources.h"
#include "stack.h"

static int fail(const char *what, const char *cause)
{
	(void)fprintf(stderr, "Error: %s\n\nCaused by:\n    0: %s\n", what, cause);
	log_err(LOG_MAIN, "%s: %s", what, cause);
	return 1;
}

static void success_text(const struct options *o, struct buf *b)
{
	if (*o->prefix)
		buf_printf(b, "prefix %s of bucket %s is mounted at %s", o->prefix, o->bucket,
			   o->directory);
	else
		buf_printf(b, "bucket %s is mounted at %s", o->bucket, o->directory);
}

/* Blocks the signals that end or steer the process, here and in all later threads. */
static void block_signals(sigset_t *ret)
{
	(void)sigemptyset(ret);
	(void)sigaddset(ret, SIGINT);
	(void)sigaddset(ret, SIGTERM);
	(void)sigaddset(ret, SIGHUP);
	(void)sigaddset(ret, SIGUSR2);
	(void)sigaddset(ret, STACK_ENDED_SIGNAL);
	(void)pthread_sigmask(SIG_BLOCK, ret, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* SIGUSR2 walks the log level up and around, as the peer does. */
static void cycle_level(enum log_level initial)
{
	static enum log_level level;

	if (level == 0)
		level = initial;
	level = level >= LOG_TRACE ? initial : level + 1;
	log_set_level(level);
	log_warn(LOG_MAIN, "Changed log verbosity to %s", log_level_name(level));
}

static void wait_for_end(const sigset_t *signals, enum log_level initial)
{
	for (;;) {
		int sig = sigwaitinfo(signals, NULL);

		if (sig == SIGUSR2) {
			cycle_level(initial);
			continue;
		}
		if (sig < 0)
			continue;
		if (sig == STACK_ENDED_SIGNAL)
			log_info(LOG_MAIN, "unmounted from outside");
		else
			log_info(LOG_MAIN, "received %s, unmounting", strsignal(sig));
		return;
	}
}

/* *ret is the level in force. */
static int start_log(const struct options *o, enum log_level *ret)
{
	const char *filter = getenv("MOUNTPOINT_LOG");
	unsigned sinks = 0;
	int r;

	*ret = o->no_log ? LOG_OFF : o->debug ? LOG_DEBUG : LOG_INFO;
	log_set_level(*ret);
	if (o->debug_client && log_set_filter("s3=debug,loop=debug") < 0)
		log_warn(LOG_MAIN, "--debug-crt has no effect");
	if (filter && log_set_filter(filter) < 0)
		log_warn(LOG_MAIN, "MOUNTPOINT_LOG=%s is not understood, ignoring it", filter);
	if (o->foreground)
		sinks |= LOG_TO_STDOUT;
	if (!o->log_directory)
		sinks |= LOG_TO_SYSLOG;
	log_set_sinks(o->no_log && !filter ? 0 : sinks);
	r = o->log_directory ? log_open_file(o->log_directory) : 0;
	return r;
}

static int serve(const struct options *o, const char *success, int ready_fd)
{
	struct stack_error error = {0};
	struct stack *stack;
	enum log_level level;
	sigset_t signals;
	int r;

	block_signals(&signals);
	r = start_log(o, &level);
	if (r < 0)
		return fail("failed to initialize logging", strerror(-r));
	resources_apply();
	log_info(LOG_MAIN, "mount-s3 %s", MOUNT_S3_VERSION);
	if (o->ttl_zero)
		log_warn(LOG_MAIN, "--metadata-ttl 0 is deprecated, use --metadata-ttl minimal");
	r = stack_start(o, &error, &stack);
	if (r < 0)
		return fail(error.what, error.cause);
	resources_settle();
	log_info(LOG_MAIN, "successfully mounted %s at %s", o->bucket, o->directory);
	if (ready_fd >= 0) {
		daemon_ready(ready_fd);
	} else {
		(void)puts(success);
		(void)fflush(stdout);
	}
	wait_for_end(&signals, level);
	stack_stop(stack);
	log_info(LOG_MAIN, "ended");
	log_close();
	return 0;
}

static int run(const struct options *o)
{
	_cleanup_(buf_fini) struct buf success = BUF_INIT(16384);
	char why[512];
	int ready = -1;
	int r;

	success_text(o, &success);
	if (options_check_values(o, why, sizeof(why)) < 0) {
		(void)fprintf(stderr, "Error: %s\n", why);
		return 1;
	}
	r = mountpoint_check(o->directory, o->read_only || o->auto_unmount, why, sizeof(why));
	if (r < 0)
		return fail("Failed to create mount point", why);
	if (!o->foreground) {
		r = daemon_fork(buf_str(&success), &ready);
		if (r < 0)
			return fail("Failed to create mount process", strerror(-r));
	}
	return serve(o, buf_str(&success), ready);
}

static int usage_error(const char *why)
{
	(void)fprintf(stderr, "error: %s\n\nFor more information, try '--help'.\n", why);
	return 2;
}

int main(int argc, char **argv)
{
	_cleanup_(fstab_args_fini) struct fstab_args fstab = {0};
	_cleanup_(options_fini) struct options o = {0};
	char why[1024] = "";

	if (fs_is_guard(argc, argv))
		return fs_guard(argv);
	if (fstab_style(argc, argv)) {
		(void)puts("Using 'fstab' style options as detected use of `-o` argument.");
		if (fstab_parse(argv, &fstab, why, sizeof(why)) < 0)
			return usage_error(why);
		argc = fstab.argc;
		argv = fstab.argv;
	}
	if (options_parse(argc, argv, &o, why, sizeof(why)) < 0)
		return usage_error(why);
	if (o.help || o.version) {
		if (o.help)
			options_print_help(stdout);
		else
			(void)printf("mount-s3 %s\n", MOUNT_S3_VERSION);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	return run(&o);
}
