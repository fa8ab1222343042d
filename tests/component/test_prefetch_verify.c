/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Verification of what is read: right objects are never refused, of a wrong one
 * nobody gets all, and what cannot be compared is delivered.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/pf_rig.h"
#include "lib/test.h"

#define LARGE (20 * MIB + 12345)
#define STEP  (256 * KIB)

static const enum s3_digest_kind all[] = {S3_DIGEST_CRC64NVME, S3_DIGEST_CRC32C, S3_DIGEST_CRC32,
					  S3_DIGEST_SHA1, S3_DIGEST_SHA256};

static void must(int r)
{
	if (r < 0)
		abort();
}

static void add_range(struct s3_digest *d, uint64_t begin, uint64_t end)
{
	unsigned char b[4096];

	while (begin < end) {
		uint64_t n = min_u64(sizeof(b), end - begin);

		for (uint64_t i = 0; i < n; i++)
			b[i] = memory_byte(begin + i);
		s3_digest_add(d, b, n);
		begin += n;
	}
}

/* The pattern is made with the source, so a rig must be there. part 0: of the bytes. */
static struct s3_checksum checksum_of(enum s3_digest_kind kind, uint64_t size, uint64_t part)
{
	struct s3_checksum c = {.kind = kind, .by_parts = part > 0};
	unsigned char sum[S3_DIGEST_MAX];
	struct s3_digest d, parts;

	must(s3_digest_begin(&d, kind));
	must(s3_digest_begin(&parts, kind));
	for (uint64_t at = 0; part && at < size; at += part) {
		add_range(&d, at, min_u64(at + part, size));
		must(s3_digest_end(&d, sum));
		s3_digest_add(&parts, sum, s3_digest_len(kind));
		c.parts++;
	}
	if (!part)
		add_range(&d, 0, size);
	must(s3_digest_end(part ? &parts : &d, c.value));
	s3_digest_fini(&d);
	s3_digest_fini(&parts);
	return c;
}

struct result {
	uint64_t right, wrong; /* bytes */
	int err;	       /* that ended it, or 0 */
};

static struct result read_on(struct pf_stream *s, uint64_t pos, uint64_t size)
{
	struct result got = {0};

	while (pos < size && !got.err) {
		struct rig_read rr;

		rig_read_start(&rr, s, pos, STEP);
		if (!rig_read_wait(&rr))
			abort();
		(void)sem_destroy(&rr.done);
		got.err = rr.err;
		if (!rr.err && rr.right)
			got.right += rr.len;
		else if (!rr.err)
			got.wrong += rr.len;
		pos += rr.len;
	}
	return got;
}

static struct result read_all(struct rig *rig, const char *key, uint64_t size)
{
	struct pf_stream *s;
	struct result got = {.err = rig_open(rig, key, size, true, false, &s)};

	if (got.err)
		return got;
	got = read_on(s, 0, size);
	pf_close(s);
	return got;
}

static void small(void)
{
	const uint64_t size = 700000;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.verify = true});
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct memory_script script = {.checksum =
						       checksum_of(all[i], size, i & 1 ? size : 0),
					       .flip_at = i * 150000};
		char key[] = {(char)('a' + i), '\0', '\0'};
		struct result got;

		memory_source_set(rig.memory, &script);
		memory_source_reset(rig.memory);
		got = read_all(&rig, key, size);
		check_int(got.err, ==, 0);
		check_int(got.right, ==, size);
		check_int(memory_source_count(rig.memory), ==, 1);
		/* Wrong once: nobody notices. */
		script.flips = 1;
		memory_source_set(rig.memory, &script);
		key[1] = '1';
		got = read_all(&rig, key, size);
		check_int(got.err, ==, 0);
		check_int(got.right, ==, size);
		check_int(memory_source_count(rig.memory), ==, 3);
		/* Wrong each time: not a byte of it. */
		script.flips = 1000;
		memory_source_set(rig.memory, &script);
		key[1] = '2';
		got = read_all(&rig, key, size);
		check_int(got.err, ==, -EBADMSG);
		check_int(got.right + got.wrong, ==, 0);
		script.flips = 0;
		memory_source_set(rig.memory, &script);
		got = read_all(&rig, key, size);
		check_int(got.right, ==, size);
	}
	check_int(memory_source_described(rig.memory), ==, 0);
	rig_fini(&rig);
}

