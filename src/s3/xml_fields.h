/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Between xml.c, which walks the document, and xml_fields.c, which knows what a
 * field's text means. Used by these two only.
 */
#ifndef S3_XML_FIELDS_H
#define S3_XML_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "s3/xml.h"
#include "s3/xml_page.h"

#define S3_XML_TEXT_MAX (8 * KIB) /* a key is 1 KiB, three times that when encoded */

enum field {
	F_NONE,
	F_CODE,
	F_MESSAGE,
	F_REQUEST_ID,
	F_REGION,
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
	F_RESULT_CRC64NVME,
	F_PART_NUMBER,
	F_PART_SIZE,
	F_PART_ETAG,
	F_PART_CRC32C,
	F_NEXT_PART,
	F_UPLOAD, /* a container too */
	F_UPLOAD_KEY,
	F_UPLOADS_ID,
	F_INITIATED,
	F_CREDENTIALS, /* and another */
	F_ACCESS_KEY,
	F_SECRET,
	F_SESSION_TOKEN,
	F_EXPIRATION,
};

struct s3_xml {
	/* set at creation */
	enum s3_xml_kind kind;
	struct _xmlParserCtxt *ctxt; /* libxml2's, for xml.c */
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
	struct s3_upload_info upload; /* its texts are ours until it is complete */
	struct s3_page_entry entry;
	struct s3_page_builder *page;
	struct s3_xml_result result;
};

/* Ends the parse; the first error stays. */
void s3_xml_fail(struct s3_xml *x, int err);
/* The text of `field` is complete in x->text. */
void s3_xml_field(struct s3_xml *x, enum field field);
/* The element of an entry is complete. */
void s3_xml_entry(struct s3_xml *x);
int s3_xml_part(struct s3_xml *x) must_check;
int s3_xml_upload(struct s3_xml *x) must_check;

#endif
