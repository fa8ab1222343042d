/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One file per process, locked (flock) while the process lives: whoever gets the
 * lock knows that the owner is gone. Lines, texts percent-encoded:
 *
 *	S scope		first line; a file without it is not touched
 *	+ id key	created, or about to be
 *	- id		gone
 *
 * Written by small appends to the page cache, on whichever thread; rewritten when
 * it has grown far beyond what is live. The folder must be ours and closed to
 * others, or it is not used. A folder lock keeps two starting mounts apart.
 */
#include "upload/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/uri.h"
#include "s3/s3.h"

#define NAME_PREFIX "uploads-"
#define FILE_MAX    (16 * MIB) /* a larger one is not ours */
#define REWRITE_AT  (256 * KIB)
#define LINE_MAX_   (3 * (S3_KEY_MAX + S3_UPLOAD_ID_MAX) + 16)

struct entry {
	struct list node;
	char *key, *id;
};

struct upload_journal {
	/* set at creation */
	char *scope;
	int dir; /* -1: in memory only */
	char name[64];

	struct lock lock;
	/* under lock */
	int fd;
	size_t size;
	struct list entries;
	unsigned count;
};

static void entry_free(struct entry *e)
{
	free(e->key);
	free(e->id);
	free(e);
}

static struct entry *find(const struct list *entries, const char *id)
{
	struct list *n;

	list_for_each (n, entries) {
		struct entry *e = list_entry(n, struct entry, node);

		if (strcmp(e->id, id) == 0)
			return e;
	}
	return NULL;
}

static int add_entry(struct list *entries, const char *key, const char *id)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (e) {
		e->key = strdup(key);
		e->id = strdup(id);
	}
	if (!e || !e->key || !e->id) {
		if (e)
			entry_free(e);
		return -ENOMEM;
	}
	list_append(entries, &e->node);
	return 0;
}

static void put_line(struct buf *b, char what, const char *text, const char *more)
{
	buf_putc(b, what);
	buf_putc(b, ' ');
	uri_encode(b, text, strlen(text), URI_ENCODE_SLASH);
	if (more) {
		buf_putc(b, ' ');
		uri_encode(b, more, strlen(more), URI_ENCODE_SLASH);
	}
	buf_putc(b, '\n');
}

/* A failure costs the file, not the mount. */
static void write_locked(struct upload_journal *j, const struct buf *b)
{
	ssize_t n = -1;

	if (j->fd < 0)
		return;
	if (buf_error(b) == 0)
		n = write(j->fd, b->data, b->len);
	if (n == (ssize_t)b->len) {
		j->size += b->len;
		return;
	}
	log_warn(LOG_UPLOAD,
		 "the journal of uploads cannot be written: a crash may leave some behind");
	(void)close(j->fd);
	j->fd = -1;
}

static void rewrite_locked(struct upload_journal *j)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(FILE_MAX);
	struct list *n;

	put_line(&b, 'S', j->scope, NULL);
	list_for_each (n, &j->entries) {
		const struct entry *e = list_entry(n, struct entry, node);

		put_line(&b, '+', e->id, e->key);
	}
	if (j->fd >= 0 && ftruncate(j->fd, 0) == 0)
		j->size = 0;
	write_locked(j, &b);
}

void upload_journal_add(struct upload_journal *j, const char *key, const char *id)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(LINE_MAX_);

	if (!j)
		return;
	put_line(&b, '+', id, key);
	WITH_LOCK(&j->lock);
	if (find(&j->entries, id) || add_entry(&j->entries, key, id) < 0)
		return;
	j->count += id[0] != UPLOAD_INTENT;
	write_locked(j, &b);
}

void upload_journal_remove(struct upload_journal *j, const char *id)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(LINE_MAX_);
	struct entry *e;

	if (!j)
		return;
	put_line(&b, '-', id, NULL);
	WITH_LOCK(&j->lock);
	e = find(&j->entries, id);
	if (!e)
		return;
	j->count -= id[0] != UPLOAD_INTENT;
	list_del(&e->node);
	entry_free(e);
	if (j->size > REWRITE_AT && j->size / 1024 > j->count)
		rewrite_locked(j);
	else
		write_locked(j, &b);
}

unsigned upload_journal_count(struct upload_journal *j)
{
	if (!j)
		return 0;
	WITH_LOCK(&j->lock);
	return j->count;
}

bool upload_journal_has(struct upload_journal *j, const char *id)
{
	if (!j)
		return false;
	WITH_LOCK(&j->lock);
	return find(&j->entries, id) != NULL;
}

/* --- the folder --- */

static int make_dirs(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int default_dir(char *ret, size_t len)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n;

	if (state && state[0] == '/')
		n = snprintf(ret, len, "%s/mount-s3", state);
	else if (home && home[0] == '/' && home[1])
		n = snprintf(ret, len, "%s/.local/state/mount-s3", home);
	else if (geteuid() == 0)
		n = snprintf(ret, len, "/run/mount-s3");
	else
		return -ENOENT;
	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

static int open_dir(const char *dir, int *ret)
{
	char path[PATH_MAX];
	struct stat st;
	int r = 0, fd;

	if (dir)
		r = snprintf(path, sizeof(path), "%s", dir) < (int)sizeof(path) ? 0 : -ENAMETOOLONG;
	else
		r = default_dir(path, sizeof(path));
	if (r == 0)
		r = make_dirs(path);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
		(void)close(fd);
		return -EPERM;
	}
	*ret = fd;
	return 0;
}

