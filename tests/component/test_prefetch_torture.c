/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Many readers in little memory, with bytes arriving in pieces of all sizes at
 * all times: every byte is right, nobody waits for ever, and the memory never
 * passes the limit.
 */
#include <errno.h>
#include <pthread.h>

#include "lib/pf_rig.h"
#include "lib/test.h"

#define THREADS 16
#define OBJECTS 12
#define STREAMS 256

struct worker {
	pthread_t thread;
	struct rig *rig;
	struct pf_stream **streams;
	uint64_t random;
	unsigned reads, wrong;
};

static uint64_t object_size(unsigned i)
{
	static const uint64_t sizes[OBJECTS] = {
		1,	 4096,		PF_CELL,  PF_CELL + 1,	 MIB,	    3 * MIB - 7,
		8 * MIB, 20 * MIB + 13, 50 * MIB, 100 * MIB + 1, 333 * MIB, GIB + 4097,
	};

	return sizes[i % OBJECTS];
}

static uint64_t draw(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static void expect(struct worker *w, unsigned stream, uint64_t offset, size_t len)
{
	uint64_t size = object_size(stream);
	int64_t want = offset >= size ? 0 : (int64_t)min_u64(len, size - offset);

	w->reads++;
	if (rig_pread(w->streams[stream], offset, len) != want)
		w->wrong++;
}

/* Runs of sequential reads, lone ones, and steps back, on streams shared with the others. */
static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned reads = w->reads;

	w->reads = 0;
	while (w->reads < reads) {
		unsigned stream = (unsigned)(draw(w) % STREAMS);
		uint64_t offset = draw(w) % object_size(stream);
		size_t len = 1 + draw(w) % (draw(w) % 2 ? PF_READ_MAX : 8192);
		unsigned run = draw(w) % 4 ? 1 : 1 + (unsigned)(draw(w) % 12);

		while (run-- > 0) {
			expect(w, stream, offset, len);
			offset += len;
		}
	}
	return NULL;
}

static void open_all(struct rig *rig, struct pf_stream **streams)
{
	for (unsigned i = 0; i < STREAMS; i++) {
		char key[32];

		(void)snprintf(key, sizeof(key), "object-%u", i % (2 * OBJECTS));
		streams[i] = rig_stream(rig, key, object_size(i));
	}
}

static void torture(const struct rig_config *config, unsigned reads)
{
	static struct pf_stream *streams[STREAMS];
	static struct worker workers[THREADS];
	struct rig rig;

	rig_init(&rig, config);
	open_all(&rig, streams);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.rig = &rig,
			.streams = streams,
			.random = 0x1234567 + i * 7919,
			.reads = reads / THREADS,
		};
		(void)pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		(void)pthread_join(workers[i].thread, NULL);
		check_int(workers[i].wrong, ==, 0);
	}
	check_int(budget_peak(rig.budget), <=, config->budget);
	for (unsigned i = 0; i < STREAMS; i++)
		pf_close(streams[i]);
	rig_fini(&rig);
}

static void ten_thousand_reads_in_64_mib(void)
{
	torture(
		&(struct rig_config){
			.budget = 64 * MIB,
			.script = {.pause_max_ns = 20000000,
				   .head_delay_ns = 2000000,
				   .step_delay_ns = 300000,
				   .piece_max = 512 * KIB,
				   .jitter = true},
		},
		10000);
}

/* Less memory than the readers ask for at once: the line is always full. */
static void in_8_mib(void)
{
	torture(
		&(struct rig_config){
			.budget = 8 * MIB,
			.script = {.pause_max_ns = 3000000,
				   .head_delay_ns = 300000,
				   .step_delay_ns = 100000,
				   .piece_max = MIB,
				   .jitter = true},
		},
		3000);
}

/* Each byte count that a receive may give. */
static void in_tiny_pieces(void)
{
	torture(
		&(struct rig_config){
			.budget = 16 * MIB,
			.script = {.pause_max_ns = 1000000, .piece_max = 5000, .jitter = true},
		},
		600);
}

struct visitor {
	pthread_t thread;
	struct rig *rig;
	uint64_t random;
	unsigned wrong;
};

/* Opens, reads on for a while, closes with much still on its way. */
static void *visit(void *arg)
{
	struct visitor *v = arg;

	for (unsigned i = 0; i < 60; i++) {
		uint64_t offset, x = v->random;
		struct pf_stream *s;
		char key[32];

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		v->random = x;
		(void)snprintf(key, sizeof(key), "visited-%u", (unsigned)(x % 3));
		if (rig_open(v->rig, key, 200 * MIB, x >> 32 & 1, false, &s) < 0) {
			v->wrong++;
			continue;
		}
		offset = (x >> 33) % (150 * MIB);
		for (unsigned k = 0; k < (x >> 50) % 20; k++, offset += 256 * KIB)
			v->wrong += rig_pread(s, offset, 256 * KIB) != 256 * KIB;
		pf_close(s);
	}
	return NULL;
}

static void closing_in_the_middle(void)
{
	struct visitor visitors[THREADS];
	struct rig rig;

	rig_init(&rig, &(struct rig_config){
			       .budget = 64 * MIB,
			       .script = {.head_delay_ns = 500000,
					  .step_delay_ns = 200000,
					  .piece_max = MIB,
					  .jitter = true},
		       });
	for (unsigned i = 0; i < THREADS; i++) {
		visitors[i] = (struct visitor){.rig = &rig, .random = 77777 + i};
		(void)pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		(void)pthread_join(visitors[i].thread, NULL);
		check_int(visitors[i].wrong, ==, 0);
	}
	check_int(budget_peak(rig.budget), <=, 64 * MIB);
	rig_fini(&rig);
}

