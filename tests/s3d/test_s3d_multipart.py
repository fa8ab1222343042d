# SPDX-License-Identifier: Apache-2.0
"""Multipart uploads; tests that take `both` hold for MinIO too."""

import hashlib
import os
import zlib

from s3dlib import MIB, crc32_text, error, is_minio, put



def upload(server, key, sizes, numbers=None, **args):
    c = server.client()
    up = c.create_multipart_upload(Bucket="bkt", Key=key, **args)["UploadId"]
    parts, data = [], []
    for n, size in zip(numbers or range(1, len(sizes) + 1), sizes):
        body = os.urandom(size)
        r = c.upload_part(Bucket="bkt", Key=key, UploadId=up, PartNumber=n, Body=body)
        parts.append({"PartNumber": n, "ETag": r["ETag"]})
        data.append(body)
    return c, up, parts, data


def complete(c, key, up, parts, **args):
    return c.complete_multipart_upload(Bucket="bkt", Key=key, UploadId=up,
                                       MultipartUpload={"Parts": parts}, **args)


def test_multipart(both, name):
    c, up, parts, data = upload(both, name, [5 * MIB, 6 * MIB, 1], Metadata={"m": "1"},
                                ContentType="text/plain")
    listed = c.list_parts(Bucket="bkt", Key=name, UploadId=up)["Parts"]
    assert [(p["PartNumber"], p["Size"], p["ETag"]) for p in listed] == [
        (p["PartNumber"], len(d), p["ETag"]) for p, d in zip(parts, data)]
    assert error(c.head_object, Bucket="bkt", Key=name) == (404, "404")
    r = complete(c, name, up, parts)
    md5s = b"".join(hashlib.md5(d).digest() for d in data)
    assert r["ETag"] == '"%s-3"' % hashlib.md5(md5s).hexdigest()
    r = c.get_object(Bucket="bkt", Key=name)
    assert r["Body"].read() == b"".join(data)
    assert (r["Metadata"], r["ContentType"]) == ({"m": "1"}, "text/plain")
    r = c.get_object(Bucket="bkt", Key=name, Range=f"bytes={5 * MIB - 10}-{11 * MIB + 5}")
    assert r["Body"].read() == b"".join(data)[5 * MIB - 10:]
    if not is_minio(both):
        assert error(c.abort_multipart_upload, Bucket="bkt", Key=name, UploadId=up) == (
            404, "NoSuchUpload")


def test_multipart_order_and_replacement(both, name):
    """Parts out of order, one sent twice, one not used, numbers with gaps."""
    c, up, parts, data = upload(both, name, [3, 5 * MIB, 5 * MIB + 1, 5 * MIB, 7],
                                numbers=[900, 2, 40, 2, 41])
    r = complete(c, name, up, [parts[3], parts[2], parts[0]])
    assert r["ETag"].endswith('-3"')
    assert c.get_object(Bucket="bkt", Key=name)["Body"].read() == data[3] + data[2] + data[0]


def test_part_sent_again(both, name):
    c, up, parts, data = upload(both, name, [5 * MIB, 5 * MIB, 9], numbers=[1, 1, 2])
    complete(c, name, up, parts[1:])
    assert c.get_object(Bucket="bkt", Key=name)["Body"].read() == data[1] + data[2]


