# SPDX-License-Identifier: Apache-2.0
"""Every call that is refused, and its errno."""

import ctypes
import errno
import fcntl
import os
import socket
import stat
import struct
import subprocess

import pytest

from check import fails_with, opened
from mountlib import run

libc = ctypes.CDLL(None, use_errno=True)
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
AT_FDCWD = -100


def renameat2(old, new, flags):
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags) < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))


@pytest.fixture
def tree(bucket):
    bucket.put("f", b"content")
    bucket.put("g", b"other")
    bucket.put("d/x", b"1")
    return bucket


@pytest.fixture
def careful(mount, tree):
    return mount().path


@pytest.fixture
def free(mount, tree):
    return mount("--allow-delete", "--allow-overwrite").path


@pytest.fixture
def readonly(mount, tree):
    return mount("--read-only", "--allow-delete", "--allow-overwrite").path


# unlink


def test_unlink_without_the_option(careful, bucket):
    with fails_with(errno.EPERM):
        os.unlink(careful / "f")
    assert run("rm", "-f", careful / "f").returncode != 0
    assert bucket.exists("f") and (careful / "f").read_bytes() == b"content"


def test_unlink_with_the_option(free, bucket):
    os.unlink(free / "f")
    assert not bucket.exists("f") and not os.path.exists(free / "f")
    with fails_with(errno.ENOENT):
        os.unlink(free / "f")
    assert sorted(os.listdir(free)) == ["d", "g"]


def test_unlink_of_a_directory(free):
    with fails_with(errno.EISDIR, errno.EPERM):
        os.unlink(free / "d")


def test_unlink_of_a_file_being_written(free):
    with opened(free / "new", os.O_CREAT | os.O_WRONLY) as fd:
        os.write(fd, b"1")
        with fails_with(errno.EPERM):
            os.unlink(free / "new")
    os.unlink(free / "new")


def test_log_names_the_file_that_was_refused(mount, bucket):
    """Not only its directory: there may be thousands of names in it."""
    bucket.put("d/sub/f", b"1")
    m = mount("--allow-delete")
    with opened(m.path / "d/new", os.O_CREAT | os.O_WRONLY):
        with fails_with(errno.EPERM):
            os.unlink(m.path / "d/new")
        with fails_with(errno.EPERM):
            os.rename(m.path / "d/new", m.path / "d/other")
    with fails_with(errno.EPERM):
        os.rmdir(m.path / "d/sub")
    with fails_with(errno.EINVAL):
        os.open(m.path / "d/synchronous", os.O_CREAT | os.O_WRONLY | os.O_SYNC)
    with fails_with(errno.EINVAL):
        os.mkfifo(m.path / "d/fifo")
    lines = [line for line in m.log().splitlines() if " WARN " in line]
    for op, key in (("unlink", "d/new"), ("rename", "d/new"), ("rmdir", "d/sub"),
                    ("create", "d/synchronous"), ("mknod", "d/fifo")):
        assert any(f"{op} ino=" in line and f"key={key} failed" in line for line in lines), lines


def test_unlink_of_a_file_being_read(free, bucket):
    with opened(free / "f", os.O_RDONLY) as fd:
        os.unlink(free / "f")
        assert not bucket.exists("f")
        try:
            assert os.read(fd, 100) in (b"content", b"")
        except OSError as e:
            assert e.errno in (errno.EIO, errno.ESTALE)


def test_unlink_of_what_another_client_deleted(free, bucket):
    os.stat(free / "f")
    bucket.delete("f")
    try:
        os.unlink(free / "f")       # success of S3 on an absent key is success
    except FileNotFoundError:
        pass
    assert not os.path.exists(free / "f")


# rename: whole objects cannot be renamed, so that mv copies and deletes


def test_rename_is_exdev(free, tree):
    for new in ("new", "g", "d/new"):
        with fails_with(errno.EXDEV):
            os.rename(free / "f", free / new)
    assert sorted(tree.keys()) == ["d/x", "f", "g"] and tree.get("g") == b"other"


