/* SPDX-License-Identifier: Apache-2.0 */

/*
 * struct fs from beginning to end, and the few helpers everybody needs.
 *
 * The end, each step bounded: fs_unmount stops the requests; fs_drain finishes
 * what its writers have closed, aborts what they have not, and closes the read
 * streams on a loop; the loops stop, which ends every wait; fs_free frees what
 * the kernel never released.
 */
#include "fuse/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "fuse/handle.h"
#include "fuse/listing.h"
#include "fuse/negative.h"
#include "fuse/poke.h"
#include "fuse/readdir.h"
#include "fuse/state.h"
#include "fuse/writer.h"

#define TTL_MINIMAL NSEC_PER_SEC
#define CLOSE_WAIT  (2 * NSEC_PER_SEC)
#define ABORT_WAIT  (2 * NSEC_PER_SEC)
#define ABORT_LOOK  (20 * NSEC_PER_MSEC)

uint64_t fs_expiry(const struct fs *fs)
{
	uint64_t now = clock_now();

	return fs->ttl > EXPIRES_NEVER - now ? EXPIRES_NEVER : now + fs->ttl;
}

char *fs_key_locked(struct fs *fs, const struct inode *i)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(S3_KEY_MAX);

	inode_key(i, fs->prefix, &b);
	if (b.len == 0)
		return strdup("");
	return buf_take(&b);
}

char *fs_key(struct fs *fs, const struct inode *i)
{
	WITH_LOCK(&fs->lock);
	return fs_key_locked(fs, i);
}

int fs_child_key_locked(struct fs *fs, const struct inode *dir, const char *name, char **ret)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(S3_KEY_MAX);
	int r;

	inode_key(dir, fs->prefix, &b);
	buf_puts(&b, name);
	r = buf_error(&b);
	if (r < 0)
		return r == -EMSGSIZE ? -ENAMETOOLONG : r;
	*ret = buf_take(&b);
	return *ret ? 0 : -ENOMEM;
}

void fs_unref(struct fs *fs, struct inode *i)
{
	WITH_LOCK(&fs->lock);
	itable_unref(&fs->table, i);
}

void fs_poke(struct fs *fs)
{
	poke(fs->drain_fd);
}

/* A page older than what we knew of the inode must not speak for its name. */
static void on_inode_free(struct itable *t, struct inode *i)
{
	const struct list *n;
	bool older = false;

	(void)t;
	if (!i->attached || !i->parent || i->told == 0)
		return;
	list_for_each (n, &i->parent->dir->pages)
		older |= list_entry(n, struct page, dir_node)->requested < i->told;
	if (older)
		listing_forget_locked(i->parent, i->name, i->name_len);
}

static void set_config(struct fs *fs, const struct fs_config *c)
{
	fs->config = *c;
	fs->config.bucket = fs->bucket;
	fs->config.prefix = fs->prefix;
	fs->owner = geteuid();
	fs->directory = s3_client_is_directory(c->client);
	fs->appends = c->incremental_upload && fs->directory;
	fs->revalidate = c->metadata_ttl == FS_TTL_MINIMAL;
	fs->ttl = fs->revalidate ? TTL_MINIMAL : c->metadata_ttl;
}

static int open_uploads(struct fs *fs, const struct fs_config *c)
{
	_cleanup_(buf_fini) struct buf scope = BUF_INIT(4 * KIB);
	struct upload_config config = {
		.client = c->client,
		.budget = c->budget,
		.loops = c->loops,
		.nloops = c->nloops,
		.part_size = c->write_part_size,
		.parts_in_flight = c->parts_in_flight,
		.parts_in_flight_max = c->parts_in_flight_max,
		.fixed_part_size = c->fixed_part_size,
		.infer_content_type = c->infer_content_type,
		.attrs = c->put_attrs,
	};

	buf_printf(&scope, "%s %s", s3_client_endpoint(c->client), c->bucket);
	if (buf_error(&scope) < 0)
		return buf_error(&scope);
	if (!c->read_only)
		config.scope = buf_str(&scope);
	return uploads_new(&config, &fs->uploads);
}

int fs_new(const struct fs_config *config, struct fs **ret)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	int r = -ENOMEM;

	if (!fs)
		return -ENOMEM;
	lock_init(&fs->lock, RANK_FS);
	least_init(&fs->list);
	list_init(&fs->negative_lru);
	list_init(&fs->pages);
	list_init(&fs->page_starts);
	list_init(&fs->handles);
	list_init(&fs->dirhandles);
	fs->session.fd = fs->session.stopped_fd = fs->session.guard = -1;
	watch_init(&fs->watch, config->loops[0], &fs->ending);
	sweep_init(fs);
	fs->drain_fd = poke_open();
	fs->bucket = strdup(config->bucket);
	fs->prefix = strdup(config->prefix);
	if (fs->drain_fd < 0)
		r = fs->drain_fd;
	else if (fs->bucket && fs->prefix)
		r = itable_init(&fs->table);
	if (r == 0)
		r = open_uploads(fs, config);
	if (r < 0) {
		fs_free(fs);
		return r;
	}
	fs->table.on_free = on_inode_free;
	set_config(fs, config);
	if (config->incremental_upload && !fs->appends)
		log_warn(LOG_FUSE,
			 "--incremental-upload has no effect: only directory buckets take "
			 "appends; files are uploaded whole");
	*ret = fs;
	return 0;
}

