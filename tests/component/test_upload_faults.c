/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The promise of an upload under faults: `test_upload_faults S3D`. The upload
 * state machine and the S3 client run on real loops against an s3d that fails;
 * for every fault and every call, UPLOAD_FAULT_RUNS (100) uploads end in one of
 * two ways: without error, and the object has the bytes that were written; or
 * with one, and the key is as it was before. Afterwards no multipart upload is
 * left at the server.
 *
 * TEST_FILTER names one call; UPLOAD_FAULT_LOG=1 shows the log.
 *
 * Of the runs of a combination two thirds meet the fault at random (once, twice
 * or for good), one third each time. Half of them replace an object.
 */
#include "lib/s3d_proc.h"

#include <semaphore.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "lib/test.h"
#include "lib/wait_sem.h"
#include "prefetch/prefetch.h"
#include "upload/upload.h"

#define NLOOP	  2
#define PART	  MIB
#define BATCH	  50
#define SMALL	  1000
#define LARGE	  (MIB + 1017)
#define ALWAYS	  3 /* of so many runs one meets the fault each time */
#define OLD	  "the object that was there before"
#define LEFT_WAIT (60 * NSEC_PER_SEC)

static unsigned runs = 100;
static struct loop *loops[NLOOP];
static struct budget *budget;
static struct uploads *uploads; /* of the scene that runs */
static char *content;		/* the bytes of run i begin at content + i */

struct run {
	unsigned number;
	char key[80];
	bool existed;
	size_t size;
	struct upload *upload;
	struct upload_write w;
	struct upload_finish f;
	sem_t *over;
	int err;
};

static void run_finish(struct run *r)
{
	upload_finish(r->upload, &r->f);
}

static void on_written(struct upload_write *w)
{
	struct run *r = container_of(w, struct run, w);
	uint64_t next = w->offset + w->len;

	if (w->err < 0 || next == r->size) {
		run_finish(r);
		return;
	}
	w->offset = next;
	w->data = content + r->number + next;
	w->len = min_u64(r->size - next, MIB);
	upload_write(r->upload, w);
}

static void on_finished(struct upload_finish *f)
{
	struct run *r = container_of(f, struct run, f);

	r->err = f->err;
	(void)sem_post(r->over);
}

static void run_start(struct run *r)
{
	if (upload_new(uploads, r->key, &r->upload) < 0)
		abort();
	r->w = (struct upload_write){.data = content + r->number, .done = on_written};
	r->w.len = min_u64(r->size, MIB);
	r->f.done = on_finished;
	upload_write(r->upload, &r->w);
}

static bool wait_for(sem_t *s, unsigned n)
{
	while (n && wait_sem(s, 60))
		n--;
	return n == 0;
}

static void ask(const char *what)
{
	if (s3d_ask("POST", what, NULL, 0, NULL) != 200)
		test_fail_("s3d refused %s", what);
}

/* True when the server holds what the outcome promises. */
static bool outcome_holds(const struct run *r)
{
	struct s3d_answer a;
	char what[160];
	int status;
	bool good;

	(void)snprintf(what, sizeof(what), "object?bucket=" S3D_BUCKET "&key=%s", r->key);
	status = s3d_ask("GET", what, NULL, 0, &a);
	if (r->err == 0)
		good = status == 200 && a.len == r->size &&
		       memcmp(a.body, content + r->number, r->size) == 0;
	else if (r->existed)
		good = status == 200 && a.len == sizeof(OLD) - 1 && memcmp(a.body, OLD, a.len) == 0;
	else
		good = status == 404;
	if (!good)
		printf("# %s: errno %d, the server says %d with %zu bytes\n", r->key, -r->err,
		       status, a.len);
	free(a.data);
	return good;
}

static bool uploads_pending(void)
{
	struct s3d_answer a;
	bool some;

	(void)s3d_ask("GET", "uploads", NULL, 0, &a);
	some = strchr(a.body, '{') != NULL;
	free(a.data);
	return some;
}

struct fault {
	const char *name, *rule;
};

static const struct fault faults[] = {
	{"reset", "kind=reset"},
	{"500", "kind=status&code=500&s3code=InternalError"},
	{"503", "kind=status&code=503&s3code=SlowDown"},
	{"InvalidPart", "kind=status&code=400&s3code=InvalidPart"},
	{"200-error", "kind=status200error"},
	{"after-success", "kind=after-success"},
	{"late", "kind=after-success&arg=100000"},
	{"403", "kind=status&code=403&s3code=AccessDenied"},
	{"507", "kind=status&code=507&s3code=InsufficientStorage"},
	{"checksum", "kind=status&code=400&s3code=BadDigest"},
};

static const char *const ops[] = {
	"PutObject",
	"CreateMultipartUpload",
	"UploadPart",
	"CompleteMultipartUpload",
	"AbortMultipartUpload",
};

static void set_faults(const struct fault *f, const char *op)
{
	char what[256];

	(void)snprintf(what, sizeof(what), "fault?%s&op=%s&key=always-*", f->rule, op);
	ask(what);
	(void)snprintf(what, sizeof(what), "fault?%s&op=%s&key=some-*&rate=60", f->rule, op);
	ask(what);
	if (strcmp(op, "AbortMultipartUpload") == 0)
		ask("fault?kind=status&code=403&s3code=AccessDenied&op=CompleteMultipartUpload");
}

static void put_old(const struct run *r)
{
	char what[160];

	(void)snprintf(what, sizeof(what), "put?bucket=" S3D_BUCKET "&key=%s", r->key);
	if (s3d_ask("POST", what, OLD, sizeof(OLD) - 1, NULL) != 200)
		test_fail_("s3d refused %s", what);
}

