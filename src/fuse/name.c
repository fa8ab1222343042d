/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Name rules. The delimiter is '/' only; a key's components become names when
 * each is valid, and everything below an invalid component is hidden. Order is
 * that of S3: bytewise. Pure functions, any thread.
 */
#include "fuse/name.h"

#include <errno.h>
#include <string.h>

#include "fuse/utf8.h"

bool name_valid(const char *name, size_t len)
{
	if (len == 0 || len > NAME_LEN_MAX)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	if (memchr(name, '/', len) || memchr(name, '\0', len))
		return false;
	return utf8_valid(name, len);
}

int name_check(const char *name)
{
	size_t len = strlen(name);

	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	return name_valid(name, len) ? 0 : -EINVAL;
}

int name_cmp(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t n = a_len < b_len ? a_len : b_len;
	int c = memcmp(a, b, n);

	if (c != 0)
		return c;
	return a_len < b_len ? -1 : a_len > b_len;
}

int name_cmp_as_dir(const char *name, size_t len, const char *key, size_t key_len)
{
	size_t n = len < key_len ? len : key_len;
	int c = memcmp(name, key, n);

	if (c != 0)
		return c;
	if (key_len <= len)
		return 1;
	if ((unsigned char)key[len] != '/')
		return '/' < (unsigned char)key[len] ? -1 : 1;
	return key_len == len + 1 ? 0 : -1;
}

void name_before(const char *name, size_t len, char *ret)
{
	static const char high[] = "\xEF\xBF\xBD"; /* U+FFFD: few names hold more */
	unsigned char last = len ? (unsigned char)name[len - 1] : 0;

	if (last > '!' && last < 0x7f) {
		memcpy(ret, name, len - 1);
		/* '/' would make the bound a directory's content */
		ret[len - 1] = last - 1 == '/' ? '.' : (char)(last - 1);
		memcpy(ret + len, high, sizeof(high));
		return;
	}
	/* Cut at the start of the last character: what is left sorts below. */
	while (len > 0 && ((unsigned char)name[len - 1] & 0xc0) == 0x80)
		len--;
	if (len > 0)
		len--;
	memcpy(ret, name, len);
	ret[len] = '\0';
}
