# SPDX-License-Identifier: Apache-2.0
"""The S3 servers that the mount tests run on: s3d and MinIO.

Each is a process of ours on a free loopback port, in its own folder, ended by
pid. start() returns when the server answers.
"""

import collections
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

REPO = pathlib.Path(__file__).resolve().parents[2]
ACCESS_KEY = "testaccesskey"
SECRET_KEY = "test-secret-key-0123456789"
REGION = "us-east-1"


def aws_environment():
    """The environment with our credentials and nobody else's AWS settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    env.update(
        AWS_ACCESS_KEY_ID=ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY=SECRET_KEY,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE="/nonexistent/config",
        AWS_SHARED_CREDENTIALS_FILE="/nonexistent/credentials",
        no_proxy="127.0.0.1,localhost",
        NO_PROXY="127.0.0.1,localhost",
    )
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        env.pop(name, None)
    return env


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Missing(Exception):
    """The server's program is not there: the tests on it are skipped."""


class Server:
    name = ""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"{self.name}.log"
        self.process = None
        self.endpoint = None
        self._client = None
        self._count = 0

    # what a server gives

    def command(self):
        raise NotImplementedError

    def environment(self):
        return aws_environment()

    def find_endpoint(self):
        raise NotImplementedError

    # life

    def start(self, deadline=30):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment(), cwd=self.folder, start_new_session=True)
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            self.endpoint = self.find_endpoint()
            if self.endpoint and self.answers():
                return self
            time.sleep(0.05)
        text = self.log.read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"{self.name} did not start within {deadline} s:\n{text}")

    def answers(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(self.endpoint + "/", timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def stop(self, signum=signal.SIGTERM):
        if not self.process or self.process.poll() is not None:
            return
        self.process.send_signal(signum)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)

    # the bucket side, without the mount

    @property
    def s3(self):
        if not self._client:
            self._client = self.client()
        return self._client

    def client(self):
        import boto3
        from botocore.config import Config
        from botocore.handlers import add_expect_header

        os.environ.update({k: v for k, v in aws_environment().items()
                           if k.lower() == "no_proxy" or k.startswith("AWS_")})
        client = boto3.client(
            "s3", endpoint_url=self.endpoint, region_name=REGION,
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=60,
                          retries={"max_attempts": 2}, max_pool_connections=32))
        # With Expect: 100-continue a reused connection may take the interim answer
        # for the next one, and wait for the rest until it times out.
        client.meta.events.unregister("before-call.s3", add_expect_header)
        return client

    def new_bucket(self, hint="t"):
        self._count += 1
        name = f"{hint}-{os.getpid()}-{self._count}"
        self.s3.create_bucket(Bucket=name)
        return Bucket(self, name)