/* The next write handle in one of two states, referenced; NULL: none left. */
static struct handle *next_writer(struct fs *fs, enum writer_state a, enum writer_state b)
{
	struct list *n;

	WITH_LOCK(&fs->lock);
	list_for_each (n, &fs->handles) {
		struct handle *h = list_entry(n, struct handle, node);

		if (h->write && (h->state == a || h->state == b))
			return handle_ref(h);
	}
	return NULL;
}

static unsigned uploading(struct fs *fs)
{
	WITH_LOCK(&fs->lock);
	return fs->uploading;
}

struct closer {
	struct loop_task task;
	struct fs *fs;
	_Atomic bool done;
};

/* On a loop: streams belong there. */
static void close_streams(struct loop_task *t)
{
	struct closer *c = container_of(t, struct closer, task);
	struct fs *fs = c->fs;

	for (;;) {
		struct handle *h = NULL;
		struct list *n;

		{
			WITH_LOCK(&fs->lock);
			list_for_each (n, &fs->handles) {
				h = list_entry(n, struct handle, node);
				if (h->stream && !h->closed)
					break;
				h = NULL;
			}
			if (h) {
				h->closed = true;
				handle_ref(h);
			}
		}
		if (!h)
			break;
		pf_close(h->stream);
		handle_unref(h);
	}
	atomic_store(&c->done, true);
	fs_poke(fs);
}

/* What is not aborted by then is in the journal, for the next mount. */
static void wait_for_aborts(struct fs *fs)
{
	uint64_t end = clock_now() + ABORT_WAIT;

	while (uploads_at_server(fs->uploads) > 0 && clock_now() < end)
		(void)poke_wait(fs->drain_fd, clock_now() + ABORT_LOOK);
}

unsigned fs_drain(struct fs *fs, uint64_t deadline)
{
	struct closer closer = {.task.run = close_streams, .fs = fs};
	struct handle *h;
	unsigned before;

	{
		WITH_LOCK(&fs->lock);
		fs->draining = true;
		before = fs->uploads_lost;
	}
	/* Half a file is not published; what was appended to one is. */
	while ((h = next_writer(fs, WRITER_OPEN, WRITER_OPEN))) {
		if (h->upload && upload_appends(h->upload))
			writer_finish(h, NULL);
		else
			writer_fail(h, -EIO);
		handle_unref(h);
	}
	while ((h = next_writer(fs, WRITER_PENDING, WRITER_PENDING))) {
		writer_finish(h, NULL);
		handle_unref(h);
	}
	while (uploading(fs) > 0 && poke_wait(fs->drain_fd, deadline))
		;
	while ((h = next_writer(fs, WRITER_FINISHING, WRITER_FINISHING))) {
		log_err(LOG_FUSE, "an upload was not done in time");
		writer_fail(h, -EIO);
		handle_unref(h);
	}
	wait_for_aborts(fs);
	loop_post(fs->config.loops[0], &closer.task);
	while (!atomic_load(&closer.done)) /* the loop runs: it will come */
		(void)poke_wait(fs->drain_fd, clock_now() + CLOSE_WAIT);
	atomic_store(&fs->ending, true);
	WITH_LOCK(&fs->lock);
	return fs->uploads_lost - before;
}

static void free_pages(struct fs *fs)
{
	struct list dead = LIST_INIT(dead);

	{
		WITH_LOCK(&fs->lock);
		listing_sweep_locked(fs, EXPIRES_NEVER, &dead);
	}
	listing_free_dead(&dead);
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	watch_fini(&fs->watch);
	while (!list_empty(&fs->handles)) {
		struct handle *h = list_entry(fs->handles.next, struct handle, node);

		h->refs = 1; /* whoever held another is gone with the loops */
		handle_unref(h);
	}
	if (fs->table.root) {
		readdir_drop_all(fs);
		free_pages(fs);
		{
			WITH_LOCK(&fs->lock);
			negative_clear_locked(fs);
			hash_fini(&fs->resolves);
			itable_fini(&fs->table);
		}
	}
	session_fini(&fs->session);
	uploads_free(fs->uploads);
	if (fs->drain_fd >= 0)
		(void)close(fs->drain_fd);
	free(fs->bucket);
	free(fs->prefix);
	lock_fini(&fs->lock);
	free(fs);
}