static void small_without_checksum(void)
{
	struct rig rig;
	struct result got;

	rig_init(&rig,
		 &(struct rig_config){.verify = true, .script = {.flips = 1, .flip_at = 1000}});
	got = read_all(&rig, "a", 300000);
	check_int(got.err, ==, 0);
	check_int(got.wrong, ==, STEP);
	rig_fini(&rig);
}

/* Opened without a question: the first read, wherever it is, brings all of it. */
static void small_by_a_read(void)
{
	struct memory_script script = {.flip_at = 100, .flips = 1};
	struct pf_stream *s;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.verify = true});
	script.checksum = checksum_of(S3_DIGEST_CRC32C, MIB, 0);
	memory_source_set(rig.memory, &script);
	s = rig_stream(&rig, "a", MIB);
	check_int(rig_pread(s, 600000, 4096), ==, 4096);
	check_int(memory_source_count(rig.memory), ==, 2);
	check_int(memory_source_asked(rig.memory), ==, 2 * MIB);
	check_int(rig_pread(s, 0, MIB), ==, MIB);
	check_int(memory_source_count(rig.memory), ==, 2);
	pf_close(s);
	rig_fini(&rig);
}

static void large_is_right(void)
{
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.verify = true});
	for (size_t i = 0; i < 2 * ARRAY_SIZE(all); i++) {
		uint64_t part = i & 1 ? 5 * MIB : 0;
		char key[] = {(char)('a' + i), '\0'};
		struct result got;

		memory_source_set(rig.memory,
				  &(struct memory_script){
					  .checksum = checksum_of(all[i / 2], LARGE, part),
					  .first_part = part,
					  .last_part = part ? LARGE % part : 0,
					  .head_delay_ns = 1000000,
					  .step_delay_ns = 50000,
					  .jitter = true,
				  });
		memory_source_reset(rig.memory);
		got = read_all(&rig, key, LARGE);
		check_int(got.err, ==, 0);
		check_int(got.right, ==, LARGE);
		check_int(memory_source_asked(rig.memory), ==, LARGE);
	}
	check_int(memory_source_described(rig.memory), ==, 2 * ARRAY_SIZE(all));
	rig_fini(&rig);
}

static void flipped(struct rig *rig, const char *key, struct memory_script *script)
{
	struct pf_stream *s;
	struct result got;

	script->flips = 1;
	memory_source_set(rig->memory, script);
	check_int(rig_open(rig, key, LARGE, true, false, &s), ==, 0);
	got = read_on(s, 0, LARGE);
	check_int(got.err, ==, -EBADMSG);
	check_int(got.right + got.wrong, <, LARGE);
	/* Not on this handle any more, whatever was there. */
	check_int(read_on(s, 0, LARGE).err, ==, -EBADMSG);
	check_int(read_on(s, 9 * MIB, LARGE).err, ==, -EBADMSG);
	/* A new one fetches anew. */
	memory_source_reset(rig->memory);
	got = read_all(rig, key, LARGE);
	check_int(got.err, ==, 0);
	check_int(got.right, ==, LARGE);
	check_int(memory_source_asked(rig->memory), ==, LARGE);
	check_int(read_on(s, 0, LARGE).err, ==, -EBADMSG);
	pf_close(s);
}

static void large_is_wrong(void)
{
	static const uint64_t places[] = {0, 300000, 10 * MIB, LARGE - 1};
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.verify = true});
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (size_t k = 0; k < ARRAY_SIZE(places); k++) {
			uint64_t part = k & 1 ? 8 * MIB : 0;
			char key[] = {(char)('a' + i), (char)('0' + k), '\0'};
			struct memory_script script = {
				.checksum = checksum_of(all[i], LARGE, part),
				.first_part = part,
				.last_part = part ? LARGE % part : 0,
				.step_delay_ns = 50000,
				.jitter = true,
				.flip_at = places[k],
			};

			flipped(&rig, key, &script);
		}
	rig_fini(&rig);
}

