/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Credential snapshots and the provider chain: environment, then profile files.
 *
 * A named profile (--profile) is the only source when it is given. The files are
 * read again when one of them changed (s3_creds_changed); the environment cannot
 * change. Reading blocks for a local file's time and may run on a loop.
 */
#include "s3/creds.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define FILE_MAX (1 * MIB)

DEFINE_CLEANUP(struct s3_creds, s3_creds_unref)

int s3_creds_new(const char *access_key, const char *secret, const char *token,
		 struct s3_creds **ret)
{
	static _Atomic uint64_t serials;
	size_t na = strlen(access_key) + 1, ns = strlen(secret) + 1;
	size_t nt = token && token[0] ? strlen(token) + 1 : 0;
	size_t size = sizeof(struct s3_creds) + na + ns + nt;
	struct s3_creds *c = calloc(1, size);
	char *p;

	if (!c)
		return -ENOMEM;
	p = (char *)(c + 1);
	c->access_key = memcpy(p, access_key, na);
	c->secret = memcpy(p + na, secret, ns);
	if (nt)
		c->token = memcpy(p + na + ns, token, nt);
	c->size = size;
	c->serial = atomic_fetch_add(&serials, 1) + 1;
	atomic_init(&c->refs, 1);
	*ret = c;
	return 0;
}

struct s3_creds *s3_creds_ref(struct s3_creds *c)
{
	if (c)
		(void)atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void s3_creds_unref(struct s3_creds *c)
{
	/* acq_rel: pairs with itself, the last holder sees all others done */
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	OPENSSL_cleanse(c, c->size);
	free(c);
}

int s3_creds_provider_init(struct s3_creds_provider *p, const char *profile)
{
	*p = (struct s3_creds_provider){0};
	if (!profile)
		return 0;
	p->profile = strdup(profile);
	return p->profile ? 0 : -ENOMEM;
}

void s3_creds_provider_fini(struct s3_creds_provider *p)
{
	free(p->profile);
	*p = (struct s3_creds_provider){0};
}

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && v[0] ? v : NULL;
}

/* The two files: credentials, then config. */
static int file_path(int which, char *ret, size_t len)
{
	static const char *const vars[] = {"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"};
	static const char *const names[] = {"credentials", "config"};
	const char *given = env(vars[which]), *home = env("HOME");
	char pwbuf[4096];
	struct passwd pw, *found = NULL;
	int n;

	if (!given && !home && getpwuid_r(getuid(), &pw, pwbuf, sizeof(pwbuf), &found) == 0 &&
	    found)
		home = found->pw_dir;
	if (given)
		n = snprintf(ret, len, "%s", given);
	else
		n = snprintf(ret, len, "%s/.aws/%s", home ? home : "", names[which]);
	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

static struct s3_creds_stamp stamp_of(const struct stat *st)
{
	return (struct s3_creds_stamp){st->st_mtim, (uint64_t)st->st_size, (uint64_t)st->st_ino};
}

static bool stamp_same(const struct s3_creds_stamp *a, const struct s3_creds_stamp *b)
{
	return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
	       a->size == b->size && a->inode == b->inode;
}

bool s3_creds_changed(const struct s3_creds_provider *p)
{
	for (int i = 0; p->from_files && i < 2; i++) {
		struct s3_creds_stamp now = {0};
		char path[4096];
		struct stat st;

		if (file_path(i, path, sizeof(path)) == 0 && stat(path, &st) == 0)
			now = stamp_of(&st);
		if (!stamp_same(&now, &p->stamp[i]))
			return true;
	}
	return false;
}

/* Whole regular file; -ENOENT when there is none. */
static int read_file(const char *path, struct s3_creds_stamp *stamp, struct buf *b)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char chunk[4096];
	ssize_t n;

	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*stamp = stamp_of(&st);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_append(b, chunk, (size_t)n);
	OPENSSL_cleanse(chunk, sizeof(chunk));
	return n < 0 ? -errno : buf_error(b);
}

static int printf_like(4, 5) fail(int err, char *why, size_t why_len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return err;
}

/* One file's word on the profile; *ret stays NULL when it has no keys. */
static int load_file(struct s3_creds_provider *p, int which, const char *profile, char *why,
		     size_t why_len, bool *found, struct s3_creds **ret)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT(FILE_MAX);
	_cleanup_(s3_profile_fini) struct s3_profile prof = {0};
	char path[4096];
	unsigned line = 0;
	int r = file_path(which, path, sizeof(path));

	p->stamp[which] = (struct s3_creds_stamp){0};
	if (r == 0)
		r = read_file(path, &p->stamp[which], &text);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return fail(r, why, why_len, "%s: %s", path, strerror(-r));
	r = s3_profile_parse(&prof, buf_str(&text), text.len, profile, which == 1, &line);
	if (text.data)
		OPENSSL_cleanse(text.data, text.len);
	if (r == -EINVAL)
		return fail(r, why, why_len, "%s: line %u is not \"name = value\"", path, line);
	if (r < 0)
		return fail(r, why, why_len, "%s: %s", path, strerror(-r));
	*found = *found || r == 1;
	if (prof.access_key && prof.secret) {
		r = s3_creds_new(prof.access_key, prof.secret, prof.token, ret);
		return r < 0 ? fail(r, why, why_len, "out of memory") : 0;
	}
	if (prof.access_key || prof.secret)
		return fail(-EINVAL, why, why_len, "%s: profile \"%s\" has no %s", path, profile,
			    prof.secret ? "aws_access_key_id" : "aws_secret_access_key");
	if (prof.unsupported)
		return fail(-EINVAL, why, why_len,
			    "%s: profile \"%s\" uses %s, which is not supported", path, profile,
			    prof.unsupported);
	return 0;
}

static int load_profile(struct s3_creds_provider *p, char *why, size_t why_len,
			struct s3_creds **ret)
{
	const char *name = p->profile ? p->profile : env("AWS_PROFILE");
	const char *profile = name ? name : "default";
	bool found = false;

	p->from_files = true;
	for (int i = 0; i < 2 && !*ret; i++) {
		int r = load_file(p, i, profile, why, why_len, &found, ret);

		if (r < 0)
			return r;
	}
	if (*ret)
		return 0;
	if (found)
		return fail(-ENOENT, why, why_len, "profile \"%s\" has no aws_access_key_id",
			    profile);
	if (name)
		return fail(-ENOENT, why, why_len,
			    "there is no profile \"%s\" in ~/.aws/credentials or ~/.aws/config",
			    profile);
	return fail(-ENOENT, why, why_len,
		    "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
		    "~/.aws/credentials, or use --no-sign-request");
}

int s3_creds_load(struct s3_creds_provider *p, char *why, size_t why_len, struct s3_creds **ret)
{
	const char *access_key = env("AWS_ACCESS_KEY_ID"), *secret = env("AWS_SECRET_ACCESS_KEY");
	_cleanup_(s3_creds_unrefp) struct s3_creds *c = NULL;
	int r;

	p->from_files = false;
	if (!p->profile && access_key && secret) {
		r = s3_creds_new(access_key, secret, env("AWS_SESSION_TOKEN"), &c);
		if (r < 0)
			return fail(r, why, why_len, "out of memory");
	} else {
		r = load_profile(p, why, why_len, &c);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(&c);
	return 0;
}
