/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Read-only extended attributes: what S3 says of an object.
 *
 *	user.s3.key              from memory; directories have it too
 *	user.s3.etag             from memory, of the version that the inode stands for
 *	user.s3.version-id, .storage-class, .content-type, .meta.NAME
 *	                         one HEAD each time, of that version only
 *
 * Only the first two are listed, because copying programs read all that is
 * listed. Other names of user. are ENODATA; other name spaces EOPNOTSUPP, which
 * makes ls ask for ACLs and labels once and not for each file. Any loop thread.
 */
#include "fuse/xattr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log.h"
#include "fuse/find.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/state.h"

#define VALUE_MAX (64 * KIB)

static const char space[] = "user.", ours[] = "user.s3.", meta[] = "meta.";

/* Attributes that are a header of HEAD's answer; one that S3 leaves out may have a meaning. */
static const struct attribute {
	const char *name, *header, *absent;
} attributes[] = {
	{"version-id", "x-amz-version-id", NULL},
	{"storage-class", "x-amz-storage-class", "STANDARD"},
	{"content-type", "content-type", NULL},
};

struct xattr {
	struct request r;
	struct inode *inode; /* counted */
	struct s3_head_call head;
	size_t size;
	char *key, *etag, *header; /* header: the one that is wanted, lower case */
	const char *absent;
	struct buf value;
	bool found;
};

static bool begins_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static void answer(struct request *r, const char *value, size_t len, size_t size)
{
	if (size == 0)
		(void)reply_xattr(r, len);
	else if (len > size)
		(void)reply_err(r, -ERANGE);
	else
		(void)reply_buf(r, value, len);
}

static void xattr_free(struct request *r)
{
	struct xattr *x = container_of(r, struct xattr, r);

	fs_unref(r->fs, x->inode);
	free(x->key);
	free(x->etag);
	free(x->header);
	buf_fini(&x->value);
	free(x);
}

static void on_attempt(struct s3_head_call *h)
{
	struct xattr *x = container_of(h, struct xattr, head);

	buf_reset(&x->value);
	x->found = false;
}

static void on_header(struct s3_head_call *h, const char *name, size_t name_len, const char *value,
		      size_t value_len)
{
	struct xattr *x = container_of(h, struct xattr, head);

	if (strlen(x->header) != name_len || strncasecmp(x->header, name, name_len) != 0)
		return;
	if (x->found)
		buf_puts(&x->value, ",");
	x->found = true;
	buf_append(&x->value, value, value_len);
}

static int head_errno(struct xattr *x, const struct s3_error *e)
{
	char why[512];

	if (e->err == 0)
		return buf_error(&x->value) < 0 ? -ENOMEM : 0;
	if (e->err == -ESTALE || e->err == -ENOENT) {
		find_stale(x->r.fs, x->inode);
		return -ESTALE; /* the kernel looks the name up again and comes back */
	}
	s3_error_format(e, why, sizeof(why));
	log_warn(LOG_FUSE, "attributes of %s failed: %s", x->key, why);
	return resolve_errno(e->err);
}

static void on_done(struct s3_call *c)
{
	struct xattr *x = container_of(c, struct xattr, head.call);
	int err = head_errno(x, &c->error);

	if (err == 0 && !x->found && x->absent) {
		buf_puts(&x->value, x->absent);
		x->found = true;
	}
	if (err == 0 && !x->found)
		err = -ENODATA;
	if (err < 0)
		(void)reply_err(&x->r, err);
	else
		answer(&x->r, buf_str(&x->value), x->value.len, x->size);
	request_unref(&x->r);
}

/* The header behind the attribute `name` (without user.s3.); false: there is none. */
static bool header_of(const char *name, char **ret, const char **ret_absent)
{
	*ret = NULL;
	*ret_absent = NULL;
	if (begins_with(name, meta) && name[strlen(meta)]) {
		if (asprintf(ret, "x-amz-meta-%s", name + strlen(meta)) < 0)
			*ret = NULL;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		if (strcmp(name, attributes[i].name) == 0) {
			*ret = strdup(attributes[i].header);
			*ret_absent = attributes[i].absent;
			return true;
		}
	}
	return false;
}

/* 0: *ret_value is the answer. -EAGAIN: HEAD has to tell, *ret is ready but for its request. */
static int get_locked(struct fs *fs, struct inode *i, const char *name, char **ret_value,
		      struct xattr **ret)
{
	bool uploaded = !i->is_dir && i->state == INODE_REMOTE && i->etag;
	struct xattr *x;
	char *header;
	const char *absent;

	if (strcmp(name, "key") == 0) {
		*ret_value = fs_key_locked(fs, i);
		return *ret_value ? 0 : -ENOMEM;
	}
	if (!uploaded)
		return -ENODATA;
	if (strcmp(name, "etag") == 0) {
		*ret_value = strdup(i->etag);
		return *ret_value ? 0 : -ENOMEM;
	}
	if (!header_of(name, &header, &absent))
		return -ENODATA;
	x = calloc(1, sizeof(*x));
	if (!x) {
		free(header);
		return -ENOMEM;
	}
	buf_init(&x->value, VALUE_MAX);
	x->inode = inode_ref(i);
	x->header = header;
	x->absent = absent;
	x->key = fs_key_locked(fs, i);
	x->etag = strdup(i->etag);
	*ret = x;
	return -EAGAIN;
}

static void ask(struct xattr *x, const struct request *r, size_t size)
{
	x->r = *r;
	x->r.free = xattr_free;
	x->size = size;
	list_init(&x->r.watch_node);
	if (!x->key || !x->etag || !x->header) {
		(void)reply_err(&x->r, -ENOMEM);
		request_unref(&x->r);
		return;
	}
	request_watch(&x->r);
	x->head = (struct s3_head_call){.call.done = on_done,
					.key = x->key,
					.if_match = x->etag,
					.on_attempt = on_attempt,
					.on_header = on_header};
	s3_head(r->fs->config.client, loop_current(), &x->head);
}

void xattr_get(struct fs *fs, fuse_req_t req, uint64_t ino, const char *name, size_t size)
{
	_cleanup_(freep) char *value = NULL;
	struct request r;
	struct xattr *x = NULL;
	int err = begins_with(name, space) ? -ENODATA : -EOPNOTSUPP;

	request_init(&r, fs, req, "getxattr", ino);
	if (begins_with(name, ours)) {
		WITH_LOCK(&fs->lock);
		struct inode *i = itable_get(&fs->table, ino);

		err = i ? get_locked(fs, i, name + strlen(ours), &value, &x) : -ESTALE;
	}
	if (x)
		ask(x, &r, size);
	else if (err < 0)
		(void)reply_err(&r, err);
	else
		answer(&r, value, strlen(value), size);
}

void xattr_list(struct fs *fs, fuse_req_t req, uint64_t ino, size_t size)
{
	static const char names[] = "user.s3.key\0user.s3.etag";
	struct request r;
	size_t len = 0;

	request_init(&r, fs, req, "listxattr", ino);
	{
		WITH_LOCK(&fs->lock);
		const struct inode *i = itable_get(&fs->table, ino);

		if (i && !i->is_dir && i->state == INODE_REMOTE && i->etag)
			len = sizeof(names);
		else if (i)
			len = strlen(names) + 1;
	}
	if (len == 0)
		(void)reply_err(&r, -ESTALE);
	else
		answer(&r, names, len, size);
}
