# SPDX-License-Identifier: Apache-2.0
"""Faults and latency of s3d."""

import concurrent.futures
import hashlib
import http.client
import os
import socket
import time

import pytest

import s3dlib
from s3dlib import BODY, MIB, get


@pytest.mark.parametrize("code, s3code", [
    (503, "SlowDown"), (500, "InternalError"), (403, "AccessDenied"), (400, "ExpiredToken"),
    (429, "TooManyRequests"), (507, "InsufficientCapacity")])
def test_status(s3d, key, code, s3code):
    s3d.fault(op="GetObject", kind="status", code=code, s3code=s3code, count=1)
    r = get(s3d, key)
    assert (r.status, r.code()) == (code, s3code)
    assert get(s3d, key).body == BODY


def test_status_does_not_do_the_operation(s3d, key):
    s3d.fault(op="PutObject", kind="status", code=503, s3code="SlowDown", count=1)
    assert s3d.raw("PUT", f"/bkt/{key}", body=b"new").status == 503
    assert get(s3d, key).body == BODY


def test_status_before_the_body(s3d, name):
    """arg=1: the server does not wait for an upload that it refuses."""
    s3d.fault(op="PutObject", kind="status", code=503, s3code="SlowDown", arg=1, count=1)
    request = s3dlib.botocore.awsrequest.AWSRequest("PUT", f"{s3d.url()}/bkt/{name}", headers={
        "Host": f"127.0.0.1:{s3d.port}", "Content-Length": "1000000"})
    s3dlib.sign(request, s3dlib.ACCESS, s3dlib.SECRET, s3dlib.REGION, None, None)
    head = "".join(f"{k}: {v}\r\n" for k, v in request.headers.items())
    with socket.create_connection(("127.0.0.1", s3d.port), 5) as sock:
        sock.sendall(f"PUT /bkt/{name} HTTP/1.1\r\n{head}\r\n".encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 503")


def test_expect_100_continue(s3d, name):
    def head(bucket):
        request = s3dlib.botocore.awsrequest.AWSRequest(
            "PUT", f"{s3d.url()}/{bucket}/{name}", data=b"12345",
            headers={"Host": f"127.0.0.1:{s3d.port}"})
        s3dlib.sign(request, s3dlib.ACCESS, s3dlib.SECRET, s3dlib.REGION, None, None)
        lines = "".join(f"{k}: {v}\r\n" for k, v in request.headers.items())
        return (f"PUT /{bucket}/{name} HTTP/1.1\r\n{lines}Content-Length: 5\r\n"
                "Expect: 100-continue\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", s3d.port), 5) as sock:
        sock.sendall(head("bkt"))
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"12345")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    with socket.create_connection(("127.0.0.1", s3d.port), 5) as sock:
        sock.sendall(head("no-such-bucket"))
        assert sock.recv(65536).startswith(b"HTTP/1.1 404")


def test_rule_matches_operation_and_glob(s3d, key):
    s3d.fault(op="GetObject", key="*" + key[3:], kind="status", code=500, s3code="InternalError")
    assert get(s3d, key).status == 500
    assert s3d.raw("HEAD", f"/bkt/{key}").status == 200
    assert get(s3d, key + "x").status == 404
    s3d.admin("POST", "faults/clear")
    assert get(s3d, key).status == 200


def test_skip_and_count(s3d, key):
    s3d.fault(op="GetObject", kind="status", code=503, s3code="SlowDown", skip=2, count=3)
    assert [get(s3d, key).status for _ in range(7)] == [200, 200, 503, 503, 503, 200, 200]


def test_rate_is_repeatable(s3d, key):
    s3d.fault(op="HeadObject", kind="status", code=503, s3code="SlowDown", rate=30)

    def run():
        s3d.admin("POST", "seed", n=7)
        return [s3d.raw("HEAD", f"/bkt/{key}").status for _ in range(60)]
    first = run()
    assert first == run()
    assert 5 < first.count(503) < 35


def test_reset(s3d, key):
    s3d.fault(op="GetObject", kind="reset", count=1)
    with pytest.raises(ConnectionResetError):
        get(s3d, key)
    assert s3d.log()[-1]["status"] == 0 and s3d.log()[-1]["fault"] == "reset"
    assert get(s3d, key).body == BODY


