/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Life of a request. libfuse calls the interrupt function with a lock of the
 * request held, so nothing is answered from there: watch.c looks at the caller
 * on a loop. Before the answer the function is taken back, which waits for a
 * running one; after that libfuse knows nothing of our object any more.
 */
#include "fuse/request.h"

#include <assert.h>

#include "base/log.h"
#include "fuse/state.h"

void request_init(struct request *r, struct fs *fs, fuse_req_t req, const char *op, uint64_t ino)
{
	*r = (struct request){
		.fs = fs,
		.req = req,
		.op = op,
		.ino = ino,
		.tid = fuse_req_ctx(req)->pid,
		.refs = 1,
	};
	list_init(&r->watch_node);
	log_debug(LOG_FUSE, "%s ino=%llu", op, (unsigned long long)ino);
}

static void on_interrupt(fuse_req_t req, void *arg)
{
	struct request *r = arg;

	(void)req;
	watch_add(&r->fs->watch, r);
}

void request_watch(struct request *r)
{
	assert(r->free);
	r->watched = true;
	fuse_req_interrupt_func(r->req, on_interrupt, r);
}

struct request *request_ref(struct request *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void request_unref(struct request *r)
{
	/* acq_rel: whoever frees sees what the other holders wrote */
	if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
		r->free(r);
}

bool request_claim(struct request *r)
{
	if (atomic_exchange_explicit(&r->claimed, true, memory_order_acq_rel))
		return false;
	if (r->watched)
		fuse_req_interrupt_func(r->req, NULL, NULL);
	return true;
}

bool request_answered(const struct request *r)
{
	return atomic_load_explicit(&r->claimed, memory_order_acquire);
}
