# SPDX-License-Identifier: Apache-2.0
"""Rows of docs/SEMANTICS.md about directories: streams, huge ones, odd keys."""

import ctypes
import errno
import os
import struct
import time

import pytest

from check import fails_with, opened
from mountlib import run, wait_for
from test_dirs import Stream, fill, libc

LIST, HEAD, GET = "ListObjectsV2", "HeadObject", "GetObject"
MIB = 1 << 20


@pytest.mark.s3d_only
@pytest.mark.once
@pytest.mark.limit(120)
@pytest.mark.long
def test_hundred_thousand_entries_are_a_hundred_lists(mount, bucket, server):
    server.generate(bucket, "d/f", 100000)
    m = mount("--metadata-ttl", "60")
    os.stat(m.path / "d")
    with server.counting() as n:
        out = run("ls", "-l", m.path / "d", check=True, timeout=100).stdout
    assert out.count("\n") == 100001
    assert (n[LIST], n[HEAD], n[GET]) == (100, 0, 0), n
    with server.counting() as n:
        run("ls", "-l", m.path / "d", check=True, timeout=100)
    # The names are listed again, as readdir always is; attributes cost nothing.
    assert n[HEAD] == 0 and n[LIST] <= 100, n


@pytest.mark.s3d_only
@pytest.mark.once
@pytest.mark.long
@pytest.mark.limit(240)
def test_million_entries_in_bounded_memory(mount, bucket, server):
    server.generate(bucket, "d/f", 1000000)
    m = mount()
    most, count = 0, 0
    with os.scandir(m.path / "d") as it:
        for _ in it:
            count += 1
            if count % 10000 == 0:
                most = max(most, m.rss())
    assert count == 1000000
    print(f"most RSS {most / MIB:.0f} MiB")
    assert most < 100 * MIB, most / MIB


def raw_names(fd):
    """What getdents64 gives from the descriptor's place on, in small pieces."""
    buf, names = ctypes.create_string_buffer(2048), []
    while (n := libc.syscall(217 if os.uname().machine == "x86_64" else 61, fd, buf, 2048)) > 0:
        at = 0
        while at < n:
            length = struct.unpack_from("H", buf.raw, at + 16)[0]
            name = buf.raw[at + 19:at + length].split(b"\0")[0].decode()
            names += [name] if name not in (".", "..") else []
            at += length
    assert n == 0
    return names


@pytest.mark.limit(60)
def test_two_readers_on_one_descriptor(mnt, bucket):
    """Processes that share a descriptor share its place: each name goes to one of them."""
    names = fill(bucket, 600)
    with opened(mnt / "d", os.O_RDONLY | os.O_DIRECTORY) as fd:
        pids, ends = [], []
        for _ in range(2):
            r, w = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    os.write(w, "\n".join(raw_names(fd)).encode() or b"-")
                finally:
                    os._exit(0)
            os.close(w)
            pids.append(pid)
            ends.append(r)
        out = []
        for r in ends:
            data = b""
            while chunk := os.read(r, 1 << 16):
                data += chunk
            os.close(r)
            out.append([n for n in data.decode().split("\n") if n != "-"])
        for pid in pids:
            os.waitpid(pid, 0)
    for got in out:
        assert set(got) <= set(names) and len(got) == len(set(got))
    assert sorted(out[0] + out[1]) == names


@pytest.mark.limit(60)
def test_seekdir_by_another_stream_while_a_writer_adds(mnt, bucket):
    """Places told before stay good while names come: nothing old is lost or doubled."""
    names = fill(bucket, 1300)
    with Stream(mnt / "d") as s:
        first = [s.read()[0] for _ in range(700)]
        place = s.tell()
        rest = s.names()
        (mnt / "d/f00000-new").write_bytes(b"1")
        bucket.put("d/f01000-new", b"1")
        s.seek(place)
        again = s.names()
    assert (first + rest)[2:] == names
    assert [n for n in again if not n.endswith("-new")] == rest


def test_rewind_in_the_middle(mnt, bucket):
    names = fill(bucket, 50)
    with Stream(mnt / "d") as s:
        for _ in range(20):
            s.read()
        s.rewind()
        assert s.names()[2:] == names


def test_opendir_of_a_missing_directory(mnt, bucket):
    bucket.put("f", b"1")
    with fails_with(errno.ENOENT):
        os.listdir(mnt / "nothing")
    with fails_with(errno.ENOTDIR):
        os.listdir(mnt / "f")


@pytest.mark.s3d_only
def test_listing_that_fails_is_an_error_and_can_be_repeated(mnt, bucket, server):
    bucket.put("d/f", b"1")
    os.stat(mnt / "d")
    server.fault("status", op=LIST, code=400, s3code="InvalidRequest")
    with fails_with(errno.EIO):
        os.listdir(mnt / "d")
    server.clear_faults()
    assert os.listdir(mnt / "d") == ["f"]


