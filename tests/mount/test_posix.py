# SPDX-License-Identifier: Apache-2.0
"""What POSIX says of errors and of success, call by call, as far as we promise it.

In the manner of pjdfstest; docs/POSIX.md has what of that suite applies.
"""

import ctypes
import errno
import os
import shutil
import stat
import subprocess
import sys

import pytest

from check import fails_with, opened
from mountlib import run, wait_for

libc = ctypes.CDLL(None, use_errno=True)
BAD = ctypes.c_void_p(1)        # no address of ours
NOBODY = 65534

# each takes the path of what it works on
CALLS = {
    "stat": os.stat,
    "open": lambda p: os.close(os.open(p, os.O_RDONLY)),
    "create": lambda p: os.close(os.open(p, os.O_CREAT | os.O_WRONLY, 0o644)),
    "mkdir": os.mkdir,
    "rmdir": os.rmdir,
    "unlink": os.unlink,
    "mknod": lambda p: os.mknod(p, stat.S_IFREG | 0o644),
    "mkfifo": os.mkfifo,
    "truncate": lambda p: os.truncate(p, 0),
    "chmod": lambda p: os.chmod(p, 0o600),
    "chown": lambda p: os.chown(p, -1, -1),
    "utimens": lambda p: os.utime(p, (1, 1)),
    "access": lambda p: os.close(os.open(p, os.O_PATH)),
    "listdir": os.listdir,
    "readlink": os.readlink,
    "rename from": lambda p: os.rename(p, os.path.dirname(os.path.dirname(p)) + "/target"),
    "rename to": lambda p: os.rename(ROOT["f"], p),
    "link": lambda p: os.link(ROOT["f"], p),
    "symlink": lambda p: os.symlink("target", p),
    "statvfs": os.statvfs,
    "getxattr": lambda p: os.getxattr(p, "user.s3.key"),
}
MAKES = {"create", "mkdir", "mknod", "mkfifo", "rename to", "link", "symlink"}
ROOT = {}


@pytest.fixture(autouse=True)
def root(mnt, bucket):
    bucket.put("f", b"content")
    bucket.put("d/x", b"1")
    ROOT["f"] = str(mnt / "f")
    return mnt


@pytest.mark.parametrize("call", CALLS)
def test_a_file_on_the_way_is_enotdir(mnt, call):
    with fails_with(errno.ENOTDIR):
        CALLS[call](str(mnt / "f" / "below"))
    with fails_with(errno.ENOTDIR):
        CALLS[call](str(mnt / "f") + "/below/deeper")


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_directory_on_the_way_is_enoent(mnt, call):
    with fails_with(errno.ENOENT):
        CALLS[call](str(mnt / "none" / "below"))


@pytest.mark.parametrize("call", sorted(set(CALLS) - MAKES))
def test_a_missing_name_is_enoent(mnt, call):
    with fails_with(errno.ENOENT):
        CALLS[call](str(mnt / "d" / "none"))
    with fails_with(errno.ENOENT):
        CALLS[call]("")


@pytest.mark.parametrize("call", CALLS)
def test_long_names_and_paths_are_enametoolong(mnt, call):
    """A name of more than 1,024 bytes, and a path of more than the kernel takes."""
    with fails_with(errno.ENAMETOOLONG):
        CALLS[call](str(mnt / "d" / ("n" * 1025)))
    with fails_with(errno.ENAMETOOLONG):
        CALLS[call](str(mnt / "d") + "/./" * 1400 + "n")


