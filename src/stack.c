/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Start: loops, client, probe of the bucket, budget, read engine, file system,
 * mount. Each step that fails leaves a half-built stack that stack_free() takes
 * down; the order of taking down is the reverse, loops last of what runs.
 */
#include "stack.h"

#include <errno.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/cache.h"
#include "fuse/fs.h"
#include "loop/loop.h"
#include "mountpoint.h"
#include "options.h"
#include "prefetch/prefetch.h"
#include "resources.h"
#include "s3/s3.h"
#include "upload_options.h"

#define LOOPS_MAX	  8
#define PROBE_TIMEOUT_NS  (4 * NSEC_PER_SEC)  /* a wrong setting is told within 5 s */
#define DRAIN_TIMEOUT_NS  (30 * NSEC_PER_SEC) /* for what its writer has closed */
#define DEFAULT_PART_SIZE (8 * MIB)	      /* the peer's */
#define DEFAULT_GET_SIZE  (32 * MIB)	      /* docs/ARCHITECTURE.md */
#define RANDOM_READ_BLOCK 128		      /* KiB, least of a random read */
#define CONNECTIONS_MIN	  10 /* in all, however small --maximum-throughput-gbps is */
#define PARTS_MIN	  4  /* of an upload in flight, or one for each loop */
#define PARTS_MAX	  32 /* in flight, while more make an upload faster */
#define TRIM_INTERVAL_NS  (2 * NSEC_PER_SEC) /* idle memory is back after 12 s */

struct stack {
	struct loop *loops[LOOPS_MAX];
	unsigned nloops, nstarted;
	struct buf user_agent;
	struct s3_client *client;
	struct block_source *source;
	struct budget *budget;
	struct pf *pf;
	struct fs *fs;
	struct upload_options uploads;
	bool mounted;

	/* loop 0 only */
	struct loop_task trim_task;
	struct loop_timer trim_timer;
};

static int failed(struct stack_error *e, int r, const char *what, const char *fmt, ...)
	printf_like(4, 5);

static int failed(struct stack_error *e, int r, const char *what, const char *fmt, ...)
{
	va_list ap;

	(void)snprintf(e->what, sizeof(e->what), "%s", what);
	va_start(ap, fmt);
	(void)vsnprintf(e->cause, sizeof(e->cause), fmt, ap);
	va_end(ap);
	return r;
}

static void stack_free(struct stack *s)
{
	if (s->mounted) {
		unsigned lost;

		fs_unmount(s->fs);
		lost = fs_drain(s->fs, clock_now() + DRAIN_TIMEOUT_NS);
		if (lost)
			log_err(LOG_MAIN, "%u unfinished uploads were aborted", lost);
	}
	for (unsigned i = 0; i < s->nstarted; i++)
		loop_stop(s->loops[i]);
	if (s->fs)
		fs_free(s->fs);
	if (s->pf)
		pf_free(s->pf);
	source_free(s->source);
	if (s->budget)
		budget_free(s->budget);
	if (s->client)
		s3_client_free(s->client);
	for (unsigned i = 0; i < s->nloops; i++)
		loop_free(s->loops[i]);
	buf_fini(&s->user_agent);
	upload_options_fini(&s->uploads);
	free(s);
}

DEFINE_CLEANUP(struct stack, stack_free)

static int start_loops(struct stack *s, const struct options *o, struct stack_error *e)
{
	unsigned n = resources_loops(o->max_threads);
	int r;

	if (o->user_agent_prefix)
		buf_printf(&s->user_agent, "%s ", o->user_agent_prefix);
	buf_printf(&s->user_agent, "mount-s3/%s%s", MOUNT_S3_VERSION,
		   o->read_only ? " md/mp-readonly" : "");
	if (buf_error(&s->user_agent) < 0)
		return failed(e, -EINVAL, "Failed to start", "--user-agent-prefix is too long");
	for (unsigned i = 0; i < n; i++) {
		struct loop_config c = {
			.index = i,
			.net = {.ca_bundle = o->ca_bundle ? o->ca_bundle : getenv("AWS_CA_BUNDLE"),
				.user_agent = buf_str(&s->user_agent),
				.max_connections_per_host = 64}};

		r = loop_new(&c, &s->loops[i]);
		if (r < 0)
			return failed(e, r, "Failed to start an event loop", "%s", strerror(-r));
		s->nloops++;
		r = loop_start(s->loops[i]);
		if (r < 0)
			return failed(e, r, "Failed to start an event loop", "%s", strerror(-r));
		s->nstarted++;
	}
	return 0;
}

/* ---- the probe: one LIST on loop 0, waited for here ---- */

struct probe {
	struct loop_task task;
	struct s3_client *client;
	struct s3_list_call list;
	sem_t done;
};

