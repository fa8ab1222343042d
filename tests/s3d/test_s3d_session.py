# SPDX-License-Identifier: Apache-2.0
"""Sessions of directory buckets; boto3 makes its own, by the bucket's name."""

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

import s3dlib
from s3dlib import ACCESS, REGION, SECRET, error

BUCKET = "bkt--use1-az1--x-s3"


@pytest.fixture(scope="module")
def server():
    s = s3dlib.start_s3d(buckets=(BUCKET, "bkt"))
    yield s
    s.stop()


@pytest.fixture(autouse=True)
def long_sessions(server):
    server.admin("POST", "set", session_ms=300000)
    server.admin("POST", "sessions/clear")
    server.admin("POST", "reset")


def element(reply, name):
    return reply.body.decode().split(f"<{name}>")[1].split("<")[0]


def request(server, method, path, access=ACCESS, secret=SECRET, token=None, service="s3express",
            headers=None):
    """One request, signed for `service`."""
    headers = {"Host": f"127.0.0.1:{server.port}", **(headers or {})}
    if token:
        headers["x-amz-s3session-token"] = token
    r = botocore.awsrequest.AWSRequest(method, server.url() + path, headers=headers)
    botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(access, secret), service,
                              REGION).add_auth(r)
    return server.raw(method, path, dict(r.headers.items()), signed=False)


def session(server, mode="ReadWrite"):
    r = request(server, "GET", f"/{BUCKET}?session",
                headers={"x-amz-create-session-mode": mode})
    assert r.status == 200, r.body
    return {"access": element(r, "AccessKeyId"), "secret": element(r, "SecretAccessKey"),
            "token": element(r, "SessionToken")}


def check(reply, status, code):
    assert (reply.status, reply.code()) == (status, code), reply.body


def test_boto(server, name):
    c = server.client()
    c.put_object(Bucket=BUCKET, Key=name, Body=b"data")
    c.put_object(Bucket=BUCKET, Key=name, Body=b"+more", WriteOffsetBytes=4)
    c.rename_object(Bucket=BUCKET, Key=name + "b", RenameSource=name)
    assert c.get_object(Bucket=BUCKET, Key=name + "b")["Body"].read() == b"data+more"
    assert server.counters()["CreateSession"] == 1


def test_session(server, name):
    s = session(server)
    assert request(server, "PUT", f"/{BUCKET}/{name}", headers={"Content-Length": "0"},
                   **s).status == 200
    assert request(server, "HEAD", f"/{BUCKET}/{name}", **s).status == 200


def test_refused(server):
    s = session(server)
    path = f"/{BUCKET}/x"
    check(request(server, "GET", path), 403, "AccessDenied")
    check(server.raw("GET", path), 400, "AuthorizationHeaderMalformed")
    check(request(server, "GET", path, service="s3", **s), 400, "AuthorizationHeaderMalformed")
    check(request(server, "GET", path, **{**s, "token": "other"}), 400, "InvalidToken")
    check(request(server, "GET", path, **{**s, "secret": "other"}), 403, "SignatureDoesNotMatch")
    check(request(server, "GET", path, **{**s, "access": "other"}), 400, "InvalidToken")
    check(request(server, "GET", path, **s), 404, "NoSuchKey")
    server.admin("POST", "sessions/clear")
    check(request(server, "GET", path, **s), 400, "InvalidToken")


def test_create_refused(server):
    check(server.raw("GET", f"/{BUCKET}?session"), 400, "AuthorizationHeaderMalformed")
    check(request(server, "GET", f"/{BUCKET}?session", secret="other"), 403,
          "SignatureDoesNotMatch")
    check(request(server, "GET", f"/{BUCKET}?session",
                  headers={"x-amz-create-session-mode": "Own"}), 400, "InvalidArgument")
    check(server.raw("GET", "/bkt?session"), 501, "NotImplemented")


def test_expired(server):
    server.admin("POST", "set", session_ms=1)
    s = session(server)
    server.wait_for(lambda: request(server, "GET", f"/{BUCKET}/x", **s).code() == "ExpiredToken")


def test_read_only(server, name):
    s = session(server, "ReadOnly")
    check(request(server, "PUT", f"/{BUCKET}/{name}", headers={"Content-Length": "0"}, **s), 403,
          "AccessDenied")
    check(request(server, "GET", f"/{BUCKET}/{name}", **s), 404, "NoSuchKey")


def test_other_bucket(server):
    c = server.client()
    server.admin("POST", "create", bucket="other--use1-az1--x-s3")
    s = session(server)
    check(request(server, "GET", "/other--use1-az1--x-s3/x", **s), 400, "InvalidToken")
    assert error(c.get_object, Bucket="other--use1-az1--x-s3", Key="x") == (404, "NoSuchKey")
