/* SPDX-License-Identifier: Apache-2.0 */

#include "base/starved.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* ns that this thread has waited for a CPU, ever. */
static int waited_ns(uint64_t *ret)
{
	_cleanup_(closep) int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	char text[96];
	unsigned long long ns;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	if (sscanf(text, "%*s %llu", &ns) != 1)
		return -1;
	*ret = ns;
	return 0;
}

int starved_percent(void)
{
	static _Thread_local uint64_t asked, waited_then;
	uint64_t now = clock_now(), waited;
	int percent = -1;

	if (waited_ns(&waited) < 0)
		return 0;
	if (asked && now > asked)
		percent = (int)((waited - waited_then) * 100 / (now - asked));
	asked = now;
	waited_then = waited;
	return percent;
}
