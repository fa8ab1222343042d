# SPDX-License-Identifier: Apache-2.0
"""Rows of docs/SEMANTICS.md about single files: open, write, setattr, archived objects."""

import errno
import fcntl
import json
import os
import shutil
import stat
import time

import pytest

from check import MIB, blob, fails_with, opened, write_all
from mountlib import run, wait_for


def lookup_times(path):
    s = os.stat(path)
    return s.st_atime, s.st_mtime, s.st_ctime


# attributes


def test_attributes_of_file_and_directory(mnt, bucket):
    bucket.put("d/f", bytes(5000))
    modified = bucket.head("d/f")["LastModified"].timestamp()
    f, d = os.stat(mnt / "d/f"), os.stat(mnt / "d")
    assert stat.S_ISREG(f.st_mode) and stat.S_ISDIR(d.st_mode)
    assert (f.st_nlink, f.st_size, f.st_blocks, f.st_blksize) == (1, 5000, 10, 4096)
    assert (d.st_nlink, d.st_size, d.st_blocks) == (2, 0, 0)
    assert lookup_times(mnt / "d/f") == (modified,) * 3
    assert abs(d.st_mtime - time.time()) < 60


def test_root_is_inode_one(mnt):
    assert os.stat(mnt).st_ino == 1


def test_statfs_fits_common_programs(mnt):
    """Sizes that survive 64-bit signed sums of bytes, and show room to installers."""
    s = os.statvfs(mnt)
    assert s.f_frsize == s.f_bsize and s.f_bsize >= 4096
    assert MIB * MIB <= s.f_blocks * s.f_frsize < 1 << 62
    assert s.f_blocks == s.f_bfree == s.f_bavail and 0 < s.f_files < 1 << 63
    assert s.f_namemax == 255
    out = run("df", "-k", "--output=avail,pcent", mnt, check=True).stdout.split()
    assert int(out[-2]) > 1 << 30 and out[-1] in ("0%", "1%", "-")


# open


def test_open_of_a_missing_name(mnt):
    with fails_with(errno.ENOENT):
        os.open(mnt / "nothing", os.O_RDONLY)
    with fails_with(errno.ENOENT):
        os.open(mnt / "no/such/dir", os.O_WRONLY | os.O_CREAT)


def test_open_with_directory_flag(mnt, bucket):
    bucket.put("f", b"1")
    with fails_with(errno.ENOTDIR):
        os.open(mnt / "f", os.O_RDONLY | os.O_DIRECTORY)


def test_read_write_open_of_a_new_file_writes(mnt, bucket):
    with opened(mnt / "f", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"new")
        with fails_with(errno.EBADF):
            os.pread(fd, 3, 0)
    assert bucket.get("f") == b"new"


def test_read_write_open_with_truncation_writes(mnt, bucket):
    bucket.put("f", b"old content")
    with opened(mnt / "f", os.O_RDWR | os.O_TRUNC) as fd:
        os.write(fd, b"new")
    assert bucket.get("f") == b"new"


def test_file_created_for_reading_only(mount, bucket):
    """Nobody will ever write it: an empty object, there when open returns, as with flock(1)."""
    m = mount("--allow-delete")
    with opened(m.path / "f", os.O_RDONLY | os.O_CREAT | os.O_EXCL) as fd:
        assert bucket.keys() == ["f"] and os.read(fd, 10) == b""
        assert os.fstat(fd).st_ino == os.stat(m.path / "f").st_ino
        with open(m.path / "f", "rb") as other:
            assert other.read() == b""
            fcntl.flock(fd, fcntl.LOCK_EX)
            with fails_with(errno.EAGAIN):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with fails_with(errno.EEXIST):
        os.open(m.path / "f", os.O_RDONLY | os.O_CREAT | os.O_EXCL)
    assert run("flock", "-n", m.path / "lock", "true").returncode == 0
    os.unlink(m.path / "f")
    assert os.listdir(m.path) == ["lock"] == bucket.keys()


@pytest.mark.s3d_only
def test_file_created_for_reading_only_and_refused(mnt, server, bucket):
    server.fault("status", op="PutObject", code=403, s3code="AccessDenied")
    with fails_with(errno.EACCES):
        os.open(mnt / "f", os.O_RDONLY | os.O_CREAT)
    server.clear_faults()
    assert not os.path.exists(mnt / "f") and bucket.keys() == []