# directories made here


def test_rmdir_with_local_children(mnt):
    os.makedirs(mnt / "a/b")
    with fails_with(errno.ENOTEMPTY):
        os.rmdir(mnt / "a")
    with open(mnt / "a/b/f", "wb", buffering=0) as f:
        f.write(b"1")
        with fails_with(errno.ENOTEMPTY):
            os.rmdir(mnt / "a/b")


@pytest.mark.parametrize("delete", [False, True], ids=["kept", "allow-delete"])
def test_rmdir_of_a_marker(mount, bucket, delete):
    bucket.put("d/", b"")
    m = mount(*(["--allow-delete"] if delete else []))
    if delete:
        os.rmdir(m.path / "d")
        assert bucket.keys() == [] and not os.path.exists(m.path / "d")
    else:
        with fails_with(errno.EPERM):
            os.rmdir(m.path / "d")
        assert bucket.keys() == ["d/"]


def test_nested_local_directories_turn_remote_by_one_upload(mount, bucket):
    m = mount("--allow-delete")
    os.makedirs(m.path / "a/b/c")
    inodes = [os.stat(m.path / p).st_ino for p in ("a", "a/b", "a/b/c")]
    (m.path / "a/b/c/f").write_bytes(b"1")
    assert bucket.keys() == ["a/b/c/f"]
    other = mount()
    assert (other.path / "a/b/c/f").read_bytes() == b"1"
    assert [os.stat(m.path / p).st_ino for p in ("a", "a/b", "a/b/c")] == inodes
    with fails_with(errno.EPERM):
        os.rmdir(m.path / "a/b/c")


def test_emptied_directory_stays_until_rmdir(mount, bucket):
    bucket.put("d/e/f", b"1")
    m = mount("--allow-delete")
    os.unlink(m.path / "d/e/f")
    time.sleep(1.3)     # longer than its TTL
    assert os.path.isdir(m.path / "d/e") and os.listdir(m.path / "d/e") == []
    (m.path / "d/e/g").write_bytes(b"2")
    os.unlink(m.path / "d/e/g")
    os.rmdir(m.path / "d/e")
    os.rmdir(m.path / "d")
    assert not os.path.exists(m.path / "d") and bucket.keys() == []


def test_local_directory_and_remote_keys_become_one(mnt, bucket):
    (mnt / "d").mkdir()
    ino = os.stat(mnt / "d").st_ino
    bucket.put("d/f", b"1")
    assert wait_for(lambda: os.listdir(mnt / "d") == ["f"], 5, "the new file is listed")
    assert os.stat(mnt / "d").st_ino == ino


def test_directory_of_another_client_beats_a_file_being_written(mnt, bucket):
    fd = os.open(mnt / "a", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"local")
    bucket.put("a/x", b"1")
    assert wait_for(lambda: os.path.isdir(mnt / "a"), 5, "the directory is seen")
    assert (mnt / "a/x").read_bytes() == b"1"
    os.close(fd)


@pytest.mark.s3d_only      # MinIO does not list what is below an object
def test_object_in_use_becomes_a_directory(mnt, bucket):
    bucket.put("a", b"1")
    assert (mnt / "a").read_bytes() == b"1"
    bucket.put("a/x", b"2")
    wait_for(lambda: os.path.isdir(mnt / "a"), 2, "the directory is seen")
    assert os.listdir(mnt / "a") == ["x"]


# key zoo

KEEP = ["plain", "with space", " lead", "trail ", "tab\there", "new\nline", "quote'", 'dq"', "back\\",
        "star*", "q?", "hash#", "pct%25", "plus+", "amp&", "semi;", "eq=", "at@", "dollar$", "tilde~",
        "-dash", ".hidden", "..two", "...", "a..", "a.", "bell\x07", "esc\x1b[31m", "del\x7f",
        "umlaut-\u00e4", "nfd-a\u0308", "\u65e5\u672c", "\U0001f642", "rtl-\u202e", "zwj-\u200d",
        "bom-\ufeff", "nbsp-\u00a0", "b" * 255, "\u00e9" * 127, "comma,", "colon:", "pipe|", "<lt",
        ">gt", "{", "}", "[", "]", "^", "`", "(", ")", "!", "con", "NUL", "AUX.txt", "index.html~",
        ".git", "lost+found", "sub/leaf", "sub/deep/er/leaf", "mark/", "big-mark/", "\ue000private",
        "\uffff", "\U0010ffff", "c" * 256, "\u00e9" * 128, "k" * 1023, "C:\\x", "%00", "%2e%2e%2f", "http:", "a b/c d", "'; rm -rf"]