def partial(s3d, path):
    """Head, the bytes that came, and how the connection ended."""
    signed = {}
    s3d.raw("GET", "/bkt/none", change=signed.update)
    request = []
    s3d_request = s3dlib.botocore.awsrequest.AWSRequest("GET", s3d.url() + path, headers={
        "Host": f"127.0.0.1:{s3d.port}"})
    s3dlib.sign(s3d_request, s3dlib.ACCESS, s3dlib.SECRET, s3dlib.REGION, None, None)
    request = [f"GET {path} HTTP/1.1"] + [f"{k}: {v}" for k, v in s3d_request.headers.items()]
    with socket.create_connection(("127.0.0.1", s3d.port), 10) as sock:
        sock.sendall("\r\n".join(request + ["", ""]).encode())
        data, end = b"", "close"
        try:
            while True:
                piece = sock.recv(65536)
                if not piece:
                    break
                data += piece
        except ConnectionResetError:
            end = "reset"
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body, end


@pytest.mark.parametrize("kind, end", [("reset-body", "reset"), ("short", "close")])
@pytest.mark.parametrize("arg", [0, 1, 50000])
def test_broken_body(s3d, key, kind, end, arg):
    s3d.fault(op="GetObject", kind=kind, arg=arg, key=key, count=1)
    head, body, how = partial(s3d, f"/bkt/{key}")
    assert b"Content-Length: %d" % len(BODY) in head
    assert (body, how) == (BODY[:arg], end)
    s3d.wait_for(lambda: s3d.log()[-1]["aborted"])


def test_broken_list(s3d, key):
    s3d.fault(op="ListObjectsV2", kind="short", arg=100, count=1)
    with pytest.raises(http.client.IncompleteRead):
        s3d.raw("GET", f"/bkt?list-type=2&prefix={key}")
    assert s3d.raw("GET", f"/bkt?list-type=2&prefix={key}").status == 200


def test_reset_in_upload(s3d, name):
    s3d.fault(op="PutObject", kind="reset-body", arg=MIB, count=1)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        s3d.raw("PUT", f"/bkt/{name}", body=bytes(8 * MIB))
    assert get(s3d, name).status == 404