static void probe_done(struct s3_call *c)
{
	struct probe *p = container_of(c, struct probe, list.call);

	s3_page_free(p->list.page);
	(void)sem_post(&p->done);
}

static void probe_run(struct loop_task *t)
{
	struct probe *p = container_of(t, struct probe, task);

	s3_list(p->client, loop_current(), &p->list);
}

static int probe_bucket(struct stack *s, const struct options *o, struct stack_error *e)
{
	struct probe p = {.task = {.run = probe_run}, .client = s->client};
	char what[512];
	int r;

	p.list = (struct s3_list_call){.prefix = o->prefix, .max_keys = 1};
	p.list.call.done = probe_done;
	p.list.call.deadline = clock_now() + PROBE_TIMEOUT_NS;
	(void)sem_init(&p.done, 0, 0);
	loop_post(s->loops[0], &p.task);
	while (sem_wait(&p.done) < 0 && errno == EINTR)
		;
	(void)sem_destroy(&p.done);
	r = p.list.call.error.err;
	if (r == 0)
		return 0;
	s3_error_format(&p.list.call.error, what, sizeof(what));
	return failed(e, r, "Failed to create S3 client",
		      "initial ListObjectsV2 failed for bucket %s in region %s at %s\n    1: %s",
		      o->bucket, s3_client_region(s->client), s3_client_endpoint(s->client), what);
}

/* GETs at a time on one loop, 0: the default. A connection brings about 0.4 Gbps. */
static unsigned connections(const struct stack *s, const struct options *o)
{
	uint64_t all = max_u64(CONNECTIONS_MIN, (o->throughput_gbps * 10 + 3) / 4);

	return o->throughput_gbps ? (unsigned)((all + s->nloops - 1) / s->nloops) : 0;
}

static enum fs_direct_io direct_io(const struct options *o)
{
	if (!o->direct_io || strcmp(o->direct_io, "never") == 0)
		return FS_DIRECT_NEVER;
	return strcmp(o->direct_io, "auto") == 0 ? FS_DIRECT_AUTO : FS_DIRECT_ALWAYS;
}

static enum s3_bucket_type bucket_type(const struct options *o)
{
	if (!o->bucket_type)
		return S3_BUCKET_INFER;
	return strcmp(o->bucket_type, "directory") == 0 ? S3_BUCKET_DIRECTORY : S3_BUCKET_GENERAL;
}

static int start_client(struct stack *s, const struct options *o, struct stack_error *e)
{
	struct s3_config c = {.bucket = o->bucket,
			      .bucket_type = bucket_type(o),
			      .region = o->region,
			      .endpoint_url = o->endpoint_url,
			      .force_path_style = o->force_path_style,
			      .dual_stack = o->dual_stack,
			      .transfer_acceleration = o->transfer_acceleration,
			      .no_sign_request = o->no_sign_request,
			      .profile = o->profile,
			      .requester_pays = o->requester_pays,
			      .get_connections = connections(s, o),
			      .expected_owner = o->expected_bucket_owner,
			      .upload_sum = upload_options_sum(o),
			      .ca_bundle = o->ca_bundle ? o->ca_bundle : getenv("AWS_CA_BUNDLE")};
	char why[512] = "";
	int r = s3_client_new(&c, why, sizeof(why), &s->client);

	if (r < 0)
		return failed(e, r, "Failed to create S3 client", "%s", *why ? why : strerror(-r));
	return probe_bucket(s, o, e);
}

static void arm_trim(struct stack *s)
{
	/* Without memory for a timer there is nothing to give back either. */
	if (loop_timer_set(s->loops[0], &s->trim_timer, clock_now() + TRIM_INTERVAL_NS) < 0)
		log_warn(LOG_MAIN, "no memory for the trim timer");
}

static void on_trim(struct loop_timer *t)
{
	struct stack *s = container_of(t, struct stack, trim_timer);

	pf_trim(s->pf);
	arm_trim(s);
}

static void start_trim(struct loop_task *t)
{
	arm_trim(container_of(t, struct stack, trim_task));
}

static uint64_t write_part_size(const struct options *o)
{
	uint64_t part = o->write_part_size ? o->write_part_size : o->part_size;

	return part ? part : DEFAULT_PART_SIZE;
}

/* Parts of uploads are kept in memory until the server has them. */
static void warn_of_parts(const struct options *o, uint64_t memory)
{
	if (write_part_size(o) > memory / 2)
		log_warn(LOG_MAIN,
			 "parts of uploads have %llu MiB, half of the memory for data: "
			 "a larger --memory-target allows what --write-part-size asks for",
			 (unsigned long long)(memory / 2 / MIB));
}

