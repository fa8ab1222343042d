/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Request documents: see xmlin.h. libxml2 builds the tree, without network and
 * without entities of the document's own.
 */

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "text.h"
#include "xmlin.h"

static void doc_freep(xmlDoc **d)
{
	xmlFreeDoc(*d);
}

static xmlDoc *parse(struct req *r, const char *root)
{
	const struct buf *b = &r->body.xml;
	xmlDoc *doc = xmlReadMemory(b->data ? b->data : "", (int)b->len, "body.xml", NULL,
				    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	xmlNode *top = doc ? xmlDocGetRootElement(doc) : NULL;

	if (!top || strcmp((const char *)top->name, root) != 0)
		req_fail(r, ERR_MalformedXML);
	return doc;
}

static bool is_element(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

/* Text of the named child, in the request's memory; NULL if absent. */
static char *child_text(struct req *r, xmlNode *parent, const char *name)
{
	for (xmlNode *n = parent->children; n; n = n->next)
		if (is_element(n, name)) {
			xmlChar *text = xmlNodeGetContent(n);
			char *copy = req_strdup(r, text ? (const char *)text : "");

			xmlFree(text);
			return copy;
		}
	return NULL;
}

struct xml_key *xmlin_delete(struct req *r, bool *ret_quiet, unsigned *ret_count)
{
	_cleanup_(doc_freep) xmlDoc *doc = parse(r, "Delete");
	struct xml_key *first = NULL, **end = &first;
	unsigned count = 0;
	xmlNode *top;
	char *quiet;

	if (r->err != ERR_NONE)
		return NULL;
	top = xmlDocGetRootElement(doc);
	quiet = child_text(r, top, "Quiet");
	for (xmlNode *n = top->children; n; n = n->next) {
		struct xml_key *k;

		if (!is_element(n, "Object"))
			continue;
		k = req_alloc(r, sizeof(*k));
		*k = (struct xml_key){.key = child_text(r, n, "Key"),
				      .etag = child_text(r, n, "ETag")};
		if (!k->key || !*k->key)
			req_fail(r, ERR_MalformedXML);
		*end = k;
		end = &k->next;
		count++;
	}
	if (count == 0 || count > 1000)
		req_fail(r, ERR_MalformedXML);
	*ret_quiet = quiet && strcmp(quiet, "true") == 0;
	*ret_count = count;
	return first;
}

static void take_checksum(struct req *r, xmlNode *n, struct xml_part *p)
{
	for (int k = CHECKSUM_NONE + 1; k < CHECKSUM_KINDS; k++) {
		const char *upper = checksum_upper((enum checksum_kind)k);
		char *value = child_text(r, n, req_printf(r, "Checksum%s", upper));

		if (value)
			p->checksum = (struct pair){checksum_lower((enum checksum_kind)k), value};
	}
}

struct xml_part *xmlin_complete(struct req *r, unsigned *ret_count)
{
	_cleanup_(doc_freep) xmlDoc *doc = parse(r, "CompleteMultipartUpload");
	struct xml_part *parts;
	unsigned count = 0;
	xmlNode *top;

	if (r->err != ERR_NONE)
		return NULL;
	top = xmlDocGetRootElement(doc);
	parts = req_alloc(r, (xmlChildElementCount(top) + 1) * sizeof(*parts));
	for (xmlNode *n = top->children; n; n = n->next) {
		struct xml_part *p = &parts[count];
		char *number, *etag;
		uint64_t v;

		if (!is_element(n, "Part"))
			continue;
		number = child_text(r, n, "PartNumber");
		etag = child_text(r, n, "ETag");
		if (!number || !etag || text_u64(number, &v) < 0 || v < 1 || v > 10000) {
			req_fail(r, ERR_MalformedXML);
			return NULL;
		}
		*p = (struct xml_part){.number = (unsigned)v};
		p->etag = req_strdup(r, req_etag_plain(r, etag));
		take_checksum(r, n, p);
		count++;
	}
	if (count == 0)
		req_fail(r, ERR_MalformedXML);
	*ret_count = count;
	return parts;
}
