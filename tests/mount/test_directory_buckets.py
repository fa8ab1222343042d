# SPDX-License-Identifier: Apache-2.0
"""Directory buckets: rename, and listings without order. Appending: test_append.py."""

import errno
import os
import threading
import time

import pytest

from check import MIB, blob, fails_with, opened, write_all
from mountlib import run, wait_for
from test_dirs import DT_DIR, Stream
from test_errno import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2

pytestmark = pytest.mark.s3d_only
CHANGES = ("PutObject", "CopyObject", "DeleteObject", "RenameObject", "UploadPart")


@pytest.fixture
def bucket(directory_bucket):
    directory_bucket.put("f", b"content")
    directory_bucket.put("g", b"other")
    directory_bucket.put("d/x", b"1")
    return directory_bucket


@pytest.fixture
def careful(directory_mount, bucket):
    return directory_mount().path


@pytest.fixture
def free(directory_mount, bucket):
    return directory_mount("--allow-delete", "--allow-overwrite").path


def changes(counted):
    return {op: n for op, n in counted.items() if op in CHANGES}


# rename


def test_rename_is_one_request_and_keeps_the_inode(careful, bucket, server):
    before = os.stat(careful / "f")
    with server.counting() as n:
        os.rename(careful / "f", careful / "new")
    assert changes(n) == {"RenameObject": 1}
    assert os.stat(careful / "new").st_ino == before.st_ino
    assert (careful / "new").read_bytes() == b"content"
    with fails_with(errno.ENOENT):
        os.stat(careful / "f")
    assert sorted(os.listdir(careful)) == ["d", "g", "new"]
    assert sorted(bucket.keys()) == ["d/x", "g", "new"]
    os.rename(careful / "new", careful / "a much longer name than the last one")
    assert os.stat(careful / "a much longer name than the last one").st_ino == before.st_ino
    os.rename(careful / "a much longer name than the last one", careful / "f")
    assert bucket.get("f") == b"content"


def test_rename_to_another_directory(free, bucket):
    os.rename(free / "f", free / "d/f")
    os.mkdir(free / "local")
    os.rename(free / "g", free / "local/g")
    assert sorted(bucket.keys()) == ["d/f", "d/x", "local/g"]
    assert (free / "local/g").read_bytes() == b"other"
    assert sorted(os.listdir(free / "d")) == ["f", "x"]
    # the last object has left it, and it stays on this mount until rmdir
    os.rename(free / "local/g", free / "g")
    time.sleep(1.3)     # longer than its TTL
    assert os.listdir(free / "local") == []
    os.rmdir(free / "local")
    assert sorted(os.listdir(free)) == ["d", "g"]


def test_mv_renames(careful, bucket, server):
    with server.counting() as n:
        run("mv", careful / "f", careful / "h", check=True)
    assert changes(n) == {"RenameObject": 1} and bucket.get("h") == b"content"


def test_rename_right_after_close(careful, bucket):
    """The temporary file of an editor: its upload is over when close returns."""
    for i in range(20):
        (careful / "tmp").write_bytes(b"%d" % i)
        os.rename(careful / "tmp", careful / f"n{i}")
        assert bucket.get(f"n{i}") == b"%d" % i
    (careful / "empty").touch()
    os.rename(careful / "empty", careful / "void")
    assert bucket.get("void") == b""


def test_rename_onto_what_is_there(careful, bucket, server):
    with server.counting() as n, fails_with(errno.EEXIST):
        os.rename(careful / "f", careful / "g")
    assert not changes(n)
    assert bucket.get("g") == b"other" and (careful / "f").read_bytes() == b"content"


def test_rename_replaces_with_the_option(free, bucket):
    ino = os.stat(free / "f").st_ino
    with fails_with(errno.EEXIST):
        renameat2(free / "f", free / "g", RENAME_NOREPLACE)
    os.rename(free / "f", free / "g")
    assert bucket.get("g") == b"content" and not bucket.exists("f")
    assert os.stat(free / "g").st_ino == ino and (free / "g").read_bytes() == b"content"
    assert sorted(os.listdir(free)) == ["d", "g"]


