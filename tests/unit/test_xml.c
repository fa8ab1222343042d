/* SPDX-License-Identifier: Apache-2.0 */

/* XML answers: what servers send, what they should not send, and what attackers send. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/macro.h"
#include "lib/test.h"
#include "s3/xml.h"

#define DECL "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NS   " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

/* The parser stays alive for the result; freed by the next call or fini(). */
static struct s3_xml *parser;

static void fini(void)
{
	s3_xml_free(parser);
	parser = NULL;
}

/* In pieces of `step` bytes. */
static int parse(enum s3_xml_kind kind, const char *text, size_t len, size_t step,
		 struct s3_xml_result **ret)
{
	int r;

	fini();
	if (s3_xml_new(kind, &parser) < 0)
		abort();
	for (size_t at = 0; at < len; at += step) {
		r = s3_xml_feed(parser, text + at, len - at < step ? len - at : step);
		if (r < 0)
			return r;
	}
	return s3_xml_finish(parser, ret);
}

static int whole(enum s3_xml_kind kind, const char *text, struct s3_xml_result **ret)
{
	return parse(kind, text, strlen(text), strlen(text) + 1, ret);
}

static const char aws_page[] = DECL
	"<ListBucketResult" NS "><Name>b</Name><Prefix>p/</Prefix><KeyCount>3</KeyCount>"
	"<MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType>"
	"<IsTruncated>true</IsTruncated>"
	"<NextContinuationToken>tok+/=&amp;</NextContinuationToken>"
	"<Contents><Key>p/a+b%2Bc%25</Key><LastModified>2015-10-21T07:28:00.000Z</LastModified>"
	"<ETag>&quot;0123&quot;</ETag><ChecksumAlgorithm>CRC32C</ChecksumAlgorithm>"
	"<Size>123456789012</Size><StorageClass>STANDARD</StorageClass>"
	"<Owner><ID>x</ID><DisplayName>y</DisplayName></Owner></Contents>"
	"<Contents><Key>p/z%0A</Key><LastModified>2015-10-21T07:28:00.000Z</LastModified>"
	"<ETag>abc</ETag><Size>0</Size><StorageClass>GLACIER</StorageClass></Contents>"
	"<CommonPrefixes><Prefix>p/m%C3%A9/</Prefix></CommonPrefixes>"
	"</ListBucketResult>";

static void check_aws_page(const struct s3_page *p)
{
	require(p && p->count == 3);
	check(p->truncated && !p->unordered);
	check_int(p->dropped, ==, 0);
	check_str(p->next_token, "tok+/=&");
	check_str(p->entries[0].key, "p/a b+c%");
	check_int(p->entries[0].object.size, ==, 123456789012);
	check_int(p->entries[0].object.mtime, ==, 1445412480);
	check_int(p->entries[0].object.storage, ==, S3_STANDARD_LIKE);
	check_str(p->entries[0].object.etag, "\"0123\"");
	check_str(p->entries[1].key, "p/m\xc3\xa9/");
	check(p->entries[1].is_prefix);
	check_str(p->entries[2].key, "p/z\n");
	check_int(p->entries[2].key_len, ==, 4);
	check_int(p->entries[2].object.storage, ==, S3_ARCHIVED);
	check_str(p->entries[2].object.etag, "\"abc\"");
}

static void list_page(void)
{
	static const size_t steps[] = {1, 2, 3, 7, 100, 100000};
	struct s3_xml_result *r;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		require(parse(S3_XML_LIST, aws_page, sizeof(aws_page) - 1, steps[i], &r) == 0);
		check_aws_page(r->page);
	}
	fini();
}

/* Cut anywhere, it is an error and never a shorter page. */
static void list_cut_short(void)
{
	struct s3_xml_result *r;

	for (size_t n = 0; n < sizeof(aws_page) - 1; n += 3)
		if (parse(S3_XML_LIST, aws_page, n, 64, &r) != -EPROTO)
			test_fail_("%zu bytes were taken for a page", n);
	fini();
}