/* Read in another order, or not whole: what was seen cannot be taken back. */
static void random_reads(void)
{
	struct memory_script script = {.flip_at = 10 * MIB};
	struct pf_stream *s;
	uint64_t x = 1;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.verify = true});
	script.checksum = checksum_of(S3_DIGEST_CRC32C, LARGE, 0);
	script.flips = 1;
	memory_source_set(rig.memory, &script);
	check_int(rig_open(&rig, "a", LARGE, true, false, &s), ==, 0);
	for (int i = 0; i < 300; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		check_int(rig_pread(s, x % (9 * MIB), 4096), ==, 4096);
	}
	check_int(rig_pread(s, 10 * MIB, 4096), ==, -EBADMSG); /* wrong bytes, given */
	/* From here on in order: the wrong cell is still there, or is fetched anew. */
	struct result got = read_on(s, 0, LARGE);
	check(got.err == 0 || got.err == -EBADMSG);
	check(got.err || got.wrong == 0);
	pf_close(s);
	rig_fini(&rig);
}

static void not_comparable(void)
{
	const struct memory_script scripts[] = {
		{.checksum = {.kind = S3_DIGEST_NONE}},
		{.checksum = {.kind = S3_DIGEST_CRC32C, .by_parts = true}},
		{.checksum = {.kind = S3_DIGEST_CRC32C, .parts = 3}, .first_part = 5 * MIB},
		/* 5 MiB, 6 MiB, ...: as many as if they were equal. */
		{.checksum = {.kind = S3_DIGEST_CRC32C, .parts = 5},
		 .first_part = 5 * MIB,
		 .last_part = 345},
		{.checksum = {.kind = S3_DIGEST_CRC32C, .parts = 2}, .first_part = LARGE},
		{.checksum = {.kind = S3_DIGEST_CRC32C, .parts = 2},
		 .first_part = LARGE - 1,
		 .last_part = 1},
		{.checksum = {.kind = S3_DIGEST_CRC32C, .parts = 5}},
	};
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.verify = true});
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		char key[] = {(char)('a' + i), '\0'};
		struct result got;

		memory_source_set(rig.memory, &scripts[i]);
		got = read_all(&rig, key, LARGE);
		check_int(got.err, ==, 0);
		check_int(got.right, ==, LARGE);
	}
	rig_fini(&rig);
}

static void trouble_with_the_question(void)
{
	struct memory_script script = {.describe_err = -EACCES};
	struct pf_stream *s = NULL;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.verify = true, .script = script});
	check_int(rig_open(&rig, "a", LARGE, true, false, &s), ==, -EACCES);
	check_int(rig_open(&rig, "a", LARGE, false, false, &s), ==, -EACCES);
	script = (struct memory_script){.checksum = checksum_of(S3_DIGEST_CRC32, LARGE, 0)};
	memory_source_set(rig.memory, &script);
	check_int(read_all(&rig, "a", LARGE).right, ==, LARGE);
	check_int(memory_source_described(rig.memory), ==, 3);
	rig_fini(&rig);
}

/* As the kernel's read-ahead: a read is answered while the one before it waits. */
static void out_of_order(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct memory_script script = {.hold = true, .hold_from = 2 * PF_CELL};
		struct rig_read first, second;
		struct pf_stream *s;
		struct result got;
		struct rig rig;

		rig_init(&rig, &(struct rig_config){.verify = true});
		script.checksum = checksum_of(all[i], LARGE, 0);
		script.flip_at = LARGE - 1;
		script.flips = 1;
		memory_source_set(rig.memory, &script);
		check_int(rig_open(&rig, "a", LARGE, true, false, &s), ==, 0);
		check_int(rig_pread(s, 0, STEP), ==, STEP);
		rig_read_start(&first, s, STEP, STEP);
		check(memory_source_wait(rig.memory, 2));
		rig_read_start(&second, s, LARGE - LARGE % PF_CELL - 4 * PF_CELL, STEP);
		check(memory_source_wait(rig.memory, 3));
		script.hold = false;
		script.flips = 1;
		memory_source_set(rig.memory, &script);
		for (unsigned n = memory_source_count(rig.memory); n-- > 1;)
			memory_source_allow(rig.memory, n, UINT64_MAX);
		check(rig_read_wait(&second));
		check(rig_read_wait(&first));
		got = read_on(s, 2 * STEP, LARGE);
		check_int(got.err, ==, -EBADMSG);
		pf_close(s);
		rig_fini(&rig);
	}
}

