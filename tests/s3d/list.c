/* SPDX-License-Identifier: Apache-2.0 */

/*
 * ListObjectsV2 and ListObjects. A page is made under the bucket's read lock:
 * one seek to its start, then key by key; a common prefix costs one more seek,
 * over everything below it.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "directory.h"
#include "ops.h"
#include "req.h"
#include "text.h"

struct page {
	/* what was asked */
	const char *prefix, *delimiter;
	const char *after;  /* keys and common prefixes must be greater */
	const char *beyond; /* the last page ended with this common prefix */
	uint64_t max;
	bool url, owner;

	/* what was found */
	struct buf contents;
	size_t *ends; /* of each entry in contents, so that the order can be changed */
	unsigned ncontents;
	struct buf prefixes;
	unsigned count;
	const char *last;
	bool last_is_prefix, truncated;
};

static void add_name(const struct page *p, struct buf *x, const char *elem, const char *name)
{
	if (!p->url) {
		buf_elem(x, elem, name);
		return;
	}
	buf_printf(x, "<%s>", elem);
	buf_uri(x, name, true, true);
	buf_printf(x, "</%s>", elem);
}

/* x-amz-restore of the object, as the element that listings have on demand. */
static void add_restore(struct buf *x, const char *restore)
{
	const char *expiry = strstr(restore, "expiry-date=\"");
	bool going_on = strstr(restore, "ongoing-request=\"true\"");
	char date[TEXT_DATE_MAX];
	time_t t;

	buf_str(x, "<RestoreStatus>");
	buf_elem(x, "IsRestoreInProgress", going_on ? "true" : "false");
	if (expiry) {
		(void)snprintf(date, sizeof(date), "%.29s", expiry + strlen("expiry-date=\""));
		if (text_parse_http_date(date, &t) == 0) {
			text_iso_date((uint64_t)t * 1000000000, date);
			buf_elem(x, "RestoreExpiryDate", date);
		}
	}
	buf_str(x, "</RestoreStatus>");
}

static bool wants_restore(const struct req *r)
{
	const char *want = req_header(r, "x-amz-optional-object-attributes");

	return want && strstr(want, "RestoreStatus");
}

static void add_object(struct req *r, struct page *p, const char *key, const struct object *o)
{
	const char *class = object_meta(o, "x-amz-storage-class");
	const char *restore = object_meta(o, "x-amz-restore");
	bool quoted = !server_quirk(r->srv, QUIRK_ETAG_NO_QUOTES);
	struct buf *x = &p->contents;
	char date[TEXT_DATE_MAX];

	buf_str(x, "<Contents>");
	add_name(p, x, "Key", key);
	text_iso_date(o->mtime_ns, date);
	buf_elem(x, "LastModified", date);
	buf_str(x, quoted ? "<ETag>&quot;" : "<ETag>");
	buf_str(x, o->etag);
	buf_str(x, quoted ? "&quot;</ETag>" : "</ETag>");
	if (o->checksum) {
		buf_str(x, "<ChecksumAlgorithm>");
		buf_str(x, checksum_upper(checksum_by_name(o->checksum)));
		buf_str(x, "</ChecksumAlgorithm>");
	}
	buf_str(x, "<Size>");
	buf_u64(x, o->size);
	buf_str(x, "</Size>");
	if (p->owner)
		buf_str(x, "<Owner><ID>s3d</ID><DisplayName>s3d</DisplayName></Owner>");
	buf_elem(x, "StorageClass", class ? class : "STANDARD");
	if (restore && wants_restore(r))
		add_restore(x, restore);
	buf_str(x, "</Contents>");
	p->ends[p->ncontents++] = x->len;
}

/* The least string above all that begin with `s`; NULL if there is none. */
static char *successor(struct req *r, const char *s)
{
	char *t = req_strdup(r, s);
	size_t n = strlen(t);

	while (n && (unsigned char)t[n - 1] == 0xff)
		n--;
	if (!n)
		return NULL;
	t[n - 1] = (char)(t[n - 1] + 1);
	t[n] = '\0';
	return t;
}

static struct index_node *seek_beyond(struct req *r, const struct index *ix, const char *prefix)
{
	const char *next = successor(r, prefix);

	return next ? index_seek(ix, next, false) : NULL;
}

static struct index_node *first_node(struct req *r, const struct index *ix, const struct page *p)
{
	if (p->beyond)
		return seek_beyond(r, ix, p->beyond);
	if (p->after && strcmp(p->after, p->prefix) >= 0)
		return index_seek(ix, p->after, true);
	return index_seek(ix, p->prefix, false);
}

/* The common prefix that the key falls under, NULL if none. */
static const char *common_prefix(struct req *r, const struct page *p, const char *key)
{
	const char *at;

	if (!*p->delimiter)
		return NULL;
	at = strstr(key + strlen(p->prefix), p->delimiter);
	return at ? req_printf(r, "%.*s", (int)(at - key + (ssize_t)strlen(p->delimiter)), key)
		  : NULL;
}