static void make_run(struct run *r, unsigned number, const struct fault *f, const char *op)
{
	bool put = strcmp(op, "PutObject") == 0;

	*r = (struct run){.number = number, .existed = number & 1, .size = put ? SMALL : LARGE};
	(void)snprintf(r->key, sizeof(r->key), "%s-%s-%s-%u",
		       number % ALWAYS == 0 ? "always" : "some", op, f->name, number);
	if (r->existed)
		put_old(r);
}

/* Returns how many ended with an error; -1: they did not end. */
static int batch(struct run *r, unsigned n)
{
	sem_t over;
	int failed = 0;

	(void)sem_init(&over, 0, 0);
	for (unsigned i = 0; i < n; i++) {
		r[i].over = &over;
		run_start(&r[i]);
	}
	if (!wait_for(&over, n)) {
		test_fail_("uploads did not end: %s", r[0].key);
		return -1;
	}
	for (unsigned i = 0; i < n; i++) {
		check(outcome_holds(&r[i]));
		failed += r[i].err != 0;
		upload_unref(r[i].upload);
	}
	return failed;
}

/* Each combination has a client of its own: no other's trouble slows it down. */
static struct scene {
	struct s3_client *client;
	struct uploads *uploads;
} scenes[ARRAY_SIZE(faults) * ARRAY_SIZE(ops)];
static unsigned nscenes;

static void new_scene(void)
{
	struct scene *s = &scenes[nscenes++];
	const struct s3_config c = {.bucket = S3D_BUCKET,
				    .region = "us-east-1",
				    .endpoint_url = s3d_.endpoint,
				    .max_attempts = 3,
				    .request_timeout_ms = 2000};
	struct upload_config u;
	char why[256];

	if (s3_client_new(&c, why, sizeof(why), &s->client) < 0) {
		printf("Bail out! %s\n", why);
		exit(1);
	}
	u = (struct upload_config){.client = s->client,
				   .budget = budget,
				   .loops = loops,
				   .nloops = NLOOP,
				   .part_size = PART,
				   .parts_in_flight = 4};
	if (uploads_new(&u, &s->uploads) < 0)
		abort();
	uploads = s->uploads;
}

/* The loops have stopped. */
static void free_scenes(void)
{
	for (unsigned i = 0; i < nscenes; i++) {
		uploads_free(scenes[i].uploads);
		s3_client_free(scenes[i].client);
	}
}

static void nothing_left(const char *op, const char *fault)
{
	uint64_t end = clock_now() + LEFT_WAIT;

	while (uploads_pending() && clock_now() < end) {
		struct timespec pause = {.tv_nsec = 50000000};

		(void)nanosleep(&pause, NULL); /* polling another process */
	}
	if (uploads_pending())
		test_fail_("uploads were left by %s at %s", fault, op);
}

static void combination(const struct fault *f, const char *op)
{
	static struct run r[BATCH];
	uint64_t start = clock_now();
	int failed = 0, n = 0;

	new_scene();
	set_faults(f, op);
	for (unsigned done = 0; done < runs && n >= 0; done += BATCH) {
		unsigned count = (unsigned)min_u64(BATCH, runs - done);

		for (unsigned i = 0; i < count; i++)
			make_run(&r[i], done + i, f, op);
		n = batch(r, count);
		failed += n;
	}
	ask("faults/clear");
	printf("# %s %s: %d of %u failed, %u ms\n", op, f->name, failed, runs,
	       (unsigned)((clock_now() - start) / NSEC_PER_MSEC));
}

static void all_faults_of(const char *op)
{
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		combination(&faults[i], op);
	nothing_left(op, "the faults");
}

#define MATRIX(name, i)                \
	static void name(void)         \
	{                              \
		all_faults_of(ops[i]); \
	}
MATRIX(put_object, 0)
MATRIX(create_upload, 1)
MATRIX(upload_part, 2)
MATRIX(complete_upload, 3)
MATRIX(abort_upload, 4)

static void make_content(void)
{
	size_t n = LARGE + runs;
	uint64_t x = 88172645463325252u;

	content = malloc(n + 8);
	if (!content)
		abort();
	for (size_t i = 0; i < n; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(content + i, &x, 8);
	}
}

int main(int argc, char **argv)
{
	static const char *const quirks[] = {"--quirk", "small-parts", NULL};
	const char *n = getenv("UPLOAD_FAULT_RUNS");
	uint64_t v;
	int r;

	if (argc != 2)
		return 2;
	if (n && parse_u64(n, 1, 100000, &v) == 0)
		runs = (unsigned)v;
	if (getenv("UPLOAD_FAULT_LOG")) {
		log_set_level(LOG_DEBUG);
		log_set_sinks(LOG_TO_STDERR);
	}
	make_content();
	s3d_begin(argv[1], quirks);
	if (budget_new(256 * MIB, &budget) < 0)
		return 1;
	for (unsigned i = 0; i < NLOOP; i++)
		if (loop_new(&(struct loop_config){.index = i,
						   .net = {.max_connections_per_host = 64}},
			     &loops[i]) < 0 ||
		    loop_start(loops[i]) < 0)
			return 1;
	r = test_run((struct test[]){TEST(put_object),
				     TEST(create_upload),
				     TEST(upload_part),
				     TEST(complete_upload),
				     TEST(abort_upload),
				     {0}});
	for (unsigned i = 0; i < NLOOP; i++)
		loop_stop(loops[i]);
	free_scenes();
	budget_free(budget);
	free(content);
	for (unsigned i = 0; i < NLOOP; i++)
		loop_free(loops[i]);
	s3d_end();
	return r;
}
