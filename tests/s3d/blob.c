/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where object bytes are: see blob.h. Any thread; the arena's lock covers only
 * the address counter and the filling of the pattern.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "blob.h"

#define ARENA_SIZE  ((uint64_t)1 << 62)
#define ARENA_ALIGN 4096u

int arena_init(struct arena *a, bool reuse)
{
	a->reuse = reuse;
	for (unsigned i = 0; i < ARENA_FILES; i++) {
		a->fds[i] = memfd_create("s3d-arena", MFD_CLOEXEC);
		if (a->fds[i] < 0)
			return -errno;
		if (ftruncate(a->fds[i], (off_t)ARENA_SIZE) < 0)
			return -errno;
	}
	pthread_mutex_init(&a->lock, NULL);
	a->pattern_off = arena_reserve(a, PATTERN_PERIOD + PATTERN_RUN);
	return 0;
}

void arena_fini(struct arena *a)
{
	for (unsigned i = 0; i < ARENA_FILES; i++)
		close(a->fds[i]);
	pthread_mutex_destroy(&a->lock);
}

int arena_fd(const struct arena *a, uint64_t off)
{
	return a->fds[mix64(off) % ARENA_FILES];
}

uint64_t arena_reserve(struct arena *a, uint64_t len)
{
	WITH_LOCK(&a->lock);
	uint64_t off = a->next;

	a->next += (len + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	return off;
}

static struct blob *blob_alloc(enum blob_kind kind, uint64_t len)
{
	struct blob *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->kind = kind;
	b->len = len;
	b->fd = -1;
	atomic_init(&b->refs, 1);
	return b;
}

/* Memory of a blob of this length that is gone and that nobody has read. */
static bool take_spare(struct arena *a, uint64_t len, uint64_t *ret_off)
{
	WITH_LOCK(&a->lock);

	for (unsigned i = a->nspares; i-- > 0;) {
		if (a->spares[i].len != len)
			continue;
		*ret_off = a->spares[i].off;
		a->spares[i] = a->spares[--a->nspares];
		return true;
	}
	return false;
}

/* False: it shares pages with others, was read, or there are enough. */
static bool keep_spare(struct arena *a, const struct blob *b)
{
	if (!a->reuse || b->read || b->off % ARENA_ALIGN || b->len % ARENA_ALIGN)
		return false;
	WITH_LOCK(&a->lock);
	if (a->nspares == SPARES_MAX)
		return false;
	a->spares[a->nspares].off = b->off;
	a->spares[a->nspares++].len = b->len;
	return true;
}

int blob_new_arena(struct arena *a, uint64_t off, uint64_t len, bool discard, struct blob **ret)
{
	struct blob *b = blob_alloc(BLOB_ARENA, len);

	if (!b)
		return -ENOMEM;
	b->arena = a;
	b->discard = discard;
	b->alone = off == UINT64_MAX;
	if (!take_spare(a, len, &b->off))
		b->off = b->alone ? arena_reserve(a, len) : off;
	*ret = b;
	return 0;
}

int blob_new_temp(const char *dir, uint64_t len, struct blob **ret)
{
	_cleanup_(blob_unrefp) struct blob *b = blob_alloc(BLOB_FILE, len);

	if (!b)
		return -ENOMEM;
	if (asprintf(&b->path, "%s/XXXXXX", dir) < 0) {
		b->path = NULL;
		return -ENOMEM;
	}
	b->fd = mkostemp(b->path, O_CLOEXEC);
	if (b->fd < 0)
		return -errno;
	b->temp = true;
	*ret = take_ptr(&b);
	return 0;
}

int blob_new_file(const char *path, const struct stat *st, bool borrowed, struct blob **ret)
{
	_cleanup_(blob_unrefp) struct blob *b = blob_alloc(BLOB_FILE, (uint64_t)st->st_size);

	if (!b)
		return -ENOMEM;
	b->path = strdup(path);
	if (!b->path)
		return -ENOMEM;
	b->borrowed = borrowed;
	b->ino = st->st_ino;
	b->mtime = st->st_mtim;
	*ret = take_ptr(&b);
	return 0;
}

struct blob *blob_ref(struct blob *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

/*
 * Gives the memory back, whole pages only: the kernel zeroes a part of a page in
 * place, and a socket may still hold the page of an answer that was sent.
 */
static void punch(const struct blob *b)
{
	uint64_t start = (b->off + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	uint64_t end =
		(b->off + b->len + (b->alone ? ARENA_ALIGN - 1 : 0)) / ARENA_ALIGN * ARENA_ALIGN;

	if (start < end)
		(void)fallocate(arena_fd(b->arena, b->off),
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
				(off_t)(end - start));
}

void blob_unref(struct blob *b)
{
	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (b->kind == BLOB_ARENA && b->len && !b->discard && !keep_spare(b->arena, b))
		punch(b);
	if (b->temp && b->path)
		(void)unlink(b->path);
	if (b->fd >= 0)
		close(b->fd);
	free(b->path);
	free(b);
}

static int write_all(int fd, const char *p, size_t len, uint64_t off)
{
	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int blob_write(struct blob *b, uint64_t pos, const void *data, size_t len)
{
	if (pos > b->len || len > b->len - pos)
		return -EFBIG;
	if (b->discard)
		return 0;
	if (b->kind == BLOB_ARENA)
		return write_all(arena_fd(b->arena, b->off), data, len, b->off + pos);
	return write_all(b->fd, data, len, pos);
}

int blob_seal(struct blob *b)
{
	struct stat st;

	if (b->kind != BLOB_FILE)
		return 0;
	if (fstat(b->fd, &st) < 0)
		return -errno;
	b->ino = st.st_ino;
	b->mtime = st.st_mtim;
	close(b->fd);
	b->fd = -1;
	return 0;
}

int blob_open(const struct blob *b, int *ret_fd)
{
	_cleanup_(closep) int fd = open(b->path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_ino != b->ino || (uint64_t)st.st_size != b->len ||
	    st.st_mtim.tv_sec != b->mtime.tv_sec || st.st_mtim.tv_nsec != b->mtime.tv_nsec)
		return -ESTALE;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* Fill [pattern_len, end) of the pattern region. */
static int pattern_fill_locked(struct arena *a, uint64_t end)
{
	size_t words = PATTERN_PERIOD / 8 + 1;
	_cleanup_(freep) uint64_t *w = malloc(words * 8);

	if (!w)
		return -ENOMEM;
	for (size_t i = 0; i < words; i++)
		w[i] = mix64(i);
	while (a->pattern_len < end) {
		uint64_t at = a->pattern_len % PATTERN_PERIOD;
		size_t n = MIN(PATTERN_PERIOD - at, end - a->pattern_len);
		int r = write_all(a->fds[0], (const char *)w + at, n,
				  a->pattern_off + a->pattern_len);

		if (r < 0)
			return r;
		a->pattern_len += n;
	}
	return 0;
}

int arena_pattern(struct arena *a, uint64_t pos, uint64_t want, uint64_t *ret_off,
		  uint64_t *ret_len)
{
	uint64_t at = pos % PATTERN_PERIOD, len = MIN(want, PATTERN_RUN), end;
	WITH_LOCK(&a->lock);

	/* In steps, so that small objects do not fill it all. */
	end = MIN((at + len + 0xfffff) / 0x100000 * 0x100000,
		  (uint64_t)PATTERN_PERIOD + PATTERN_RUN);
	if (end > a->pattern_len) {
		int r = pattern_fill_locked(a, end);

		if (r < 0)
			return r;
	}
	*ret_off = a->pattern_off + at;
	*ret_len = len;
	return 0;
}