/* MinIO says the encoding last; others prefix their namespace or have none. */
static void list_other_servers(void)
{
	struct s3_xml_result *r;

	require(whole(S3_XML_LIST,
		      "\n \t" DECL "<ListBucketResult><IsTruncated>false</IsTruncated>"
		      "<Contents><Key>a%20b</Key><Size>1</Size></Contents>"
		      "<EncodingType>url</EncodingType></ListBucketResult>\n",
		      &r) == 0);
	check_str(r->page->entries[0].key, "a b");
	check_str(r->page->entries[0].object.etag, "");
	check(!r->page->next_token && !r->page->truncated);

	/* encoding-type ignored: keys are literal */
	require(whole(S3_XML_LIST,
		      "<s3:ListBucketResult xmlns:s3=\"urn:x\"><s3:Contents><s3:Key>100%25+&lt;"
		      "</s3:Key><s3:Size>1</s3:Size></s3:Contents></s3:ListBucketResult>",
		      &r) == 0);
	check_str(r->page->entries[0].key, "100%25+<");

	/* several prefixes in one element */
	require(whole(S3_XML_LIST,
		      "<ListBucketResult><CommonPrefixes><Prefix>a/</Prefix><Prefix>b/</Prefix>"
		      "</CommonPrefixes></ListBucketResult>",
		      &r) == 0);
	require(r->page->count == 2);
	check_str(r->page->entries[1].key, "b/");

	require(whole(S3_XML_LIST, "<ListBucketResult/>", &r) == 0);
	check_int(r->page->count, ==, 0);
	fini();
}

static void list_restored(void)
{
	static const struct {
		const char *status;
		enum s3_storage want;
	} rows[] = {
		{"", S3_ARCHIVED},
		{"<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>",
		 S3_ARCHIVED},
		{"<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
		 "<RestoreExpiryDate>2012-12-21T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>",
		 S3_ARCHIVED},
		{"<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
		 "<RestoreExpiryDate>2999-12-21T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>",
		 S3_STANDARD_LIKE},
	};
	struct s3_xml_result *r;
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(text, sizeof(text),
			       "<ListBucketResult><Contents><Key>a</Key><Size>1</Size>"
			       "<StorageClass>DEEP_ARCHIVE</StorageClass>%s</Contents>"
			       "</ListBucketResult>",
			       rows[i].status);
		require(whole(S3_XML_LIST, text, &r) == 0);
		check_int(r->page->entries[0].object.storage, ==, rows[i].want);
	}
	fini();
}

#define OBJECT(key) "<Contents><Key>" key "</Key><Size>1</Size></Contents>"
#define PREFIX(key) "<CommonPrefixes><Prefix>" key "</Prefix></CommonPrefixes>"

static void list_order(void)
{
	struct s3_xml_result *r;
	char keys[64] = "";

	/* sorted bytewise: '-' < '/' < '0', prefixes between objects */
	require(whole(S3_XML_LIST,
		      "<ListBucketResult>" OBJECT("a-") OBJECT("a0") OBJECT("\xc3\xa9") PREFIX("a/")
			      PREFIX("b/") "</ListBucketResult>",
		      &r) == 0);
	for (size_t i = 0; i < r->page->count; i++) {
		(void)strncat(keys, r->page->entries[i].key, 8);
		(void)strncat(keys, " ", 2);
	}
	check_str(keys, "a- a/ a0 b/ \xc3\xa9 ");
	check(!r->page->unordered);

	/* a directory bucket's order is kept, and told */
	require(whole(S3_XML_LIST,
		      "<ListBucketResult>" OBJECT("b") OBJECT("a")
			      PREFIX("c/") "</ListBucketResult>",
		      &r) == 0);
	check(r->page->unordered);
	check_str(r->page->entries[0].key, "b");
	check_str(r->page->entries[1].key, "a");
	check_str(r->page->entries[2].key, "c/");
	fini();
}

