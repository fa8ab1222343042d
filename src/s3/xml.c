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
 * The encoding is UTF-8, whatever the document says.
 * Only this file uses libxml2. Any thread; a parser is not shared.
 */
#include "s3/xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "s3/xml_fields.h"

#define DEPTH_MAX 16

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
	{F_RESULT_CRC64NVME, F_NONE, "ChecksumCRC64NVME"},
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

static const struct place uploads_places[] = {
	{F_UPLOAD, F_NONE, "Upload"},	      {F_TRUNCATED, F_NONE, "IsTruncated"},
	{F_UPLOAD_KEY, F_UPLOAD, "Key"},      {F_UPLOADS_ID, F_UPLOAD, "UploadId"},
	{F_INITIATED, F_UPLOAD, "Initiated"}, {0},
};

static const struct place session_places[] = {
	{F_CREDENTIALS, F_NONE, "Credentials"},
	{F_ACCESS_KEY, F_CREDENTIALS, "AccessKeyId"},
	{F_SECRET, F_CREDENTIALS, "SecretAccessKey"},
	{F_SESSION_TOKEN, F_CREDENTIALS, "SessionToken"},
	{F_EXPIRATION, F_CREDENTIALS, "Expiration"},
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
	[S3_XML_UPLOADS] = {"ListMultipartUploadsResult", 4 * MIB, uploads_places},
	[S3_XML_SESSION] = {"CreateSessionResult", 64 * KIB, session_places},
};

void s3_xml_fail(struct s3_xml *x, int err)
{
	if (x->error == 0)
		x->error = err;
	xmlStopParser(x->ctxt);
}

static const struct place *find(const struct place *p, enum field parent, const char *name)
{
	for (; p->name; p++)
		if (p->parent == parent && p->name[0] == name[0] && strcmp(p->name, name) == 0)
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
		s3_xml_fail(x, -EPROTO);
	}
}

static void on_field(struct s3_xml *x, enum field field)
{
	if (field == F_CONTENTS || field == F_PREFIXES || field == F_PART || field == F_UPLOAD ||
	    field == F_CREDENTIALS) {
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
		s3_xml_fail(x, -EMSGSIZE);
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

static void on_container_end(struct s3_xml *x)
{
	int r = x->container == F_PART	   ? s3_xml_part(x)
		: x->container == F_UPLOAD ? s3_xml_upload(x)
					   : 0;

	if (r < 0)
		s3_xml_fail(x, r);
	else if (x->container == F_CONTENTS)
		s3_xml_entry(x);
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
		s3_xml_field(x, field);
	} else if (x->container != F_NONE && x->depth == 2) {
		on_container_end(x);
	}
	x->depth--;
}

static void on_doctype(void *user, const xmlChar *name, const xmlChar *id, const xmlChar *system)
{
	s3_xml_fail(user, -EPROTO);
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
	buf_init(&x->text, S3_XML_TEXT_MAX);
	x->ctxt = xmlCreatePushParserCtxt(&sax, x, NULL, 0, NULL);
	if (!x->ctxt)
		return -ENOMEM;
	if (xmlCtxtUseOptions(x->ctxt, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC | XML_PARSE_NOERROR |
					       XML_PARSE_NOWARNING) != 0)
		return -EINVAL;
	if (kind == S3_XML_LIST) {
		r = s3_page_builder_new(&x->page);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(&x);
	return 0;
}

static void secret_free(char *s)
{
	if (s)
		OPENSSL_cleanse(s, strlen(s));
	free(s);
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
	free(x->upload.key);
	free(x->upload.id);
	for (unsigned i = 0; i < x->result.nuploads; i++) {
		free(x->result.uploads[i].key);
		free(x->result.uploads[i].id);
	}
	free(x->result.uploads);
	secret_free(x->result.session.access_key);
	secret_free(x->result.session.secret);
	secret_free(x->result.session.token);
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
	/* UTF-8 only: libxml2 would guess others from the first bytes. */
	if (memchr(p, '\0', len) || (!x->begun && *p != '<' && *p != '\xef'))
		return x->error = -EPROTO;
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
	if (x->kind == S3_XML_SESSION && (!r->session.access_key || !r->session.secret ||
					  !r->session.token || !r->session.expires))
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