def test_rename_of_a_directory_is_exdev(free, tree):
    with fails_with(errno.EXDEV):
        os.rename(free / "d", free / "e")
    assert sorted(tree.keys()) == ["d/x", "f", "g"]


def test_rename_flags(free):
    with fails_with(errno.EINVAL):
        renameat2(free / "f", free / "g", RENAME_EXCHANGE)
    with fails_with(errno.EINVAL):
        renameat2(free / "f", free / "new", RENAME_WHITEOUT)
    with fails_with(errno.EEXIST):
        renameat2(free / "f", free / "g", RENAME_NOREPLACE)


def test_rename_of_nothing(free):
    with fails_with(errno.ENOENT):
        os.rename(free / "nothing", free / "new")


def test_rename_of_a_file_being_written(free):
    with opened(free / "new", os.O_CREAT | os.O_WRONLY) as fd:
        os.write(fd, b"1")
        with fails_with(errno.EPERM):
            os.rename(free / "new", free / "newer")


def test_rename_never_empties_the_destination(free, bucket):
    """MinIO takes a RenameObject request for a PUT of an empty object."""
    for _ in range(2):
        with fails_with(errno.EXDEV):
            os.rename(free / "f", free / "g")
    assert bucket.get("g") == b"other" and bucket.get("f") == b"content"


def test_mv_copies_and_deletes(free, bucket):
    run("mv", free / "f", free / "moved", check=True)
    assert bucket.get("moved") == b"content" and not bucket.exists("f")


# links, nodes, attributes


def test_links_are_refused(free):
    with fails_with(errno.EPERM, errno.EOPNOTSUPP):
        os.link(free / "f", free / "hard")
    with fails_with(errno.EPERM, errno.EOPNOTSUPP):
        os.symlink("f", free / "soft")
    with fails_with(errno.EINVAL):
        os.readlink(free / "f")


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_special_files_are_refused(free, kind):
    if kind == "fifo":
        with fails_with(errno.EINVAL, errno.EPERM):
            os.mkfifo(free / "fifo")
    else:
        with socket.socket(socket.AF_UNIX) as s:
            here = os.getcwd()
            os.chdir(free)      # a socket's path is short
            try:
                with fails_with(errno.EINVAL, errno.EPERM):
                    s.bind("sock")
            finally:
                os.chdir(here)


def test_mknod_of_a_regular_file(free):
    os.mknod(free / "new", stat.S_IFREG | 0o644)
    assert os.stat(free / "new").st_size == 0
    with fails_with(errno.EEXIST):
        os.mknod(free / "new", stat.S_IFREG | 0o644)


def test_truncate_of_an_object_is_refused(free, bucket):
    for size in (3, 100):
        with fails_with(errno.EPERM):
            os.truncate(free / "f", size)
    assert bucket.get("f") == b"content"


def test_truncate_to_nothing_without_the_option(careful, bucket):
    with fails_with(errno.EPERM):
        os.truncate(careful / "f", 0)
    assert bucket.get("f") == b"content"


def test_writing_attributes_of_objects_needs_no_crash(free, bucket):
    """chmod, chown and times of an uploaded file: no-ops or EPERM, never more."""
    for call in (lambda: os.chmod(free / "f", 0o600), lambda: os.utime(free / "f", (1, 1)),
                 lambda: os.chown(free / "f", os.getuid(), os.getgid())):
        try:
            call()
        except PermissionError as e:
            assert e.errno == errno.EPERM
    assert bucket.get("f") == b"content"


def test_xattrs_are_not_supported_for_writing(free):
    with fails_with(errno.EOPNOTSUPP, errno.EPERM):
        os.setxattr(free / "f", "user.mine", b"1")
    with fails_with(errno.EOPNOTSUPP, errno.ENODATA):
        os.getxattr(free / "f", "user.mine")
    assert run("ls", "-l", free, check=True).stdout


def test_ioctl_is_refused(free):
    with opened(free / "f", os.O_RDONLY) as fd:
        with fails_with(errno.ENOTTY, errno.ENOSYS):
            fcntl.ioctl(fd, 0x5401, bytearray(64))


