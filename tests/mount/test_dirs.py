# SPDX-License-Identifier: Apache-2.0
"""Directories: listing, making, removing."""

import ctypes
import errno
import os
import threading

import pytest

from check import fails_with
from mountlib import run, wait_for

libc = ctypes.CDLL(None, use_errno=True)


class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("len", ctypes.c_ushort),
                ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]


libc.opendir.restype = ctypes.c_void_p
libc.opendir.argtypes = [ctypes.c_char_p]
libc.readdir.restype = ctypes.POINTER(Dirent)
for name in ("readdir", "rewinddir", "closedir", "telldir"):
    getattr(libc, name).argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
DT_DIR, DT_REG = 4, 8


class Stream:
    """A directory stream of the C library."""

    def __init__(self, path):
        self.dir = libc.opendir(os.fsencode(path))
        assert self.dir, os.strerror(ctypes.get_errno())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        libc.closedir(self.dir)

    def read(self):
        ctypes.set_errno(0)
        e = libc.readdir(self.dir)
        if not e:
            assert ctypes.get_errno() == 0, os.strerror(ctypes.get_errno())
            return None
        return e.contents.name.decode(), e.contents.type, e.contents.ino

    def names(self):
        out = []
        while entry := self.read():
            out.append(entry[0])
        return out

    def rewind(self):
        libc.rewinddir(self.dir)

    def tell(self):
        return libc.telldir(self.dir)

    def seek(self, cookie):
        libc.seekdir(self.dir, cookie)


def fill(bucket, n, prefix="d/"):
    bucket.put_many((f"{prefix}f{i:05d}", b"") for i in range(n))
    return [f"f{i:05d}" for i in range(n)]


# listing


def test_dot_and_dot_dot_come_first(mnt, bucket):
    bucket.put("d/f", b"")
    with Stream(mnt / "d") as s:
        assert s.names() == [".", "..", "f"]


def test_names_come_sorted(mnt, bucket):
    for key in ("d/b", "d/a/x", "d/a-b", "d/C", "d/ä"):
        bucket.put(key, b"")
    with Stream(mnt / "d") as s:
        assert s.names()[2:] == ["C", "a", "a-b", "b", "ä"]


def test_entry_types_and_inodes(mnt, bucket):
    bucket.put("d/file", b"")
    bucket.put("d/sub/x", b"")
    with Stream(mnt / "d") as s:
        found = {}
        while entry := s.read():
            found[entry[0]] = entry[1:]
    assert found["file"][0] == DT_REG and found["sub"][0] == DT_DIR
    assert found["file"][1] == os.stat(mnt / "d/file").st_ino
    assert found["sub"][1] == os.stat(mnt / "d/sub").st_ino


@pytest.mark.parametrize("n", [999, 1000, 1001, 2500])
@pytest.mark.limit(60)
def test_listing_over_pages(mnt, bucket, n):
    names = fill(bucket, n)
    assert sorted(os.listdir(mnt / "d")) == names
    assert int(run("sh", "-c", f"ls -l '{mnt}/d' | grep -c f", check=True).stdout) == n


@pytest.mark.limit(60)
def test_many_subdirectories(mnt, bucket):
    bucket.put_many((f"d/s{i:04d}/x", b"") for i in range(1200))
    assert len(os.listdir(mnt / "d")) == 1200


def test_rewind_shows_new_files(mnt, bucket):
    bucket.put("d/a", b"")
    with Stream(mnt / "d") as s:
        assert s.names() == [".", "..", "a"]
        bucket.put("d/b", b"")
        (mnt / "d/c").write_bytes(b"1")
        s.rewind()
        assert s.names() == [".", "..", "a", "b", "c"]


@pytest.mark.limit(60)
def test_seekdir_returns_to_a_told_place(mnt, bucket):
    fill(bucket, 1500)
    with Stream(mnt / "d") as s:
        places, names = [s.tell()], []
        while entry := s.read():
            names.append(entry[0])
            places.append(s.tell())
        assert len(names) == 1502
        for at in (1400, 10, 0, 1001, 2, 1501):
            s.seek(places[at])
            assert s.read()[0] == names[at]


@pytest.mark.limit(60)
def test_two_streams_at_once(mnt, bucket):
    names = fill(bucket, 1100)
    with Stream(mnt / "d") as a, Stream(mnt / "d") as b:
        first = [a.read()[0] for _ in range(600)]
        assert b.names()[2:] == names
        assert (first + a.names())[2:] == names


def test_files_removed_while_listing(mnt, bucket):
    """As rm -rf does: every name still comes once."""
    names = fill(bucket, 300)
    seen = []
    with Stream(mnt / "d") as s:
        while entry := s.read():
            if entry[0] not in (".", ".."):
                seen.append(entry[0])
                os.unlink(mnt / "d" / entry[0])
    assert sorted(seen) == names and bucket.keys() == []


def test_new_local_file_is_listed_before_its_upload(mnt, bucket):
    bucket.put("d/b", b"")
    with open(mnt / "d/a", "wb", buffering=0) as f:
        f.write(b"1")
        assert sorted(os.listdir(mnt / "d")) == ["a", "b"]
    assert sorted(os.listdir(mnt / "d")) == ["a", "b"]


