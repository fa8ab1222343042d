# SPDX-License-Identifier: Apache-2.0
"""Counters, log, changes from outside, quirks and options of s3d."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import socket
import subprocess

import pytest

import s3dlib
from s3dlib import BODY, MIB, get

PART = 5 * MIB  # the least that S3 allows


# Counters and log


def test_counters(s3d, name):
    c = s3d.client()
    c.put_object(Bucket="bkt", Key=name, Body=b"12345")
    c.get_object(Bucket="bkt", Key=name)["Body"].read()
    c.head_object(Bucket="bkt", Key=name)
    c.list_objects_v2(Bucket="bkt")
    c.delete_object(Bucket="bkt", Key=name)
    counts = s3d.counters()
    for op in ("PutObject", "GetObject", "HeadObject", "ListObjectsV2", "DeleteObject"):
        assert counts[op] == 1, op
    assert counts["CopyObject"] == 0
    assert counts["bytes_in"] >= 5
    assert counts["connections"] >= 1
    s3d.admin("POST", "reset")
    assert not any(s3d.counters().values())
    assert s3d.log() == []


def test_bytes_out(s3d, key):
    get(s3d, key)
    get(s3d, key, {"Range": "bytes=0-99"})
    s3d.raw("HEAD", f"/bkt/{key}")
    assert s3d.counters()["bytes_out"] == len(BODY) + 100


def test_bytes_out_of_an_aborted_transfer(s3d):
    s3d.admin("POST", "generate", bucket="bkt", prefix="huge", count=1, size=1 << 34)
    signed = {}
    s3d.raw("HEAD", "/bkt/huge000000")
    s3d.raw("GET", "/bkt/huge000000", {"Range": "bytes=0-0"}, change=signed.update)
    signed.pop("Range", None)
    r = s3dlib.botocore.awsrequest.AWSRequest("GET", s3d.url() + "/bkt/huge000000", headers={
        "Host": f"127.0.0.1:{s3d.port}"})
    s3dlib.sign(r, s3dlib.ACCESS, s3dlib.SECRET, s3dlib.REGION, None, None)
    head = "".join(f"{k}: {v}\r\n" for k, v in r.headers.items())
    with socket.create_connection(("127.0.0.1", s3d.port), 10) as sock:
        sock.sendall(f"GET /bkt/huge000000 HTTP/1.1\r\n{head}\r\n".encode())
        got = 0
        while got < MIB:
            got += len(sock.recv(65536))
    s3d.wait_for(lambda: s3d.log()[-1]["aborted"])
    assert MIB <= s3d.log()[-1]["bytes"] < 64 * MIB
    assert s3d.counters()["bytes_out"] < 64 * MIB


def test_log(s3d, key):
    get(s3d, key, {"Range": "bytes=1-2", "If-Match": '"x"', "User-Agent": 'te"st'})
    s3d.raw("GET", "/bkt?list-type=2&prefix=a%20b")
    first, second = s3d.log()
    assert (first["op"], first["bucket"], first["key"]) == ("GetObject", "bkt", key)
    assert (first["range"], first["if_match"], first["ua"]) == ("bytes=1-2", '"x"', 'te"st')
    assert (first["status"], first["content_length"], first["seq"] + 1) == (
        412, None, second["seq"])
    assert (second["query"], second["key"]) == ("list-type=2&prefix=a%20b", None)


def test_connections_are_counted_once(s3d, key):
    c = s3d.client()
    for _ in range(5):
        c.get_object(Bucket="bkt", Key=key)["Body"].read()
    assert s3d.counters()["connections"] == 1
    assert len({e["conn"] for e in s3d.log()}) == 1


# Changes by another client


def test_admin_put_delete_object(s3d, name):
    s3d.admin("POST", "put", b"one", {"x-amz-meta-a": "1"}, bucket="bkt", key=name)
    assert get(s3d, name).headers["x-amz-meta-a"] == "1"
    s3d.admin("POST", "put", b"two", bucket="bkt", key=name)
    assert s3d.admin("GET", "object", bucket="bkt", key=name) == b"two"
    assert get(s3d, name).body == b"two"
    s3d.admin("POST", "delete", bucket="bkt", key=name)
    assert get(s3d, name).status == 404
    counts = s3d.counters()
    assert (counts["PutObject"], counts["DeleteObject"]) == (0, 0)


def test_replaced_while_it_is_read(s3d, name):
    """A GET that is under way delivers the version that it began with."""
    old, new = bytes([1]) * (32 * MIB), bytes([2]) * (32 * MIB)
    s3d.admin("POST", "put", old, bucket="bkt", key=name)
    s3d.fault(op="GetObject", kind="stall-body", arg=MIB, count=1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        future = pool.submit(get, s3d, name)
        s3d.wait_for(lambda: s3d.counters()["GetObject"] == 1)
        s3d.admin("POST", "put", new, bucket="bkt", key=name)
        s3d.admin("POST", "faults/clear")
        assert future.result(10).body == old
    assert get(s3d, name).body == new


def splitmix(i):
    mask = (1 << 64) - 1
    x = (i + 0x9e3779b97f4a7c15) & mask
    x = ((x ^ (x >> 30)) * 0xbf58476d1ce4e5b9) & mask
    x = ((x ^ (x >> 27)) * 0x94d049bb133111eb) & mask
    return x ^ (x >> 31)


def pattern(start, size, period=8388617):
    out = bytearray()
    while len(out) < size:
        at = (start + len(out)) % period
        word = splitmix(at // 8).to_bytes(8, "little")[at % 8:]
        out += word[:min(len(word), period - at)]
    return bytes(out[:size])


def test_generated_content(s3d, name):
    s3d.admin("POST", "generate", bucket="bkt", prefix=name + "/", count=3, size=5000, start=7)
    for i in (7, 8, 9):
        assert get(s3d, f"{name}/{i:06}").body == pattern(i * 4099, 5000)
    s3d.admin("POST", "generate", bucket="bkt", prefix=name + "/L", count=1, size=1 << 40)
    end = (1 << 40) - 1
    r = get(s3d, f"{name}/L000000", {"Range": f"bytes={end - 99}-"})
    assert r.body == pattern(end - 99, 100)
    r = get(s3d, f"{name}/L000000", {"Range": f"bytes={8388617 - 50}-{8388617 + 49}"})
    assert r.body == pattern(8388617 - 50, 100)
    r = get(s3d, f"{name}/L000000", {"Range": f"bytes=1000-{100 * MIB}"})
    assert r.body[:100] == pattern(1000, 100) and len(r.body) == 100 * MIB - 999
    assert r.body[-100:] == pattern(100 * MIB - 99, 100)


def test_pending_uploads(s3d, name):
    c = s3d.client()
    up = c.create_multipart_upload(Bucket="bkt", Key=name)["UploadId"]
    c.upload_part(Bucket="bkt", Key=name, UploadId=up, PartNumber=4, Body=b"123")
    mine = [u for u in json.loads(s3d.admin("GET", "uploads")) if u["key"] == name]
    assert mine == [{"bucket": "bkt", "key": name, "id": up, "parts": 1, "bytes": 3}]


# Quirks


def test_quirk_no_aws_chunked(s3d, name, quirk):
    quirk("no-aws-chunked")
    payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    r = s3d.raw("PUT", f"/bkt/{name}", {
        "X-Amz-Content-SHA256": payload, "x-amz-decoded-content-length": "0",
        "Content-Encoding": "aws-chunked"}, b"0\r\n\r\n", payload=payload)
    assert (r.status, r.code()) == (501, "NotImplemented")


def test_quirk_unknown_checksum(s3d, name, quirk):
    quirk("unknown-checksum")
    r = s3d.raw("PUT", f"/bkt/{name}", {"x-amz-checksum-crc32c": "4waSgw=="}, b"123456789")
    assert (r.status, r.code()) == (501, "NotImplemented")


def test_quirk_equal_parts(s3d, name, quirk):
    quirk("equal-parts")
    c = s3d.client()
    up = c.create_multipart_upload(Bucket="bkt", Key=name)["UploadId"]
    parts = [{"PartNumber": n, "ETag": c.upload_part(
        Bucket="bkt", Key=name, UploadId=up, PartNumber=n, Body=bytes(size))["ETag"]}
        for n, size in ((1, 5 * MIB), (2, 6 * MIB), (3, 1))]
    with pytest.raises(c.exceptions.ClientError, match="InvalidPart"):
        c.complete_multipart_upload(Bucket="bkt", Key=name, UploadId=up,
                                    MultipartUpload={"Parts": parts})
    c.complete_multipart_upload(Bucket="bkt", Key=name, UploadId=up,
                                MultipartUpload={"Parts": [parts[0], parts[2]]})


def test_quirk_no_content_length_0(s3d, key, quirk):
    assert get(s3d, key, {"Content-Length": "0"}).status == 200
    quirk("no-content-length-0")
    assert get(s3d, key, {"Content-Length": "0"}).status == 400
    assert get(s3d, key).status == 200


def test_quirk_complete_no_checksum(s3d, name, quirk):
    quirk("complete-no-checksum")
    c = s3d.client()
    up = c.create_multipart_upload(Bucket="bkt", Key=name)["UploadId"]
    r = c.upload_part(Bucket="bkt", Key=name, UploadId=up, PartNumber=1, Body=b"x",
                      ChecksumAlgorithm="CRC32")
    part = {"PartNumber": 1, "ETag": r["ETag"]}
    with pytest.raises(c.exceptions.ClientError, match="InvalidRequest"):
        c.complete_multipart_upload(
            Bucket="bkt", Key=name, UploadId=up,
            MultipartUpload={"Parts": [{**part, "ChecksumCRC32": r["ChecksumCRC32"]}]})
    c.complete_multipart_upload(Bucket="bkt", Key=name, UploadId=up,
                                MultipartUpload={"Parts": [part]})


def test_quirk_etag_no_quotes(s3d, key, quirk):
    quirk("etag-no-quotes")
    etag = hashlib.md5(BODY).hexdigest()
    assert get(s3d, key).headers["etag"] == etag
    assert s3d.client().list_objects_v2(Bucket="bkt", Prefix=key)["Contents"][0]["ETag"] == etag
    assert get(s3d, key, {"If-Match": etag}).status == 200


def test_quirk_list_no_encoding_type(s3d, name, quirk):
    s3d.admin("POST", "put", b"", bucket="bkt", key=name + " ä")
    quirk("list-no-encoding-type")
    body = s3d.raw("GET", f"/bkt?encoding-type=url&list-type=2&prefix={name}").body.decode()
    assert f"<Key>{name} ä</Key>" in body and "EncodingType" not in body


def test_quirk_list_unordered(s3d, name, quirk):
    s3d.admin("POST", "generate", bucket="bkt", prefix=name, count=25)
    quirk("list-unordered")
    c, seen, token = s3d.client(), [], {}
    while True:
        r = c.list_objects_v2(Bucket="bkt", Prefix=name, MaxKeys=10, **token)
        seen += [o["Key"] for o in r["Contents"]]
        if not r["IsTruncated"]:
            break
        token = {"ContinuationToken": r["NextContinuationToken"]}
    assert sorted(seen) == [f"{name}{i:06}" for i in range(25)] and seen != sorted(seen)


# Options


def test_dir_survives_a_restart(tmp_path, start):
    folder = tmp_path / "data"
    server = start("--dir", str(folder))
    c = server.client()
    c.put_object(Bucket="bkt", Key="a/b/c", Body=b"1")
    c.put_object(Bucket="bkt", Key="a/b", Body=b"2")
    up = c.create_multipart_upload(Bucket="bkt", Key="m")["UploadId"]
    part = c.upload_part(Bucket="bkt", Key="m", UploadId=up, PartNumber=1, Body=b"345")
    c.complete_multipart_upload(Bucket="bkt", Key="m", UploadId=up, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert (folder / "bkt/a/b/c").read_bytes() == b"1"
    assert c.get_object(Bucket="bkt", Key="a/b")["Body"].read() == b"2"
    server.stop()
    server = start("--dir", str(folder))
    c = server.client()
    assert c.get_object(Bucket="bkt", Key="a/b/c")["Body"].read() == b"1"
    assert c.get_object(Bucket="bkt", Key="m")["Body"].read() == b"345"
    (folder / "bkt/m").write_bytes(b"changed outside")
    assert c.get_object(Bucket="bkt", Key="m")["Body"].read() == b"changed outside"
    (folder / "bkt/m").unlink()
    with pytest.raises(c.exceptions.NoSuchKey):
        c.get_object(Bucket="bkt", Key="m")
    c.delete_object(Bucket="bkt", Key="a/b/c")
    assert not (folder / "bkt/a").exists()
    server.stop()


def test_import(tmp_path, start):
    (tmp_path / "x/y").mkdir(parents=True)
    (tmp_path / "x/y/z.txt").write_bytes(b"imported")
    server = start("--import", str(tmp_path))
    c = server.client()
    assert c.get_object(Bucket="bkt", Key="x/y/z.txt")["Body"].read() == b"imported"
    c.delete_object(Bucket="bkt", Key="x/y/z.txt")
    server.stop()
    assert (tmp_path / "x/y/z.txt").exists()


def test_discard(start):
    server = start("--discard", "--etag", "crc")
    c = server.client()
    before = server.counters()["bytes_in"]
    c.put_object(Bucket="bkt", Key="k", Body=b"x" * 100000)
    assert c.head_object(Bucket="bkt", Key="k")["ContentLength"] == 100000
    assert server.counters()["bytes_in"] - before >= 100000
    assert server.raw("GET", "/bkt/k").body == bytes(100000)
    server.stop()


def memory_of(server):
    """Bytes of objects that are in memory."""
    links = pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir()
    return sum(os.stat(p).st_blocks * 512 for p in links if "s3d-arena" in os.readlink(p))


def test_reuse(start):
    """What was never read is written over, what was read is not."""
    server = start("--reuse")
    c = server.client()

    def upload(key, fill):
        up = c.create_multipart_upload(Bucket="bkt", Key=key)["UploadId"]
        parts = [{"PartNumber": n, "ETag": c.upload_part(
            Bucket="bkt", Key=key, UploadId=up, PartNumber=n, Body=fill * PART)["ETag"]}
            for n in (1, 2)]
        c.complete_multipart_upload(Bucket="bkt", Key=key, UploadId=up,
                                    MultipartUpload={"Parts": parts})

    upload("a", b"a")
    upload("read", b"r")
    answer = c.get_object(Bucket="bkt", Key="read")["Body"]
    assert answer.read(10) == b"r" * 10
    before = memory_of(server)
    c.delete_object(Bucket="bkt", Key="a")
    upload("b", b"b")
    assert memory_of(server) == before
    c.delete_object(Bucket="bkt", Key="read")
    upload("c", b"c")
    assert answer.read() == b"r" * (2 * PART - 10)
    assert c.get_object(Bucket="bkt", Key="b")["Body"].read() == b"b" * (2 * PART)
    assert c.get_object(Bucket="bkt", Key="c")["Body"].read() == b"c" * (2 * PART)


def test_port_file_and_stop_while_stalled(tmp_path, start):
    server = start("--port-file", str(tmp_path / "port"))
    assert int((tmp_path / "port").read_text()) == server.port
    server.fault(kind="stall")
    signed = {}
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        with pytest.raises(TimeoutError):
            server.raw("GET", "/bkt/x", change=signed.update, timeout=0.2)
        sock.sendall(b"GET / HTTP/1.1\r\n")
        server.stop()


def test_tls(tmp_path, start):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    server = start("--tls-cert", str(cert), "--tls-key", str(key))
    c = s3dlib.boto3.client(
        "s3", endpoint_url=f"https://127.0.0.1:{server.port}", region_name=s3dlib.REGION,
        aws_access_key_id=s3dlib.ACCESS, aws_secret_access_key=s3dlib.SECRET, verify=str(cert))
    data = os.urandom(3 * MIB)
    c.put_object(Bucket="bkt", Key="k", Body=data)
    assert c.get_object(Bucket="bkt", Key="k")["Body"].read() == data
    server.stop()


@pytest.mark.parametrize("args", [["--nonsense"], ["--threads", "0"], ["--listen", "x"],
                                  ["--quirk", "none"], ["--tls-cert", "x"], ["extra"]])
def test_wrong_options(args):
    r = subprocess.run([s3dlib.s3d_binary(), "--anonymous", *args], capture_output=True,
                       timeout=10)
    assert r.returncode == 2 and r.stderr


def test_credentials_are_needed():
    env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    r = subprocess.run([s3dlib.s3d_binary()], env=env, capture_output=True, timeout=10)
    assert r.returncode == 2 and b"credentials" in r.stderr
