# SPDX-License-Identifier: Apache-2.0
"""Rows of docs/SEMANTICS.md about freshness: what is remembered, for how long, what clears it."""

import errno
import os
import threading
import time

import pytest

from check import MIB, fails_with, opened
from mountlib import SLOW, run, wait_for

LIST, HEAD, GET = "ListObjectsV2", "HeadObject", "GetObject"


def asked(n):
    return n[LIST] + n[HEAD]


# a name that comes


@pytest.mark.parametrize("ttl", ["minimal", "1"])
def test_probed_name_appears_within_the_negative_ttl(mount, bucket, ttl):
    """Asking for it again and again must not keep it missing, its parents included."""
    m = mount("--metadata-ttl", "60", "--negative-metadata-ttl", ttl)
    path = m.path / "a/b/c/f"
    stop, seen = threading.Event(), []

    def probe():
        while not stop.is_set():
            if os.path.exists(path):
                seen.append(time.monotonic())
                return
            stop.wait(0.05)

    t = threading.Thread(target=probe)
    t.start()
    time.sleep(1.5)
    bucket.put("a/b/c/f", b"1")
    there = time.monotonic()
    t.join(10 * SLOW)
    stop.set()
    t.join()
    assert seen, "never seen"
    # Each of the four names may have been asked just before: one TTL each at worst.
    limit = 0.1 if ttl == "minimal" else 1.1
    assert seen[0] - there < limit * SLOW + 0.3, seen[0] - there
    assert path.read_bytes() == b"1"


@pytest.mark.s3d_only
def test_missing_name_costs_one_question_within_the_negative_ttl(mount, bucket, server):
    m = mount("--metadata-ttl", "60", "--negative-metadata-ttl", "60")
    assert not os.path.exists(m.path / "f")
    with server.counting() as n:
        for _ in range(20):
            assert not os.path.exists(m.path / "f")
    assert asked(n) == 0, n


@pytest.mark.s3d_only
def test_missing_name_is_asked_anew_without_a_negative_ttl(mount, bucket, server):
    m = mount("--metadata-ttl", "60", "--negative-metadata-ttl", "minimal")
    assert not os.path.exists(m.path / "f")
    bucket.put("f", b"1")
    assert os.path.exists(m.path / "f")


@pytest.mark.parametrize("ttl", ["60", "indefinite"])
def test_own_create_clears_the_negative_entry(mount, bucket, ttl):
    m = mount("--metadata-ttl", "1", "--negative-metadata-ttl", ttl, "--allow-delete")
    assert not os.path.exists(m.path / "f") and not os.path.exists(m.path / "d")
    (m.path / "f").write_bytes(b"1")
    (m.path / "d").mkdir()
    (m.path / "d/x").write_bytes(b"2")
    time.sleep(1.2)     # the positive entries are over
    assert os.path.exists(m.path / "f") and (m.path / "d/x").read_bytes() == b"2"


@pytest.mark.parametrize("ttl", ["60", "indefinite"])
def test_listing_clears_the_negative_entry(mount, bucket, ttl):
    m = mount("--metadata-ttl", "1", "--negative-metadata-ttl", ttl)
    assert not os.path.exists(m.path / "f")
    bucket.put("f", b"1")
    assert os.listdir(m.path) == ["f"]
    assert (m.path / "f").read_bytes() == b"1"


@pytest.mark.s3d_only
@pytest.mark.parametrize("code,s3code,expected", [
    (403, "AccessDenied", errno.EACCES), (400, "InvalidRequest", errno.EIO),
    (501, "NotImplemented", errno.EIO)])
def test_trouble_is_neither_enoent_nor_remembered(mount, bucket, server, code, s3code, expected):
    m = mount("--metadata-ttl", "60", "--negative-metadata-ttl", "indefinite")
    bucket.put("f", b"1")
    for op in (HEAD, LIST):
        server.fault("status", op=op, code=code, s3code=s3code)
    with fails_with(expected):
        os.stat(m.path / "f")
    with fails_with(expected):
        os.open(m.path / "f", os.O_RDONLY)
    with fails_with(expected):
        os.listdir(m.path)
    server.clear_faults()
    assert os.stat(m.path / "f").st_size == 1


@pytest.mark.s3d_only
def test_refused_get_delete_and_put_are_eacces(mnt, bucket, server):
    bucket.put("f", b"1" * 1000)
    os.stat(mnt / "f")
    server.fault("status", op=GET, code=403, s3code="AccessDenied")
    server.fault("status", op="DeleteObject", code=403, s3code="AccessDenied")
    server.fault("status", op="PutObject", code=403, s3code="AccessDenied")
    with fails_with(errno.EACCES):
        (mnt / "f").read_bytes()
    with fails_with(errno.EACCES):
        os.unlink(mnt / "f")
    with fails_with(errno.EACCES, errno.EIO):
        (mnt / "new").write_bytes(b"1")
    server.clear_faults()
    assert (mnt / "f").read_bytes() == b"1" * 1000 and not os.path.exists(mnt / "new")