@pytest.mark.parametrize("call", sorted(MAKES - {"create", "rename to", "mkfifo"}))
@pytest.mark.parametrize("name", ["f", "d", "local"])
def test_a_name_that_is_taken_is_eexist(mnt, call, name):
    os.mkdir(mnt / "local")
    with fails_with(errno.EEXIST):
        CALLS[call](str(mnt / name))
    with fails_with(errno.EEXIST):
        os.open(mnt / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def test_bad_addresses_are_efault(mnt):
    path = os.fsencode(mnt / "f")
    for function, args in (
            ("open", (BAD, os.O_RDONLY)), ("open", (BAD, os.O_CREAT | os.O_WRONLY, 0o644)),
            ("mkdir", (BAD, 0o755)), ("rmdir", (BAD,)), ("unlink", (BAD,)),
            ("truncate", (BAD, ctypes.c_long(0))), ("chmod", (BAD, 0o600)), ("chown", (BAD, 0, 0)),
            ("rename", (BAD, path)), ("rename", (path, BAD)), ("link", (path, BAD)),
            ("symlink", (path, BAD)), ("mkfifo", (BAD, 0o644)), ("access", (BAD, 0)),
            ("getxattr", (path, BAD, None, 0)), ("statfs", (path, BAD))):
        ctypes.set_errno(0)
        assert getattr(libc, function)(*args) == -1, function
        assert ctypes.get_errno() == errno.EFAULT, function
    with opened(mnt / "f", os.O_RDONLY) as fd:
        assert libc.read(fd, BAD, 7) == -1 and ctypes.get_errno() == errno.EFAULT
        assert os.read(fd, 100) == b"content"


def test_a_write_from_a_bad_address_changes_nothing(mnt, bucket):
    with opened(mnt / "new", os.O_CREAT | os.O_WRONLY) as fd:
        assert libc.write(fd, BAD, 7) == -1 and ctypes.get_errno() == errno.EFAULT
        os.write(fd, b"right")
    assert bucket.get("new") == b"right"


def test_directories_where_files_are_wanted(mnt):
    for d in ("d", "local"):
        if d == "local":
            os.mkdir(mnt / d)
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_RDONLY | os.O_CREAT):
            with fails_with(errno.EISDIR):
                os.open(mnt / d, flags)
        for call in (os.unlink, lambda p: os.truncate(p, 0), lambda p: os.rename(ROOT["f"], p)):
            with fails_with(errno.EISDIR):
                call(mnt / d)


def test_files_where_directories_are_wanted(mnt):
    for call in (os.rmdir, os.listdir, os.chdir, lambda p: os.open(p, os.O_DIRECTORY),
                 lambda p: os.stat(f"{p}/"), lambda p: os.open(f"{p}/", os.O_RDONLY),
                 lambda p: os.unlink(f"{p}/"), lambda p: os.rename(mnt / "d", p)):
        with fails_with(errno.ENOTDIR):
            call(mnt / "f")


def test_dots_and_the_root(mnt):
    os.makedirs(mnt / "a/b")
    with fails_with(errno.EINVAL):
        os.rmdir(f"{mnt}/a/b/.")
    with fails_with(errno.ENOTEMPTY):
        os.rmdir(f"{mnt}/a/b/..")
    with fails_with(errno.EBUSY):
        os.rmdir(mnt)
    with fails_with(errno.EINVAL):
        os.rename(mnt / "a", mnt / "a/b/c")
    for p in (f"{mnt}/.", f"{mnt}/..", f"{mnt}/a/."):
        with fails_with(errno.EEXIST):
            os.mkdir(p)
    with fails_with(errno.EISDIR):
        os.open(f"{mnt}/slash/", os.O_CREAT | os.O_WRONLY)
    os.rename(mnt / "f", mnt / "f")         # onto itself: nothing to do
    assert os.stat(f"{mnt}/a/b/..").st_ino == os.stat(mnt / "a").st_ino


def test_descriptors_of_the_wrong_direction_are_ebadf(mnt):
    with opened(mnt / "f", os.O_RDONLY) as fd:
        with fails_with(errno.EBADF):
            os.write(fd, b"1")
        with fails_with(errno.EBADF, errno.EINVAL):
            os.ftruncate(fd, 0)
    with opened(mnt / "new", os.O_CREAT | os.O_WRONLY) as fd:
        with fails_with(errno.EBADF):
            os.read(fd, 1)
    with opened(mnt / "f", os.O_PATH) as fd:
        with fails_with(errno.EBADF):
            os.read(fd, 1)