static void list_bad_keys(void)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(1 * MIB);
	struct s3_xml_result *r;

	buf_puts(&b, "<ListBucketResult><EncodingType>url</EncodingType>" OBJECT("ok")
			     OBJECT("nul%00x") OBJECT("bad%zz") OBJECT("cut%2") OBJECT(""));
	buf_puts(&b, "<Contents><Size>1</Size></Contents><Contents><Key>");
	for (int i = 0; i < 1025; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "</Key><Size>1</Size></Contents><Contents><Key>");
	for (int i = 0; i < 10000; i++)
		buf_putc(&b, 'y');
	buf_puts(&b, "</Key><Size>1</Size></Contents><Contents><Key>");
	for (int i = 0; i < 1024; i++)
		buf_puts(&b, "%7a");
	buf_puts(&b, "</Key><Size>1</Size></Contents></ListBucketResult>");
	require(whole(S3_XML_LIST, buf_str(&b), &r) == 0);
	require(r->page->count == 2);
	check_int(r->page->dropped, ==, 7);
	check_int(r->page->entries[1].key_len, ==, 1024);
	fini();
}

static void list_nonsense(void)
{
	static const char *const bad[] = {
		"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
		"<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents></"
		"ListBucketResult>",
		"<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></"
		"ListBucketResult>",
		"<ListBucketResult><Contents><Key>a</Key><Size>99999999999999999999</Size></"
		"Contents>"
		"</ListBucketResult>",
		"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
		"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>"
		"</NextContinuationToken></ListBucketResult>",
		"<ListBucketResult></ListBucketResult><x/>",
		"<ListBucketResult></ListBucketResulx>",
		"<Other/>",
		"<html><body>502 Bad Gateway</body></html>",
		"not XML",
		"",
		"   ",
		"<ListBucketResult>\x01</ListBucketResult>",
		"<ListBucketResult><Contents><Key>\xff\xfe</Key><Size>1</Size></Contents>"
		"</ListBucketResult>",
		"<ListBucketResult>&unknown;</ListBucketResult>",
	};
	struct s3_xml_result *r;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (whole(S3_XML_LIST, bad[i], &r) != -EPROTO)
			test_fail_("taken: %s", bad[i]);
	fini();
}

static void other_encodings(void)
{
	static const char utf16[] = "\xff\xfe<\0L\0i\0s\0t\0/\0>\0";
	static const char blank[] = "<\0L\0/\0>\0";
	struct s3_xml_result *r;

	check_int(parse(S3_XML_LIST, utf16, sizeof(utf16) - 1, 100, &r), ==, -EPROTO);
	check_int(parse(S3_XML_LIST, blank, sizeof(blank) - 1, 1, &r), ==, -EPROTO);
	/* the declaration is not believed */
	require(whole(S3_XML_LIST,
		      "\xef\xbb\xbf<?xml version=\"1.0\" "
		      "encoding=\"ISO-8859-1\"?><ListBucketResult>"
		      "<Contents><Key>\xc3\xa9</Key><Size>1</Size></Contents></ListBucketResult>",
		      &r) == 0);
	check_str(r->page->entries[0].key, "\xc3\xa9");
	fini();
}

static void entity_bombs(void)
{
	static const char *const bad[] = {
		"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>"
		"<ListBucketResult><NextContinuationToken>&b;</NextContinuationToken>"
		"</ListBucketResult>",
		"<!DOCTYPE x SYSTEM \"http://127.0.0.1:1/evil.dtd\"><ListBucketResult/>",
		"<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>"
		"<ListBucketResult><NextContinuationToken>&e;</NextContinuationToken>"
		"</ListBucketResult>",
		"<!DOCTYPE x [<!ENTITY % p SYSTEM \"file:///etc/passwd\"> %p;]><ListBucketResult/>",
		"<!DOCTYPE ListBucketResult><ListBucketResult/>",
	};
	struct s3_xml_result *r;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (whole(S3_XML_LIST, bad[i], &r) >= 0)
			test_fail_("taken: %s", bad[i]);
		if (parse(S3_XML_LIST, bad[i], strlen(bad[i]), 1, &r) >= 0)
			test_fail_("taken bytewise: %s", bad[i]);
	}
	fini();
}

