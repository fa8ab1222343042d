# SPDX-License-Identifier: Apache-2.0
"""Programs that read in their own ways, on a mount that is read-only."""

import ctypes
import errno
import http.client
import mmap
import os
import random
import sqlite3
import subprocess
import sys
import time
import zipfile

import pytest

from check import MIB, blob, fails_with, sha256
from mountlib import run, wait_for
from test_programs import make_tree, upload_tree

libc = ctypes.CDLL(None, use_errno=True)
DATA = blob(5 * MIB + 123)


@pytest.fixture
def local(folder):
    path = folder / "local"
    path.mkdir()
    return path


@pytest.fixture
def shown(mount, bucket, local):
    """shown() -> the mount of what is in the local folder by then."""
    def make():
        upload_tree(bucket, local, prefix="src/")
        return mount("--read-only", "--file-mode", "755").path / "src"
    return make


def test_database_is_read(shown, local):
    with sqlite3.connect(local / "t.db") as c:
        c.execute("create table t(a, b)")
        c.executemany("insert into t values(?, ?)", [(i, "x" * 100) for i in range(5000)])
    c.close()
    mnt = shown()
    for how in ("mode=ro&immutable=1", "mode=ro"):
        c = sqlite3.connect(f"file:{mnt}/t.db?{how}", uri=True)
        assert c.execute("select count(*), sum(a) from t").fetchone() == (5000, 12497500)
        assert c.execute("pragma integrity_check").fetchone() == ("ok",)
        c.close()