#define CROWD	   256
#define CROWD_SIZE (4 * MIB)

/* A reader without a thread: each answer brings the next read. */
struct walker {
	struct pf_read r;
	struct pf_stream *stream;
	struct loop *loop;
	struct loop_task task;
	uint64_t pos;
	size_t step;
	bool wrong;
	sem_t *ended;
};

static void walk_on(struct loop_task *t)
{
	struct walker *w = container_of(t, struct walker, task);

	if (w->pos == CROWD_SIZE) {
		(void)sem_post(w->ended);
		return;
	}
	w->r = (struct pf_read){.offset = w->pos, .len = w->step, .done = w->r.done};
	w->pos += w->step;
	pf_read(w->stream, &w->r);
}

static void walker_read(struct pf_read *r)
{
	struct walker *w = container_of(r, struct walker, r);
	uint64_t pos = r->offset;

	for (unsigned i = 0; i < r->niov; i++) {
		w->wrong |= !memory_matches(r->iov[i].iov_base, pos, r->iov[i].iov_len);
		pos += r->iov[i].iov_len;
	}
	w->wrong |= r->err != 0 || pos != r->offset + w->step;
	loop_post(w->loop, &w->task);
}

/* Returns how many walkers met wrong bytes. */
static unsigned walk_all(struct rig *rig, struct walker *walkers, size_t step)
{
	unsigned wrong = 0;
	sem_t ended;

	(void)sem_init(&ended, 0, 0);
	for (unsigned i = 0; i < CROWD; i++) {
		char key[32];

		(void)snprintf(key, sizeof(key), "crowd-%zu-%u", step, i);
		walkers[i] = (struct walker){
			.r.done = walker_read,
			.stream = rig_stream(rig, key, CROWD_SIZE),
			.loop = rig->loops[i % RIG_LOOPS],
			.task.run = walk_on,
			.step = step,
			.ended = &ended,
		};
		loop_post(walkers[i].loop, &walkers[i].task);
	}
	for (unsigned i = 0; i < CROWD; i++)
		check(rig_wait(&ended));
	for (unsigned i = 0; i < CROWD; i++) {
		wrong += walkers[i].wrong;
		pf_close(walkers[i].stream);
	}
	return wrong;
}

/* A quarter of a MiB for each of them: all come to their end, and nothing is fetched twice. */
static void crowd(void)
{
	static struct walker walkers[CROWD];
	static const size_t steps[] = {128 * KIB, MIB};
	struct rig rig;

	rig_init(&rig, &(struct rig_config){
			       .budget = 64 * MIB,
			       .script = {.head_delay_ns = 500000,
					  .step_delay_ns = 50000,
					  .piece_max = 256 * KIB,
					  .jitter = true},
		       });
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		memory_source_reset(rig.memory);
		check_int(walk_all(&rig, walkers, steps[i]), ==, 0);
		printf("# %zu KiB: %" PRIu64 " MiB, %u GETs\n", steps[i] / 1024,
		       memory_source_asked(rig.memory) / MIB, memory_source_count(rig.memory));
		check_int(memory_source_asked(rig.memory), <=, CROWD * CROWD_SIZE / 10 * 11);
		/* Who gets memory in line gets enough for a good GET. */
		check_int(memory_source_count(rig.memory), <=, 2 * CROWD * CROWD_SIZE / MIB);
	}
	check_int(budget_peak(rig.budget), <=, 64 * MIB);
	rig_fini(&rig);
}

#define FAIL_EVERY 5

static _Atomic unsigned fetches;

static int fail_some(const struct source_fetch *f, uint64_t *fail_at)
{
	unsigned n = atomic_fetch_add(&fetches, 1);

	if (n % FAIL_EVERY)
		return 0;
	*fail_at = f->offset + f->length * (n % 7) / 7;
	return -EIO;
}

struct survivor {
	pthread_t thread;
	struct pf_stream *stream;
	unsigned wrong, failed;
};

static void *survive(void *arg)
{
	struct survivor *s = arg;
	uint64_t x = (uintptr_t)s | 1;

	for (unsigned i = 0; i < 300; i++) {
		size_t len;
		int64_t r;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		len = 1 + (x >> 32) % PF_READ_MAX;
		r = rig_pread(s->stream, x % (40 * MIB), len);
		if (r == -EIO)
			s->failed++;
		else if (r != (int64_t)len)
			s->wrong++;
	}
	return NULL;
}

/* A fifth of the GETs breaks off somewhere: right bytes or -EIO, nothing else, no hang. */
static void with_errors(void)
{
	static struct survivor survivors[THREADS];
	unsigned failed = 0;
	struct rig rig;

	atomic_store(&fetches, 0);
	rig_init(&rig, &(struct rig_config){
			       .budget = 16 * MIB,
			       .script = {.verdict = fail_some,
					  .head_delay_ns = 200000,
					  .step_delay_ns = 50000,
					  .jitter = true},
		       });
	for (unsigned i = 0; i < THREADS; i++) {
		survivors[i] = (struct survivor){.stream = rig_stream(&rig, "frail", 42 * MIB)};
		(void)pthread_create(&survivors[i].thread, NULL, survive, &survivors[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		(void)pthread_join(survivors[i].thread, NULL);
		check_int(survivors[i].wrong, ==, 0);
		failed += survivors[i].failed;
		pf_close(survivors[i].stream);
	}
	check_int(failed, >, 0);
	rig_fini(&rig);
}

int main(void)
{
	return test_run((struct test[]){
		TEST(ten_thousand_reads_in_64_mib),
		TEST(in_8_mib),
		TEST(in_tiny_pieces),
		TEST(crowd),
		TEST(closing_in_the_middle),
		TEST(with_errors),
		{0},
	});
}