static void too_deep(void)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(1 * MIB);
	struct s3_xml_result *r;

	buf_puts(&b, "<ListBucketResult>");
	for (int i = 0; i < 1000; i++)
		buf_puts(&b, "<a>");
	check_int(whole(S3_XML_LIST, buf_str(&b), &r), ==, -EMSGSIZE);
	fini();
}

static void too_long(void)
{
	static char blanks[1 << 20];
	struct s3_xml_result *r;
	int x = 0;

	memset(blanks, ' ', sizeof(blanks));
	fini();
	require(s3_xml_new(S3_XML_LIST, &parser) == 0);
	check_int(s3_xml_feed(parser, "<ListBucketResult>", 18), ==, 0);
	for (int i = 0; i < 17 && x == 0; i++)
		x = s3_xml_feed(parser, blanks, sizeof(blanks));
	check_int(x, ==, -EMSGSIZE);
	check_int(s3_xml_feed(parser, "x", 1), ==, -EMSGSIZE); /* it sticks */
	check_int(s3_xml_finish(parser, &r), ==, -EMSGSIZE);

	check_int(parse(S3_XML_ERROR, blanks, 70000, 70000, &r), ==, -EMSGSIZE);
	fini();
}

static void too_many_entries(void)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(8 * MIB);
	struct s3_xml_result *r;

	buf_puts(&b, "<ListBucketResult>");
	for (int i = 0; i < 10001; i++)
		buf_puts(&b, OBJECT("k"));
	buf_puts(&b, "</ListBucketResult>");
	check_int(whole(S3_XML_LIST, buf_str(&b), &r), ==, -EMSGSIZE);
	fini();
}

static void error_document(void)
{
	static const char doc[] =
		DECL "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region is wrong"
		     "</Message><Region>eu-west-1</Region><RequestId>R1</RequestId>"
		     "<HostId>h</HostId></Error>";
	struct s3_error e = {.region = "from-header"};
	struct s3_xml_result *r;

	s3_error_document(&e, doc, sizeof(doc) - 1);
	check_str(e.code, "AuthorizationHeaderMalformed");
	check_str(e.message, "the region is wrong");
	check_str(e.region, "eu-west-1");
	check_str(e.request_id, "R1");

	/* behind any other request, too */
	require(whole(S3_XML_LIST, doc, &r) == 0);
	check(r->is_error && !r->page);
	check_str(r->code, "AuthorizationHeaderMalformed");

	e = (struct s3_error){0};
	s3_error_document(&e, "<html>x</html>", 14);
	check_str(e.code, "");
	s3_error_document(&e, "<Error></Error>", 15);
	check_str(e.code, "UnknownError");
	fini();
}

static void error_document_long(void)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT(1 * MIB);
	struct s3_error e = {0};

	buf_puts(&b, "<Error><Code>AccessDenied</Code><Message>");
	for (int i = 0; i < 20000; i++)
		buf_putc(&b, 'm');
	buf_puts(&b, "</Message></Error>");
	s3_error_document(&e, b.data, b.len);
	check_str(e.code, "AccessDenied");
	check_int(strlen(e.message), ==, sizeof(e.message) - 1);
}

static void create_and_complete(void)
{
	struct s3_xml_result *r;

	require(whole(S3_XML_CREATE,
		      DECL "<InitiateMultipartUploadResult" NS "><Bucket>b</Bucket><Key>k</Key>"
			   "<UploadId>id.-_&amp;1</UploadId></InitiateMultipartUploadResult>",
		      &r) == 0);
	check_str(r->upload_id, "id.-_&1");
	check_int(whole(S3_XML_CREATE, "<InitiateMultipartUploadResult/>", &r), ==, -EPROTO);
	check_int(
		whole(S3_XML_CREATE,
		      "<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>",
		      &r),
		==, -EPROTO);

	require(whole(S3_XML_COMPLETE,
		      "    \n" DECL "  \n   <CompleteMultipartUploadResult" NS
		      "><ETag>&quot;e-2&quot;"
		      "</ETag><ChecksumCRC32C>abc=-2</ChecksumCRC32C></"
		      "CompleteMultipartUploadResult>",
		      &r) == 0);
	check_str(r->etag, "\"e-2\"");
	check_str(r->checksum[S3_SUM_CRC32C], "abc=-2");
	require(whole(S3_XML_COMPLETE, "  <Error><Code>InternalError</Code></Error>", &r) == 0);
	check(r->is_error);
	fini();
}