static void fill_page_locked(struct req *r, const struct index *ix, struct page *p)
{
	struct index_node *n = first_node(r, ix, p);
	size_t prefix_len = strlen(p->prefix);

	while (n && p->max && strncmp(n->key, p->prefix, prefix_len) == 0) {
		const char *cp = common_prefix(r, p, n->key);

		if (cp && p->after && strcmp(cp, p->after) <= 0) {
			n = seek_beyond(r, ix, cp);
			continue;
		}
		if (p->count == p->max) {
			p->truncated = true;
			break;
		}
		p->count++;
		p->last = cp ? cp : n->key;
		p->last_is_prefix = cp != NULL;
		if (cp) {
			buf_str(&p->prefixes, "<CommonPrefixes>");
			add_name(p, &p->prefixes, "Prefix", cp);
			buf_str(&p->prefixes, "</CommonPrefixes>");
			n = seek_beyond(r, ix, cp);
		} else {
			add_object(r, p, n->key, n->object);
			n = index_next(n);
		}
	}
	/* The key must outlive the lock. */
	if (p->last)
		p->last = req_strdup(r, p->last);
}

static void page_parse(struct req *r, struct page *p)
{
	const char *encoding = req_param(r, "encoding-type");

	p->prefix = req_param(r, "prefix") ? req_param(r, "prefix") : "";
	p->delimiter = req_param(r, "delimiter") ? req_param(r, "delimiter") : "";
	p->max = MIN(req_param_u64(r, "max-keys", 1000), 1000);
	if (encoding && *encoding && strcmp(encoding, "url") != 0)
		req_fail_because(r, ERR_InvalidArgument, "Invalid Encoding Method specified");
	p->url = encoding && *encoding && !server_quirk(r->srv, QUIRK_LIST_NO_ENCODING_TYPE);
}

/* Token: K or P and the hex of the last name. */
static void parse_token(struct req *r, struct page *p, const char *token)
{
	size_t n = strlen(token);
	uint8_t *name = req_alloc(r, n / 2 + 1);

	if (n % 2 == 0 || text_unhex(token + 1, n / 2, name) < 0 ||
	    (token[0] != 'K' && token[0] != 'P')) {
		req_fail_because(r, ERR_InvalidArgument,
				 "The continuation token provided is incorrect");
		return;
	}
	name[n / 2] = '\0';
	p->after = NULL;
	if (token[0] == 'K')
		p->after = (char *)name;
	else
		p->beyond = (char *)name;
}

static void add_token(const struct page *p, struct buf *x)
{
	buf_printf(x, "<NextContinuationToken>%c", p->last_is_prefix ? 'P' : 'K');
	buf_hex(x, p->last, strlen(p->last));
	buf_str(x, "</NextContinuationToken>");
}

static void add_contents(struct req *r, struct page *p, struct buf *x)
{
	const struct buf *c = &p->contents;

	if (!server_quirk(r->srv, QUIRK_LIST_UNORDERED) && !directory_is(r))
		buf_add(x, c->data, c->len);
	else
		for (unsigned i = p->ncontents; i-- > 0;) {
			size_t begin = i ? p->ends[i - 1] : 0;

			buf_add(x, c->data + begin, p->ends[i] - begin);
		}
	buf_add(x, p->prefixes.data, p->prefixes.len);
	x->failed |= c->failed || p->prefixes.failed;
}

static void list(struct req *r, struct page *p, bool v2)
{
	const char *token = req_param(r, "continuation-token");
	struct buf *x;

	p->ends = req_alloc(r, (p->max + 1) * sizeof(*p->ends));
	pthread_rwlock_rdlock(&r->bucket->lock);
	fill_page_locked(r, &r->bucket->index, p);
	pthread_rwlock_unlock(&r->bucket->lock);

	x = reply_xml(r);
	buf_str(x, "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	buf_elem(x, "Name", r->bucket_name);
	add_name(p, x, "Prefix", p->prefix);
	if (v2) {
		const char *after = req_param(r, "start-after");

		if (after)
			add_name(p, x, "StartAfter", after);
		if (token)
			buf_elem(x, "ContinuationToken", token);
		buf_printf(x, "<KeyCount>%u</KeyCount>", p->count);
		if (p->truncated)
			add_token(p, x);
	} else {
		const char *marker = req_param(r, "marker");

		add_name(p, x, "Marker", marker ? marker : "");
		if (p->truncated && *p->delimiter)
			add_name(p, x, "NextMarker", p->last);
	}
	buf_printf(x, "<MaxKeys>%llu</MaxKeys>", (unsigned long long)p->max);
	if (*p->delimiter)
		add_name(p, x, "Delimiter", p->delimiter);
	if (p->url)
		buf_str(x, "<EncodingType>url</EncodingType>");
	buf_printf(x, "<IsTruncated>%s</IsTruncated>", p->truncated ? "true" : "false");
	add_contents(r, p, x);
	buf_str(x, "</ListBucketResult>");

	buf_fini(&p->contents);
	buf_fini(&p->prefixes);
}

void op_ListObjectsV2(struct req *r)
{
	const char *token = req_param(r, "continuation-token");
	const char *owner = req_param(r, "fetch-owner");
	struct page p = {0};

	directory_check_list(r);
	page_parse(r, &p);
	p.after = req_param(r, "start-after");
	p.owner = owner && strcmp(owner, "true") == 0;
	if (strcmp(req_param(r, "list-type"), "2") != 0)
		req_fail(r, ERR_InvalidArgument);
	if (token)
		parse_token(r, &p, token);
	if (r->err == ERR_NONE)
		list(r, &p, true);
}

void op_ListObjects(struct req *r)
{
	struct page p = {.owner = true};

	directory_check_list(r);
	page_parse(r, &p);
	p.after = req_param(r, "marker");
	if (r->err == ERR_NONE)
		list(r, &p, false);
}
