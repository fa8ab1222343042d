# SPDX-License-Identifier: Apache-2.0
"""Signatures: what passes, and with which error the rest is refused."""

import datetime
import hashlib
import hmac
import os

import pytest

import s3dlib


def check(reply, status, code):
    assert (reply.status, reply.code()) == (status, code), reply.body


def test_unsigned(both):
    check(both.raw("GET", "/bkt/x", signed=False), 403, "AccessDenied")


def test_unknown_key(both):
    check(both.raw("GET", "/bkt/x", access="who"), 403, "InvalidAccessKeyId")


def test_wrong_secret(both):
    check(both.raw("GET", "/bkt/x", secret="wrong"), 403, "SignatureDoesNotMatch")


def test_header_not_signed(s3d):
    def change(headers):
        headers["X-Amz-Meta-New"] = "1"
    check(s3d.raw("GET", "/bkt/x", change=change), 403, "AccessDenied")


def test_changed_header(both):
    def change(headers):
        headers["X-Amz-Meta-M"] = "2"
    check(both.raw("PUT", "/bkt/x", {"X-Amz-Meta-M": "1"}, change=change), 403,
          "SignatureDoesNotMatch")


@pytest.mark.parametrize("minutes", [-20, 20])
def test_skew(both, minutes):
    when = s3dlib.now() + datetime.timedelta(minutes=minutes)
    check(both.raw("GET", "/bkt/x", when=when), 403, "RequestTimeTooSkewed")


def test_small_skew_passes(both):
    when = s3dlib.now() - datetime.timedelta(minutes=10)
    check(both.raw("GET", "/bkt/absent", when=when), 404, "NoSuchKey")


def test_wrong_region(s3d):
    r = s3d.raw("GET", "/bkt/x", region="eu-north-1")
    check(r, 400, "AuthorizationHeaderMalformed")
    assert b"<Region>us-east-1</Region>" in r.body
    assert r.headers["x-amz-bucket-region"] == "us-east-1"


def test_wrong_path(both):
    """The path that was signed is not the one that came."""
    assert both.raw("GET", "/bkt/x%2By").status == 404
    signed = {}
    both.raw("GET", "/bkt/x", change=lambda headers: signed.update(headers))
    check(both.raw("GET", "/bkt/y", signed, signed=False), 403, "SignatureDoesNotMatch")


def test_unsigned_payload(both, name):
    r = both.raw("PUT", f"/bkt/{name}", {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, b"abc",
                 payload="UNSIGNED-PAYLOAD")
    assert r.status == 200


def test_session_token(s3d):
    check(s3d.raw("GET", "/bkt/absent", {"X-Amz-Security-Token": "token"}), 404, "NoSuchKey")

    def change(headers):
        headers["X-Amz-Security-Token"] = "token"
    check(s3d.raw("GET", "/bkt/absent", change=change), 403, "AccessDenied")


def test_query_order_and_encoding(both, name):
    both.client().put_object(Bucket="bkt", Key=name + "/a b", Body=b"")
    r = both.raw("GET", f"/bkt?prefix={name}%2Fa%20b&list-type=2&max-keys=5")
    assert r.status == 200 and b"<KeyCount>1<" in r.body


def test_strict_signed_headers(s3d, quirk):
    assert s3d.raw("GET", "/bkt/absent", {"Range": "bytes=0-1"}).status == 404
    quirk("strict-signed-headers")
    r = s3d.raw("GET", "/bkt/absent", {"Range": "bytes=0-1"})
    check(r, 400, "InvalidRequest")
    assert s3d.raw("GET", "/bkt/absent", {"X-Amz-Meta-A": "1"}).status == 404


def test_rewritten_accept_encoding(s3d, quirk):
    headers = {"Accept-Encoding": "identity"}
    assert s3d.raw("GET", "/bkt/absent", headers).status == 404
    quirk("rewrite-accept-encoding")
    check(s3d.raw("GET", "/bkt/absent", headers), 403, "SignatureDoesNotMatch")
    assert s3d.raw("GET", "/bkt/absent").status == 404


def chunk_signer(reply_headers):
    """Signature chain of a streaming request whose head is signed."""
    auth = reply_headers["Authorization"]
    scope = auth.split("Credential=")[1].split(",")[0].split("/", 1)[1]
    date = reply_headers["X-Amz-Date"]
    key = ("AWS4" + s3dlib.SECRET).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    state = {"prev": auth.split("Signature=")[1]}

    def sign(data):
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", date, scope, state["prev"],
                          hashlib.sha256(b"").hexdigest(), hashlib.sha256(data).hexdigest()])
        state["prev"] = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return state["prev"].encode()
    return sign


@pytest.mark.parametrize("damage", [False, True])
def test_signed_chunks(both, name, damage):
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    pieces = [os.urandom(70000), os.urandom(333), b""]
    length = sum(len(b"%x;chunk-signature=\r\n\r\n" % len(p)) + 64 + len(p) for p in pieces)
    body = bytearray(b"." * length)

    class Late(bytearray):
        pass

    sent = Late(body)

    def change(headers):
        sign = chunk_signer(headers)
        out = b""
        for p in pieces:
            out += b"%x;chunk-signature=%s\r\n%s\r\n" % (len(p), sign(p), p)
        if damage:
            out = out.replace(pieces[1][:100], bytes(100))
        sent[:] = out
    r = both.raw("PUT", f"/bkt/{name}", {
        "X-Amz-Content-SHA256": payload, "Content-Encoding": "aws-chunked",
        "Content-Length": str(length), "x-amz-decoded-content-length": "70333"},
        sent, payload=payload, change=change)
    if damage:
        check(r, 403, "SignatureDoesNotMatch")
        return
    assert r.status == 200, r.body
    assert both.client().get_object(Bucket="bkt", Key=name)["Body"].read() == b"".join(pieces)


def test_changed_credentials(start):
    server = start()
    assert server.raw("GET", "/bkt/k").status == 404
    server.admin("POST", "credentials", b"new\nother\n")
    check(server.raw("GET", "/bkt/k"), 403, "InvalidAccessKeyId")
    check(server.raw("GET", "/bkt/k", access="new"), 403, "SignatureDoesNotMatch")
    new = {"access": "new", "secret": "other"}
    assert server.raw("GET", "/bkt/k", **new).status == 404
    server.admin("POST", "credentials", b"new\nother\ntoken-1")
    check(server.raw("GET", "/bkt/k", **new), 400, "InvalidToken")
    token = {"X-Amz-Security-Token": "token-1"}
    assert server.raw("GET", "/bkt/k", token, **new).status == 404
    server.admin("POST", "credentials", b"new\nother\ntoken-1", expired=1)
    check(server.raw("GET", "/bkt/k", token, **new), 400, "ExpiredToken")


def test_expected_bucket_owner(s3d):
    check(s3d.raw("GET", "/bkt/absent", {"x-amz-expected-bucket-owner": "111111111111"}), 403,
          "AccessDenied")
    check(s3d.raw("GET", "/bkt/absent", {"x-amz-expected-bucket-owner": "123456789012"}), 404,
          "NoSuchKey")


def test_anonymous(start):
    server = start("--anonymous")
    assert server.raw("PUT", "/bkt/k", body=b"1", signed=False).status == 200
    assert server.raw("GET", "/bkt/k", signed=False).body == b"1"