/* --- what others left --- */

static bool decode(char *text)
{
	long n = uri_decode(text, strlen(text), 0);

	if (n >= 0)
		text[n] = '\0';
	return n >= 0;
}

static int take_line(char *line, const char *scope, struct list *left, bool *scope_seen)
{
	char *text = strchr(line, ' '), *more = NULL;
	struct entry *e;

	if (!text)
		return -EINVAL;
	*text++ = '\0';
	more = strchr(text, ' ');
	if (more)
		*more++ = '\0';
	if (!decode(text) || (more && !decode(more)))
		return -EINVAL;
	if (strcmp(line, "S") == 0) {
		*scope_seen = strcmp(text, scope) == 0;
		return *scope_seen ? 0 : -EXDEV;
	}
	if (!*scope_seen)
		return -EINVAL;
	if (strcmp(line, "+") == 0 && more)
		return add_entry(left, more, text);
	e = strcmp(line, "-") == 0 ? find(left, text) : NULL;
	if (e) {
		list_del(&e->node);
		entry_free(e);
	}
	return 0;
}

/* 0: the file is of this scope, and `left` has what it says. A torn last line does not count. */
static int read_file(int fd, const char *scope, struct list *left)
{
	struct stat st;
	char *text, *p, *end;
	bool scope_seen = false;
	int r = -EINVAL;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    st.st_size <= 0 || (uint64_t)st.st_size > FILE_MAX)
		return -EINVAL;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	if (pread(fd, text, (size_t)st.st_size, 0) == st.st_size) {
		text[st.st_size] = '\0';
		for (p = text, r = 0; r == 0 && (end = strchr(p, '\n')); p = end + 1) {
			*end = '\0';
			r = take_line(p, scope, left, &scope_seen);
		}
	}
	free(text);
	return r == 0 && !scope_seen ? -EINVAL : r;
}

/* Takes over one file if its owner is gone. */
static void take_over(struct upload_journal *j, const char *name,
		      void (*left)(void *arg, const char *key, const char *id), void *arg)
{
	struct list found = LIST_INIT(found), *n;
	int fd = openat(j->dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r;

	if (fd < 0)
		return;
	r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : read_file(fd, j->scope, &found);
	while ((n = list_pop(&found))) {
		struct entry *e = list_entry(n, struct entry, node);

		if (r == 0) {
			upload_journal_add(j, e->key, e->id);
			left(arg, e->key, e->id);
		}
		entry_free(e);
	}
	if (r == 0)
		(void)unlinkat(j->dir, name, 0);
	(void)close(fd);
}

static void take_over_all(struct upload_journal *j,
			  void (*left)(void *arg, const char *key, const char *id), void *arg)
{
	int fd = openat(j->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (strncmp(e->d_name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0 &&
		    strcmp(e->d_name, j->name) != 0)
			take_over(j, e->d_name, left, arg);
	(void)closedir(d);
}

static int open_file(struct upload_journal *j)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(LINE_MAX_);

	(void)snprintf(j->name, sizeof(j->name), NAME_PREFIX "%d-%llx", (int)getpid(),
		       (unsigned long long)clock_now());
	put_line(&b, 'S', j->scope, NULL);
	j->fd = openat(j->dir, j->name,
		       O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return -errno;
	/* Somebody who starts now may hold it for a moment, to find the file empty. */
	if (flock(j->fd, LOCK_EX) < 0)
		return -errno;
	WITH_LOCK(&j->lock);
	write_locked(j, &b);
	return 0;
}

int upload_journal_new(struct upload_journal **ret)
{
	struct upload_journal *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->dir = j->fd = -1;
	lock_init(&j->lock, RANK_CLIENT);
	list_init(&j->entries);
	*ret = j;
	return 0;
}

void upload_journal_open(struct upload_journal *j, const char *dir, const char *scope,
			 void (*left)(void *arg, const char *key, const char *id), void *arg)
{
	int r;

	j->scope = strdup(scope);
	r = j->scope ? open_dir(dir, &j->dir) : -ENOMEM;
	if (r == 0)
		r = open_file(j);
	if (r < 0)
		log_warn(LOG_UPLOAD, "no journal of uploads (%s): a crash may leave some behind",
			 strerror(-r));
	/* If another mount is starting, it takes over what there is. */
	if (r == 0 && flock(j->dir, LOCK_EX | LOCK_NB) == 0) {
		take_over_all(j, left, arg);
		(void)flock(j->dir, LOCK_UN);
	}
}

void upload_journal_close(struct upload_journal *j)
{
	struct list *n;

	if (!j)
		return;
	if (j->fd >= 0 && list_empty(&j->entries))
		(void)unlinkat(j->dir, j->name, 0);
	while ((n = list_pop(&j->entries)))
		entry_free(list_entry(n, struct entry, node));
	if (j->fd >= 0)
		(void)close(j->fd);
	if (j->dir >= 0)
		(void)close(j->dir);
	lock_fini(&j->lock);
	free(j->scope);
	free(j);
}