def test_rename_does_not_replace_what_another_client_made(directory_mount, bucket, server):
    """The server decides where the mount knows of nothing."""
    path = directory_mount("--metadata-ttl", "60").path
    assert (path / "f").exists() and not (path / "h").exists()
    bucket.put("h", b"theirs")
    with server.counting() as n, fails_with(errno.EEXIST):
        os.rename(path / "f", path / "h")
    assert changes(n) == {"RenameObject": 1}
    assert bucket.get("h") == b"theirs" and bucket.get("f") == b"content"
    assert (path / "h").read_bytes() == b"theirs" and (path / "f").read_bytes() == b"content"


def test_rename_takes_the_name_out_of_the_missing_ones(directory_mount, bucket):
    path = directory_mount("--metadata-ttl", "60").path
    for i in range(3):
        assert not (path / "d/y").exists()
    os.rename(path / "f", path / "d/y")
    assert (path / "d/y").read_bytes() == b"content"
    assert not (path / "f").exists()


def test_rename_flags(free):
    for flag in (RENAME_EXCHANGE, RENAME_WHITEOUT):
        with fails_with(errno.EINVAL):
            renameat2(free / "f", free / "g", flag)
    renameat2(free / "f", free / "h", RENAME_NOREPLACE)
    assert (free / "h").read_bytes() == b"content"


def test_rename_of_a_directory(free, bucket, server):
    os.mkdir(free / "local")
    with server.counting() as n:
        for name in ("d", "local"):
            with fails_with(errno.EPERM):
                os.rename(free / name, free / "e")
        with fails_with(errno.EISDIR):
            os.rename(free / "f", free / "d")
    assert not changes(n)


def test_rename_of_what_is_being_written(free, bucket, server):
    with server.counting() as n:
        with opened(free / "new", os.O_CREAT | os.O_WRONLY) as fd:
            os.write(fd, b"1")
            with fails_with(errno.EPERM):
                os.rename(free / "new", free / "h")
            with fails_with(errno.EPERM):
                os.rename(free / "f", free / "new")
        os.mknod(free / "node")
        with fails_with(errno.EPERM):
            os.rename(free / "node", free / "h")
    assert changes(n) == {"PutObject": 1}
    os.rename(free / "new", free / "h")
    assert bucket.get("h") == b"1"


def test_rename_of_nothing(directory_mount, bucket):
    path = directory_mount("--metadata-ttl", "60").path
    with fails_with(errno.ENOENT):
        os.rename(path / "none", path / "h")
    assert (path / "f").exists()
    bucket.delete("f")
    with fails_with(errno.ENOENT):
        os.rename(path / "f", path / "h")
    assert not (path / "f").exists() and not (path / "h").exists()


def test_rename_to_a_name_that_is_too_long(free, bucket):
    deep = free
    for _ in range(4):
        deep /= "n" * 250
        os.mkdir(deep)
    with fails_with(errno.ENAMETOOLONG):
        os.rename(free / "f", deep / ("n" * 250))
    assert (free / "f").read_bytes() == b"content"


def test_server_without_rename_is_asked_once(careful, bucket, server):
    server.fault("status", op="RenameObject", code=501, s3code="NotImplemented")
    with server.counting() as n:
        for _ in range(3):
            with fails_with(errno.ENOSYS):
                os.rename(careful / "f", careful / "h")
    assert n["RenameObject"] == 1
    server.clear_faults()
    with fails_with(errno.ENOSYS):
        os.rename(careful / "f", careful / "h")
    with fails_with(errno.EINVAL):
        renameat2(careful / "f", careful / "g", RENAME_EXCHANGE)
    assert (careful / "f").read_bytes() == b"content"