HIDDEN = ["", ".", "..", "a//b", "/", "/lead", "//two", "./x", "../up", "x/./y", "x/../../etc",
          "x/..", "x//", "dd/..//", "trail/.", "p/q/../r", "e/.", "e/..", "p//", "n/" * 300 + "leaf", "dots/../x",
          "../../../../tmp/evil", "/etc/passwd"]
PARENTS = {"a", "x", "dd", "trail", "p", "e", "n", "dots"}


@pytest.mark.s3d_only
@pytest.mark.limit(60)
def test_key_zoo(mounted, bucket):
    """About a hundred nasty keys: the listing is the documented set, nothing escapes."""
    keys = sorted({k for k in KEEP + HIDDEN if k})
    assert len(keys) >= 95
    for key in keys:
        bucket.put(key, b"" if key.endswith("/") else b"zoo")
    mnt = mounted.path
    wanted = {k.split("/")[0] for k in KEEP} | PARENTS
    names = os.listdir(mnt)
    assert len(names) == len(set(names)) and set(names) == wanted
    assert os.listdir(mnt / "x") == [] and os.listdir(mnt / "p") in (["q"], [])
    assert os.listdir(mnt / "a") == [] and os.listdir(mnt / "e") == []
    for key in KEEP:
        path = os.path.join(mnt, key)
        assert os.path.isdir(path) if key.endswith("/") else open(path, "rb").read() == b"zoo"
    depth = 0
    for base, _, _ in os.walk(mnt):
        assert os.path.realpath(base).startswith(str(mnt))
        depth = max(depth, base.count("/") - str(mnt).count("/"))
    assert depth == 300
    for _ in range(3):
        os.listdir(mnt)
    # once for each directory that has such keys
    assert mounted.log().count("not valid file names") <= 9
    assert "\x1b[31m" not in mounted.log() and "\x07" not in mounted.log()


def test_key_of_the_greatest_length(mnt, bucket):
    parts = ["d" * 200] * 5
    key = "/".join(parts) + "/" + "f" * (1024 - 5 * 201)
    assert len(key) == 1024
    bucket.put(key, b"long")
    path = os.path.join(mnt, key)
    assert open(path, "rb").read() == b"long"
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    with fails_with(errno.ENAMETOOLONG):
        os.open(path + "f", os.O_WRONLY | os.O_CREAT)


@pytest.mark.s3d_only
def test_unordered_listing_shows_each_name_once(mount, bucket, server):
    server.tell("quirk", name="list-unordered", on=1)
    try:
        for i in range(30):
            bucket.put(f"f{i:02d}", b"")
            bucket.put(f"d{i:02d}/x", b"")
        m = mount()
        (m.path / "local").mkdir()
        names = os.listdir(m.path)
        assert len(names) == len(set(names)) == 61 and "local" in names
        assert os.path.isdir(m.path / "d07") and (m.path / "f07").read_bytes() == b""
    finally:
        server.tell("quirk", name="list-unordered", on=0)


def test_emptied_directory_that_another_client_fills_is_not_removed(mount, bucket):
    """What was known of it may be a TTL old: rmdir asks."""
    bucket.put("d/f", b"1")
    m = mount("--allow-delete", "--metadata-ttl", "3")
    os.unlink(m.path / "d/f")
    time.sleep(3.2)     # longer than its TTL: the server says that it is not there
    assert os.path.isdir(m.path / "d")
    bucket.put("d/g", b"2")
    with fails_with(errno.EPERM):
        os.rmdir(m.path / "d")
    assert os.listdir(m.path / "d") == ["g"] and bucket.keys() == ["d/g"]


@pytest.mark.parametrize("listed", [False, True])
def test_local_directory_that_another_client_fills_is_not_removed(mnt, bucket, listed):
    os.mkdir(mnt / "d")
    bucket.put("d/f", b"1")
    if listed:
        assert os.listdir(mnt / "d") == ["f"]
    with fails_with(errno.EPERM):
        os.rmdir(mnt / "d")
    assert os.listdir(mnt) == ["d"] and os.listdir(mnt / "d") == ["f"]


def test_emptied_directory_is_listed_and_holds_its_parent(mount):
    """Without anybody having looked at it since."""
    m = mount("--allow-delete")
    os.makedirs(m.path / "q/a")
    (m.path / "q/a/b").write_bytes(b"1")
    os.unlink(m.path / "q/a/b")
    assert os.listdir(m.path / "q") == ["a"]
    with fails_with(errno.ENOTEMPTY):
        os.rmdir(m.path / "q")
    os.rmdir(m.path / "q/a")
    assert os.listdir(m.path / "q") == []
    os.rmdir(m.path / "q")