def test_descriptor_of_a_replaced_file_is_void(mnt, bucket):
    """A dup left over from a closed writer may not go on after a newer open."""
    fd = os.open(mnt / "f", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"one")
    dup = os.dup(fd)
    os.close(fd)
    assert (mnt / "f").read_bytes() == b"one"
    with fails_with(errno.EBADF, errno.EIO):
        os.write(dup, b"two")
    os.close(dup)
    assert bucket.get("f") == b"one"


def test_write_after_fsync_is_refused(mnt, bucket):
    fd = os.open(mnt / "f", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"whole")
    os.fsync(fd)
    os.fsync(fd)
    with fails_with(errno.EIO):
        os.write(fd, b"more")
    os.close(fd)
    assert bucket.get("f") == b"whole"


def test_size_grows_with_each_write(mnt):
    with opened(mnt / "f", os.O_WRONLY | os.O_CREAT) as fd:
        for n in range(1, 4):
            os.write(fd, bytes(1000))
            assert os.fstat(fd).st_size == os.stat(mnt / "f").st_size == n * 1000


def test_killed_writer_publishes_nothing(mnt, bucket):
    bucket.put("old", b"old")
    for name in ("new", "old"):
        code = ("import os, sys, signal\nfd = os.open(sys.argv[1], 577)\n"
                "os.write(fd, b'half')\nos.kill(os.getpid(), signal.SIGKILL)\n")
        assert run("python3", "-c", code, mnt / name).returncode == -9
    wait_for(lambda: not os.path.exists(mnt / "new"), 5, "the name is free again")
    assert bucket.keys() == ["old"] and bucket.get("old") == b"old"
    assert (mnt / "old").read_bytes() == b"old"


def test_mkfifo_like_calls_leave_no_name(mnt):
    with fails_with(errno.EINVAL, errno.EPERM):
        os.mkfifo(mnt / "p")
    assert os.listdir(mnt) == []


def test_mknod_file_that_nobody_opens_is_local(mount, bucket):
    m = mount("--allow-delete")
    os.mknod(m.path / "f", stat.S_IFREG | 0o644)
    assert os.stat(m.path / "f").st_size == 0 and os.listdir(m.path) == ["f"]
    with fails_with(errno.EPERM):
        os.open(m.path / "f", os.O_RDONLY)
    with fails_with(errno.EPERM):
        os.unlink(m.path / "f")
    assert bucket.keys() == []
    with open(m.path / "f", "wb") as f:
        f.write(b"1")
    assert bucket.get("f") == b"1"


# setattr


def test_attributes_of_an_object_are_accepted_and_not_kept(mnt, bucket):
    bucket.put("d/f", b"content")
    before = os.stat(mnt / "d/f")
    os.chmod(mnt / "d/f", 0o600)
    os.chown(mnt / "d/f", os.getuid(), os.getgid())
    os.utime(mnt / "d/f", (1, 1))
    os.utime(mnt / "d", (1, 1))
    after = os.stat(mnt / "d/f")
    assert (after.st_mode, after.st_mtime) == (before.st_mode, before.st_mtime)
    assert run("touch", mnt / "d/f").returncode == 0
    assert bucket.get("d/f") == b"content"


def test_truncate_of_a_closed_empty_file(mnt, bucket):
    """Its upload may wait for a dup of the descriptor: it is an object all the same."""
    fd = os.open(mnt / "f", os.O_WRONLY | os.O_CREAT)
    dup = os.dup(fd)
    os.close(fd)
    os.truncate(mnt / "f", 0)
    with fails_with(errno.EPERM):
        os.truncate(mnt / "f", 100)
    os.close(dup)
    assert (mnt / "f").read_bytes() == b"" == bucket.get("f")


def test_truncate_rules(mnt, bucket):
    bucket.put("f", b"content")
    os.truncate(mnt / "f", 7)
    for size in (0, 3, 100):
        with fails_with(errno.EPERM):
            os.truncate(mnt / "f", size)
    bucket.put("d/x", b"")
    with fails_with(errno.EISDIR):
        os.truncate(mnt / "d", 0)
    assert bucket.get("f") == b"content"


# archived objects

ARCHIVED = ["GLACIER", "DEEP_ARCHIVE"]


@pytest.fixture
def archive(server, bucket):
    def put(key, storage_class, **headers):
        import urllib.request
        url = f"{server.endpoint}/_s3d/put?bucket={bucket.name}&key={key}"
        request = urllib.request.Request(url, data=b"frozen", method="POST", headers={
            "x-amz-storage-class": storage_class, **headers})
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5).close()
    return put


