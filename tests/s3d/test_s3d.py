# SPDX-License-Identifier: Apache-2.0
"""The S3 API of s3d; tests that take `both` hold for MinIO too."""

import base64
import hashlib
import os

import pytest

from s3dlib import crc32_text, error, is_minio, put, quote


def keys_of(server, **args):
    page = server.client().list_objects_v2(Bucket="bkt", **args)
    return ([o["Key"] for o in page.get("Contents", [])],
            [p["Prefix"] for p in page.get("CommonPrefixes", [])], page)


# Buckets


def test_bucket_life(both, name):
    c = both.client()
    bucket = "bucket-" + name
    c.create_bucket(Bucket=bucket)
    assert bucket in [b["Name"] for b in c.list_buckets()["Buckets"]]
    c.head_bucket(Bucket=bucket)
    assert error(c.create_bucket, Bucket=bucket) == (409, "BucketAlreadyOwnedByYou")
    c.put_object(Bucket=bucket, Key="k", Body=b"")
    assert error(c.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    c.delete_object(Bucket=bucket, Key="k")
    c.delete_bucket(Bucket=bucket)
    assert error(c.list_objects_v2, Bucket=bucket) == (404, "NoSuchBucket")
    assert error(c.head_bucket, Bucket=bucket) == (404, "404")


def test_bucket_location(both):
    assert both.client().get_bucket_location(Bucket="bkt")["LocationConstraint"] is None


def test_virtual_host_style(s3d, name):
    put(s3d, name, b"vhost")
    r = s3d.raw("GET", "/" + name, {"Host": f"bkt.localhost:{s3d.port}"}, signed=False)
    assert (r.status, r.code()) == (403, "AccessDenied")

    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
    import http.client
    from s3dlib import ACCESS, REGION, SECRET
    request = botocore.awsrequest.AWSRequest("GET", f"http://bkt.localhost:{s3d.port}/{name}")
    botocore.auth.S3SigV4Auth(
        botocore.credentials.Credentials(ACCESS, SECRET), "s3", REGION).add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", s3d.port)
    connection.request("GET", "/" + name, headers={
        **dict(request.headers.items()), "Host": f"bkt.localhost:{s3d.port}"})
    assert connection.getresponse().read() == b"vhost"


# Put and get


@pytest.mark.parametrize("key", [
    "plain", "with space", "a+b", "a%2Fb", "ü/日本", "q?x=1&y#z", "a//b", "dir/", "*'()!~@:,;$=",
    "x" * 255, "/".join(["y" * 200] * 5)])
def test_key_forms(both, name, key):
    if key == "a//b" and is_minio(both):
        return  # MinIO joins slashes
    key = key if len(key) > 200 else name + key
    body = b"" if key.endswith("/") else key.encode()
    put(both, key, body)
    assert both.client().get_object(Bucket="bkt", Key=key)["Body"].read() == body
    assert keys_of(both, Prefix=key)[0] == [key]
    both.client().delete_object(Bucket="bkt", Key=key)


def test_key_too_long(s3d):
    put(s3d, "k" * 1024)
    assert error(s3d.client().put_object, Bucket="bkt", Key="k" * 1025) == (400, "KeyTooLongError")


def test_put_get_metadata(both, name):
    put(both, name, b"data", Metadata={"one": "1", "Two": "zwei"}, ContentType="text/plain",
        CacheControl="max-age=5", ContentEncoding="br", ContentLanguage="de",
        ContentDisposition="attachment")
    for r in (both.client().get_object(Bucket="bkt", Key=name),
              both.client().head_object(Bucket="bkt", Key=name)):
        assert r["Metadata"] == {"one": "1", "two": "zwei"}
        assert (r["ContentType"], r["CacheControl"]) == ("text/plain", "max-age=5")
        assert (r["ContentEncoding"], r["ContentLanguage"]) == ("br", "de")
        assert r["ContentDisposition"] == "attachment"
        assert r["ContentLength"] == 4
        assert r["ETag"] == '"%s"' % hashlib.md5(b"data").hexdigest()
        assert r["AcceptRanges"] == "bytes"


def test_default_content_type(both, name):
    r = both.raw("PUT", f"/bkt/{name}", body=b"x")
    assert r.status == 200
    assert both.client().head_object(Bucket="bkt", Key=name)["ContentType"] == \
        "binary/octet-stream"


def test_storage_class_and_encryption_come_back(s3d, name):
    put(s3d, name, b"x", StorageClass="STANDARD_IA", ServerSideEncryption="aws:kms",
        SSEKMSKeyId="key-1")
    r = s3d.client().head_object(Bucket="bkt", Key=name)
    assert (r["StorageClass"], r["ServerSideEncryption"], r["SSEKMSKeyId"]) == \
        ("STANDARD_IA", "aws:kms", "key-1")
    assert s3d.client().list_objects_v2(Bucket="bkt", Prefix=name)["Contents"][0][
        "StorageClass"] == "STANDARD_IA"


def test_archived_object_cannot_be_read(s3d, name):
    put(s3d, name, b"x", StorageClass="GLACIER")
    assert error(s3d.client().get_object, Bucket="bkt", Key=name) == (403, "InvalidObjectState")
    assert s3d.client().head_object(Bucket="bkt", Key=name)["StorageClass"] == "GLACIER"


def test_tagging(both, name):
    put(both, name, b"x", Tagging="a=1&b=two%20words")
    r = both.client().get_object_tagging(Bucket="bkt", Key=name)
    assert sorted((t["Key"], t["Value"]) for t in r["TagSet"]) == [("a", "1"),
                                                                  ("b", "two words")]


def test_missing_key(both, name):
    c = both.client()
    assert error(c.get_object, Bucket="bkt", Key=name) == (404, "NoSuchKey")
    assert error(c.head_object, Bucket="bkt", Key=name) == (404, "404")
    r = both.raw("HEAD", f"/bkt/{name}")
    assert (r.status, r.body) == (404, b"")
    assert r.headers["x-amz-request-id"]


@pytest.mark.parametrize("range_, status, want, content_range", [
    ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
    ("bytes=3-5", 206, b"345", "bytes 3-5/10"),
    ("bytes=7-", 206, b"789", "bytes 7-9/10"),
    ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
    ("bytes=5-3", 200, b"0123456789", None),
    ("chars=1-2", 200, b"0123456789", None),
])
def test_ranges(both, name, range_, status, want, content_range):
    if range_ == "bytes=5-3" and is_minio(both):
        return  # MinIO refuses it
    put(both, name, b"0123456789")
    r = both.raw("GET", f"/bkt/{name}", {"Range": range_})
    assert (r.status, r.body, r.headers.get("content-range")) == (status, want, content_range)
    assert r.headers["content-length"] == str(len(want))


@pytest.mark.parametrize("size, range_", [(10, "bytes=10-"), (10, "bytes=20-30"), (0, "bytes=0-"),
                                          (10, "bytes=-0")])
def test_unsatisfiable_ranges(both, name, size, range_):
    put(both, name, b"x" * size)
    r = both.raw("GET", f"/bkt/{name}", {"Range": range_})
    assert (r.status, r.code()) == (416, "InvalidRange")


def test_read_conditions(both, name):
    etag = put(both, name, b"x")["ETag"]
    path = f"/bkt/{name}"
    assert both.raw("GET", path, {"If-Match": etag}).status == 200
    assert both.raw("GET", path, {"If-Match": '"other"'}).status == 412
    assert both.raw("HEAD", path, {"If-Match": '"other"'}).status == 412
    r = both.raw("GET", path, {"If-None-Match": etag})
    assert (r.status, r.body, r.headers["etag"]) == (304, b"", etag)
    assert both.raw("GET", path, {"If-None-Match": '"other"'}).status == 200
    modified = both.raw("HEAD", path).headers["last-modified"]
    assert both.raw("GET", path, {"If-Modified-Since": modified}).status == 304
    assert both.raw("GET", path, {"If-Unmodified-Since": modified}).status == 200
    old = "Mon, 01 Jan 2001 00:00:00 GMT"
    assert both.raw("GET", path, {"If-Modified-Since": old}).status == 200
    assert both.raw("GET", path, {"If-Unmodified-Since": old}).status == 412


def test_write_conditions(both, name):
    c = both.client()
    etag = put(both, name, b"1", IfNoneMatch="*")["ETag"]
    assert error(put, server=both, key=name, body=b"2", IfNoneMatch="*") == (
        412, "PreconditionFailed")
    assert error(put, server=both, key=name, body=b"2", IfMatch='"%032d"' % 0) == (
        412, "PreconditionFailed")
    put(both, name, b"2", IfMatch=etag)
    assert c.get_object(Bucket="bkt", Key=name)["Body"].read() == b"2"
    assert error(put, server=both, key=name + "-absent", body=b"2", IfMatch=etag)[0] == 404


def test_content_md5(both, name):
    good = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    bad = base64.b64encode(hashlib.md5(b"y").digest()).decode()
    path = f"/bkt/{name}"
    assert both.raw("PUT", path, {"Content-MD5": good}, b"x").status == 200
    r = both.raw("PUT", path, {"Content-MD5": bad}, b"x")
    assert (r.status, r.code()) == (400, "BadDigest")
    r = both.raw("PUT", path, {"Content-MD5": "nonsense"}, b"x")
    assert (r.status, r.code()) == (400, "InvalidDigest")


def test_payload_hash_is_verified(both, name):
    wrong = hashlib.sha256(b"other").hexdigest()
    r = both.raw("PUT", f"/bkt/{name}", {"X-Amz-Content-SHA256": wrong}, b"x", payload=wrong)
    assert (r.status, r.code()) == (400, "XAmzContentSHA256Mismatch")


# Known sums of "123456789" (the usual check value) and of nothing.
CHECK = b"123456789"
SUMS = {
    "crc32": base64.b64encode((0xcbf43926).to_bytes(4, "big")).decode(),
    "crc32c": base64.b64encode((0xe3069283).to_bytes(4, "big")).decode(),
    "crc64nvme": base64.b64encode((0xae8b14860a799888).to_bytes(8, "big")).decode(),
    "sha1": base64.b64encode(hashlib.sha1(CHECK).digest()).decode(),
    "sha256": base64.b64encode(hashlib.sha256(CHECK).digest()).decode(),
}


@pytest.mark.parametrize("kind", SUMS)
def test_checksums(both, name, kind):
    header = f"x-amz-checksum-{kind}"
    r = both.raw("PUT", f"/bkt/{name}", {header: SUMS[kind]}, CHECK)
    assert r.status == 200, r.body
    assert r.headers[header] == SUMS[kind]
    r = both.raw("PUT", f"/bkt/{name}", {header: SUMS[kind]}, b"something else")
    assert r.status == 400 and r.code() in ("BadDigest", "XAmzContentChecksumMismatch")
    r = both.raw("GET", f"/bkt/{name}", {"x-amz-checksum-mode": "ENABLED"})
    assert (r.body, r.headers[header]) == (CHECK, SUMS[kind])
    assert header not in both.raw("GET", f"/bkt/{name}").headers


def slow_crc(poly, width, data):
    ones = (1 << width) - 1
    c = ones
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ (poly if c & 1 else 0)
    return base64.b64encode((c ^ ones).to_bytes(width // 8, "big")).decode()


@pytest.mark.parametrize("kind, poly, width", [
    ("crc32", 0xedb88320, 32), ("crc32c", 0x82f63b78, 32), ("crc64nvme", 0x9a6c9329ac4bc9b5, 64)])
@pytest.mark.parametrize("size", [0, 7, 6143, 6144, 20001])
def test_crcs_of_any_length(s3d, name, kind, poly, width, size):
    data = os.urandom(size)
    header = f"x-amz-checksum-{kind}"
    r = s3d.raw("PUT", f"/bkt/{name}", {header: slow_crc(poly, width, data)}, data)
    assert r.status == 200, r.body


def test_malformed_checksum(both, name):
    r = both.raw("PUT", f"/bkt/{name}", {"x-amz-checksum-crc32c": "!!"}, CHECK)
    assert r.status == 400 and r.code() in ("InvalidRequest", "InvalidArgument")


def test_copy(both, name):
    c = both.client()
    put(both, name + "/ä b", b"copy me", Metadata={"m": "1"})
    c.copy_object(Bucket="bkt", Key=name + "/2", CopySource={"Bucket": "bkt", "Key": name + "/ä b"})
    r = c.get_object(Bucket="bkt", Key=name + "/2")
    assert (r["Body"].read(), r["Metadata"]) == (b"copy me", {"m": "1"})
    c.copy_object(Bucket="bkt", Key=name + "/3", CopySource={"Bucket": "bkt", "Key": name + "/ä b"},
                  Metadata={"n": "2"}, MetadataDirective="REPLACE")
    assert c.head_object(Bucket="bkt", Key=name + "/3")["Metadata"] == {"n": "2"}
    assert error(c.copy_object, Bucket="bkt", Key=name,
                 CopySource={"Bucket": "bkt", "Key": name + "/no"}) == (404, "NoSuchKey")


def test_delete(both, name):
    c = both.client()
    put(both, name, b"x")
    assert c.delete_object(Bucket="bkt", Key=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert c.delete_object(Bucket="bkt", Key=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert error(c.get_object, Bucket="bkt", Key=name) == (404, "NoSuchKey")


def test_delete_objects(both, name):
    c = both.client()
    for i in range(3):
        put(both, f"{name}/<{i}>&", b"x")
    r = c.delete_objects(Bucket="bkt", Delete={
        "Objects": [{"Key": f"{name}/<{i}>&"} for i in range(2)] + [{"Key": name + "/none"}]})
    assert len(r["Deleted"]) == 3 and "Errors" not in r
    assert keys_of(both, Prefix=name)[0] == [f"{name}/<2>&"]
    r = c.delete_objects(Bucket="bkt", Delete={"Quiet": True,
                                             "Objects": [{"Key": f"{name}/<2>&"}]})
    assert "Deleted" not in r
    assert keys_of(both, Prefix=name)[0] == []


def test_delete_objects_wants_a_digest(s3d):
    body = b"<Delete><Object><Key>x</Key></Object></Delete>"
    r = s3d.raw("POST", "/bkt?delete=", body=body)
    assert (r.status, r.code()) == (400, "InvalidRequest")
    md5 = base64.b64encode(hashlib.md5(b"<Delete>").digest()).decode()
    r = s3d.raw("POST", "/bkt?delete=", {"Content-MD5": md5}, b"<Delete>")
    assert (r.status, r.code()) == (400, "MalformedXML")


def test_no_content_length(s3d, name):
    def change(headers):
        headers["Transfer-Encoding"] = "chunked"
        headers.pop("Content-Length", None)
    r = s3d.raw("PUT", f"/bkt/{name}", {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"},
                b"3\r\nabc\r\n0\r\n\r\n", payload="UNSIGNED-PAYLOAD", change=change)
    assert (r.status, r.code()) == (411, "MissingContentLength")


# Lists


def fill(server, keys):
    for key in keys:
        put(server, key)


def test_list_order_is_bytewise(both, name):
    keys = [name + "/" + k for k in
            ("a", "a-", "a/", "a/b", "aa", "b", "B", "ä", "\U0001F600", "\uffee", "~", "0")]
    keys = [k for k in keys if not (k.endswith("/a") or k.endswith("\uffee"))]
    fill(both, keys)
    assert keys_of(both, Prefix=name)[0] == sorted(keys, key=str.encode)


def test_list_delimiter(both, name):
    keys = [f"{name}/{k}" for k in ("1", "d/1", "d/2", "d/e/3", "d0", "z/9")]
    fill(both, keys)
    assert keys_of(both, Prefix=name + "/", Delimiter="/")[:2] == (
        [f"{name}/1", f"{name}/d0"], [f"{name}/d/", f"{name}/z/"])
    assert keys_of(both, Prefix=name + "/d/", Delimiter="/")[:2] == (
        [f"{name}/d/1", f"{name}/d/2"], [f"{name}/d/e/"])
    assert keys_of(both, Prefix=name + "/d", Delimiter="/")[:2] == (
        [f"{name}/d0"], [f"{name}/d/"])


def test_list_pages_count_common_prefixes(both, name):
    fill(both, [f"{name}/{k}" for k in ("a/1", "a/2", "b", "c/1", "d", "e/1")])
    token, pages = {}, []
    while True:
        keys, prefixes, page = keys_of(both, Prefix=name + "/", Delimiter="/", MaxKeys=2, **token)
        assert page["KeyCount"] == len(keys) + len(prefixes)
        pages.append([k[len(name) + 1:] for k in keys + prefixes])
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert [sorted(p) for p in pages] == [["a/", "b"], ["c/", "d"], ["e/"]]


def test_list_exact_page_is_not_truncated(both, name):
    fill(both, [f"{name}/{i}" for i in range(4)])
    assert not keys_of(both, Prefix=name, MaxKeys=4)[2]["IsTruncated"]
    assert keys_of(both, Prefix=name, MaxKeys=3)[2]["IsTruncated"]


def test_list_max_keys_0(both, name):
    put(both, name)
    keys, prefixes, page = keys_of(both, Prefix=name, MaxKeys=0)
    assert (keys, prefixes, page["IsTruncated"], page["KeyCount"]) == ([], [], False, 0)


def test_list_start_after(both, name):
    fill(both, [f"{name}/{i}" for i in range(4)])
    assert keys_of(both, Prefix=name, StartAfter=f"{name}/1")[0] == [f"{name}/2", f"{name}/3"]
    assert keys_of(both, Prefix=name, StartAfter=f"{name}/1x")[0] == [f"{name}/2", f"{name}/3"]
    assert keys_of(both, Prefix=name, StartAfter="")[0] == [f"{name}/{i}" for i in range(4)]
    assert keys_of(both, Prefix=name, StartAfter=name + "~")[0] == []


def test_list_start_after_inside_common_prefix(both, name):
    fill(both, [f"{name}/{k}" for k in ("a/1", "a/2", "b/1")])
    assert keys_of(both, Prefix=name + "/", Delimiter="/", StartAfter=f"{name}/a/")[1] == \
        [f"{name}/b/"]


def test_list_encoding(s3d, name):
    key = name + "/ä +&<\x01"
    put(s3d, key)
    raw = s3d.raw("GET", f"/bkt?encoding-type=url&list-type=2&prefix={name}").body.decode()
    assert f"<Key>{name}/%C3%A4+%2B%26%3C%01</Key>" in raw
    raw = s3d.raw("GET", f"/bkt?list-type=2&prefix={name}").body.decode()
    assert f"<Key>{name}/ä +&amp;&lt;&#x1;</Key>" in raw


def test_list_fetch_owner(both, name):
    put(both, name)
    assert "Owner" not in keys_of(both, Prefix=name)[2]["Contents"][0]
    assert "Owner" in keys_of(both, Prefix=name, FetchOwner=True)[2]["Contents"][0]


def test_list_bad_token(s3d):
    assert error(s3d.client().list_objects_v2, Bucket="bkt", ContinuationToken="nonsense")[0] == 400


def test_list_v1(both, name):
    fill(both, [f"{name}/{k}" for k in ("a/1", "b", "c/1", "d")])
    r = both.client().list_objects(Bucket="bkt", Prefix=name + "/", Delimiter="/", MaxKeys=3)
    # MinIO writes more behind it.
    assert r["IsTruncated"] and r["NextMarker"].startswith(f"{name}/c/")
    r = both.client().list_objects(Bucket="bkt", Prefix=name + "/", Delimiter="/",
                                   Marker=r["NextMarker"])
    assert [o["Key"] for o in r["Contents"]] == [f"{name}/d"] and "CommonPrefixes" not in r


def test_list_a_million_keys(s3d):
    s3d.client().create_bucket(Bucket="million")
    s3d.admin("POST", "generate", bucket="million", prefix="x/a/", count=500000, size=10)
    s3d.admin("POST", "generate", bucket="million", prefix="x/b/", count=500000, size=10)
    s3d.admin("POST", "put", b"z", bucket="million", key="x/c")
    c = s3d.client()
    r = c.list_objects_v2(Bucket="million", Prefix="x/", Delimiter="/")
    assert [p["Prefix"] for p in r["CommonPrefixes"]] == ["x/a/", "x/b/"]
    assert [o["Key"] for o in r["Contents"]] == ["x/c"]
    r = c.list_objects_v2(Bucket="million", StartAfter="x/b/400000")
    assert r["Contents"][0]["Key"] == "x/b/400001" and r["KeyCount"] == 1000
    for i in range(200):
        s3d.raw("GET", "/million?delimiter=%2F&list-type=2&prefix=x%2F")
    spent = [e["time_ms"] for e in s3d.log() if e["op"] == "ListObjectsV2"]
    assert spent[-1] - spent[0] < 10000


# aws-chunked


def test_streaming_trailer(both, name):
    """botocore's own framing, which needs a body that it cannot rewind to sign."""
    data = os.urandom(200000)
    frames = b"".join(b"%x\r\n%s\r\n" % (len(d), d) for d in (data[:65536], data[65536:]))
    trailer = b"0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % crc32_text(data).encode()
    payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    headers = {"X-Amz-Content-SHA256": payload, "Content-Encoding": "aws-chunked",
               "x-amz-decoded-content-length": str(len(data)),
               "x-amz-trailer": "x-amz-checksum-crc32"}
    r = both.raw("PUT", f"/bkt/{name}", headers, frames + trailer, payload=payload)
    assert r.status == 200, r.body
    r = both.client().get_object(Bucket="bkt", Key=name)
    assert r["Body"].read() == data and "ContentEncoding" not in r
    bad = b"0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % crc32_text(b"other").encode()
    r = both.raw("PUT", f"/bkt/{name}", headers, frames + bad, payload=payload)
    assert r.status == 400


def test_unsupported_subresource(s3d, name):
    put(s3d, name)
    assert error(s3d.client().get_bucket_policy, Bucket="bkt") == (501, "NotImplemented")
    r = s3d.raw("PUT", f"/bkt/{name}2?renameObject=", {"x-amz-rename-source": f"/bkt/{name}"})
    assert (r.status, r.code()) == (501, "NotImplemented")
    assert quote(name) == name