def test_other_trouble_with_rename_is_not_remembered(careful, bucket, server):
    server.fault("status", op="RenameObject", code=400, s3code="InvalidRequest", count=1)
    with fails_with(errno.EIO):
        os.rename(careful / "f", careful / "h")
    server.fault("status", op="RenameObject", code=403, s3code="AccessDenied", count=1)
    with fails_with(errno.EACCES):
        os.rename(careful / "f", careful / "h")
    server.fault("after-success", op="RenameObject", count=1)
    os.rename(careful / "f", careful / "h")
    assert sorted(bucket.keys()) == ["d/x", "g", "h"]
    assert (careful / "h").read_bytes() == b"content"


def test_readers_of_a_renamed_file(free, bucket):
    """What was not fetched cannot be had under the old name: an error, never other bytes."""
    data = blob(64 * MIB)
    bucket.put("big", data)
    bucket.put("big2", data[::-1])
    fd = os.open(free / "big", os.O_RDONLY)
    target = os.open(free / "big2", os.O_RDONLY)
    try:
        assert os.pread(fd, 4096, 0) == data[:4096]
        os.rename(free / "big", free / "moved")
        assert os.pread(fd, 4096, 0) == data[:4096]
        with fails_with(errno.ESTALE, errno.EIO):
            assert os.pread(fd, MIB, 50 * MIB) == data[50 * MIB:51 * MIB]
            raise OSError(errno.EIO, "was fetched before")
        os.rename(free / "moved", free / "big2")
        with fails_with(errno.ESTALE):
            assert os.pread(target, MIB, 50 * MIB) == data[::-1][50 * MIB:51 * MIB]
            raise OSError(errno.ESTALE, "was fetched before")
    finally:
        os.close(fd)
        os.close(target)
    assert (free / "big2").read_bytes() == data


def test_nobody_writes_what_is_being_renamed(free, bucket, server):
    server.fault("stall", op="RenameObject")
    ino = os.stat(free / "f").st_ino
    assert (free / "g").exists()
    mover = threading.Thread(target=os.rename, args=(free / "f", free / "g"))
    mover.start()
    try:
        wait_for(lambda: server.counts()["RenameObject"] == 1, 5, "the rename is under way")
        for name in "fg":
            with fails_with(errno.EPERM):
                os.open(free / name, os.O_WRONLY | os.O_TRUNC)
        assert mover.is_alive()
    finally:
        server.clear_faults()
        mover.join()
    assert bucket.get("g") == b"content" and os.stat(free / "g").st_ino == ino
    (free / "g").write_bytes(b"new")
    assert bucket.get("g") == b"new"


