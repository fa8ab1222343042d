/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The payload of a write follows 80 bytes of head, and begins on a page in either
 * form: the kernel copies page by page, and twice as many pieces where pages
 * of source and target do not match.
 *
 * libfuse tells its caller the place of a payload and does not touch it. So it
 * may be elsewhere; other requests, which libfuse does read, are put together.
 */
#include "fuse/inbox.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuse/session.h"
#include "prefetch/prefetch.h"

#define HEAD	 (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define REST_MAX (SESSION_MAX_WRITE + (size_t)64 * 1024)
#define PAGE	 ((size_t)4096)

static char *rest_of(const struct inbox *b)
{
	return b->request + HEAD;
}

int inbox_init(struct inbox *b)
{
	void *mem = mmap(NULL, PAGE + REST_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	if (mem == MAP_FAILED)
		return -errno;
	*b = (struct inbox){.map = mem, .request = (char *)mem + PAGE - HEAD};
	return 0;
}

void inbox_fini(struct inbox *b)
{
	if (b->map)
		(void)munmap(b->map, PAGE + REST_MAX);
	b->map = NULL;
}

static bool is_write(const struct inbox *b)
{
	struct fuse_in_header head;

	memcpy(&head, b->request, sizeof(head));
	return head.opcode == FUSE_WRITE;
}

static ssize_t read_in_one(struct inbox *b, int fd)
{
	ssize_t n = read(fd, b->request, HEAD + REST_MAX);

	b->large = b->slab && n == (ssize_t)(HEAD + PF_SLAB) && is_write(b);
	return n;
}

static ssize_t read_in_two(struct inbox *b, int fd)
{
	struct iovec iov[2] = {{b->request, HEAD}, {*b->slab, PF_SLAB}};
	ssize_t n = readv(fd, iov, 2);

	if (n <= (ssize_t)HEAD)
		return n;
	b->landed = is_write(b);
	if (!b->landed)
		memcpy(rest_of(b), *b->slab, (size_t)n - HEAD);
	return n;
}

ssize_t inbox_read(struct inbox *b, int fd)
{
	b->landed = false;
	return b->large ? read_in_two(b, fd) : read_in_one(b, fd);
}

void **inbox_slab(struct inbox *b, const char *data)
{
	return b->landed && data == rest_of(b) ? b->slab : NULL;
}
