/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Endings ("tar.gz") in an open-addressing table, lower case. globs2 has a line
 * "weight:type:*.ending" each, best weight first; mime.types "type ending ...".
 * The first that names an ending keeps it. Globs of another form are skipped:
 * they are for names like "makefile". Immutable once loaded.
 */
#include "upload/mime.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define GLOBS	   "/usr/share/mime/globs2"
#define TYPES	   "/etc/mime.types"
#define ENDING_MAX 32
#define TYPE_MAX   128
#define LINE_MAX_  1024
#define SLOTS	   16384 /* the databases have about 1,200 endings */
#define FULL	   (SLOTS / 2)

struct entry {
	char *ending; /* NULL: free slot */
	char *type;
};

struct mime {
	unsigned count;
	struct entry slot[SLOTS];
};

static const char *const own[][2] = {
	{"html", "text/html"},	      {"htm", "text/html"},	    {"css", "text/css"},
	{"js", "text/javascript"},    {"json", "application/json"}, {"txt", "text/plain"},
	{"csv", "text/csv"},	      {"xml", "application/xml"},   {"pdf", "application/pdf"},
	{"png", "image/png"},	      {"jpg", "image/jpeg"},	    {"jpeg", "image/jpeg"},
	{"gif", "image/gif"},	      {"svg", "image/svg+xml"},	    {"webp", "image/webp"},
	{"mp4", "video/mp4"},	      {"webm", "video/webm"},	    {"mp3", "audio/mpeg"},
	{"wav", "audio/x-wav"},	      {"zip", "application/zip"},   {"gz", "application/gzip"},
	{"tar", "application/x-tar"}, {"wasm", "application/wasm"}, {"zst", "application/zstd"},
	{"md", "text/markdown"},
};

static struct entry *find(const struct mime *m, const char *ending)
{
	size_t i = hash_bytes(ending, strlen(ending), 0) % SLOTS;

	while (m->slot[i].ending && strcmp(m->slot[i].ending, ending) != 0)
		i = (i + 1) % SLOTS;
	return (struct entry *)(uintptr_t)&m->slot[i];
}

static bool lower(const char *from, size_t len, char ret[ENDING_MAX])
{
	if (len == 0 || len >= ENDING_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		ret[i] = (char)tolower((unsigned char)from[i]);
	ret[len] = '\0';
	return true;
}

static bool is_type(const char *type)
{
	return strlen(type) < TYPE_MAX && strchr(type, '/') && !strpbrk(type, " \t\r\n");
}

static int add(struct mime *m, const char *ending, const char *type)
{
	char key[ENDING_MAX];
	struct entry *e;

	if (!lower(ending, strlen(ending), key) || strpbrk(key, "*?[") || !is_type(type) ||
	    m->count >= FULL)
		return 0;
	e = find(m, key);
	if (e->ending)
		return 0;
	e->ending = strdup(key);
	e->type = strdup(type);
	if (!e->ending || !e->type) {
		free(e->ending);
		free(e->type);
		*e = (struct entry){0};
		return -ENOMEM;
	}
	m->count++;
	return 0;
}

/* weight:type:*.ending[:flags] */
static int add_glob(struct mime *m, char *line)
{
	const char *type, *glob;

	if (line[0] == '#')
		return 0;
	(void)strsep(&line, ":");
	type = strsep(&line, ":");
	glob = strsep(&line, ":");
	return glob && strncmp(glob, "*.", 2) == 0 ? add(m, glob + 2, type) : 0;
}

static int add_types(struct mime *m, char *line)
{
	const char *type = strsep(&line, " \t"), *ending;
	int r = 0;

	if (type[0] == '#')
		return 0;
	while (r == 0 && (ending = strsep(&line, " \t")))
		r = add(m, ending, type);
	return r;
}

/* A file that is not there is no error: `m` stays as it is. */
static int load(struct mime *m, const char *path, int (*take)(struct mime *m, char *line))
{
	FILE *f = fopen(path, "re");
	char line[LINE_MAX_];
	int r = 0;

	if (!f)
		return 0;
	while (r == 0 && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		r = take(m, line);
	}
	(void)fclose(f);
	return r;
}

int mime_load(const char *globs, const char *types, struct mime **ret)
{
	struct mime *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	r = load(m, globs ? globs : GLOBS, add_glob);
	if (r == 0)
		r = load(m, types ? types : TYPES, add_types);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(own); i++)
		r = add(m, own[i][0], own[i][1]);
	if (r < 0) {
		mime_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void mime_free(struct mime *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < SLOTS; i++) {
		free(m->slot[i].ending);
		free(m->slot[i].type);
	}
	free(m);
}

const char *mime_type(const struct mime *m, const char *key)
{
	const char *slash = strrchr(key, '/');
	const char *name = slash ? slash + 1 : key;
	char ending[ENDING_MAX];

	/* A name that begins with its only dot has no ending. */
	for (const char *dot = *name ? strchr(name + 1, '.') : NULL; dot;
	     dot = strchr(dot + 1, '.')) {
		const struct entry *e;

		if (!lower(dot + 1, strlen(dot + 1), ending))
			continue;
		e = find(m, ending);
		if (e->ending)
			return e->type;
	}
	return NULL;
}
