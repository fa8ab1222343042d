/* SPDX-License-Identifier: Apache-2.0 */

#include "fuse/making.h"

#include "base/clock.h"
#include "fuse/inode.h"

#define MADE_ENOUGH 8
#define PAUSE_MAX   NSEC_PER_SEC /* between two of them */
/* Eight programs that each look twice before they make a file, as cp does. */
#define MISSED_MAX 16
#define KEYS_FEW   4
#define KEYS_MORE  64 /* MinIO: 2 ms more */
#define GAPS_FEW   2
#define GAPS_MANY  16 /* in a second: names at random places of a large directory */

static void making_ends(struct dir *d)
{
	d->made = d->missed = 0;
	d->ours = false;
}

void making_begins(struct dir *d, uint64_t now)
{
	d->made = MADE_ENOUGH;
	d->ours = true;
	d->made_at = now;
}

void making_file(struct dir *d, uint64_t now)
{
	if (now - d->made_at > PAUSE_MAX)
		making_ends(d);
	if (d->made < MADE_ENOUGH)
		d->made++;
	d->made_at = now;
	d->missed = 0;
}

void making_missed(struct dir *d)
{
	if (++d->missed > MISSED_MAX)
		making_ends(d);
}

bool making_goes_on(const struct dir *d, uint64_t now)
{
	return d->made >= MADE_ENOUGH && now - d->made_at <= PAUSE_MAX;
}

bool making_is_ours(const struct dir *d, uint64_t now)
{
	return d->ours && making_goes_on(d, now);
}

unsigned making_page_keys(struct dir *d, uint64_t now)
{
	if (now - d->gaps_since > MAKING_TRUST) {
		d->gaps_since = now;
		d->gaps = 0;
	}
	d->gaps++;
	return d->gaps > GAPS_FEW && d->gaps <= GAPS_MANY ? KEYS_MORE : KEYS_FEW;
}