def test_renames_by_many(free, bucket):
    """Four processes move one file on and on, each name for one of them only."""
    bucket.put_many((f"n/{i}-000", b"%d" % i) for i in range(4))

    def work(i):
        for k in range(50):
            os.rename(free / f"n/{i}-{k:03}", free / f"n/{i}-{k + 1:03}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(os.listdir(free / "n")) == [f"{i}-050" for i in range(4)]
    for i in range(4):
        assert (free / f"n/{i}-050").read_bytes() == b"%d" % i


# listings


@pytest.mark.limit(60)
def test_listing_without_order_over_pages(directory_mount, bucket):
    """Each name once, what is only here at the end."""
    path = directory_mount().path
    os.makedirs(path / "l/local")
    os.mkdir(path / "l/f01500")     # hides an object: local before remote
    bucket.put_many((f"l/f{i:05}", b"") for i in range(2600))
    bucket.put_many((f"l/s{i:02}/x", b"") for i in range(30))
    with Stream(path / "l") as s:
        names = s.names()[2:]
        assert len(names) == len(set(names)) == 2631
        assert names[-1] == "local"
        assert names[:-1] != sorted(names[:-1])
        (path / "l/new").write_bytes(b"1")
        s.rewind()
        again = s.names()[2:]
        assert sorted(again) == sorted(names + ["new"])
    assert int(run("sh", "-c", f"ls -l '{path}/l' | grep -c :", check=True).stdout) == 2632
    assert os.path.isdir(path / "l/f01500") and os.path.isfile(path / "l/f01501")


@pytest.mark.once
@pytest.mark.long
@pytest.mark.limit(240)
def test_million_entries_without_order(directory_mount, directory_bucket, server):
    """More names than are remembered; still none is lost, and memory has its bound."""
    server.generate(directory_bucket, "d/f", 1000000)
    m = directory_mount()
    most, names = 0, set()
    with os.scandir(m.path / "d") as it:
        for count, entry in enumerate(it):
            names.add(entry.name)
            if count % 10000 == 0:
                most = max(most, m.rss())
    assert count + 1 == len(names) == 1000000
    print(f"most RSS {most / MIB:.0f} MiB")
    assert most < 100 * MIB, most / MIB


@pytest.mark.limit(60)
def test_file_and_directory_of_one_name_without_order(directory_mount, bucket):
    """Near each other the directory is shown; on two pages one of them."""
    bucket.put_many((f"l/a-{i:05}", b"") for i in range(2100))
    for key in ("l/a", "l/a/x", "l/b", "l/b/x"):
        bucket.put(key, b"")
    path = directory_mount().path
    with Stream(path / "l") as s:
        entries = []
        while entry := s.read():
            entries.append(entry)
    names = [e[0] for e in entries]
    assert len(names) == len(set(names)) == 2104
    assert dict((e[0], e[1]) for e in entries)["b"] == DT_DIR
    for name in ("a", "b"):
        wait_for(lambda n=name: os.path.isdir(path / "l" / n), 5, f"{name} is a directory")


@pytest.mark.limit(60)
def test_seekdir_without_order(directory_mount, bucket):
    bucket.put_many((f"l/f{i:05}", b"") for i in range(6500))
    path = directory_mount().path
    (path / "l/local").mkdir()
    with Stream(path / "l") as s:
        places, names = [s.tell()], []
        while entry := s.read():
            names.append(entry[0])
            places.append(s.tell())
        assert len(names) == len(set(names)) == 6503
        for at in (6400, 10, 0, 1001, 2, 6502, 3000):
            s.seek(places[at])
            assert s.read()[0] == names[at]
        s.seek(places[5])
        assert s.names() == names[5:]


@pytest.mark.limit(60)
def test_lookups_without_order(directory_mount, bucket, server):
    """A directory of one page answers them all; in a larger one each name is asked for."""
    bucket.put_many((f"s/f{i:03}", b"1") for i in range(300))
    bucket.put_many((f"l/f{i:04}", b"1") for i in range(1500))
    path = directory_mount().path
    with server.counting() as n:
        for i in range(300):
            assert os.stat(path / f"s/f{i:03}").st_size == 1
    assert n["HeadObject"] + n["ListObjectsV2"] < 60
    with server.counting() as n:
        for i in range(0, 1500, 5):
            assert os.stat(path / f"l/f{i:04}").st_size == 1
        with fails_with(errno.ENOENT):
            os.stat(path / "l/none")
    assert n["ListObjectsV2"] <= 301 + 3


def test_rm_rf_without_order(directory_mount, bucket):
    bucket.put_many((f"l/{i % 7}/f{i:04}", b"") for i in range(1500))
    path = directory_mount("--allow-delete").path
    run("rm", "-rf", path / "l", check=True)
    assert sorted(bucket.keys()) == ["d/x", "f", "g"]


def test_writing_and_reading_is_as_elsewhere(free, bucket):
    data = blob(20 * MIB)
    with opened(free / "d/big", os.O_CREAT | os.O_WRONLY) as fd:
        write_all(fd, data)
    assert (free / "d/big").read_bytes() == data and bucket.get("d/big") == data
    os.unlink(free / "d/big")
    assert sorted(bucket.keys()) == ["d/x", "f", "g"]