def test_multipart_errors(both, name):
    c, up, parts, data = upload(both, name, [5 * MIB, 10, 10])
    assert error(complete, c=c, key=name, up=up, parts=parts) == (400, "EntityTooSmall")
    assert error(complete, c=c, key=name, up=up, parts=[parts[1], parts[0]]) == (
        400, "InvalidPartOrder")
    wrong = {"PartNumber": 1, "ETag": parts[1]["ETag"]}
    assert error(complete, c=c, key=name, up=up, parts=[wrong, parts[1]]) == (400, "InvalidPart")
    missing = {"PartNumber": 7, "ETag": parts[1]["ETag"]}
    assert error(complete, c=c, key=name, up=up, parts=[parts[0], missing]) == (
        400, "InvalidPart")
    assert error(c.upload_part, Bucket="bkt", Key=name, UploadId=up, PartNumber=10001,
                 Body=b"")[0] == 400
    complete(c, name, up, parts[:2])
    assert c.head_object(Bucket="bkt", Key=name)["ContentLength"] == 5 * MIB + 10
    assert error(complete, c=c, key=name + "x", up="nonsense", parts=parts) == (
        404, "NoSuchUpload")
    assert error(c.upload_part, Bucket="bkt", Key=name, UploadId=up, PartNumber=1, Body=b"") == (
        404, "NoSuchUpload")


def test_multipart_abort(both, name):
    c, up, parts, data = upload(both, name, [10])
    c.abort_multipart_upload(Bucket="bkt", Key=name, UploadId=up)
    assert error(c.list_parts, Bucket="bkt", Key=name, UploadId=up) == (404, "NoSuchUpload")


def test_multipart_conditions(both, name):
    put(both, name, b"old")
    c, up, parts, data = upload(both, name, [10])
    assert error(complete, c=c, key=name, up=up, parts=parts, IfNoneMatch="*") == (
        412, "PreconditionFailed")
    assert c.get_object(Bucket="bkt", Key=name)["Body"].read() == b"old"
    complete(c, name, up, parts)
    assert c.get_object(Bucket="bkt", Key=name)["Body"].read() == data[0]


def test_list_uploads(both, name):
    c, up, parts, data = upload(both, name, [10])
    r = c.list_multipart_uploads(Bucket="bkt", Prefix=name)
    assert [(u["Key"], u["UploadId"]) for u in r["Uploads"]] == [(name, up)]
    c.abort_multipart_upload(Bucket="bkt", Key=name, UploadId=up)
    assert "Uploads" not in c.list_multipart_uploads(Bucket="bkt", Prefix=name)


def multipart_crc(server, name, kind):
    c = server.client()
    up = c.create_multipart_upload(Bucket="bkt", Key=name, ChecksumAlgorithm="CRC32",
                                   ChecksumType=kind)["UploadId"]
    data = [os.urandom(5 * MIB), os.urandom(12345)]
    parts = []
    for n, d in enumerate(data, 1):
        r = c.upload_part(Bucket="bkt", Key=name, UploadId=up, PartNumber=n, Body=d,
                          ChecksumAlgorithm="CRC32")
        assert r["ChecksumCRC32"] == crc32_text(d)
        parts.append({"PartNumber": n, "ETag": r["ETag"], "ChecksumCRC32": r["ChecksumCRC32"]})
    return complete(c, name, up, parts), data


def test_multipart_checksum_composite(both, name):
    r, data = multipart_crc(both, name, "COMPOSITE")
    both_sums = b"".join(zlib.crc32(d).to_bytes(4, "big") for d in data)
    assert r["ChecksumCRC32"] == crc32_text(both_sums) + "-2"


def test_multipart_checksum_full_object(both, name):
    r, data = multipart_crc(both, name, "FULL_OBJECT")
    assert r["ChecksumCRC32"] == crc32_text(b"".join(data))


def test_part_number(s3d, name):
    c, up, parts, data = upload(s3d, name, [5 * MIB, 10])
    complete(c, name, up, parts)
    r = c.get_object(Bucket="bkt", Key=name, PartNumber=2)
    assert (r["Body"].read(), r["PartsCount"]) == (data[1], 2)


def test_many_parts_in_one_piece(s3d, name):
    """Equal parts lie behind each other, so one range over all is one sendfile."""
    c, up, parts, data = upload(s3d, name, [5 * MIB] * 4 + [100])
    complete(c, name, up, parts)
    assert s3d.admin("GET", "object", bucket="bkt", key=name) == b"".join(data)
