/* SPDX-License-Identifier: Apache-2.0 */

/* eventfd: pokes add up until the next wait takes them all. */
#include "fuse/poke.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

int poke_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void poke(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		log_warn(LOG_FUSE, "eventfd: %s", strerror(errno));
}

bool poke_wait(int fd, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t now = clock_now(), left = deadline > now ? deadline - now : 0, count;

		/* a minute at a time, so that the figure fits into an int */
		if (left > 60 * NSEC_PER_SEC)
			left = 60 * NSEC_PER_SEC;
		if (poll(&p, 1, (int)((left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC)) > 0)
			return read(fd, &count, sizeof(count)) == sizeof(count);
		if (clock_now() >= deadline)
			return false;
	}
}
