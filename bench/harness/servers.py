# SPDX-License-Identifier: Apache-2.0
"""The S3 servers that the peers are measured on: MinIO, and s3d of the tests.

Both are started by us on a free port of the loopback, with keys of their own,
and stopped by pid. MinIO keeps its data below --work; s3d keeps them in memory.
"""

import json
import os
import pathlib
import socket
import typing
import urllib.error
import urllib.parse
import urllib.request

from . import procs
from .procs import BenchError
from .s3 import S3

BUCKET = "bench"
ACCESS_KEY = "benchuser"
SECRET_KEY = "benchsecret"
GET_MINIO = pathlib.Path(__file__).resolve().parents[2] / "tools/get-minio"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Line(typing.NamedTuple):
    """What is between server and client."""
    ms: int = 0    # before the first byte of each response
    mb_s: int = 0  # of each connection; 0: all there is

    def __str__(self):
        parts = [f"{self.ms} ms to the first byte"] if self.ms else []
        parts += [f"{self.mb_s} MB/s per connection"] if self.mb_s else []
        return ", ".join(parts)


class Server:
    """What the others need of a server; subclasses start it."""

    name = ""

    def __init__(self):
        self.child = None
        self.port = 0

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.host}"

    @property
    def keys(self):
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_REGION": "us-east-1"}

    def client(self):
        return S3(self.host, BUCKET, ACCESS_KEY, SECRET_KEY)

    def reachable(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def set_line(self, line):
        if line != Line():
            raise BenchError(f"{self.name} cannot be made slower; take s3d")

    def generate(self, prefix, count, size):
        """Create objects without sending them; False when the server cannot."""
        return False

    def reset(self):
        """Set the request counters to zero."""

    def counters(self):
        """Requests and bytes since reset(), or None when the server has no counters."""
        return None

    def stop(self):
        if self.child:
            procs.stop(self.child)


class Minio(Server):
    name = "minio"

    def __init__(self, program, work):
        super().__init__()
        self.program = program
        self.data = pathlib.Path(work) / "minio"

    def start(self):
        self.data.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        env = procs.clean_env({
            "MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY,
            "MINIO_BROWSER": "off", "MINIO_UPDATE": "off", "HOME": str(self.data.parent)})
        self.child = procs.start(
            [self.program, "server", self.data, "--address", self.host], env,
            self.data.parent / "minio.log")
        procs.wait_for("minio", self._ready, self.child)

    def _ready(self):
        """Its health page says yes some time before it takes requests."""
        if not self.reachable():
            return False
        try:
            self.client().create_bucket()
        except BenchError:
            return False
        return True

    @staticmethod
    def find(given):
        """The program given, or the pinned one, which is built when it is not there."""
        for candidate in (given, os.environ.get("MINIO")):
            if candidate and os.access(candidate, os.X_OK):
                return candidate
        path = procs.output([GET_MINIO, "--path"]).strip()
        if not os.access(path, os.X_OK):
            print("building MinIO from its source, some minutes", flush=True)
            path = procs.output([GET_MINIO], seconds=3600).strip()
        return path


class S3d(Server):
    name = "s3d"

    def __init__(self, program, work):
        super().__init__()
        self.program = program
        self.work = pathlib.Path(work)

    def start(self):
        port_file = self.work / "s3d.port"
        port_file.unlink(missing_ok=True)
        env = procs.clean_env(self.keys)
        self.child = procs.start(
            [self.program, "--memory", "--reuse", "--etag", "crc", "--listen", "127.0.0.1:0",
             "--port-file", port_file, "--bucket", BUCKET], env, self.work / "s3d.log")
        procs.wait_for("s3d", lambda: port_file.exists() and port_file.read_text().strip(),
                       self.child)
        self.port = int(port_file.read_text())

    def _admin(self, method, what, **query):
        url = f"{self.url}/_s3d/{what}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as r:
                return r.read()
        except (urllib.error.URLError, OSError) as e:
            raise BenchError(f"s3d: {what}: {e}") from e

    def set_line(self, line):
        self._admin("POST", "set", ttfb_ms=line.ms, bandwidth=line.mb_s * 1000000)

    def generate(self, prefix, count, size):
        self._admin("POST", "generate", bucket=BUCKET, prefix=prefix, count=count, size=size)
        return True

    def reset(self):
        self._admin("POST", "reset")

    def counters(self):
        """s3d counts each operation under its name; `requests` is their sum."""
        values = json.loads(self._admin("GET", "counters"))
        totals = {name: values.pop(name) for name in
                  ("connections", "bytes_in", "bytes_out", "errors")}
        used = {name: count for name, count in values.items() if count}
        return {"requests": sum(used.values()), **totals, "operations": used}

    @staticmethod
    def find(given, build):
        for candidate in (given, build / "tests/s3d/s3d"):
            if candidate and os.access(candidate, os.X_OK):
                return candidate
        raise BenchError("no s3d: build the project with tests, or give --s3d PROGRAM")


def make(kind, options):
    if kind == "minio":
        return Minio(Minio.find(options.minio), options.work)
    if kind == "s3d":
        return S3d(S3d.find(options.s3d, options.build), options.work)
    raise BenchError(f"unknown server {kind}: minio, s3d")