@pytest.mark.s3d_only
@pytest.mark.parametrize("way", ["listed", "looked-up"])
@pytest.mark.parametrize("storage_class", ARCHIVED)
def test_archived_object_has_no_mode_and_is_not_opened(mnt, archive, server, storage_class, way):
    archive("d/f", storage_class)
    if way == "listed":
        os.listdir(mnt / "d")
    s = os.stat(mnt / "d/f")
    assert stat.S_IMODE(s.st_mode) == 0 and s.st_size == 6
    with server.counting() as n, fails_with(errno.EACCES):
        os.open(mnt / "d/f", os.O_RDONLY)
    assert n["GetObject"] == 0


@pytest.mark.s3d_only
@pytest.mark.parametrize("storage_class", ["STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING"])
def test_other_storage_classes_are_read(mnt, archive, storage_class):
    archive("f", storage_class)
    assert os.listdir(mnt) == ["f"] and (mnt / "f").read_bytes() == b"frozen"


@pytest.mark.s3d_only
@pytest.mark.parametrize("way", ["listed", "looked-up"])
def test_restored_object_is_read(mnt, archive, way):
    restored = {"x-amz-restore": 'ongoing-request="false", '
                                 'expiry-date="Fri, 21 Dec 2040 00:00:00 GMT"'}
    archive("d/f", "GLACIER", **restored)
    if way == "listed":
        assert os.listdir(mnt / "d") == ["f"]
    assert stat.S_IMODE(os.stat(mnt / "d/f").st_mode) == 0o644
    assert (mnt / "d/f").read_bytes() == b"frozen"


@pytest.mark.s3d_only
@pytest.mark.parametrize("restore", [
    'ongoing-request="true"',
    'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"'],
    ids=["ongoing", "expired"])
def test_object_that_is_not_restored_is_refused(mnt, archive, restore):
    archive("f", "DEEP_ARCHIVE", **{"x-amz-restore": restore})
    assert stat.S_IMODE(os.stat(mnt / "f").st_mode) == 0
    with fails_with(errno.EACCES):
        os.open(mnt / "f", os.O_RDONLY)


@pytest.mark.s3d_only
def test_archived_object_can_be_deleted_and_replaced(mnt, archive, bucket):
    archive("f", "GLACIER")
    archive("g", "GLACIER")
    os.unlink(mnt / "f")
    if os.getuid() == 0:
        (mnt / "g").write_bytes(b"fresh")
        assert (mnt / "g").read_bytes() == b"fresh"
    assert "f" not in bucket.keys()


# extended attributes


def test_xattrs_tell_what_the_server_knows(mnt, bucket):
    bucket.put("d/f", b"content", ContentType="text/x-test", Metadata={"owner": "me"})
    path = mnt / "d/f"
    assert sorted(os.listxattr(path)) == ["user.s3.etag", "user.s3.key"]
    assert os.getxattr(path, "user.s3.etag").decode() == bucket.head("d/f")["ETag"]
    assert os.getxattr(path, "user.s3.key") == b"d/f"
    assert os.getxattr(path, "user.s3.content-type") == b"text/x-test"
    assert os.getxattr(path, "user.s3.storage-class") == b"STANDARD"
    assert os.getxattr(path, "user.s3.meta.owner") == b"me"
    with fails_with(errno.ENODATA):
        os.getxattr(path, "user.s3.version-id")


def test_xattr_follows_an_overwrite(mount, bucket):
    m = mount("--metadata-ttl", "60")
    bucket.put("f", b"old", ContentType="text/old")
    os.stat(m.path / "f")
    bucket.put("f", b"newer", ContentType="text/new")
    assert os.getxattr(m.path / "f", "user.s3.content-type") == b"text/new"
    assert os.getxattr(m.path / "f", "user.s3.etag").decode() == bucket.head("f")["ETag"]


def test_xattr_errors(mnt, bucket):
    bucket.put("f", b"1")
    bucket.put("d/x", b"1")
    for name in ("user.other", "user.s3.nothing", "user.s3.meta.none"):
        with fails_with(errno.ENODATA):
            os.getxattr(mnt / "f", name)
    for name in ("security.capability", "system.posix_acl_access", "trusted.t"):
        with fails_with(errno.EOPNOTSUPP):
            os.getxattr(mnt / "f", name)
    for call in (lambda: os.setxattr(mnt / "f", "user.s3.etag", b"1"),
                 lambda: os.removexattr(mnt / "f", "user.s3.etag")):
        with fails_with(errno.EOPNOTSUPP):
            call()
    assert os.getxattr(mnt / "d", "user.s3.key") == b"d/"
    assert os.listxattr(mnt / "d") == ["user.s3.key"]


