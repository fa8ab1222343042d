/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the text of each field means: numbers, dates, ETags into the result. A
 * field that makes no sense ends the parse with -EPROTO, save for those that an
 * object can do without (date, ETag of a listing). Pure.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/parse.h"
#include "s3/object.h"
#include "s3/xml_fields.h"

#define PARTS_MAX 1000 /* the limit of a page, of uploads too */

static void copy_text(struct s3_xml *x, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s", buf_str(&x->text));
}

static void on_number(struct s3_xml *x, uint64_t max, uint64_t *ret)
{
	if (parse_u64(buf_str(&x->text), 0, max, ret) < 0)
		s3_xml_fail(x, -EPROTO);
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
		s3_xml_fail(x, -EPROTO);
		return NULL;
	}
	s = strdup(buf_str(&x->text));
	if (!s)
		s3_xml_fail(x, -ENOMEM);
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
}

static void set_key(struct s3_xml *x)
{
	x->entry.has_key = true;
	x->entry.key_too_long = buf_error(&x->text) == -EMSGSIZE;
	if (x->entry.key_too_long)
		return;
	if (s3_page_key(x->page, &x->entry, buf_str(&x->text), x->text.len) < 0)
		s3_xml_fail(x, -ENOMEM);
}

void s3_xml_entry(struct s3_xml *x)
{
	struct s3_page_entry *e = &x->entry;
	int r;

	if (e->archived && (e->restoring || e->restored_until <= clock_wall()))
		e->object.storage = S3_ARCHIVED;
	r = s3_page_add(x->page, e);
	if (r < 0)
		s3_xml_fail(x, r);
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
		s3_xml_entry(x);
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
		x->page->token = x->text.len ? text_dup(x, S3_XML_TEXT_MAX) : NULL;
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
			s3_xml_fail(x, -EPROTO);
		break;
	case F_PART_CRC32C:
		if (x->text.len < sizeof(p->checksum))
			copy_text(x, p->checksum, sizeof(p->checksum));
		break;
	case F_NEXT_PART:
		on_part_number(x, &x->result.next_part);
		break;
	}
}

static void set_upload_field(struct s3_xml *x, enum field field)
{
	struct s3_upload_info *u = &x->upload;

	if (field == F_UPLOAD_KEY) {
		free(u->key);
		u->key = text_dup(x, S3_KEY_MAX);
	} else if (field == F_UPLOADS_ID) {
		free(u->id);
		u->id = text_dup(x, S3_UPLOAD_ID_MAX);
	} else if (date_parse_iso(buf_str(&x->text), &u->initiated) < 0) {
		s3_xml_fail(x, -EPROTO);
	}
}

static void set_session_field(struct s3_xml *x, enum field field)
{
	struct s3_xml_session *s = &x->result.session;
	char **text = field == F_ACCESS_KEY	 ? &s->access_key
		      : field == F_SECRET	 ? &s->secret
		      : field == F_SESSION_TOKEN ? &s->token
						 : NULL;

	if (text && !*text)
		*text = text_dup(x, S3_XML_TEXT_MAX);
	else if (text || date_parse_iso(buf_str(&x->text), &s->expires) < 0)
		s3_xml_fail(x, -EPROTO);
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
			s3_xml_fail(x, -EPROTO);
		break;
	case F_RESULT_CRC32C:
		copy_text(x, r->checksum[S3_SUM_CRC32C], sizeof(r->checksum[0]));
		break;
	case F_RESULT_CRC64NVME:
		copy_text(x, r->checksum[S3_SUM_CRC64NVME], sizeof(r->checksum[0]));
		break;
	}
}

void s3_xml_field(struct s3_xml *x, enum field field)
{
	/* An over-long key costs its entry (set_list_field), other text the document. */
	if (buf_error(&x->text) < 0 && field != F_KEY && field != F_PREFIX) {
		s3_xml_fail(x, buf_error(&x->text));
		return;
	}
	if (buf_error(&x->text) == -ENOMEM)
		s3_xml_fail(x, -ENOMEM);
	else if (x->result.is_error)
		set_error_field(x, field);
	else if (field == F_TRUNCATED || field == F_UPLOAD_ID || field == F_RESULT_ETAG ||
		 field == F_RESULT_CRC32C || field == F_RESULT_CRC64NVME)
		set_result_field(x, field);
	else if (x->kind == S3_XML_LIST)
		set_list_field(x, field);
	else if (x->kind == S3_XML_SESSION)
		set_session_field(x, field);
	else if (x->kind == S3_XML_UPLOADS)
		set_upload_field(x, field);
	else
		set_part_field(x, field);
}

int s3_xml_part(struct s3_xml *x)
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

int s3_xml_upload(struct s3_xml *x)
{
	struct s3_xml_result *r = &x->result;

	if (!x->upload.key || !x->upload.id)
		return -EPROTO;
	if (r->nuploads == PARTS_MAX)
		return -EMSGSIZE;
	if (!r->uploads)
		r->uploads = calloc(PARTS_MAX, sizeof(*r->uploads));
	if (!r->uploads)
		return -ENOMEM;
	r->uploads[r->nuploads++] = x->upload;
	x->upload = (struct s3_upload_info){0};
	return 0;
}