# one question however many ask


@pytest.mark.s3d_only
def test_one_question_in_flight_per_name(mnt, bucket, server):
    bucket.put("f", b"1")
    server.set(ttfb_ms=300)
    with server.counting() as n:
        threads = [threading.Thread(target=lambda: os.path.exists(mnt / "f")) for _ in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    server.set(ttfb_ms=0)
    assert (n[HEAD], n[LIST]) == (0, 1), n


# what another client changes


@pytest.mark.parametrize("ttl", ["minimal", "1"])
def test_overwrite_by_another_client_is_seen_within_the_ttl(mount, bucket, ttl):
    m = mount("--metadata-ttl", ttl)
    bucket.put("f", b"old")
    assert os.stat(m.path / "f").st_size == 3 and (m.path / "f").read_bytes() == b"old"
    bucket.put("f", b"newer")
    wait_for(lambda: os.stat(m.path / "f").st_size == 5, 1.5, "the new size")
    assert (m.path / "f").read_bytes() == b"newer"


def test_long_ttl_keeps_the_old_size_and_never_mixes(mount, bucket):
    m = mount("--metadata-ttl", "60")
    bucket.put("f", b"o" * MIB)
    assert os.stat(m.path / "f").st_size == MIB
    bucket.put("f", b"n" * (2 * MIB))
    assert os.stat(m.path / "f").st_size == MIB
    try:
        data = (m.path / "f").read_bytes()
    except OSError as e:
        assert e.errno == errno.ESTALE
    else:
        assert data in (b"o" * MIB, b"n" * (2 * MIB))
    # once the trouble was met, the new version is there
    assert (m.path / "f").read_bytes() == b"n" * (2 * MIB)


def test_o_direct_revalidates_within_a_long_ttl(mount, bucket):
    m = mount("--metadata-ttl", "indefinite")
    bucket.put("f", b"o" * 4096)
    assert (m.path / "f").read_bytes() == b"o" * 4096
    bucket.put("f", b"n" * 8192)
    import mmap
    buf = mmap.mmap(-1, 16384)
    with opened(m.path / "f", os.O_RDONLY | os.O_DIRECT) as fd:
        assert os.preadv(fd, [buf], 0) == 8192
    assert buf[:8192] == b"n" * 8192
    assert os.stat(m.path / "f").st_size == 8192


def test_deleted_by_another_client_goes_within_the_ttl(mount, bucket):
    m = mount("--metadata-ttl", "1")
    bucket.put("d/f", b"1")
    assert os.path.exists(m.path / "d/f")
    bucket.delete("d/f")
    wait_for(lambda: not os.path.exists(m.path / "d/f"), 2, "the file is gone")
    wait_for(lambda: not os.path.exists(m.path / "d"), 2, "the directory is gone")


@pytest.mark.parametrize("ttl", ["minimal", "60", "indefinite"])
def test_own_writes_are_visible_at_once(mount, bucket, ttl):
    m = mount("--metadata-ttl", ttl, "--allow-overwrite", "--allow-delete")
    assert os.listdir(m.path) == []
    for size in (10, 100, 1000):
        (m.path / "f").write_bytes(bytes(size))
        assert os.stat(m.path / "f").st_size == size and os.listdir(m.path) == ["f"]
        assert (m.path / "f").read_bytes() == bytes(size)
    os.unlink(m.path / "f")
    assert not os.path.exists(m.path / "f") and os.listdir(m.path) == []


# --immutable


@pytest.mark.s3d_only
def test_immutable_second_pass_asks_nothing(mount, bucket, server):
    bucket.put_many((f"d{i % 5}/f{i:03d}", b"%d" % i * 100) for i in range(100))
    m = mount("--immutable")

    def epoch():
        total = 0
        for base, _, names in os.walk(m.path):
            for name in names:
                with open(os.path.join(base, name), "rb") as f:
                    total += len(f.read())
        return total

    first = epoch()
    time.sleep(1.5)     # longer than any default TTL
    with server.counting() as n:
        assert epoch() == first
    # Directories are listed anew; nothing else is asked, bytes come from the page cache.
    assert n[HEAD] == 0 and n[GET] == 0 and n[LIST] <= 6, n


def test_immutable_is_read_only(mount, bucket):
    bucket.put("f", b"1")
    m = mount("--immutable")
    with fails_with(errno.EROFS):
        os.open(m.path / "new", os.O_WRONLY | os.O_CREAT)
    with fails_with(errno.EROFS):
        os.unlink(m.path / "f")