def test_stall_until_cleared(s3d, key):
    s3d.fault(op="GetObject", kind="stall", count=1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        future = pool.submit(get, s3d, key)
        s3d.wait_for(lambda: s3d.counters()["GetObject"] == 1)
        with pytest.raises(concurrent.futures.TimeoutError):
            future.result(0.2)
        s3d.admin("POST", "faults/clear")
        assert future.result(5).body == BODY
    assert s3d.counters()["GetObject"] == 1


def test_stall_for_a_time(s3d, key):
    s3d.fault(op="GetObject", kind="stall", arg=200, count=1)
    start = time.monotonic()
    assert get(s3d, key).body == BODY
    assert time.monotonic() - start >= 0.2


def test_stall_in_body(s3d, key):
    s3d.fault(op="GetObject", kind="stall-body", arg=1000, count=1)
    with pytest.raises(TimeoutError):
        get(s3d, key, timeout=0.3)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        s3d.fault(op="GetObject", kind="stall-body", arg=1000, count=1)
        future = pool.submit(get, s3d, key)
        s3d.wait_for(lambda: s3d.counters()["GetObject"] == 2)
        s3d.admin("POST", "faults/clear")
        assert future.result(5).body == BODY


def test_stall_in_upload(s3d, name):
    s3d.fault(op="PutObject", kind="stall-body", arg=100000, count=1)
    data = os.urandom(8 * MIB)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        future = pool.submit(s3d.raw, "PUT", f"/bkt/{name}", body=data)
        s3d.wait_for(lambda: s3d.counters()["PutObject"] == 1)
        assert get(s3d, name).status == 404
        s3d.admin("POST", "faults/clear")
        assert future.result(5).status == 200
    assert get(s3d, name).body == data
    assert s3d.counters()["PutObject"] == 1


def test_delay(s3d, key):
    s3d.fault(op="GetObject", kind="delay", arg=150, count=1)
    s3d.fault(op="GetObject", kind="status", code=503, s3code="SlowDown", count=1)
    start = time.monotonic()
    assert get(s3d, key).status == 503
    assert time.monotonic() - start >= 0.15


@pytest.mark.parametrize("arg", [0, 70000])
def test_flip(s3d, key, arg):
    s3d.fault(op="GetObject", kind="flip", arg=arg, count=1)
    body = get(s3d, key).body
    assert len(body) == len(BODY) and body[arg] == BODY[arg] ^ 1
    assert body[:arg] + body[arg + 1:] == BODY[:arg] + BODY[arg + 1:]


def test_status200error(s3d, name):
    c = s3d.client()
    up = c.create_multipart_upload(Bucket="bkt", Key=name)["UploadId"]
    etag = c.upload_part(Bucket="bkt", Key=name, UploadId=up, PartNumber=1, Body=b"x")["ETag"]
    s3d.fault(op="CompleteMultipartUpload", kind="status200error", count=1)
    body = (f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>"
            "</Part></CompleteMultipartUpload>").encode()
    r = s3d.raw("POST", f"/bkt/{name}?uploadId={up}", body=body)
    assert (r.status, r.code()) == (200, "InternalError")
    assert get(s3d, name).status == 404
    assert s3d.raw("POST", f"/bkt/{name}?uploadId={up}", body=body).status == 200
    assert get(s3d, name).body == b"x"


def test_ignore_range(s3d, key):
    s3d.fault(op="GetObject", kind="ignore-range", count=1)
    r = get(s3d, key, {"Range": "bytes=5-9"})
    assert (r.status, r.body) == (200, BODY)


def test_bad_content_range(s3d, key):
    s3d.fault(op="GetObject", kind="bad-content-range", count=1)
    r = get(s3d, key, {"Range": "bytes=5-9"})
    assert r.headers["content-range"] == f"bytes 6-10/{len(BODY)}"
    assert r.body == BODY[5:10]


def test_wrong_etag(s3d, key):
    s3d.fault(op="GetObject", kind="wrong-etag", count=1)
    right = '"%s"' % hashlib.md5(BODY).hexdigest()
    assert get(s3d, key).headers["etag"] != right
    assert get(s3d, key).headers["etag"] == right


def test_after_success(s3d, key):
    s3d.fault(op="PutObject", kind="after-success", count=1)
    with pytest.raises(ConnectionResetError):
        s3d.raw("PUT", f"/bkt/{key}", body=b"done")
    assert get(s3d, key).body == b"done"


def test_invalid_part(s3d, name):
    s3d.fault(op="CompleteMultipartUpload", kind="invalid-part", count=1)
    r = s3d.raw("POST", f"/bkt/{name}?uploadId=1", body=b"<x/>")
    assert (r.status, r.code()) == (400, "InvalidPart")


def test_bandwidth_fault(s3d, key):
    s3d.fault(op="GetObject", kind="bandwidth", arg=250000, count=1)
    start = time.monotonic()
    assert get(s3d, key).body == BODY
    assert 0.3 < time.monotonic() - start < 3
    start = time.monotonic()
    assert get(s3d, key).body == BODY
    assert time.monotonic() - start < 0.3


def test_bandwidth_of_uploads(s3d, name):
    s3d.admin("POST", "set", bandwidth=1000000)
    start = time.monotonic()
    assert s3d.raw("PUT", f"/bkt/{name}", body=bytes(500000)).status == 200
    assert 0.3 < time.monotonic() - start < 3


def test_latency_costs_no_thread(s3d, key):
    """200 requests that each wait 300 ms are done in about 300 ms."""
    s3d.admin("POST", "set", ttfb_ms=300)
    signed = {}
    s3d.raw("GET", f"/bkt/{key}", {"Range": "bytes=0-9"}, change=signed.update)
    head = "".join(f"{k}: {v}\r\n" for k, v in signed.items())
    request = f"GET /bkt/{key} HTTP/1.1\r\n{head}\r\n".encode()
    socks = [socket.create_connection(("127.0.0.1", s3d.port), 10) for _ in range(200)]
    start = time.monotonic()
    for sock in socks:
        sock.sendall(request)
    for sock in socks:
        assert sock.recv(65536).startswith(b"HTTP/1.1 206")
    assert 0.3 <= time.monotonic() - start < 2
    for sock in socks:
        sock.close()


def test_unknown_rule_is_refused(s3d):
    connection = http.client.HTTPConnection("127.0.0.1", s3d.port)
    for query in ("kind=nonsense", "kind=reset&op=Nonsense", "kind=reset&rate=200",
                  "kind=status&code=9", "kind=reset&count=x"):
        connection.request("POST", "/_s3d/fault?" + query)
        response = connection.getresponse()
        response.read()
        assert response.status == 400
    connection.close()