struct reader {
	pthread_t thread;
	struct rig *rig;
	struct result got;
};

static void *read_thread(void *arg)
{
	struct reader *me = arg;

	me->got = read_all(me->rig, "shared", LARGE);
	return NULL;
}

/* Little memory: cells go and come again. */
static void many_readers(unsigned flips, enum s3_digest_kind kind)
{
	struct reader readers[20];
	struct memory_script script = {.step_delay_ns = 20000, .jitter = true};
	unsigned wrong = 0;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.verify = true, .budget = 8 * MIB});
	script.checksum = checksum_of(kind, LARGE, 0);
	script.flip_at = 12 * MIB;
	script.flips = flips;
	memory_source_set(rig.memory, &script);
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		readers[i].rig = &rig;
		(void)pthread_create(&readers[i].thread, NULL, read_thread, &readers[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		(void)pthread_join(readers[i].thread, NULL);
		check(readers[i].got.err == 0 || readers[i].got.err == -EBADMSG);
		if (readers[i].got.err == 0)
			check_int(readers[i].got.right + readers[i].got.wrong, ==, LARGE);
		wrong += readers[i].got.err != 0;
	}
	if (flips)
		check_int(wrong, >, 0);
	else
		check_int(wrong, ==, 0);
	rig_fini(&rig);
}

static void many_readers_of_a_right_one(void)
{
	many_readers(0, S3_DIGEST_CRC32C);
	many_readers(0, S3_DIGEST_SHA1);
}

static void many_readers_of_a_wrong_one(void)
{
	many_readers(1, S3_DIGEST_CRC64NVME);
}

/* What is fetched again is compared again. */
static void second_download(void)
{
	struct memory_script script = {.flip_at = 2 * MIB};
	struct pf_stream *s;
	struct result got;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.verify = true, .budget = 8 * MIB});
	script.checksum = checksum_of(S3_DIGEST_CRC32C, LARGE, 0);
	memory_source_set(rig.memory, &script);
	check_int(rig_open(&rig, "a", LARGE, true, false, &s), ==, 0);
	got = read_on(s, 0, LARGE);
	check_int(got.right, ==, LARGE);
	got = read_on(s, 0, LARGE);
	check_int(got.right, ==, LARGE);
	script.flips = 1;
	memory_source_set(rig.memory, &script);
	got = read_on(s, 0, LARGE);
	check_int(got.err, ==, -EBADMSG);
	pf_close(s);
	rig_fini(&rig);
}

static void off(void)
{
	struct result got;
	struct rig rig;

	rig_init(&rig, &(struct rig_config){.script = {.flips = 1, .flip_at = 3 * MIB}});
	got = read_all(&rig, "a", LARGE);
	check_int(got.err, ==, 0);
	check_int(got.wrong, ==, STEP);
	check_int(memory_source_described(rig.memory), ==, 0);
	rig_fini(&rig);
}

int main(void)
{
	return test_run((struct test[]){TEST(small),
					TEST(small_without_checksum),
					TEST(small_by_a_read),
					TEST(large_is_right),
					TEST(large_is_wrong),
					TEST(random_reads),
					TEST(out_of_order),
					TEST(not_comparable),
					TEST(trouble_with_the_question),
					TEST(many_readers_of_a_right_one),
					TEST(many_readers_of_a_wrong_one),
					TEST(second_download),
					TEST(off),
					{0}});
}
