/* SPDX-License-Identifier: Apache-2.0 */

/* Control calls on the wire: what is sent, and what is made of the answer. */
#include "base/macro.h"
#include "lib/s3_script.h"
#include "s3/client.h"

static void never(unsigned n)
{
	static const char *const names[] = {
		"\r\nexpect:", "\r\naccept-encoding:", "\r\ntransfer-encoding:", "aws-chunked",
		"trailer",     "\r\ncontent-md5:"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (sent_header(n, names[i]))
			test_fail_("request %u has %s", n, names[i]);
}

static void head_on_the_wire(void)
{
	struct s3_head_call h = {.key = "a b/\xc3\xa9+", .if_match = "\"x\""};

	script_begin(
		SCRIPT(HEAD_ANSWER("200 OK", ETAG "Content-Length: 5\r\n"
						  "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
						  "x-amz-storage-class: GLACIER\r\n")),
		NULL);
	check_int(sync_head(&h), ==, 0);
	check_int(h.object.size, ==, 5);
	check_int(h.object.mtime, ==, 1445412480);
	check_int(h.object.storage, ==, S3_ARCHIVED);
	check_str(h.object.etag, "\"e1\"");
	check_int(h.call.error.attempts, ==, 1);
	check(sent(0, "HEAD /bucket/a%20b/%C3%A9%2B HTTP/1.1\r\n"));
	check(sent_header(0, "\r\nif-match: \"x\"\r\n"));
	check(sent_header(0, "\r\nhost: 127.0.0.1:"));
	check(sent_header(0, "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"));
	check(sent(0, "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"));
	check(!sent_header(0, "\r\ncontent-length:"));
	never(0);
	script_end(1);
}

static void list_on_the_wire(void)
{
	struct s3_list_call l = {
		.prefix = "p/ +", .delimiter = true, .start_after = "p/a", .max_keys = 1000};

	script_begin(SCRIPT(LIST_OK, LIST_OK), NULL);
	check_int(sync_list(&l), ==, 0);
	require(l.page && l.page->count == 1);
	s3_page_free(l.page);
	check(sent(0, "GET /bucket?delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&"
		      "prefix=p%2F%20%2B&start-after=p%2Fa HTTP/1.1\r\n"));
	check(!sent_header(0, "\r\ncontent-length:"));
	never(0);
	l = (struct s3_list_call){.token = "t=/+", .max_keys = 2};
	check_int(sync_list(&l), ==, 0);
	s3_page_free(l.page);
	check(sent(1, "GET /bucket?continuation-token=t%3D%2F%2B&encoding-type=url&list-type=2&"
		      "max-keys=2 HTTP/1.1\r\n"));
	script_end(2);
}

#define KMS(key)                                    \
	"x-amz-server-side-encryption: aws:kms\r\n" \
	"x-amz-server-side-encryption-aws-kms-key-id: " key "\r\n"

/* The object is there, but not as it was asked for: that is an error. */
static void encryption_is_checked(void)
{
	const struct s3_put_attrs attrs = {.sse = "aws:kms", .sse_kms_key_id = "key"};
	struct s3_create_upload_call c = {.key = "k", .attrs = &attrs};
	struct s3_put_call p = put_call(&attrs);

	script_begin(SCRIPT(PUT_OK, EMPTY_ANSWER("200 OK", ETAG KMS("other")),
			    BODY_ANSWER("200 OK", KMS("other"),
					"<InitiateMultipartUploadResult><UploadId>i</UploadId>"
					"</InitiateMultipartUploadResult>")),
		     NULL);
	check_int(sync_put(&p), ==, -EIO);
	check_str(p.call.error.code, "EncryptionMismatch");
	check_int(sync_put(&p), ==, -EIO);
	check_int(sync_create(&c), ==, -EIO);
	check_str(c.upload_id, "i");
	free(c.upload_id);
	script_end(3);
}

static void put_on_the_wire(void)
{
	const struct s3_metadata meta[] = {{"x-amz-meta-a", "1"}, {"x-amz-meta-b", "2 3"}};
	const struct s3_put_attrs attrs = {.content_type = "text/plain",
					   .cache_control = "max-age=5",
					   .acl = "private",
					   .tagging = "k=v&l=w",
					   .metadata = meta,
					   .nmetadata = 2,
					   .storage_class = "STANDARD_IA",
					   .sse = "aws:kms",
					   .sse_kms_key_id = "key",
					   .if_none_match = true};
	struct s3_put_call p = put_call(&attrs);

	script_begin(SCRIPT(EMPTY_ANSWER("200 OK", ETAG KMS("key")), PUT_OK), NULL);
	check_int(sync_put(&p), ==, 0);
	check_str(p.object.etag, "\"e1\"");
	check_int(p.object.size, ==, 5);
	check(sent(0, "PUT /bucket/k HTTP/1.1\r\n"));
	check(sent_header(0, "\r\ncontent-length: 5\r\n"));
	check(sent_header(0, "\r\nx-amz-checksum-crc32c: mnG7TA==\r\n"));
	check(sent_header(0, "\r\ncontent-type: text/plain\r\n"));
	check(sent_header(0, "\r\nx-amz-storage-class: STANDARD_IA\r\n"));
	check(sent_header(0, "\r\nx-amz-server-side-encryption: aws:kms\r\n"));
	check(sent_header(0, "\r\nx-amz-server-side-encryption-aws-kms-key-id: key\r\n"));
	check(sent_header(0, "\r\nif-none-match: *\r\n"));
	check(sent_header(0, "\r\ncache-control: max-age=5\r\n"));
	check(sent_header(0, "\r\nx-amz-acl: private\r\n"));
	check(sent_header(0, "\r\nx-amz-tagging: k=v&l=w\r\n"));
	check(sent_header(0, "\r\nx-amz-meta-a: 1\r\n"));
	check(sent_header(0, "\r\nx-amz-meta-b: 2 3\r\n"));
	check(sent(0, "\r\n\r\nhello"));
	never(0);

	p = (struct s3_put_call){.key = "dir/"};
	check_int(sync_put(&p), ==, 0);
	check(sent(1, "PUT /bucket/dir/ HTTP/1.1\r\n"));
	check(sent_header(1, "\r\ncontent-length: 0\r\n"));
	check(sent_header(1, "\r\nx-amz-checksum-crc32c: AAAAAA==\r\n"));
	check(!sent_header(1, "\r\ncontent-type:"));
	never(1);
	script_end(2);
}

static void delete_on_the_wire(void)
{
	struct s3_delete_call d = {.key = "k"};

	script_begin(SCRIPT(HEAD_ANSWER("204 No Content", ""),
			    ERROR_ANSWER("404 Not Found", "NoSuchKey"),
			    ERROR_ANSWER("404 Not Found", "NoSuchBucket")),
		     NULL);
	check_int(sync_delete(&d), ==, 0);
	check(sent(0, "DELETE /bucket/k HTTP/1.1\r\n"));
	check(!sent_header(0, "\r\ncontent-length:"));
	never(0);
	check_int(sync_delete(&d), ==, 0);
	check_int(sync_delete(&d), ==, -EIO);
	check_int(d.call.error.cls, ==, S3_NO_BUCKET);
	script_end(3);
}

static void multipart_on_the_wire(void)
{
	struct s3_create_upload_call c = {.key = "k"};
	struct s3_upload_part_call u = {
		.key = "k", .upload_id = "i/d+", .number = 7, .body = body, .nbody = 2};
	struct s3_part parts[2] = {{.size = 5, .etag = "\"a&b\"", .checksum = "mnG7TA=="},
				   {.size = 5, .etag = "\"b\"", .checksum = ""}};
	struct s3_complete_call done = {.key = "k",
					.upload_id = "i/d+",
					.parts = parts,
					.nparts = 2,
					.if_none_match = true};
	struct s3_abort_call a = {.key = "k", .upload_id = "i/d+"};

	script_begin(SCRIPT(BODY_ANSWER("200 OK", "",
					"<InitiateMultipartUploadResult><UploadId>i/d+</UploadId>"
					"</InitiateMultipartUploadResult>"),
			    PUT_OK,
			    BODY_ANSWER("200 OK", "",
					"  <CompleteMultipartUploadResult><ETag>\"e-2\"</ETag>"
					"</CompleteMultipartUploadResult>"),
			    HEAD_ANSWER("204 No Content", "")),
		     NULL);
	check_int(sync_create(&c), ==, 0);
	check_str(c.upload_id, "i/d+");
	free(c.upload_id);
	check(sent(0, "POST /bucket/k?uploads= HTTP/1.1\r\n"));
	check(sent_header(0, "\r\nx-amz-checksum-algorithm: CRC32C\r\n"));
	check(sent_header(0, "\r\ncontent-length: 0\r\n"));
	check(!sent_header(0, "\r\ncontent-type:"));
	never(0);

	check_int(sync_part(&u), ==, 0);
	check_str(u.part.etag, "\"e1\"");
	check_str(u.part.checksum, "mnG7TA==");
	check_int(u.part.size, ==, 5);
	check(sent(1, "PUT /bucket/k?partNumber=7&uploadId=i%2Fd%2B HTTP/1.1\r\n"));
	check(sent_header(1, "\r\nx-amz-checksum-crc32c: mnG7TA==\r\n"));
	never(1);

	check_int(sync_complete(&done), ==, 0);
	check_str(done.object.etag, "\"e-2\"");
	check_int(done.object.size, ==, 10);
	check(sent(2, "POST /bucket/k?uploadId=i%2Fd%2B HTTP/1.1\r\n"));
	check(sent_header(2, "\r\nif-none-match: *\r\n"));
	check(sent(2, "<Part><ChecksumCRC32C>mnG7TA==</ChecksumCRC32C><ETag>&quot;a&amp;b&quot;"
		      "</ETag><PartNumber>1</PartNumber></Part><Part><ETag>&quot;b&quot;</ETag>"
		      "<PartNumber>2</PartNumber></Part></CompleteMultipartUpload>"));
	never(2);

	check_int(sync_abort(&a), ==, 0);
	check(sent(3, "DELETE /bucket/k?uploadId=i%2Fd%2B HTTP/1.1\r\n"));
	script_end(4);
}

static void parts_over_pages(void)
{
	struct s3_list_parts_call p = {.key = "k", .upload_id = "id"};

	script_begin(SCRIPT(BODY_ANSWER("200 OK", "",
					"<ListPartsResult><IsTruncated>true</IsTruncated><Part>"
					"<PartNumber>1</PartNumber><ETag>a</ETag><Size>10</Size>"
					"</Part></ListPartsResult>"),
			    BUSY,
			    BODY_ANSWER("200 OK", "",
					"<ListPartsResult><Part><PartNumber>2</PartNumber>"
					"<ETag>b</ETag><Size>5</Size></Part></ListPartsResult>"),
			    BODY_ANSWER("200 OK", "",
					"<ListPartsResult><IsTruncated>true</IsTruncated>"
					"</ListPartsResult>")),
		     NULL);
	check_int(sync_parts(&p), ==, 0);
	check_int(p.nparts, ==, 2);
	check_int(p.total, ==, 15);
	check_str(p.parts[1].etag, "\"b\"");
	free(p.parts);
	check(sent(0, "GET /bucket/k?uploadId=id HTTP/1.1\r\n"));
	check(sent(1, "GET /bucket/k?part-number-marker=1&uploadId=id HTTP/1.1\r\n"));
	check_int(sync_parts(&p), ==, -EIO); /* does not advance */
	check(!p.parts);
	script_end(4);
}

static void client_wide_headers(void)
{
	const struct s3_config config = {.region = "r-1",
					 .no_sign_request = true,
					 .requester_pays = true,
					 .expected_owner = "123456789012"};
	struct s3_head_call h = {.key = "k"};

	script_begin(SCRIPT(HEAD_OK), &config);
	check_int(sync_head(&h), ==, 0);
	check(sent_header(0, "\r\nx-amz-request-payer: requester\r\n"));
	check(sent_header(0, "\r\nx-amz-expected-bucket-owner: 123456789012\r\n"));
	check(!sent_header(0, "\r\nauthorization:"));
	check(!sent_header(0, "\r\nx-amz-date:"));
	check(!sent_header(0, "\r\nx-amz-content-sha256:"));
	script_end(1);
}

int main(void)
{
	return script_main((struct test[]){
		TEST(head_on_the_wire),
		TEST(list_on_the_wire),
		TEST(put_on_the_wire),
		TEST(encryption_is_checked),
		TEST(delete_on_the_wire),
		TEST(multipart_on_the_wire),
		TEST(parts_over_pages),
		TEST(client_wide_headers),
		{0},
	});
}