def test_places_that_cannot_be(mnt):
    with opened(mnt / "f", os.O_RDONLY) as fd:
        for call in (lambda: os.lseek(fd, -1, os.SEEK_SET), lambda: os.pread(fd, 1, -1),
                     lambda: os.lseek(fd, -100, os.SEEK_END)):
            with fails_with(errno.EINVAL):
                call()
        assert os.lseek(fd, 1 << 50, os.SEEK_SET) == 1 << 50 and os.read(fd, 1) == b""
    for size in (-1,):
        with fails_with(errno.EINVAL):
            os.truncate(mnt / "f", size)


def test_removed_directory_that_is_still_open(mnt):
    os.mkdir(mnt / "gone")
    with opened(mnt / "gone", os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.rmdir(mnt / "gone")
        assert os.listdir(fd) == [] and stat.S_ISDIR(os.fstat(fd).st_mode)
        for call in (lambda: os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=fd),
                     lambda: os.mkdir("x", dir_fd=fd), lambda: os.stat("x", dir_fd=fd)):
            with fails_with(errno.ENOENT):
                call()


@pytest.mark.root
@pytest.mark.once
def test_others_are_refused_by_the_modes(mount, bucket, work, folder):
    """EACCES where search, read or write is not allowed, whatever the call."""
    bucket.put("d/x", b"1")
    m = mount("--allow-other", "--allow-delete", "--allow-overwrite", "--dir-mode", "700")
    for path in (work, folder, m.folder):
        path.chmod(0o755)
    code = """
import errno, os, sys
p = sys.argv[1] + "/d/x"
for call in (os.stat, os.unlink, os.mkdir, lambda p: os.open(p, os.O_RDONLY),
             lambda p: os.open(p + "n", os.O_CREAT | os.O_WRONLY), lambda p: os.rename(p, p + "n"),
             lambda p: os.chmod(p, 0o777), lambda p: os.truncate(p, 0), os.rmdir):
    try:
        call(p)
    except OSError as e:
        assert e.errno == errno.EACCES, e
    else:
        raise SystemExit("it was let in")
"""
    run(sys.executable if os.access(sys.executable, os.X_OK) and
        sys.executable.startswith("/usr") else "/usr/bin/python3", "-c", code, m.path,
        user=NOBODY, group=NOBODY, check=True)


def test_program_that_runs_is_etxtbsy(mount, bucket):
    m = mount("--allow-overwrite", "--file-mode", "755")
    with open(shutil.which("sleep"), "rb") as f:
        bucket.put("prog", f.read())
    p = subprocess.Popen([m.path / "prog", "60"])
    try:
        wait_for(lambda: os.readlink(f"/proc/{p.pid}/exe") == str(m.path / "prog"), 5, "it runs")
        with fails_with(errno.ETXTBSY):
            os.open(m.path / "prog", os.O_WRONLY | os.O_TRUNC)
    finally:
        p.kill()
        p.wait()


def test_success_is_seen(mnt):
    """The other half: what each call leaves."""
    os.mkdir(mnt / "dir")
    os.mknod(mnt / "dir/node", stat.S_IFREG | 0o644)
    assert os.listdir(mnt / "dir") == ["node"]
    with opened(mnt / "dir/node", os.O_WRONLY) as fd:
        os.write(fd, b"1")
    st = os.stat(mnt / "dir/node")
    assert stat.S_ISREG(st.st_mode) and st.st_size == 1 and st.st_nlink == 1
    with opened(mnt / "dir/excl", os.O_CREAT | os.O_EXCL | os.O_RDONLY):
        pass
    assert os.stat(mnt / "dir/excl").st_size == 0
    os.unlink(mnt / "dir/node")
    os.unlink(mnt / "dir/excl")
    with fails_with(errno.ENOENT):
        os.stat(mnt / "dir/node")
    os.rmdir(mnt / "dir")
    with fails_with(errno.ENOENT):
        os.stat(mnt / "dir")