def test_archive_is_read(shown, local):
    with zipfile.ZipFile(local / "z.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for i in range(100):
            z.writestr(f"dir/f{i}", blob(5000, i))
    with zipfile.ZipFile(shown() / "z.zip") as z:
        assert z.testzip() is None and len(z.namelist()) == 100
        assert z.read("dir/f42") == blob(5000, 42)


def test_map_in_any_order_and_with_advice(shown, local):
    (local / "big").write_bytes(DATA)
    with open(shown() / "big", "rb") as f:
        m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        rng = random.Random(5)
        for advice in (mmap.MADV_RANDOM, mmap.MADV_SEQUENTIAL, mmap.MADV_WILLNEED,
                       mmap.MADV_DONTNEED):
            m.madvise(advice)
            for _ in range(50):
                at = rng.randrange(len(DATA) - 100)
                assert m[at:at + 100] == DATA[at:at + 100]
        m.close()
        for advice in (os.POSIX_FADV_WILLNEED, os.POSIX_FADV_DONTNEED, os.POSIX_FADV_RANDOM):
            os.posix_fadvise(f.fileno(), 0, 0, advice)
        assert libc.readahead(f.fileno(), ctypes.c_longlong(0), 1 << 20) == 0
        assert sha256(f.read()) == sha256(DATA)


def test_dd_with_odd_and_direct_blocks(shown, local):
    (local / "big").write_bytes(DATA)
    mnt = shown()
    for arguments in ("iflag=direct bs=1M", "iflag=direct bs=4k", "bs=1234567",
                      "iflag=direct bs=4k skip=100 count=10", "bs=7 skip=99999 count=9"):
        got, want = (run("sh", "-c", f"dd if={d}/big {arguments} 2>&- | sha256sum").stdout
                     for d in (mnt, local))
        assert got == want, arguments


def test_web_server_serves_the_mount(shown, local):
    (local / "big").write_bytes(DATA)
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", shown()],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(server.stdout.readline().split("port ")[1].split()[0])
        for path, code, want in (("/big", 200, DATA), ("/nothing", 404, None), ("/", 200, None)):
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            c.request("GET", path)
            answer = c.getresponse()
            body = answer.read()
            assert answer.status == code and (want is None or body == want)
            c.close()
    finally:
        server.kill()
        server.communicate()


@pytest.mark.limit(90)
def test_copies_with_every_attribute(shown, local, folder):
    make_tree(local, 60)
    run("find", local, "-type", "d", "-empty", "-delete", check=True)   # S3 has no such
    mnt = shown()
    for n, argv in enumerate((["rsync", "-aAXH", f"{mnt}/", "{}"],
                              ["cp", "-a", mnt, "{}"], ["cp", "-r", "--sparse=always", mnt, "{}"],
                              ["sh", "-c", f"mkdir {{}} && tar -C {mnt} -cf - . | tar -C {{}} -xf -"])):
        copy = folder / f"copy{n}"
        run(*[str(a).replace("{}", str(copy)) for a in argv], check=True)
        run("diff", "-r", local, copy, check=True)


@pytest.mark.limit(90)
def test_repository_is_looked_into(shown, local, folder):
    """git in the mount itself: it reads, and minds that it cannot write."""
    git = ["git", "-c", "safe.directory=*", "-c", "user.name=n", "-c", "user.email=e",
           "-c", "core.fileMode=false"]
    repo = local / "repo"
    make_tree(repo, 60)
    run(*git, "init", "-q", repo, check=True)
    for argv in (["add", "."], ["commit", "-qm", "one"], ["commit", "-qm", "two", "--allow-empty"]):
        run(*git, "-C", repo, *argv, check=True)
    there = shown() / "repo"
    assert run(*git, "-C", there, "status", "--short", check=True).stdout == ""
    assert len(run(*git, "-C", there, "log", "--oneline", check=True).stdout.splitlines()) == 2
    run(*git, "-C", there, "fsck", "--no-dangling", check=True)
    assert run(*git, "-C", there, "commit", "-qm", "no", "--allow-empty").returncode != 0
    run(*git, "clone", "-q", there, folder / "clone", check=True)
    assert (folder / "clone" / ".git").is_dir()


def test_follower_and_saver(shown, local):
    (local / "text").write_text("".join(f"line {i}\n" for i in range(20000)))
    mnt = shown()
    follower = subprocess.Popen(["tail", "-n", "2", "-f", mnt / "text"], stdout=subprocess.PIPE)
    assert [follower.stdout.readline() for _ in range(2)] == [b"line 19998\n", b"line 19999\n"]
    time.sleep(0.2)
    assert follower.poll() is None
    follower.kill()
    follower.communicate()
    for call in (lambda: open(mnt / "text", "w"), lambda: open(mnt / ".text.swp", "w"),
                 lambda: os.rename(mnt / "text", mnt / "text~"), lambda: os.unlink(mnt / "text")):
        with fails_with(errno.EROFS):
            call()
    assert run("sed", "-i", "s/1/2/", mnt / "text").returncode != 0
    assert run("sed", "-n", "15000p", mnt / "text").stdout == "line 14999\n"
    assert os.listdir(mnt) == ["text"]


class FileHandle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]


@pytest.mark.root
def test_file_is_opened_by_its_handle(shown, local):
    """As a server does that exports the mount."""
    (local / "f").write_bytes(b"content")
    mnt = shown()
    handle, mount_id = FileHandle(128), ctypes.c_int()
    assert libc.name_to_handle_at(-100, os.fsencode(mnt / "f"), ctypes.byref(handle),
                                  ctypes.byref(mount_id), 0) == 0
    root = os.open(mnt, os.O_RDONLY)
    fd = libc.open_by_handle_at(root, ctypes.byref(handle), os.O_RDONLY)
    assert fd >= 0 and os.read(fd, 100) == b"content"
    os.close(fd)
    os.close(root)


def test_watch_is_granted(shown, local):
    (local / "f").write_bytes(b"1")
    mnt = shown()
    fd = libc.inotify_init()
    assert libc.inotify_add_watch(fd, os.fsencode(mnt / "f"), 0xfff) >= 1
    assert (mnt / "f").read_bytes() == b"1"
    assert wait_for(lambda: os.read(fd, 4096), 5, "the reading is told")
    os.close(fd)
