# SPDX-License-Identifier: Apache-2.0
"""Start and talk to an S3 server: s3d, or MinIO for comparison."""

import base64
import datetime
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.parse
import zlib

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import pytest

ACCESS, SECRET, REGION = "testaccess", "testsecret123", "us-east-1"
ROOT = pathlib.Path(__file__).resolve().parents[2]
MIB = 1 << 20


def s3d_binary():
    return os.environ.get("S3D", str(ROOT / "build/tests/s3d/s3d"))


def minio_binary():
    return os.environ.get("S3D_TEST_MINIO")


def is_minio(server):
    return "minio" in server.process.args[0]


def quote(key):
    return urllib.parse.quote(key, safe="/-_.~")


class Reply:
    def __init__(self, resp, body):
        self.status = resp.status
        self.headers = {k.lower(): v for k, v in resp.getheaders()}
        self.body = body

    def code(self):
        text = self.body.decode()
        return text.split("<Code>")[1].split("</Code>")[0] if "<Code>" in text else None


class Server:
    """A running server; `port` is on 127.0.0.1."""

    def __init__(self, argv, port, env=None, ready=None):
        self.port = port
        self.process = subprocess.Popen(
            argv, env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE if ready is None else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if ready else None)
        if ready is None:
            line = self.process.stdout.readline().decode()
            assert "ready" in line, line
            self.port = int(line.rsplit(":", 1)[1])
            return
        try:
            ready(self)
        except BaseException:
            self.stop(None)
            raise

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def client(self, **config):
        config.setdefault("retries", {"max_attempts": 1, "mode": "standard"})
        return boto3.client(
            "s3", endpoint_url=self.url(), region_name=REGION, aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            config=botocore.config.Config(s3={"addressing_style": "path"}, **config))

    def stop(self, expect=0):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        if expect is not None:
            assert status == expect

    def raw(self, method, path, headers=None, body=b"", access=ACCESS, secret=SECRET,
            region=REGION, signed=True, when=None, payload=None, change=None, timeout=10):
        """One request; `change` edits the signed headers before they are sent."""
        headers = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
        request = botocore.awsrequest.AWSRequest(
            method, self.url() + path, headers=headers, data=body)
        if signed:
            sign(request, access, secret, region, when, payload)
        send = {k: v for k, v in request.headers.items()}
        if change:
            change(send)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body if body else None, send)
            response = connection.getresponse()
            return Reply(response, response.read())
        finally:
            connection.close()

    # The control side of s3d.

    def admin(self, method, command, body=None, headers=None, **params):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        query = urllib.parse.urlencode(params)
        connection.request(method, f"/_s3d/{command}?{query}", body, headers or {})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        assert response.status == 200, data
        return data

    def counters(self):
        return json.loads(self.admin("GET", "counters"))

    def log(self):
        return [json.loads(line) for line in self.admin("GET", "log").splitlines()]

    def fault(self, **rule):
        return json.loads(self.admin("POST", "fault", **rule))["id"]

    def wait_for(self, condition, seconds=10):
        """Poll, for what the server does after the answer has left."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "condition did not come true"
            time.sleep(0.005)


def sign(request, access, secret, region, when, payload):
    signer = botocore.auth.S3SigV4Auth(
        botocore.credentials.Credentials(access, secret), "s3", region)
    if payload is not None:
        signer.payload = lambda request: payload
    if when is None:
        signer.add_auth(request)
        return
    stamp = when.strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    if "X-Amz-Content-SHA256" not in request.headers:
        request.headers["X-Amz-Content-SHA256"] = signer.payload(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def start_s3d(*args, buckets=("bkt",)):
    argv = [s3d_binary(), "--region", REGION]
    for bucket in buckets:
        argv += ["--bucket", bucket]
    return Server(argv + list(args), 0,
                  env={"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET})


def start_minio(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def ready(server):
        def up():
            try:
                return server.raw("GET", "/minio/health/live", signed=False).status == 200
            except OSError:
                return False
        server.wait_for(up, 60)
        server.client().create_bucket(Bucket="bkt")

    return Server([minio_binary(), "server", str(folder), "--address", f"127.0.0.1:{port}"],
                    port, env={"MINIO_ROOT_USER": ACCESS, "MINIO_ROOT_PASSWORD": SECRET,
                               "MINIO_UPDATE": "off", "MINIO_BROWSER": "off"}, ready=ready)


def error(call, **args):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**args)
    meta = caught.value.response
    return meta["ResponseMetadata"]["HTTPStatusCode"], meta["Error"]["Code"]


def put(server, key, body=b"", **args):
    return server.client().put_object(Bucket="bkt", Key=key, Body=body, **args)


# What most fault tests read.
BODY = bytes(range(256)) * 400


def get(server, key, headers=None, **args):
    return server.raw("GET", f"/bkt/{key}", headers, **args)


def crc32_text(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
