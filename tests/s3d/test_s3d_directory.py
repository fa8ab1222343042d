# SPDX-License-Identifier: Apache-2.0
"""Directory buckets: appends, renames, listings with rules of their own."""

import base64
import hashlib
import http.client
import urllib.parse

import pytest

from s3dlib import crc32_text, error, put, start_s3d


@pytest.fixture(scope="module", params=["memory", "dir"])
def server(request, tmp_path_factory):
    """Every bucket is a directory bucket, without sessions."""
    args = ["--quirk", "directory"]
    if request.param == "dir":
        args += ["--dir", str(tmp_path_factory.mktemp("dir"))]
    s = start_s3d(*args)
    yield s
    s.stop()


def append(server, key, offset, body, **args):
    return server.client().put_object(Bucket="bkt", Key=key, Body=body,
                                      WriteOffsetBytes=offset, **args)


def get(server, key):
    return server.client().get_object(Bucket="bkt", Key=key)["Body"].read()


def rename(server, source, key, **headers):
    headers = {"x-amz-rename-source": urllib.parse.quote(source), **headers}
    path = "/bkt/" + urllib.parse.quote(key) + "?renameObject"
    r = server.raw("PUT", path, {k.replace("_", "-"): v for k, v in headers.items()})
    return r.status, r.code()


def test_append(server, name):
    r = append(server, name, 0, b"one ", Metadata={"m": "1"})
    assert get(server, name) == b"one "
    r2 = append(server, name, 4, b"two ", IfMatch=r["ETag"])
    assert (r2["Size"], r2["ETag"] != r["ETag"]) == (8, True)
    append(server, name, 8, b"three")
    assert get(server, name) == b"one two three"
    assert server.client().head_object(Bucket="bkt", Key=name)["Metadata"] == {"m": "1"}


def test_append_to_generated(server, name):
    server.admin("POST", "generate", bucket="bkt", prefix=name, count=1, size=100000, start=0)
    before = get(server, name + "000000")
    append(server, name + "000000", 100000, b"end")
    assert get(server, name + "000000") == before + b"end"


def test_append_errors(server, name):
    etag = put(server, name, b"12345")["ETag"]
    assert error(append, server=server, key=name, offset=4, body=b"x") == (
        400, "InvalidWriteOffset")
    assert error(append, server=server, key=name, offset=6, body=b"x") == (
        400, "InvalidWriteOffset")
    assert error(append, server=server, key=name + "no", offset=1, body=b"x") == (
        400, "InvalidWriteOffset")
    assert error(append, server=server, key=name, offset=5, body=b"x", IfMatch='"other"') == (
        412, "PreconditionFailed")
    assert get(server, name) == b"12345"
    append(server, name, 5, b"6", IfMatch=etag)
    assert error(append, server=server, key=name, offset=6, body=b"7", IfMatch=etag) == (
        412, "PreconditionFailed")


def test_append_parts(start, name):
    server = start("--quirk", "directory", "--anonymous")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for i in range(10001):
        connection.request("PUT", f"/bkt/{name}", b"x", {"x-amz-write-offset-bytes": str(i)})
        r = connection.getresponse()
        body = r.read()
        assert r.status == (200 if i < 10000 else 400), body
    assert b"TooManyParts" in body


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_append_checksum(server, name, algorithm):
    put(server, name, b"hello ", ChecksumAlgorithm=algorithm)
    append(server, name, 6, b"world", ChecksumAlgorithm=algorithm)
    head = server.client().head_object(Bucket="bkt", Key=name, ChecksumMode="ENABLED")
    if algorithm == "CRC32":
        assert (head["ChecksumCRC32"], head["ChecksumType"]) == (
            crc32_text(b"hello world"), "FULL_OBJECT")
    else:
        digest = getattr(hashlib, algorithm.lower())
        both = digest(digest(b"hello ").digest() + digest(b"world").digest()).digest()
        assert head["Checksum" + algorithm] == base64.b64encode(both).decode() + "-2"
    other = {"CRC32": "SHA1"}.get(algorithm, "CRC32")
    assert error(append, server=server, key=name, offset=11, body=b"!",
                 ChecksumAlgorithm=other) == (400, "InvalidRequest")


def test_rename(server, name):
    etag = put(server, f"{name}/a b", b"data", Metadata={"m": "1"})["ETag"]
    assert rename(server, f"{name}/a b", f"{name}/ü/c") == (200, None)
    assert get(server, f"{name}/ü/c") == b"data"
    head = server.client().head_object(Bucket="bkt", Key=f"{name}/ü/c")
    assert (head["ETag"], head["Metadata"]) == (etag, {"m": "1"})
    assert error(server.client().head_object, Bucket="bkt", Key=f"{name}/a b") == (404, "404")
    assert rename(server, f"{name}/a b", f"{name}/c") == (404, "NoSuchKey")


def test_rename_replaces(server, name):
    put(server, name + "a", b"new")
    etag = put(server, name + "b", b"old")["ETag"]
    assert rename(server, name + "a", name + "b", if_none_match="*") == (
        412, "PreconditionFailed")
    assert rename(server, name + "a", name + "b", if_match='"x"') == (412, "PreconditionFailed")
    assert rename(server, name + "a", name + "b", x_amz_rename_source_if_match='"x"') == (
        412, "PreconditionFailed")
    assert get(server, name + "b") == b"old"
    assert rename(server, name + "a", name + "b", if_match=etag) == (200, None)
    assert get(server, name + "b") == b"new"
    assert rename(server, name + "b", name + "b") == (200, None)
    assert get(server, name + "b") == b"new"


def test_rename_token(server, name):
    put(server, name + "a", b"1")
    token = {"x_amz_client_token": name}
    assert rename(server, name + "a", name + "b", **token) == (200, None)
    assert rename(server, name + "a", name + "b", **token) == (200, None)
    assert rename(server, name + "b", name + "c", **token) == (
        400, "IdempotencyParameterMismatch")
    assert get(server, name + "b") == b"1"


def test_rename_long_key(server, name):
    put(server, name, b"1")
    assert rename(server, name, "x" * 1025) == (400, "KeyTooLongError")


def test_list(server, name):
    for k in "abcd":
        put(server, f"{name}/{k}", b"")
    c = server.client()
    keys = [e["Key"][-1] for e in c.list_objects_v2(Bucket="bkt", Prefix=name + "/")["Contents"]]
    assert (sorted(keys), keys != sorted(keys)) == (list("abcd"), True)
    assert error(c.list_objects_v2, Bucket="bkt", Prefix=name) == (400, "InvalidArgument")
    assert error(c.list_objects_v2, Bucket="bkt", Delimiter="-") == (400, "InvalidArgument")
    assert error(c.list_objects_v2, Bucket="bkt", StartAfter="a") == (501, "NotImplemented")


def test_general_buckets_refuse(s3d, name):
    put(s3d, name, b"12345")
    assert error(append, server=s3d, key=name, offset=5, body=b"x") == (501, "NotImplemented")
    assert rename(s3d, name, name + "b") == (501, "NotImplemented")
    assert get(s3d, name) == b"12345"
