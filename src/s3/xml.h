/* SPDX-License-Identifier: Apache-2.0 */

/*
 * S3's XML answers, parsed as they arrive: a push parser with caps on size, depth
 * and text, without DTD, entities or network. Unknown elements are skipped,
 * namespaces are ignored.
 *
 *	x = s3_xml_new(S3_XML_LIST, &parser);
 *	x = s3_xml_feed(parser, data, len);	(as often as bytes arrive)
 *	x = s3_xml_finish(parser, &result);
 *	s3_xml_free(parser);
 *
 * -EPROTO: not well-formed, not the document that was asked for, or a value that
 * makes no sense; -EMSGSIZE: over a cap; -ENOMEM. Any thread, not shared.
 */
#ifndef S3_XML_H
#define S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"
#include "s3/s3.h"

struct s3_xml;

enum s3_xml_kind {
	S3_XML_ERROR,	 /* <Error>; 64 KiB */
	S3_XML_LIST,	 /* <ListBucketResult>; 16 MiB */
	S3_XML_CREATE,	 /* <InitiateMultipartUploadResult>; 64 KiB */
	S3_XML_COMPLETE, /* <CompleteMultipartUploadResult>; 64 KiB */
	S3_XML_PARTS,	 /* <ListPartsResult>; 1 MiB */
	S3_XML_UPLOADS,	 /* <ListMultipartUploadsResult>; 4 MiB */
	S3_XML_SESSION,	 /* <CreateSessionResult>; 64 KiB */
};

/* All there after a good parse of its document. */
struct s3_xml_session {
	char *access_key, *secret, *token; /* wiped when freed */
	int64_t expires;		   /* seconds since the epoch, the server's clock */
};

struct s3_xml_part {
	unsigned number;
	struct s3_part part;
};

/* What was found; fields of other kinds are zero. Owned by the parser unless taken. */
struct s3_xml_result {
	/* Any kind may turn out to be an error document. */
	bool is_error;
	char code[64], message[256], request_id[64], region[32];

	struct s3_page *page;	       /* LIST */
	char *upload_id;	       /* CREATE */
	char etag[S3_ETAG_MAX];	       /* COMPLETE */
	char checksum[S3_SUM_OFF][24]; /* COMPLETE, by kind; composite: "value-N" */

	struct s3_upload_info *uploads; /* UPLOADS: one page */
	unsigned nuploads;

	struct s3_xml_session session; /* SESSION */

	struct s3_xml_part *parts; /* PARTS: one page */
	unsigned nparts;
	bool truncated;
	unsigned next_part;
};

int s3_xml_new(enum s3_xml_kind kind, struct s3_xml **ret) must_check;
int s3_xml_feed(struct s3_xml *x, const void *data, size_t len) must_check;
int s3_xml_finish(struct s3_xml *x, struct s3_xml_result **ret) must_check;
void s3_xml_free(struct s3_xml *x);

/*
 * Whole error document in memory: fills code, message, request_id and region of
 * `e` where they are given. A body that is no error document changes nothing.
 */
void s3_error_document(struct s3_error *e, const void *data, size_t len);

/* The same from a parsed result that is_error. */
void s3_error_from_xml(struct s3_error *e, const struct s3_xml_result *r);

#endif
