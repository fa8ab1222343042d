/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libxml2's push parser to S3's answers. One table says which element at which
 * place fills which field; all else is skipped.
 *
 *	depth 1		the root: must be that of the kind, or <Error>
 *	depth 2		a field, or a container (Contents, CommonPrefixes, Part)
 *	depth 3, 4	a field of a container (4: RestoreStatus has its own)
 *	deeper		skipped, up to DEPTH_MAX
 *
 * Nothing of the document decides what is opened or fetched: a document type
 * declaration ends the parse, so there are no entities but the predefined ones.
 * Only this file uses libxml2. Any thread; a parser is not shared.
 */
#include "s3/xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/date.h"
#include "base/parse.h"
#include "s3/object.h"
#include "s3/xml_page.h"

#define DEPTH_MAX 16
#define TEXT_MAX  (8 * KIB) /* a key is 1 KiB, three times that when encoded */
#define PARTS_MAX 1000	    /* ListParts' own limit of a page */

enum field {
	F_NONE,
	F_CODE,
	F_MESSAGE,
	F_REQUEST_ID,
	F_REGION,
	F_SERVER_TIME,
	F_CONTENTS, /* containers */
	F_PREFIXES,
	F_PART,
	F_KEY,
	F_PREFIX,
	F_SIZE,
	F_MTIME,
	F_ETAG,
	F_STORAGE,
	F_RESTORING,
	F_RESTORED,
	F_ENCODING,
	F_TRUNCATED,
	F_TOKEN,
	F_UPLOAD_ID,
	F_RESULT_ETAG,
	F_RESULT_CRC32C,
	F_PART_NUMBER,
	F_PART_SIZE,
	F_PART_ETAG,
	F_PART_CRC32C,
	F_NEXT_PART,
};

struct place {
	enum field field;
	enum field parent; /* container, F_NONE at depth 2 */
	const char *name;
};

static const struct place error_places[] = {
	{F_CODE, F_NONE, "Code"},
	{F_MESSAGE, F_NONE, "Message"},
	{F_REQUEST_ID, F_NONE, "RequestId"},
	{F_REGION, F_NONE, "Region"},
	{F_SERVER_TIME, F_NONE, "ServerTime"},
	{0},
};

static const struct place list_places[] = {
	{F_CONTENTS, F_NONE, "Contents"},
	{F_PREFIXES, F_NONE, "CommonPrefixes"},
	{F_ENCODING, F_NONE, "EncodingType"},
	{F_TRUNCATED, F_NONE, "IsTruncated"},
	{F_TOKEN, F_NONE, "NextContinuationToken"},
	{F_KEY, F_CONTENTS, "Key"},
	{F_SIZE, F_CONTENTS, "Size"},
	{F_MTIME, F_CONTENTS, "LastModified"},
	{F_ETAG, F_CONTENTS, "ETag"},
	{F_STORAGE, F_CONTENTS, "StorageClass"},
	{F_RESTORING, F_CONTENTS, "IsRestoreInProgress"},
	{F_RESTORED, F_CONTENTS, "RestoreExpiryDate"},
	{F_PREFIX, F_PREFIXES, "Prefix"},
	{0},
};

static const struct place create_places[] = {
	{F_UPLOAD_ID, F_NONE, "UploadId"},
	{0},
};

static const struct place complete_places[] = {
	{F_RESULT_ETAG, F_NONE, "ETag"},
	{F_RESULT_CRC32C, F_NONE, "ChecksumCRC32C"},
	{0},
};

static const struct place parts_places[] = {
	{F_PART, F_NONE, "Part"},
	{F_TRUNCATED, F_NONE, "IsTruncated"},
	{F_NEXT_PART, F_NONE, "NextPartNumberMarker"},
	{F_PART_NUMBER, F_PART, "PartNumber"},
	{F_PART_SIZE, F_PART, "Size"},
	{F_PART_ETAG, F_PART, "ETag"},
	{F_PART_CRC32C, F_PART, "ChecksumCRC32C"},
	{0},
};

static const struct {
	const char *root;
	size_t max;
	const struct place *places;
} kinds[] = {
	[S3_XML_ERROR] = {"Error", 64 * KIB, error_places},
	[S3_XML_LIST] = {"ListBucketResult", 16 * MIB, list_places},
	[S3_XML_CREATE] = {"InitiateMultipartUploadResult", 64 * KIB, create_places},
	[S3_XML_COMPLETE] = {"CompleteMultipartUploadResult", 64 * KIB, complete_places},
	[S3_XML_PARTS] = {"ListPartsResult", 1 * MIB, parts_places},
};

