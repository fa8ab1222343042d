/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See args.h. The drivers do not link with the product, so that they can be
 * built alone on a machine where only a compiler is; hence the small parsers.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"

enum { NAMES_MAX_BYTES = 256 << 20 };

static int unit_shift(const char *unit)
{
	if (*unit == '\0')
		return 0;
	if (unit[1] != '\0')
		return -EINVAL;
	switch (*unit) {
	case 'k':
	case 'K':
		return 10;
	case 'm':
	case 'M':
		return 20;
	case 'g':
	case 'G':
		return 30;
	default:
		return -EINVAL;
	}
}

int parse_size(const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *p = text;
	int shift;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10U, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -ERANGE;
	if (p == text)
		return -EINVAL;
	shift = unit_shift(p);
	if (shift < 0)
		return shift;
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*ret_value = value << shift;
	return 0;
}

int parse_seconds(const char *text, double *ret_value)
{
	double value = 0, step = 1;
	bool point = false, digits = false;

	for (const char *p = text; *p; p++) {
		if (*p == '.' && !point) {
			point = true;
			continue;
		}
		if (*p < '0' || *p > '9')
			return -EINVAL;
		digits = true;
		if (point) {
			step /= 10;
			value += step * (*p - '0');
		} else {
			value = value * 10 + (*p - '0');
		}
	}
	if (!digits)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int read_all(FILE *f, char **ret_text, size_t *ret_size)
{
	size_t size = 0, room = 1 << 16;
	char *text = malloc(room);

	while (text) {
		char *grown;
		size_t n = fread(text + size, 1, room - 1 - size, f);

		size += n;
		if (n == 0)
			break;
		if (size < room - 1)
			continue;
		room *= 2;
		grown = room > NAMES_MAX_BYTES ? NULL : realloc(text, room);
		if (!grown) {
			free(text);
			return -ENOMEM;
		}
		text = grown;
	}
	if (!text)
		return -ENOMEM;
	if (ferror(f)) {
		free(text);
		return -EIO;
	}
	text[size] = '\0';
	*ret_text = text;
	*ret_size = size;
	return 0;
}

int names_read(const char *path, struct names *ret_names)
{
	struct names names = {0};
	size_t size = 0, lines = 1;
	FILE *f = fopen(path, "re");
	int r;

	if (!f)
		return -errno;
	r = read_all(f, &names.text, &size);
	fclose(f);
	if (r < 0)
		return r;
	for (size_t i = 0; i < size; i++)
		lines += names.text[i] == '\n';
	names.items = calloc(lines, sizeof(*names.items));
	if (!names.items) {
		free(names.text);
		return -ENOMEM;
	}
	for (char *p = names.text; p < names.text + size;) {
		char *end = strchrnul(p, '\n');

		*end = '\0';
		if (end > p)
			names.items[names.count++] = p;
		p = end + 1;
	}
	*ret_names = names;
	return 0;
}

void names_fini(struct names *names)
{
	free(names->items);
	free(names->text);
	*names = (struct names){0};
}