class Bucket:
    """A bucket as the tests see it from the server's side."""

    def __init__(self, server, name):
        self.server = server
        self.name = name

    @property
    def s3(self):
        return self.server.s3

    def put(self, key, data=b"", **kw):
        return self.s3.put_object(Bucket=self.name, Key=key, Body=data, **kw)

    def put_many(self, items, threads=8):
        """Put an iterable of (key, bytes) in parallel."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda kv: self.put(*kv), items))

    def get(self, key):
        return self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()

    def head(self, key):
        return self.s3.head_object(Bucket=self.name, Key=key)

    def exists(self, key):
        from botocore.exceptions import ClientError

        try:
            self.head(key)
        except ClientError as e:
            if e.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def delete(self, key):
        self.s3.delete_object(Bucket=self.name, Key=key)

    def keys(self, prefix=""):
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix)
        return [o["Key"] for p in pages for o in p.get("Contents", ())]

    def uploads(self):
        """Multipart uploads that are neither completed nor aborted."""
        answer = self.s3.list_multipart_uploads(Bucket=self.name)
        return [u["Key"] for u in answer.get("Uploads", ())]


class Minio(Server):
    name = "minio"

    def __init__(self, folder):
        super().__init__(folder)
        self.port = free_port()

    @staticmethod
    def binary():
        given = os.environ.get("MINIO_BIN")
        if given:
            return given
        path = subprocess.run([REPO / "tools" / "get-minio", "--path"], text=True, check=True,
                              stdout=subprocess.PIPE, timeout=10).stdout.strip()
        if not os.access(path, os.X_OK):
            raise Missing("MinIO is not built: run tools/get-minio")
        return path

    def command(self):
        return [self.binary(), "server", str(self.folder / "data"), "--quiet",
                "--address", f"127.0.0.1:{self.port}",
                "--console-address", f"127.0.0.1:{free_port()}"]

    def environment(self):
        env = aws_environment()
        env.update(MINIO_ROOT_USER=ACCESS_KEY, MINIO_ROOT_PASSWORD=SECRET_KEY,
                   MINIO_BROWSER="off", MINIO_UPDATE="off", MINIO_CALLHOME_ENABLE="off")
        return env

    def find_endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def answers(self):
        try:
            url = self.endpoint + "/minio/health/cluster"
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            opener.open(url, timeout=2).close()
        except OSError:
            return False
        return True


class S3d(Server):
    """The project's own server: faults, latency and counts by an admin call."""

    name = "s3d"

    def __init__(self, folder, port=0, extra=()):
        super().__init__(folder)
        self.port = port
        self.extra = list(extra)
        self.port_file = self.folder / "port"

    @staticmethod
    def binary():
        path = os.environ.get("S3D_BIN") or str(REPO / "build/tests/s3d/s3d")
        if not os.access(path, os.X_OK):
            raise Missing(f"s3d is not built: {path}")
        return path

    def command(self):
        self.port_file.unlink(missing_ok=True)
        return [self.binary(), "--memory", "--listen", f"127.0.0.1:{self.port}",
                "--port-file", str(self.port_file), *self.extra]

    def find_endpoint(self):
        try:
            port = int(self.port_file.read_text())
        except (OSError, ValueError):
            return None
        self.port = port
        return f"http://127.0.0.1:{port}"

    def ask(self, call, method="GET", data=None, **query):
        """An admin call (tests/s3d/admin.c); returns the answer's body."""
        url = f"{self.endpoint}/_s3d/{call}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(url, data=data, method=method)
        with opener.open(request, timeout=30) as answer:
            return answer.read()

    def tell(self, call, data=b"", **query):
        return self.ask(call, "POST", data, **query)

    def fault(self, kind, op=None, key=None, **more):
        """Add a fault (tests/s3d/fault.tbl): op an S3 operation, key a glob,
        rate= percent, count= how often, skip= how many pass first, arg=, code=, s3code=."""
        query = {"kind": kind, "op": op, "key": key, **more}
        self.tell("fault", **{k: v for k, v in query.items() if v is not None})

    def clear_faults(self):
        self.tell("faults/clear")

    def set(self, **values):
        """For all requests: ttfb_ms=, bandwidth= (bytes per second)."""
        self.tell("set", **values)

    def calm(self):
        """No faults, no latency, counts at zero."""
        self.clear_faults()
        self.set(ttfb_ms=0, bandwidth=0, session_ms=300000)
        self.tell("reset")

    def counts(self):
        """{S3 operation: requests since the last calm()}"""
        found = json.loads(self.ask("counters"))
        return collections.Counter({k: v for k, v in found.items() if k[0].isupper()})

    def bytes_out(self):
        return json.loads(self.ask("counters"))["bytes_out"]

    def generate(self, bucket, prefix, count, size=0):
        """Make many objects at once: PREFIX000000, PREFIX000001, ..."""
        self.tell("generate", bucket=bucket.name, prefix=prefix, count=count, size=size)

    def fired(self):
        """How many requests met a fault since the last calm()."""
        return sum(1 for r in self.requests() if r["fault"])

    def requests(self):
        """The requests since the last calm(), oldest first."""
        return [json.loads(line) for line in self.ask("log").splitlines()]

    @contextlib.contextmanager
    def counting(self):
        """The block's requests: with server.counting() as n: ...; n["GetObject"]"""
        before = self.counts()
        found = collections.Counter()
        yield found
        found.update(self.counts() - before)