def test_tmpfile_is_refused(free):
    with fails_with(errno.EOPNOTSUPP, errno.EISDIR, errno.ENOSYS):
        os.open(free, os.O_TMPFILE | os.O_RDWR)


def test_seek_data_and_hole(free):
    with opened(free / "f", os.O_RDONLY) as fd:
        assert os.lseek(fd, 0, os.SEEK_DATA) == 0
        assert os.lseek(fd, 0, os.SEEK_HOLE) == 7
        with fails_with(errno.ENXIO):
            os.lseek(fd, 100, os.SEEK_DATA)


def test_flock_excludes_within_the_host(free):
    code = ("import fcntl, sys\nf = open(sys.argv[1])\n"
            "try:\n    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
            "except BlockingIOError:\n    sys.exit(3)\n")
    with open(free / "f", "rb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        assert run("python3", "-c", code, free / "f").returncode == 3
        fcntl.flock(f, fcntl.LOCK_UN)
        assert run("python3", "-c", code, free / "f").returncode == 0


def test_record_locks_within_the_host(free):
    with opened(free / "f", os.O_RDONLY) as fd:
        lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)
        fcntl.fcntl(fd, fcntl.F_SETLK, lock)


def test_access_checks(free):
    assert os.access(free / "f", os.R_OK) and not os.access(free / "f", os.X_OK)
    assert not os.access(free / "nothing", os.F_OK)


def test_exec_follows_the_file_mode(mount, bucket):
    bucket.put("script", b"#!/bin/sh\necho ran\n")
    m = mount("--file-mode", "755")
    assert run(m.path / "script", check=True).stdout == "ran\n"
    with fails_with(errno.EACCES):
        subprocess.run([mount().path / "script"], check=False)


def test_poll_is_always_ready(free):
    import select
    with opened(free / "f", os.O_RDONLY) as fd:
        assert select.select([fd], [], [], 5)[0] == [fd]


# read-only


def test_read_only_mount(readonly, bucket):
    assert (readonly / "f").read_bytes() == b"content"
    for call in (lambda: os.open(readonly / "f", os.O_WRONLY | os.O_TRUNC),
                 lambda: os.open(readonly / "new", os.O_CREAT | os.O_WRONLY),
                 lambda: os.mkdir(readonly / "new"), lambda: os.unlink(readonly / "f"),
                 lambda: os.rmdir(readonly / "d"), lambda: os.rename(readonly / "f", readonly / "h"),
                 lambda: os.truncate(readonly / "f", 0), lambda: os.chmod(readonly / "f", 0o600),
                 lambda: os.symlink("f", readonly / "s")):
        with fails_with(errno.EROFS):
            call()
    assert sorted(bucket.keys()) == ["d/x", "f", "g"]


# wrong kinds


def test_reading_a_directory(free):
    with opened(free / "d", os.O_RDONLY) as fd:
        with fails_with(errno.EISDIR):
            os.read(fd, 10)


def test_listing_a_file(free):
    with fails_with(errno.ENOTDIR):
        os.listdir(free / "f")


def test_path_through_a_file(free):
    for call in (os.stat, os.listdir, os.mkdir, lambda p: os.open(p, os.O_CREAT | os.O_WRONLY)):
        with fails_with(errno.ENOTDIR):
            call(free / "f" / "below")


def test_missing_names(free):
    for call in (os.stat, os.listdir, os.unlink, os.rmdir, lambda p: os.open(p, os.O_RDONLY),
                 lambda p: os.open(p / "x", os.O_CREAT | os.O_WRONLY), lambda p: os.mkdir(p / "x")):
        with fails_with(errno.ENOENT):
            call(free / "nothing")


def test_writing_to_a_reader(free):
    with opened(free / "f", os.O_RDONLY) as fd:
        with fails_with(errno.EBADF):
            os.write(fd, b"1")


def test_read_write_open_of_an_object_reads(free):
    with opened(free / "f", os.O_RDWR) as fd:
        assert os.read(fd, 100) == b"content"
        with fails_with(errno.EBADF):
            os.pwrite(fd, b"1", 0)
