/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The list of interrupted requests; see watch.h. Additions come from the loop
 * that read the interrupt, the looking happens on one loop, by its timer.
 */
#include "fuse/watch.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "fuse/proc.h"
#include "fuse/reply.h"
#include "fuse/request.h"

static void look(struct watch *w)
{
	struct list todo = LIST_INIT(todo), keep = LIST_INIT(keep);
	struct list *n;

	{
		WITH_LOCK(&w->lock);
		w->posted = false;
		list_splice(&todo, &w->requests);
	}
	/* A request on our own lists is still marked interrupted: nobody else touches its node. */
	while ((n = list_pop(&todo))) {
		struct request *r = list_entry(n, struct request, watch_node);

		if (request_answered(r)) {
			request_unref(r);
			continue;
		}
		if (!proc_being_killed(r->tid)) {
			list_append(&keep, n);
			continue;
		}
		log_debug(LOG_FUSE, "%s ino=%llu: caller %d is being killed", r->op,
			  (unsigned long long)r->ino, (int)r->tid);
		if (r->cancel)
			r->cancel(r);
		else
			(void)reply_err(r, -EINTR);
		request_unref(r);
	}
	if (list_empty(&keep))
		return;
	if (!atomic_load(w->ending) &&
	    loop_timer_set(w->loop, &w->timer, clock_now() + WATCH_MS * NSEC_PER_MSEC) < 0)
		log_warn(LOG_FUSE, "out of memory: interrupts are seen late");
	WITH_LOCK(&w->lock);
	list_splice(&w->requests, &keep);
}

static void on_task(struct loop_task *t)
{
	look(container_of(t, struct watch, task));
}

static void on_timer(struct loop_timer *t)
{
	look(container_of(t, struct watch, timer));
}

void watch_init(struct watch *w, struct loop *loop, const _Atomic bool *ending)
{
	*w = (struct watch){
		.loop = loop, .ending = ending, .task.run = on_task, .timer.fire = on_timer};
	lock_init(&w->lock, RANK_HANDLE);
	list_init(&w->requests);
}

void watch_fini(struct watch *w)
{
	struct list *n;

	while ((n = list_pop(&w->requests)))
		request_unref(list_entry(n, struct request, watch_node));
	lock_fini(&w->lock);
}

void watch_add(struct watch *w, struct request *r)
{
	WITH_LOCK(&w->lock);
	if (r->interrupted)
		return;
	r->interrupted = true;
	list_append(&w->requests, &request_ref(r)->watch_node);
	if (w->posted)
		return;
	w->posted = true;
	loop_post(w->loop, &w->task);
}
