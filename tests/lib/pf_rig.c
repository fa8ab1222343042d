/* SPDX-License-Identifier: Apache-2.0 */

/* The rig: see the header. Its waits have a deadline, so that a hang is a failure. */
#include "lib/pf_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/wait_sem.h"

static void insist(bool ok, const char *what)
{
	if (ok)
		return;
	printf("Bail out! %s\n", what);
	exit(1);
}

bool rig_wait(sem_t *sem)
{
	return wait_sem(sem, 20);
}

void rig_init(struct rig *rig, const struct rig_config *c)
{
	unsigned nloops = c->nloops ? c->nloops : RIG_LOOPS;
	struct pf_config config;

	*rig = (struct rig){0};
	for (unsigned i = 0; i < nloops; i++) {
		insist(loop_new(&(struct loop_config){.index = i}, &rig->loops[i]) == 0, "no loop");
		insist(loop_start(rig->loops[i]) == 0, "no loop thread");
	}
	insist(memory_source_new(&c->script, &rig->memory) == 0, "no source");
	insist(budget_new(c->budget ? c->budget : 64 * MIB, &rig->budget) == 0, "no budget");
	config = (struct pf_config){
		.source = memory_source_base(rig->memory),
		.budget = rig->budget,
		.loops = rig->loops,
		.nloops = nloops,
		.part_size = c->part_size ? c->part_size : 8 * MIB,
		.random_size = PF_CELL,
		.max_window = c->max_window ? c->max_window : 64 * MIB,
		.verify = c->verify,
	};
	insist(pf_new(&config, &rig->pf) == 0, "no engine");
}

void rig_fini(struct rig *rig)
{
	insist(memory_source_drain(rig->memory), "a fetch does not end");
	for (unsigned i = 0; i < RIG_LOOPS && rig->loops[i]; i++)
		loop_stop(rig->loops[i]);
	pf_free(rig->pf);
	insist(budget_used(rig->budget) == 0, "memory of the budget was lost");
	budget_free(rig->budget);
	source_free(memory_source_base(rig->memory));
	for (unsigned i = 0; i < RIG_LOOPS && rig->loops[i]; i++)
		loop_free(rig->loops[i]);
}

struct waiting_open {
	struct pf_open o;
	sem_t done;
};

static void on_open(struct pf_open *o)
{
	(void)sem_post(&container_of(o, struct waiting_open, o)->done);
}

int rig_open(struct rig *rig, const char *key, uint64_t size, bool revalidate, bool cached,
	     struct pf_stream **ret)
{
	struct waiting_open w = {
		.o = {.key = key,
		      .etag = "\"1\"",
		      .size = size,
		      .revalidate = revalidate,
		      .data_cached = cached,
		      .done = on_open},
	};

	(void)sem_init(&w.done, 0, 0);
	pf_open(rig->pf, &w.o);
	insist(rig_wait(&w.done), "an open hangs");
	(void)sem_destroy(&w.done);
	*ret = w.o.stream;
	return w.o.err;
}

struct pf_stream *rig_stream(struct rig *rig, const char *key, uint64_t size)
{
	struct pf_stream *s;

	insist(rig_open(rig, key, size, false, false, &s) == 0, "no stream");
	return s;
}

static void on_read(struct pf_read *r)
{
	struct rig_read *rr = container_of(r, struct rig_read, r);
	uint64_t pos = r->offset;

	rr->err = r->err;
	rr->right = true;
	for (unsigned i = 0; i < r->niov; i++) {
		if (!memory_matches(r->iov[i].iov_base, pos, r->iov[i].iov_len))
			rr->right = false;
		pos += r->iov[i].iov_len;
	}
	rr->len = pos - r->offset;
	atomic_fetch_add(&rr->answers, 1);
	(void)sem_post(&rr->done);
}

void rig_read_start(struct rig_read *rr, struct pf_stream *s, uint64_t offset, size_t len)
{
	*rr = (struct rig_read){.r = {.offset = offset, .len = len, .done = on_read}};
	(void)sem_init(&rr->done, 0, 0);
	pf_read(s, &rr->r);
}

bool rig_read_wait(struct rig_read *rr)
{
	return rig_wait(&rr->done);
}

bool rig_read_ended(struct rig_read *rr)
{
	return atomic_load(&rr->answers) > 0;
}

int64_t rig_pread(struct pf_stream *s, uint64_t offset, size_t len)
{
	struct rig_read rr;

	rig_read_start(&rr, s, offset, len);
	insist(rig_read_wait(&rr), "a read hangs");
	(void)sem_destroy(&rr.done);
	if (rr.err)
		return rr.err;
	return rr.right ? (int64_t)rr.len : -EBADMSG;
}
