# SPDX-License-Identifier: Apache-2.0
"""Fixtures: `both` runs a test on s3d and, if S3D_TEST_MINIO names a binary, on MinIO."""

import uuid

import pytest

import s3dlib


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    started = {}

    def get(kind):
        if kind not in started:
            if kind == "s3d":
                started[kind] = s3dlib.start_s3d()
            elif kind == "s3d-dir":
                folder = tmp_path_factory.mktemp("dir")
                started[kind] = s3dlib.start_s3d("--dir", str(folder))
            else:
                started[kind] = s3dlib.start_minio(tmp_path_factory.mktemp("minio"))
        return started[kind]

    yield get
    for kind, server in started.items():
        server.stop(0 if kind.startswith("s3d") else None)


@pytest.fixture
def s3d(servers):
    """s3d without faults, quirks, latency or counts of an earlier test."""
    server = servers("s3d")
    server.admin("POST", "faults/clear")
    server.admin("POST", "set", ttfb_ms=0, bandwidth=0)
    server.admin("POST", "seed", n=1)
    server.admin("POST", "reset")
    yield server
    server.admin("POST", "faults/clear")


@pytest.fixture(params=["s3d", "s3d-dir"] + ["minio"] * bool(s3dlib.minio_binary()))
def both(request, servers):
    return servers(request.param)


@pytest.fixture
def name():
    """A prefix that no other test uses."""
    return uuid.uuid4().hex[:12]


@pytest.fixture
def start():
    """Start an s3d with own options; it ends with the test."""
    started = []

    def run(*args):
        started.append(s3dlib.start_s3d(*args))
        return started[-1]

    yield run
    for server in started:
        server.stop()


@pytest.fixture
def key(s3d, name):
    """A key with s3dlib.BODY."""
    s3d.admin("POST", "put", s3dlib.BODY, bucket="bkt", key=name)
    return name


@pytest.fixture
def quirk(s3d):
    used = []

    def on(quirk_name):
        s3d.admin("POST", "quirk", name=quirk_name, on=1)
        used.append(quirk_name)

    yield on
    for quirk_name in used:
        s3d.admin("POST", "quirk", name=quirk_name, on=0)
