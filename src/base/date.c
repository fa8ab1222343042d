/* SPDX-License-Identifier: Apache-2.0 */

/* HTTP, ISO 8601 and SigV4 dates, independent of the locale. Pure. */
#include "base/date.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
				   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static int to_epoch(int y, int mon, int d, int h, int m, int s, int64_t *ret)
{
	struct tm tm = {.tm_year = y - 1900,
			.tm_mon = mon - 1,
			.tm_mday = d,
			.tm_hour = h,
			.tm_min = m,
			.tm_sec = s};

	if (y < 1970 || y > 9999 || mon < 1 || mon > 12 || d < 1 || d > 31 || h > 23 || m > 59 ||
	    s > 60)
		return -EINVAL;
	*ret = (int64_t)timegm(&tm);
	return 0;
}

/* `n` decimal digits at s; advances nothing, -1 when one is missing. */
static int num(const char *s, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	return v;
}

int date_parse_http(const char *s, int64_t *ret)
{
	int mon = 0, d, y, h, m, sec;

	if (strlen(s) != 29 || s[3] != ',' || strcmp(s + 25, " GMT") != 0)
		return -EINVAL;
	for (int i = 0; i < 12; i++)
		if (strncmp(s + 8, months[i], 3) == 0)
			mon = i + 1;
	d = num(s + 5, 2);
	y = num(s + 12, 4);
	h = num(s + 17, 2);
	m = num(s + 20, 2);
	sec = num(s + 23, 2);
	if (mon == 0 || d < 0 || y < 0 || h < 0 || m < 0 || sec < 0)
		return -EINVAL;
	return to_epoch(y, mon, d, h, m, sec, ret);
}

int date_parse_iso(const char *s, int64_t *ret)
{
	size_t len = strlen(s);
	int y, mon, d, h, m, sec;

	if (len < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' ||
	    s[16] != ':' || s[len - 1] != 'Z' || (len > 20 && s[19] != '.'))
		return -EINVAL;
	y = num(s, 4);
	mon = num(s + 5, 2);
	d = num(s + 8, 2);
	h = num(s + 11, 2);
	m = num(s + 14, 2);
	sec = num(s + 17, 2);
	if (y < 0 || mon < 0 || d < 0 || h < 0 || m < 0 || sec < 0)
		return -EINVAL;
	return to_epoch(y, mon, d, h, m, sec, ret);
}

void date_format_amz(int64_t t, char ret[17])
{
	time_t tt = (time_t)t;
	struct tm tm = {0};

	(void)gmtime_r(&tt, &tm);
	if (strftime(ret, 17, "%Y%m%dT%H%M%SZ", &tm) == 0)
		ret[0] = '\0';
}