struct s3_xml {
	/* set at creation */
	enum s3_xml_kind kind;
	xmlParserCtxtPtr ctxt;
	/* while parsing */
	int error;    /* 0 or -errno of the first problem */
	size_t bytes; /* fed */
	unsigned depth;
	bool begun, root_seen;
	const struct place *places;
	enum field container; /* that we are in */
	enum field leaf;      /* of which the text is collected */
	unsigned leaf_depth;
	struct buf text;
	/* the entry of the container that we are in */
	struct s3_xml_part part;
	struct s3_page_entry entry;
	struct s3_page_builder *page;
	struct s3_xml_result result;
};

static void fail(struct s3_xml *x, int err)
{
	if (x->error == 0)
		x->error = err;
	xmlStopParser(x->ctxt);
}

static const struct place *find(const struct place *p, enum field parent, const char *name)
{
	for (; p->name; p++)
		if (p->parent == parent && strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

static void on_root(struct s3_xml *x, const char *name)
{
	x->root_seen = true;
	if (strcmp(name, "Error") == 0) {
		x->result.is_error = true;
		x->places = error_places;
	} else if (strcmp(name, kinds[x->kind].root) == 0) {
		x->places = kinds[x->kind].places;
	} else {
		fail(x, -EPROTO);
	}
}

static void on_field(struct s3_xml *x, enum field field)
{
	if (field == F_CONTENTS || field == F_PREFIXES || field == F_PART) {
		x->container = field;
		x->entry = (struct s3_page_entry){.is_prefix = field == F_PREFIXES};
		x->part = (struct s3_xml_part){0};
		return;
	}
	x->leaf = field;
	x->leaf_depth = x->depth;
	buf_reset(&x->text);
}

static void on_start(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
		     int nns, const xmlChar **ns, int nattr, int ndefaulted, const xmlChar **attr)
{
	struct s3_xml *x = user;
	const struct place *p = NULL;

	if (x->error)
		return;
	if (++x->depth > DEPTH_MAX)
		fail(x, -EMSGSIZE);
	else if (x->depth == 1)
		on_root(x, (const char *)name);
	else if (x->depth == 2 || (x->depth <= 4 && x->container != F_NONE))
		p = find(x->places, x->container, (const char *)name);
	if (p)
		on_field(x, p->field);
}

static void on_text(void *user, const xmlChar *s, int len)
{
	struct s3_xml *x = user;

	size_t n = len > 0 ? (size_t)len : 0;

	if (x->error || x->leaf == F_NONE || x->depth != x->leaf_depth)
		return;
	if (x->leaf == F_MESSAGE) /* shortened, not refused */
		n = min_u64(n, sizeof(x->result.message) -
				       min_u64(x->text.len, sizeof(x->result.message)));
	buf_append(&x->text, s, n);
}

static void copy_text(struct s3_xml *x, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s", buf_str(&x->text));
}

static void on_number(struct s3_xml *x, uint64_t max, uint64_t *ret)
{
	if (parse_u64(buf_str(&x->text), 0, max, ret) < 0)
		fail(x, -EPROTO);
}

static void on_part_number(struct s3_xml *x, unsigned *ret)
{
	uint64_t n = 0;

	on_number(x, S3_PARTS_MAX, &n);
	*ret = (unsigned)n;
}

static char *text_dup(struct s3_xml *x, size_t max)
{
	char *s;

	if (x->text.len == 0 || x->text.len > max) {
		fail(x, -EPROTO);
		return NULL;
	}
	s = strdup(buf_str(&x->text));
	if (!s)
		fail(x, -ENOMEM);
	return s;
}

static void set_error_field(struct s3_xml *x, enum field field)
{
	struct s3_xml_result *r = &x->result;

	if (field == F_CODE)
		copy_text(x, r->code, sizeof(r->code));
	else if (field == F_MESSAGE)
		copy_text(x, r->message, sizeof(r->message));
	else if (field == F_REQUEST_ID)
		copy_text(x, r->request_id, sizeof(r->request_id));
	else if (field == F_REGION)
		copy_text(x, r->region, sizeof(r->region));
	else if (field == F_SERVER_TIME && date_parse_iso(buf_str(&x->text), &r->server_time) < 0)
		r->server_time = 0;
}

static void set_key(struct s3_xml *x)
{
	x->entry.has_key = true;
	x->entry.key_too_long = buf_error(&x->text) == -EMSGSIZE;
	if (x->entry.key_too_long)
		return;
	if (s3_page_key(x->page, &x->entry, buf_str(&x->text), x->text.len) < 0)
		fail(x, -ENOMEM);
}

static void add_entry(struct s3_xml *x)
{
	struct s3_page_entry *e = &x->entry;
	int r;

	if (e->archived && (e->restoring || e->restored_until <= clock_wall()))
		e->object.storage = S3_ARCHIVED;
	r = s3_page_add(x->page, e);
	if (r < 0)
		fail(x, r);
}

static void set_list_field(struct s3_xml *x, enum field field)
{
	struct s3_object *o = &x->entry.object;

	switch ((int)field) {
	case F_KEY:
		set_key(x);
		break;
	case F_PREFIX: /* some servers put several into one CommonPrefixes */
		set_key(x);
		add_entry(x);
		break;
	case F_SIZE:
		on_number(x, INT64_MAX, &o->size);
		x->entry.has_size = true;
		break;
	case F_MTIME:
		if (date_parse_iso(buf_str(&x->text), &o->mtime) < 0)
			o->mtime = 0;
		break;
	case F_ETAG:
		if (!s3_etag_copy(o->etag, buf_str(&x->text), x->text.len))
			o->etag[0] = '\0';
		break;
	case F_STORAGE:
		if (s3_class_is_archived(buf_str(&x->text), x->text.len))
			x->entry.archived = true;
		break;
	case F_RESTORING:
		x->entry.restoring = strcmp(buf_str(&x->text), "true") == 0;
		break;
	case F_RESTORED:
		if (date_parse_iso(buf_str(&x->text), &x->entry.restored_until) < 0)
			x->entry.restored_until = 0;
		break;
	case F_ENCODING:
		x->page->encoded = strcmp(buf_str(&x->text), "url") == 0;
		break;
	case F_TOKEN:
		free(x->page->token);
		x->page->token = x->text.len ? text_dup(x, TEXT_MAX) : NULL;
		break;
	}
}

static void set_part_field(struct s3_xml *x, enum field field)
{
	struct s3_part *p = &x->part.part;

	switch ((int)field) {
	case F_PART_NUMBER:
		on_part_number(x, &x->part.number);
		break;
	case F_PART_SIZE:
		on_number(x, S3_PART_MAX, &p->size);
		break;
	case F_PART_ETAG:
		if (!s3_etag_copy(p->etag, buf_str(&x->text), x->text.len))
			fail(x, -EPROTO);
		break;
	case F_PART_CRC32C:
		if (x->text.len < sizeof(p->crc32c))
			copy_text(x, p->crc32c, sizeof(p->crc32c));
		break;
	case F_NEXT_PART:
		on_part_number(x, &x->result.next_part);
		break;
	}
}

static void set_result_field(struct s3_xml *x, enum field field)
{
	struct s3_xml_result *r = &x->result;

	switch ((int)field) {
	case F_TRUNCATED:
		r->truncated = strcmp(buf_str(&x->text), "true") == 0;
		break;
	case F_UPLOAD_ID:
		free(r->upload_id);
		r->upload_id = text_dup(x, S3_UPLOAD_ID_MAX);
		break;
	case F_RESULT_ETAG:
		if (!s3_etag_copy(r->etag, buf_str(&x->text), x->text.len))
			fail(x, -EPROTO);
		break;
	case F_RESULT_CRC32C:
		if (x->text.len < sizeof(r->crc32c))
			copy_text(x, r->crc32c, sizeof(r->crc32c));
		break;
	}
}

static void set_field(struct s3_xml *x, enum field field)
{
	/* An over-long key costs its entry (set_list_field), other text the document. */
	if (buf_error(&x->text) < 0 && field != F_KEY && field != F_PREFIX) {
		fail(x, buf_error(&x->text));
		return;
	}
	if (buf_error(&x->text) == -ENOMEM)
		fail(x, -ENOMEM);
	else if (x->result.is_error)
		set_error_field(x, field);
	else if (field == F_TRUNCATED || field == F_UPLOAD_ID || field == F_RESULT_ETAG ||
		 field == F_RESULT_CRC32C)
		set_result_field(x, field);
	else if (x->kind == S3_XML_LIST)
		set_list_field(x, field);
	else
		set_part_field(x, field);
}

static int add_part(struct s3_xml *x)
{
	struct s3_xml_result *r = &x->result;

	if (x->part.number == 0 || x->part.part.etag[0] == '\0')
		return -EPROTO;
	if (r->nparts == PARTS_MAX)
		return -EMSGSIZE;
	if (!r->parts)
		r->parts = calloc(PARTS_MAX, sizeof(*r->parts));
	if (!r->parts)
		return -ENOMEM;
	r->parts[r->nparts++] = x->part;
	return 0;
}

static void on_container_end(struct s3_xml *x)
{
	int r = x->container == F_PART ? add_part(x) : 0;

	if (r < 0)
		fail(x, r);
	else if (x->container == F_CONTENTS)
		add_entry(x);
	x->container = F_NONE;
}

static void on_end(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct s3_xml *x = user;

	if (x->error)
		return;
	if (x->leaf != F_NONE && x->depth == x->leaf_depth) {
		enum field field = x->leaf;

		x->leaf = F_NONE;
		set_field(x, field);
	} else if (x->container != F_NONE && x->depth == 2) {
		on_container_end(x);
	}
	x->depth--;
}

static void on_doctype(void *user, const xmlChar *name, const xmlChar *id, const xmlChar *system)
{
	fail(user, -EPROTO);
}

static void on_message(void *user, const char *fmt, ...)
{
	/* the return value of xmlParseChunk says enough */
}

static const xmlSAXHandler handler = {
	.initialized = XML_SAX2_MAGIC,
	.startElementNs = on_start,
	.endElementNs = on_end,
	.characters = on_text,
	.cdataBlock = on_text,
	.internalSubset = on_doctype,
	.externalSubset = on_doctype,
	.warning = on_message,
	.error = on_message,
};

DEFINE_CLEANUP(struct s3_xml, s3_xml_free)

int s3_xml_new(enum s3_xml_kind kind, struct s3_xml **ret)
{
	_cleanup_(s3_xml_freep) struct s3_xml *x = calloc(1, sizeof(*x));
	xmlSAXHandler sax = handler;
	int r;

	if (!x)
		return -ENOMEM;
	x->kind = kind;
	buf_init(&x->text, TEXT_MAX);
	x->ctxt = xmlCreatePushParserCtxt(&sax, x, NULL, 0, NULL);
	if (!x->ctxt)
		return -ENOMEM;
	if (xmlCtxtUseOptions(x->ctxt, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING) !=
	    0)
		return -EINVAL;
	if (kind == S3_XML_LIST) {
		r = s3_page_builder_new(&x->page);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(&x);
	return 0;
}

void s3_xml_free(struct s3_xml *x)
{
	if (!x)
		return;
	if (x->ctxt)
		xmlFreeParserCtxt(x->ctxt);
	buf_fini(&x->text);
	s3_page_builder_free(x->page);
	s3_page_free(x->result.page);
	free(x->result.upload_id);
	free(x->result.parts);
	free(x);
}

static int parse(struct s3_xml *x, const char *p, size_t len, bool last)
{
	int r = xmlParseChunk(x->ctxt, p, (int)len, last);

	if (x->error)
		return x->error;
	if (r != 0)
		x->error = r == XML_ERR_NO_MEMORY ? -ENOMEM : -EPROTO;
	return x->error;
}

int s3_xml_feed(struct s3_xml *x, const void *data, size_t len)
{
	const char *p = data;

	if (x->error)
		return x->error;
	x->bytes += len;
	if (x->bytes > kinds[x->kind].max)
		return x->error = -EMSGSIZE;
	/* Servers send blanks to keep a connection awake, some before the declaration. */
	while (!x->begun && len && strchr(" \t\r\n", *p)) {
		p++;
		len--;
	}
	if (len == 0)
		return 0;
	x->begun = true;
	return parse(x, p, len, /* last= */ false);
}

/* What must not be missing. */
static int check(struct s3_xml *x)
{
	struct s3_xml_result *r = &x->result;

	if (!x->root_seen || x->depth != 0)
		return -EPROTO;
	if (r->is_error)
		return 0;
	if (x->kind == S3_XML_CREATE && !r->upload_id)
		return -EPROTO;
	if (x->kind == S3_XML_LIST)
		return s3_page_finish(x->page, r->truncated, &r->page);
	return 0;
}

int s3_xml_finish(struct s3_xml *x, struct s3_xml_result **ret)
{
	int r = x->error ? x->error : parse(x, "", 0, /* last= */ true);

	if (r == 0)
		r = check(x);
	if (r < 0)
		return x->error = r;
	*ret = &x->result;
	return 0;
}

void s3_error_document(struct s3_error *e, const void *data, size_t len)
{
	_cleanup_(s3_xml_freep) struct s3_xml *x = NULL;
	struct s3_xml_result *r;

	if (len == 0 || s3_xml_new(S3_XML_ERROR, &x) < 0)
		return;
	if (s3_xml_feed(x, data, len) < 0 || s3_xml_finish(x, &r) < 0 || !r->is_error)
		return;
	s3_error_from_xml(e, r);
}

void s3_error_from_xml(struct s3_error *e, const struct s3_xml_result *r)
{
	(void)snprintf(e->code, sizeof(e->code), "%s", r->code[0] ? r->code : "UnknownError");
	(void)snprintf(e->message, sizeof(e->message), "%s", r->message);
	if (r->request_id[0])
		(void)snprintf(e->request_id, sizeof(e->request_id), "%s", r->request_id);
	if (r->region[0])
		(void)snprintf(e->region, sizeof(e->region), "%s", r->region);
}
