/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Receiving no faster than it is read. What lies in cells between arrival and
 * reading has left the processor's caches by then; what is left in the socket
 * costs nothing. So a GET from a server that is near pauses LEAD bytes beyond the
 * readers, and large GETs need neither much memory nor cold memory. From a server
 * that is far, or near but slow (width.c), all GETs are received at once, since
 * that is what fills the path.
 *
 *   receiving   its position is beyond `pace`          paused
 *   paused      a reader comes nearer than LEAD / 2    receiving
 *   paused      the source has waited long enough      receiving, to its end
 *
 * The memory of a GET is reserved before it starts, so it may always go on: a
 * pause is never waited for. Under the object's lock.
 */
#include "prefetch/pace.h"

#include "prefetch/engine.h"

#define LEAD (4 * MIB)
/* Of a GET that no reader is near to: its start is over when somebody comes. */
#define FIRST MIB

/* How far beyond its readers a GET is received. */
static uint64_t lead(struct pf *pf)
{
	return width_gets(&pf->width) > 1 ? UINT32_MAX : LEAD;
}

uint64_t pace_start(const struct fetch *f)
{
	struct pf *pf = f->object->pf;

	/* Of one that is verified as a whole nothing can be read before its end. */
	if (f->source.whole || pf_far_delay(pf) || lead(pf) > LEAD)
		return UINT64_MAX;
	return f->source.offset + FIRST;
}

static void on_resume(struct loop_task *t)
{
	struct fetch *f = container_of(t, struct fetch, resume);
	struct block_source *source = f->object->pf->config.source;
	bool ended;

	{
		WITH_LOCK(&f->object->lock);
		ended = f->ended;
	}
	if (!ended)
		source->ops->resume(source, &f->source);
	fetch_task_ended(f, &f->resuming);
}

static void resume_locked(struct fetch *f)
{
	f->paused = false;
	if (f->resuming)
		return;
	f->resuming = true;
	f->resume.run = on_resume;
	loop_post(f->lane->loop, &f->resume);
}

void pace_reader_locked(struct object *o, uint64_t begin, uint64_t end)
{
	uint64_t far = end + lead(o->pf);
	struct list *n;

	list_for_each (n, &o->fetches) {
		struct fetch *f = list_entry(n, struct fetch, in_object);
		uint64_t first = f->source.offset;

		if (begin >= first + f->source.length || far <= first)
			continue;
		f->pace = max_u64(f->pace, far);
		if (f->paused && f->paused_at <= end + (far - end) / 2)
			resume_locked(f);
	}
}

bool pace_must_wait(struct fetch *f, uint64_t pos)
{
	/* What is reserved and does not come is of no use to those who wait for memory. */
	if (budget_tight(f->object->pf->config.budget))
		return false;
	WITH_LOCK(&f->object->lock);
	f->paused = pos >= f->pace;
	f->paused_at = pos;
	return f->paused;
}
