# SPDX-License-Identifier: Apache-2.0
"""An open of a name that nobody knows, from a server that is far: one round trip."""

import os
import threading
import time

import pytest

from check import KIB, MIB, blob, opened
from mountlib import wait_for

pytestmark = pytest.mark.s3d_only
LIST, GET, HEAD = "ListObjectsV2", "GetObject", "HeadObject"
FAR = 0.2
SIZES = [300 * KIB + 17, 200 * KIB, 1, 3 * MIB + 1, 0]


@pytest.fixture
def far(mount, bucket, server):
    """The mount's root, open, of whose distance the mount knows, and where files were read."""
    bucket.put("first", b"1")
    server.set(ttfb_ms=int(1000 * FAR))
    m = mount()
    assert (m.path / "first").read_bytes() == b"1"
    with opened(m.path, os.O_RDONLY | os.O_DIRECTORY) as root:
        yield root


def read_new(root, name, size=-1):
    fd = os.open(name, os.O_RDONLY, dir_fd=root)
    with os.fdopen(fd, "rb", buffering=0) as f:
        return f.readall() if size < 0 else f.read(size)


def apart():
    time.sleep(1.1)  # lookups that come thick are answered by a listing


def test_a_new_name_takes_one_round_trip(far, bucket, server):
    bucket.put_many((f"f{i}", blob(size, i)) for i, size in enumerate(SIZES))
    for i, size in enumerate(SIZES):
        apart()
        with server.counting() as n:
            start = time.monotonic()
            head = read_new(far, f"f{i}", 4 * KIB)
            took = time.monotonic() - start
        assert head == blob(size, i)[:4 * KIB]
        # of an empty object there are no first bytes, and the open has to ask itself
        trips = 1 if size else 2
        assert took < (trips + 0.6) * FAR, (size, took)
        assert (n[GET], n[LIST], n[HEAD]) == (trips, 1, 0), (size, n)
        assert read_new(far, f"f{i}") == blob(size, i)


def test_bytes_are_of_the_version_that_the_lookup_found(far, bucket, server):
    """The object is replaced after its first bytes were sent, and before it is listed."""
    bucket.put("f", blob(100 * KIB, 1))
    apart()
    got = []
    server.fault("status", op=LIST, code=503, s3code="SlowDown", count=2)
    with server.counting() as n:
        asked = server.counts()[GET]
        reader = threading.Thread(target=lambda: got.append(read_new(far, "f")))
        reader.start()
        wait_for(lambda: server.counts()[GET] > asked, 5, "the GET")
        bucket.put("f", blob(100 * KIB, 2))
        reader.join()
    assert n[LIST] == 3 and n[GET] == 2, n
    assert got[0] == blob(100 * KIB, 2)


def test_only_an_open_asks_for_bytes(far, bucket, server):
    bucket.put_many((f"f{i}", b"1") for i in range(3))
    apart()
    with server.counting() as n:
        os.stat("f0", dir_fd=far)
        os.close(os.open("f1", os.O_PATH, dir_fd=far))
        with pytest.raises(NotADirectoryError):
            os.open("f2", os.O_RDONLY | os.O_DIRECTORY, dir_fd=far)
    assert n[GET] == 0, n


def test_a_directory_is_found_before_the_file_of_its_name(far, bucket, server):
    bucket.put("x", b"the file")
    bucket.put("x/y", b"1")
    apart()
    fd = os.open("x", os.O_RDONLY, dir_fd=far)
    assert os.listdir(fd) == ["y"]
    os.close(fd)


def test_where_the_bytes_are_refused_the_open_asks_itself(far, bucket, server):
    bucket.put("f", b"bytes")
    server.fault("status", op=GET, code=503, s3code="SlowDown", count=1)
    apart()
    with server.counting() as n:
        assert read_new(far, "f") == b"bytes"
    assert n[GET] == 2, n


def test_names_that_are_missing_are_not_asked_for_bytes_for_long(far, bucket, server):
    with server.counting() as n:
        for i in range(12):
            with pytest.raises(FileNotFoundError):
                os.open(f"none{i}", os.O_RDONLY, dir_fd=far)
    assert n[GET] == 2, n


def test_a_file_that_is_cached_is_asked_for_one_byte(far, bucket, server):
    bucket.put("f", blob(200 * KIB, 1))
    apart()
    assert read_new(far, "f") == blob(200 * KIB, 1)
    apart()
    before = server.bytes_out()
    start = time.monotonic()
    assert read_new(far, "f") == blob(200 * KIB, 1)
    assert time.monotonic() - start < 1.6 * FAR
    assert server.bytes_out() - before < 10 * KIB


def test_a_server_that_is_near_is_asked_for_the_name_alone(mount, bucket, server):
    bucket.put_many((f"f{i}", b"1") for i in range(2))
    m = mount()
    with opened(m.path, os.O_RDONLY | os.O_DIRECTORY) as root:
        assert read_new(root, "f0") == b"1"
        apart()
        with server.counting() as n:
            with pytest.raises(FileNotFoundError):
                os.open("none", os.O_RDONLY, dir_fd=root)
    assert n[GET] == 0, n