def test_eight_listers_and_a_writer(mnt, bucket):
    names = fill(bucket, 200)
    wrong = []

    def lister():
        for _ in range(10):
            found = os.listdir(mnt / "d")
            if len(found) != len(set(found)) or not set(names) <= set(found):
                wrong.append(len(found))
    threads = [threading.Thread(target=lister) for _ in range(8)]
    for t in threads:
        t.start()
    for i in range(20):
        (mnt / "d" / f"new{i}").write_bytes(b"1")
    for t in threads:
        t.join()
    assert wrong == []


def test_open_of_a_directory_for_writing_is_refused(mnt, bucket):
    bucket.put("d/f", b"")
    with fails_with(errno.EISDIR):
        os.open(mnt / "d", os.O_WRONLY)
    with fails_with(errno.ENOTDIR):
        os.open(mnt / "d/f", os.O_RDONLY | os.O_DIRECTORY)


# mkdir and rmdir


def test_mkdir_is_local_until_a_file_is_in_it(mnt, bucket):
    os.makedirs(mnt / "a/b/c")
    assert os.listdir(mnt / "a/b") == ["c"] and bucket.keys() == []
    (mnt / "a/b/c/f").write_bytes(b"1")
    assert bucket.keys() == ["a/b/c/f"]
    assert os.listdir(mnt / "a/b") == ["c"]


def test_mkdir_of_what_exists_is_refused(mnt, bucket):
    bucket.put("file", b"")
    bucket.put("dir/x", b"")
    os.mkdir(mnt / "local")
    for name in ("file", "dir", "local"):
        with fails_with(errno.EEXIST):
            os.mkdir(mnt / name)


def test_mkdir_attributes(mnt):
    os.mkdir(mnt / "d", 0o700)
    st = os.stat(mnt / "d")
    assert oct(st.st_mode) == oct(0o40755) and st.st_nlink == 2 and st.st_size == 0


def test_rmdir_of_a_local_directory(mnt):
    os.mkdir(mnt / "d")
    os.mkdir(mnt / "d/e")
    with fails_with(errno.ENOTEMPTY):
        os.rmdir(mnt / "d")
    os.rmdir(mnt / "d/e")
    os.rmdir(mnt / "d")
    assert os.listdir(mnt) == [] and not os.path.exists(mnt / "d")


def test_rmdir_of_what_is_no_directory(mnt, bucket):
    bucket.put("f", b"")
    with fails_with(errno.ENOTDIR):
        os.rmdir(mnt / "f")
    with fails_with(errno.ENOENT):
        os.rmdir(mnt / "nothing")


def test_rmdir_of_a_directory_with_objects_is_refused(mnt, bucket):
    bucket.put("d/f", b"1")
    with fails_with(errno.EPERM, errno.ENOTEMPTY):
        os.rmdir(mnt / "d")
    assert bucket.keys() == ["d/f"]


def test_local_directory_vanishes_with_the_mount(mount, bucket):
    m = mount()
    os.mkdir(m.path / "d")
    assert os.listdir(mount().path) == []
    assert bucket.keys() == []


def test_create_in_a_removed_directory_is_refused(mnt):
    os.mkdir(mnt / "d")
    fd = os.open(mnt / "d", os.O_RDONLY)
    try:
        os.rmdir(mnt / "d")
        with fails_with(errno.ENOENT):
            os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    finally:
        os.close(fd)


def test_directory_goes_with_its_last_object(mnt, bucket):
    bucket.put("d/f", b"1")
    assert os.listdir(mnt) == ["d"]
    bucket.delete("d/f")
    wait_for(lambda: os.listdir(mnt) == [], 4, "the directory is gone")


def test_rm_rf_of_a_tree(mnt, bucket):
    bucket.put_many((f"t/{a}/{b}/f{i}", b"1") for a in "xyz" for b in "uvw" for i in range(10))
    bucket.put("keep", b"1")
    done = run("rm", "-rf", mnt / "t")
    assert done.returncode == 0, done.stderr[:2000]
    assert bucket.keys() == ["keep"] and os.listdir(mnt) == ["keep"]


def test_rm_rf_of_a_tree_made_here(mnt, bucket):
    for d in ("t/a/b", "t/c"):
        os.makedirs(mnt / d)
        for i in range(5):
            (mnt / d / f"f{i}").write_bytes(b"1")
    os.makedirs(mnt / "t/empty/deep")
    done = run("rm", "-rf", mnt / "t")
    assert done.returncode == 0, done.stderr[:2000]
    assert bucket.keys() == [] and os.listdir(mnt) == []


@pytest.mark.limit(90)
def test_rm_rf_of_a_directory_of_many_pages(mnt, bucket):
    fill(bucket, 1300)
    done = run("rm", "-rf", mnt / "d", timeout=50)
    assert done.returncode == 0, done.stderr[:2000]
    assert bucket.keys() == []


def test_mkdir_again_after_rm_rf(mnt, bucket):
    for _ in range(3):
        os.mkdir(mnt / "d")
        (mnt / "d/f").write_bytes(b"1")
        run("rm", "-rf", mnt / "d", check=True)
    assert bucket.keys() == []


def test_unlink_and_create_again(mnt, bucket):
    for i in range(5):
        (mnt / "f").write_bytes(b"%d" % i)
        os.unlink(mnt / "f")
        assert not os.path.exists(mnt / "f") and not bucket.exists("f")