@pytest.mark.s3d_only
def test_xattrs_cost_a_head_only_on_demand(mnt, bucket, server):
    bucket.put("f", b"1")
    os.stat(mnt / "f")
    with server.counting() as n:
        run("ls", "-l", mnt, check=True)
        run("cp", "-a", mnt / "f", "/dev/null")
        assert os.getxattr(mnt / "f", "user.s3.key") == b"f"
        os.getxattr(mnt / "f", "user.s3.etag")
    assert n["HeadObject"] == 0, n
    with server.counting() as n:
        os.getxattr(mnt / "f", "user.s3.content-type")
    assert n["HeadObject"] == 1, n


def test_xattr_of_a_file_being_written(mnt):
    with opened(mnt / "f", os.O_WRONLY | os.O_CREAT) as fd:
        os.write(fd, b"1")
        with fails_with(errno.ENODATA):
            os.getxattr(mnt / "f", "user.s3.etag")
        assert os.getxattr(mnt / "f", "user.s3.key") == b"f"
    assert os.getxattr(mnt / "f", "user.s3.etag")


# locks

LOCKER = """
import fcntl, sys, time
f = open(sys.argv[1], "ab" if sys.argv[2] == "new" else "rb")
fcntl.flock(f, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def test_flock_waits_for_the_other_process(mnt, bucket):
    import subprocess
    bucket.put("f", b"1")
    with subprocess.Popen(["python3", "-c", LOCKER, mnt / "f", "old"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        with open(mnt / "f", "rb") as f:
            with fails_with(errno.EAGAIN):
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            other.stdin.close()
            fcntl.flock(f, fcntl.LOCK_EX)


def test_download_into_a_cache_with_lock_and_move(mount, bucket):
    """As caches of models do: take a lock file, write a temporary, move it into place."""
    m = mount("--allow-delete", "--allow-overwrite")
    (m.path / "blobs").mkdir()
    code = """
import fcntl, os, shutil, sys
os.chdir(sys.argv[1])
with open(".lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    with open("blobs/x.incomplete", "wb") as f:
        for _ in range(8):
            f.write(os.urandom(1 << 20))
    shutil.move("blobs/x.incomplete", "blobs/x")
    fcntl.flock(lock, fcntl.LOCK_UN)
"""
    run("python3", "-c", code, m.path, check=True)
    run("python3", "-c", code, m.path, check=True)
    assert sorted(bucket.keys()) == [".lock", "blobs/x"]
    assert bucket.head("blobs/x")["ContentLength"] == 8 * MIB


def test_download_into_a_cache_step_by_step(mount, bucket):
    """The calls of huggingface_hub 0.36 and filelock 3.16, twice: the second finds the lock file."""
    root = mount("--allow-delete", "--allow-overwrite").path
    (root / "blobs").mkdir()
    (root / "snapshots/one").mkdir(parents=True)
    for n in range(2):
        lock = os.open(root / ".lock", os.O_RDWR | os.O_TRUNC | os.O_CREAT, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with fails_with(errno.EPERM):       # "are links supported?"
            os.symlink("blobs", root / "probe")
        with open(root / "blobs/x.incomplete", "ab") as f:
            assert f.tell() == 0
            f.write(bytes([n]) * MIB)
        (root / "tmp_1").touch()
        os.chmod(root / "blobs/x.incomplete", os.stat(root / "tmp_1").st_mode & 0o777)
        os.unlink(root / "tmp_1")
        shutil.move(root / "blobs/x.incomplete", root / "blobs/x")
        shutil.move(root / "blobs/x", root / "snapshots/one/x")
        (root / "main").write_text("one")
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)
        assert bucket.get("snapshots/one/x") == bytes([n]) * MIB
    assert sorted(bucket.keys()) == [".lock", "main", "snapshots/one/x"]


def test_map_of_a_file_being_replaced_is_never_a_mixture(mnt, bucket):
    import mmap
    bucket.put("f", b"a" * (3 * MIB))
    with open(mnt / "f", "rb") as f:
        m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        assert m[:10] == b"a" * 10
        bucket.put("f", b"b" * (3 * MIB))
        assert (mnt / "f").read_bytes() == b"b" * (3 * MIB) or True
        assert m[:10] == b"a" * 10
        m.close()