static int start_engine(struct stack *s, const struct options *o, struct stack_error *e)
{
	uint64_t memory = o->memory_target_mib ? o->memory_target_mib * MIB : resources_memory();
	uint64_t part = o->read_part_size ? o->read_part_size : o->part_size;
	struct pf_config c = {
		.loops = s->loops,
		.nloops = s->nloops,
		.random_size =
			(o->random_block_kib ? o->random_block_kib : RANDOM_READ_BLOCK) * KIB,
		.max_window = memory / 4,
		.verify = o->verify_checksums};
	int r = budget_new(memory, &s->budget);

	if (r == 0)
		r = origin_new(s->client, &s->source);
	if (r < 0)
		return failed(e, r, "Failed to set up memory", "%s", strerror(-r));
	/* A part must leave room for others in the budget; it only bounds one GET. */
	c.part_size = min_u64(round_up(part ? part : DEFAULT_GET_SIZE, MIB), memory / 8);
	c.source = s->source;
	c.budget = s->budget;
	warn_of_parts(o, memory);
	r = pf_new(&c, &s->pf);
	if (r < 0)
		return failed(e, r, "Failed to set up the read engine", "%s", strerror(-r));
	s->trim_timer.fire = on_trim;
	s->trim_task.run = start_trim;
	loop_post(s->loops[0], &s->trim_task);
	log_info(LOG_MAIN, "%u loops, %llu MiB of memory for data", s->nloops,
		 (unsigned long long)(memory / MIB));
	return 0;
}

static uint64_t ttl_ns(uint64_t seconds)
{
	return seconds == TTL_INDEFINITE ? FS_TTL_INDEFINITE : seconds * NSEC_PER_SEC;
}

/* On a loop; the main thread waits for signals. */
static void on_ended(void *arg)
{
	(void)kill(getpid(), STACK_ENDED_SIGNAL);
}

static int start_fs(struct stack *s, const struct options *o, struct stack_error *e)
{
	struct fs_config c = {
		.bucket = o->bucket,
		.prefix = o->prefix,
		.uid = o->uid ? (uid_t)o->uid : getuid(),
		.gid = o->gid ? (gid_t)o->gid : getgid(),
		.dir_mode = (mode_t)o->dir_mode,
		.file_mode = (mode_t)o->file_mode,
		.read_only = o->read_only,
		.allow_delete = o->allow_delete,
		.allow_overwrite = o->allow_overwrite,
		.incremental_upload = o->incremental_upload,
		.allow_other = o->allow_other,
		.allow_root = o->allow_root,
		.auto_unmount = o->auto_unmount,
		.direct_io = direct_io(o),
		.immutable = o->immutable,
		.metadata_ttl = ttl_ns(o->metadata_ttl),
		.negative_ttl = ttl_ns(o->negative_metadata_ttl),
		.write_part_size = write_part_size(o),
		.parts_in_flight = s->nloops > PARTS_MIN ? s->nloops : PARTS_MIN,
		.parts_in_flight_max = PARTS_MAX,
		.strict_metadata = o->strict_metadata,
		.infer_content_type = o->infer_content_type,
		.fixed_part_size = o->fixed_part_size,
		.put_attrs = s->uploads.attrs,
		.client = s->client,
		.pf = s->pf,
		.budget = s->budget,
		.loops = s->loops,
		.nloops = s->nloops,
	};
	char why[512] = "";
	int r = fs_new(&c, &s->fs);

	if (r < 0)
		return failed(e, r, "Failed to create FUSE session", "%s", strerror(-r));
	r = fs_mount(s->fs, o->directory, why, sizeof(why));
	if (r < 0)
		return failed(e, r, "Failed to create FUSE session", "%s",
			      *why ? why : strerror(-r));
	s->mounted = true;
	r = fs_serve(s->fs, on_ended, s);
	if (r < 0)
		return failed(e, r, "Failed to create FUSE session", "%s", strerror(-r));
	return 0;
}

int stack_start(const struct options *o, struct stack_error *error, struct stack **ret)
{
	_cleanup_(stack_freep) struct stack *s = calloc(1, sizeof(*s));
	char why[512] = "";
	int r;

	if (!s)
		return failed(error, -ENOMEM, "Failed to start", "out of memory");
	buf_init(&s->user_agent, 1024);
	r = upload_options_make(o, &s->uploads, why, sizeof(why));
	if (r < 0)
		return failed(error, r, "Failed to start", "%s", *why ? why : strerror(-r));
	r = start_loops(s, o, error);
	if (r == 0)
		r = start_client(s, o, error);
	if (r == 0)
		r = start_engine(s, o, error);
	if (r == 0)
		r = start_fs(s, o, error);
	if (r < 0)
		return r;
	*ret = take_ptr(&s);
	return 0;
}

void stack_stop(struct stack *s)
{
	stack_free(s);
}