static void session(void)
{
#define CREDENTIALS(inner)                                                       \
	DECL "<CreateSessionResult" NS "><Credentials>" inner "</Credentials></" \
	     "CreateSessionResult>"
#define KEYS  "<AccessKeyId>A</AccessKeyId><SecretAccessKey>S/+=</SecretAccessKey>"
#define TOKEN "<SessionToken>T&amp;</SessionToken>"
#define UNTIL "<Expiration>2015-10-21T07:28:00.000Z</Expiration>"
	static const char *const bad[] = {
		CREDENTIALS(KEYS TOKEN),
		CREDENTIALS(KEYS UNTIL),
		CREDENTIALS(TOKEN UNTIL "<AccessKeyId>A</AccessKeyId>"),
		CREDENTIALS(KEYS KEYS TOKEN UNTIL),
		CREDENTIALS(KEYS TOKEN "<Expiration>soon</Expiration>"),
		CREDENTIALS(KEYS UNTIL "<SessionToken></SessionToken>"),
		DECL "<CreateSessionResult" NS ">" KEYS TOKEN UNTIL "</CreateSessionResult>",
	};
	struct s3_xml_result *r;

	require(whole(S3_XML_SESSION, CREDENTIALS(KEYS TOKEN UNTIL), &r) == 0);
	check_str(r->session.access_key, "A");
	check_str(r->session.secret, "S/+=");
	check_str(r->session.token, "T&");
	check_int(r->session.expires, ==, 1445412480);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (whole(S3_XML_SESSION, bad[i], &r) != -EPROTO)
			test_fail_("document %zu was taken", i);
	fini();
}

static void parts(void)
{
	struct s3_xml_result *r;

	require(whole(S3_XML_PARTS,
		      DECL "<ListPartsResult" NS "><PartNumberMarker>0</PartNumberMarker>"
			   "<NextPartNumberMarker>2</NextPartNumberMarker>"
			   "<IsTruncated>true</IsTruncated>"
			   "<Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag><Size>5242880</Size>"
			   "<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part>"
			   "<Part><PartNumber>2</PartNumber><ETag>\"b\"</ETag><Size>7</Size></Part>"
			   "</ListPartsResult>",
		      &r) == 0);
	check_int(r->nparts, ==, 2);
	check(r->truncated);
	check_int(r->next_part, ==, 2);
	check_int(r->parts[0].part.size, ==, 5242880);
	check_str(r->parts[0].part.checksum, "AAAAAA==");
	check_int(r->parts[1].number, ==, 2);
	check_str(r->parts[1].part.etag, "\"b\"");

	check_int(whole(S3_XML_PARTS,
			"<ListPartsResult><Part><ETag>\"a\"</ETag><Size>1</Size></Part>"
			"</ListPartsResult>",
			&r),
		  ==, -EPROTO);
	check_int(whole(S3_XML_PARTS,
			"<ListPartsResult><Part><PartNumber>10001</PartNumber><ETag>\"a\"</ETag>"
			"<Size>1</Size></Part></ListPartsResult>",
			&r),
		  ==, -EPROTO);
	fini();
}

int main(void)
{
	return test_run((struct test[]){
		TEST(list_page),
		TEST(list_cut_short),
		TEST(list_other_servers),
		TEST(list_restored),
		TEST(list_order),
		TEST(list_bad_keys),
		TEST(list_nonsense),
		TEST(other_encodings),
		TEST(entity_bombs),
		TEST(too_deep),
		TEST(too_long),
		TEST(too_many_entries),
		TEST(error_document),
		TEST(error_document_long),
		TEST(create_and_complete),
		TEST(session),
		TEST(parts),
		{0},
	});
}
