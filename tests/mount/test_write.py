# SPDX-License-Identifier: Apache-2.0
"""Writing: sequential, whole or not at all, and close() says which."""

import ctypes
import errno
import os
import subprocess
import threading
import time

import pytest

from check import KIB, MIB, blob, fails_with, opened, sha256, sha256_file, write_all
from mountlib import run, wait_for

PART = 5 * MIB
BORDER_SIZES = [1, 4096, MIB + 1, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1,
                4 * PART + 12345]


@pytest.fixture
def parts(mount):
    """A mount with the smallest part size, so that few bytes make many parts."""
    return mount("--part-size", str(PART), "--allow-delete", "--allow-overwrite").path


@pytest.fixture
def careful(mount):
    """A mount without --allow-overwrite and --allow-delete."""
    return mount().path


def on_server(bucket, key, seconds=5):
    """Wait until an object is there: release comes after close()."""
    wait_for(lambda: bucket.exists(key), seconds, f"{key} is on the server")


@pytest.mark.parametrize("size", BORDER_SIZES)
def test_sizes_around_part_borders(parts, bucket, size):
    data = blob(size)
    with opened(parts / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY) as fd:
        write_all(fd, data)
    assert sha256(bucket.get("f")) == sha256(data)
    assert os.stat(parts / "f").st_size == size
    assert sha256_file(parts / "f") == sha256(data)
    assert bucket.uploads() == []


@pytest.mark.parametrize("block", [1, 100, 4096, 65537, 3 * MIB])
def test_write_sizes(parts, bucket, block):
    data = blob(min(7 * MIB, block * 3000))
    with opened(parts / "f", os.O_CREAT | os.O_WRONLY) as fd:
        write_all(fd, data, block)
    assert sha256(bucket.get("f")) == sha256(data)


def test_object_appears_with_close_and_not_before(mnt, bucket):
    with opened(mnt / "f", os.O_CREAT | os.O_WRONLY) as fd:
        os.write(fd, b"12345")
        assert not bucket.exists("f")
        assert os.stat(mnt / "f").st_size == 5
        assert os.fstat(fd).st_size == 5
        assert os.listdir(mnt) == ["f"]
    assert bucket.get("f") == b"12345"


def test_read_right_after_close(mnt):
    for i in range(30):
        data = b"%d" % i * 50
        (mnt / f"f{i}").write_bytes(data)
        assert (mnt / f"f{i}").read_bytes() == data


def test_written_file_is_listed_and_has_its_time(mnt, bucket):
    before = time.time()
    (mnt / "f").write_bytes(b"1")
    st = os.stat(mnt / "f")
    assert before - 2 <= st.st_mtime <= time.time() + 2
    assert os.listdir(mnt) == ["f"]


def test_fsync_completes_the_object(mnt, bucket):
    with opened(mnt / "f", os.O_CREAT | os.O_WRONLY) as fd:
        os.write(fd, b"123")
        os.fsync(fd)
        assert bucket.get("f") == b"123"
        os.fsync(fd)
        with fails_with(errno.EIO):
            os.write(fd, b"4")
    assert bucket.get("f") == b"123"


def test_fdatasync_completes_the_object(parts, bucket):
    data = blob(2 * PART + 5)
    with opened(parts / "f", os.O_CREAT | os.O_WRONLY) as fd:
        write_all(fd, data)
        os.fdatasync(fd)
        assert sha256(bucket.get("f")) == sha256(data)


def test_fsync_of_an_empty_new_file(mnt, bucket):
    with opened(mnt / "f", os.O_CREAT | os.O_WRONLY) as fd:
        os.fsync(fd)
        assert bucket.get("f") == b""


def test_fsync_of_a_reader_and_of_a_directory(mnt, bucket):
    bucket.put("f", b"1")
    for path, flags in ((mnt / "f", os.O_RDONLY), (mnt, os.O_RDONLY | os.O_DIRECTORY)):
        with opened(path, flags) as fd:
            os.fsync(fd)


def test_touch_makes_an_empty_object(mnt, bucket):
    run("touch", mnt / "f", check=True)
    on_server(bucket, "f")
    assert bucket.get("f") == b"" and os.stat(mnt / "f").st_size == 0
    assert (mnt / "f").read_bytes() == b""


def test_empty_file_is_readable_right_after_close(mnt, bucket):
    for i in range(10):
        os.close(os.open(mnt / f"f{i}", os.O_CREAT | os.O_WRONLY))
        assert (mnt / f"f{i}").read_bytes() == b""
        assert bucket.get(f"f{i}") == b""


# the sequential rule


@pytest.mark.parametrize("at", [0, 1, 4095, 8193], ids=["rewrite", "inside", "overlap", "hole"])
def test_write_out_of_order_is_refused_for_good(mnt, bucket, at):
    fd = os.open(mnt / "f", os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"a" * 8192)
    with fails_with(errno.EINVAL):
        os.pwrite(fd, b"b" * 100, at)
    with fails_with(errno.EINVAL):
        os.pwrite(fd, b"c", 8192)
    with fails_with(errno.EINVAL, errno.EIO):
        os.fsync(fd)
    with fails_with(errno.EINVAL, errno.EIO):
        os.close(fd)
    wait_for(lambda: not bucket.uploads(), 5, "the upload is aborted")
    assert not bucket.exists("f")
    wait_for(lambda: not os.path.exists(mnt / "f"), 3, "the failed file is gone")


def test_out_of_order_after_parts_were_sent_leaves_nothing(parts, bucket):
    fd = os.open(parts / "f", os.O_CREAT | os.O_WRONLY)
    write_all(fd, blob(2 * PART + 1))
    with fails_with(errno.EINVAL):
        os.pwrite(fd, b"x", 0)
    with fails_with(errno.EINVAL, errno.EIO):
        os.close(fd)
    wait_for(lambda: not bucket.uploads(), 5, "the upload is aborted")
    assert not bucket.exists("f")


def test_pwrite_in_order_is_fine(mnt, bucket):
    with opened(mnt / "f", os.O_CREAT | os.O_WRONLY) as fd:
        for at in range(0, 50000, 1000):
            os.pwrite(fd, b"%c" % (65 + at // 1000 % 26) * 1000, at)
    assert len(bucket.get("f")) == 50000


def test_failed_name_can_be_written_again(mnt, bucket):
    fd = os.open(mnt / "f", os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"one")
    with fails_with(errno.EINVAL):
        os.pwrite(fd, b"two", 1)
    with fails_with(errno.EINVAL, errno.EIO):
        os.close(fd)
    (mnt / "f").write_bytes(b"again")
    assert bucket.get("f") == b"again"


def test_reading_a_write_handle_is_refused(mnt):
    fd = os.open(mnt / "f", os.O_CREAT | os.O_RDWR)
    try:
        os.write(fd, b"123")
        with fails_with(errno.EBADF):
            os.pread(fd, 3, 0)
    finally:
        os.close(fd)


def test_truncating_an_open_new_file_changes_nothing(mnt, bucket):
    with opened(mnt / "f", os.O_CREAT | os.O_WRONLY) as fd:
        os.ftruncate(fd, 0)
        os.write(fd, b"12345")
    assert bucket.get("f") == b"12345"


def test_mapped_write_is_refused_or_faults(mnt, bucket):
    """A shared writable map must not pretend to work; it may fault, so in a child."""
    code = (f"import mmap, os\nfd = os.open({str(mnt / 'f')!r}, os.O_CREAT | os.O_RDWR)\n"
            "os.write(fd, b'x' * 4096)\n"
            "m = mmap.mmap(fd, 4096)\nm[0:5] = b'wrong'\nm.flush()\n")
    done = run("python3", "-c", code)
    assert done.returncode != 0
    wait_for(lambda: not bucket.exists("f") or bucket.get("f") == b"x" * 4096, 5,
             "nothing but the written bytes")


# overwriting


def test_overwrite_with_o_trunc(mnt, bucket):
    bucket.put("f", b"old content")
    with opened(mnt / "f", os.O_WRONLY | os.O_TRUNC) as fd:
        os.write(fd, b"new")
        assert bucket.get("f") == b"old content"
    assert bucket.get("f") == b"new" == (mnt / "f").read_bytes()


def test_overwrite_by_shell_redirection(mnt, bucket):
    for text in ("one", "two", "three"):
        run("sh", "-c", f"echo {text} > '{mnt}/f'", check=True)
        assert bucket.get("f") == text.encode() + b"\n"
        assert (mnt / "f").read_text() == text + "\n"


def test_overwrite_by_parts(parts, bucket):
    bucket.put("f", blob(3 * PART, "old"))
    data = blob(2 * PART + 7, "new")
    (parts / "f").write_bytes(data)
    assert sha256(bucket.get("f")) == sha256(data) == sha256_file(parts / "f")


def test_overwrite_with_nothing_makes_it_empty(mnt, bucket):
    bucket.put("f", b"old")
    os.close(os.open(mnt / "f", os.O_WRONLY | os.O_TRUNC))
    wait_for(lambda: bucket.get("f") == b"", 5, "the object is empty")
    assert (mnt / "f").read_bytes() == b""


def test_failed_overwrite_leaves_the_old_object(parts, bucket):
    bucket.put("f", b"old content")
    fd = os.open(parts / "f", os.O_WRONLY | os.O_TRUNC)
    write_all(fd, blob(PART + 1))
    with fails_with(errno.EINVAL):
        os.pwrite(fd, b"x", 0)
    with fails_with(errno.EINVAL, errno.EIO):
        os.close(fd)
    assert bucket.get("f") == b"old content"
    wait_for(lambda: (parts / "f").read_bytes() == b"old content", 3, "the old file shows")


def test_overwrite_without_o_trunc_is_refused(mnt, bucket):
    bucket.put("f", b"old")
    for flags in (os.O_WRONLY, os.O_WRONLY | os.O_APPEND):
        with fails_with(errno.EPERM):
            os.open(mnt / "f", flags)
    assert bucket.get("f") == b"old"


def test_overwrite_without_the_option_is_refused(careful, bucket):
    bucket.put("f", b"old")
    for flags in (os.O_WRONLY | os.O_TRUNC, os.O_WRONLY, os.O_WRONLY | os.O_APPEND,
                  os.O_RDWR | os.O_TRUNC):
        with fails_with(errno.EPERM):
            os.open(careful / "f", flags)
    assert bucket.get("f") == b"old" == (careful / "f").read_bytes()


@pytest.mark.parametrize("how", ["echo data > $made", "echo data >> $made",
                                 "echo data > $data; cp $data $made",
                                 "echo data | dd of=$made status=none"])
def test_file_made_empty_here_may_be_written(careful, bucket, tmp_path, how):
    script = f"made=$(mktemp -p {careful}) data={tmp_path}/data; {how} && echo $made"
    done = run("sh", "-c", script)
    assert done.returncode == 0, done.stderr
    made = done.stdout.strip()
    name = os.path.basename(made)
    assert bucket.get(name) == b"data\n"
    with fails_with(errno.EPERM):
        os.open(made, os.O_WRONLY | os.O_TRUNC)
    assert bucket.get(name) == b"data\n"


def test_empty_file_that_another_client_wrote_is_not_replaced(careful, bucket):
    (careful / "f").touch()
    on_server(bucket, "f")
    os.stat(careful / "f")
    bucket.put("f", b"of another client")
    with fails_with(errno.EPERM):
        os.open(careful / "f", os.O_WRONLY | os.O_TRUNC)
    assert bucket.get("f") == b"of another client"


@pytest.mark.parametrize("flags", [os.O_TRUNC, os.O_APPEND])
def test_empty_object_of_another_client_is_not_replaced(careful, bucket, flags):
    bucket.put("f", b"")
    with fails_with(errno.EPERM):
        os.open(careful / "f", os.O_WRONLY | flags)


def test_file_made_empty_here_is_still_a_lock_file(careful):
    (careful / "lock").touch()
    with opened(careful / "lock", os.O_RDWR), opened(careful / "lock", os.O_RDWR):
        pass


def test_new_files_need_no_option(careful, bucket):
    (careful / "f").write_bytes(b"1")
    assert bucket.get("f") == b"1"


def test_append_to_a_new_file(careful, bucket):
    with opened(careful / "f", os.O_CREAT | os.O_WRONLY | os.O_APPEND) as fd:
        for _ in range(5):
            os.write(fd, b"line\n")
    assert bucket.get("f") == b"line\n" * 5


def test_append_to_an_object_is_refused(mnt, bucket):
    (mnt / "f").write_bytes(b"1")
    assert run("sh", "-c", f"echo 2 >> '{mnt}/f'").returncode != 0
    assert bucket.get("f") == b"1"


def test_exclusive_create_of_an_object_is_refused(mnt, bucket):
    bucket.put("f", b"1")
    with fails_with(errno.EEXIST):
        os.open(mnt / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)


@pytest.mark.parametrize("flag", ["O_SYNC", "O_DSYNC"])
def test_synchronous_open_is_refused(mnt, bucket, flag):
    bucket.put("f", b"1")
    with fails_with(errno.EINVAL):
        os.open(mnt / "f", os.O_RDONLY | getattr(os, flag))
    with fails_with(errno.EINVAL):
        os.open(mnt / "new", os.O_CREAT | os.O_WRONLY | getattr(os, flag))


def test_o_direct_write(mnt, bucket):
    run("dd", "if=/dev/zero", f"of={mnt}/f", "bs=1M", "count=9", "oflag=direct", check=True)
    assert bucket.get("f") == bytes(9 * MIB)


# readers and writers of one file


def test_second_writer_is_refused(mnt, bucket):
    with opened(mnt / "f", os.O_CREAT | os.O_WRONLY) as fd:
        os.write(fd, b"1")
        with fails_with(errno.EPERM):
            os.open(mnt / "f", os.O_WRONLY | os.O_TRUNC)
        os.write(fd, b"2")
    assert bucket.get("f") == b"12"
    (mnt / "f").write_bytes(b"3")
    assert bucket.get("f") == b"3"


def test_reader_of_a_file_being_written_is_refused(mnt, bucket):
    with opened(mnt / "f", os.O_CREAT | os.O_WRONLY) as fd:
        os.write(fd, b"1")
        with fails_with(errno.EPERM):
            os.open(mnt / "f", os.O_RDONLY)
    assert (mnt / "f").read_bytes() == b"1"


def test_writer_of_a_file_being_read_is_refused(mnt, bucket):
    bucket.put("f", b"old")
    with opened(mnt / "f", os.O_RDONLY) as fd:
        with fails_with(errno.EPERM):
            os.open(mnt / "f", os.O_WRONLY | os.O_TRUNC)
        assert os.read(fd, 10) == b"old"
    (mnt / "f").write_bytes(b"new")
    assert bucket.get("f") == b"new"


def test_close_then_open_needs_no_pause(mnt):
    """The rule ends with close(), not with the kernel's later release."""
    for i in range(50):
        (mnt / "f").write_bytes(b"%d" % i)
        with open(mnt / "f", "rb") as f:
            assert f.read() == b"%d" % i


def test_dup_keeps_the_file_open(mnt, bucket):
    """As dd does: open, dup, close the first before anything is written."""
    fd = os.open(mnt / "f", os.O_CREAT | os.O_WRONLY)
    other = os.dup(fd)
    os.close(fd)
    os.write(other, b"12")
    os.write(other, b"3")
    os.close(other)
    assert bucket.get("f") == b"123"


def test_child_that_closes_does_not_end_the_upload(mnt, bucket):
    fd = os.open(mnt / "f", os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"before ")
    run("true", pass_fds=[fd], check=True)
    assert not bucket.exists("f")
    os.write(fd, b"after")
    os.close(fd)
    assert bucket.get("f") == b"before after"


def test_child_writes_and_parent_closes(mnt, bucket):
    fd = os.open(mnt / "f", os.O_CREAT | os.O_WRONLY)
    run("sh", "-c", "echo from the child", stdout=fd, check=True)
    os.close(fd)
    on_server(bucket, "f")
    assert bucket.get("f") == b"from the child\n"


def test_parent_closes_first(mnt, bucket):
    fd = os.open(mnt / "f", os.O_CREAT | os.O_WRONLY)
    child = subprocess.Popen(["sh", "-c", "read x; printf '%s' child"], stdout=fd,
                             stdin=subprocess.PIPE)
    os.close(fd)
    child.communicate(b"go\n", timeout=10)
    assert child.returncode == 0
    on_server(bucket, "f")
    wait_for(lambda: bucket.get("f") == b"child", 5, "the child's bytes are there")


def test_shell_script_with_one_descriptor_for_many_commands(mnt, bucket):
    """bash redirects in the child; a builtin's or dash's close would be the owner's."""
    run("bash", "-c", f"exec 3>'{mnt}/f'; /bin/echo 1 >&3; /bin/echo 2 >&3; (/bin/echo 3 >&3)",
        check=True)
    assert bucket.get("f") == b"1\n2\n3\n"


# many at once


def test_sixteen_writers(parts, bucket):
    failed = []

    def writer(i):
        try:
            data = blob(PART + i * 1000, i)
            (parts / f"f{i}").write_bytes(data)
            if sha256(bucket.get(f"f{i}")) != sha256(data):
                failed.append(i)
        except OSError as e:
            failed.append((i, str(e)))
    threads = [threading.Thread(target=writer, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == [] and bucket.uploads() == []


def test_many_small_files_by_eight_writers(mnt, bucket):
    (mnt / "d").mkdir()
    want = {f"d/f{i}": blob(100 + i) for i in range(200)}
    names = list(want)

    def writer(k):
        for name in names[k::8]:
            (mnt / name).write_bytes(want[name])
    threads = [threading.Thread(target=writer, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(bucket.keys()) == sorted(want)
    for name in names[::17]:
        assert bucket.get(name) == want[name]


def test_many_slow_writers_share_the_memory(mount, bucket):
    """More open writers than parts fit into the budget: all finish."""
    m = mount("--memory-target", "64")
    fds = [os.open(m.path / f"f{i}", os.O_CREAT | os.O_WRONLY) for i in range(24)]
    for _ in range(4):
        for i, fd in enumerate(fds):
            os.write(fd, bytes([i]) * (256 * KIB))
    for fd in fds:
        os.close(fd)
    assert [bucket.head(f"f{i}")["ContentLength"] for i in range(24)] == [MIB] * 24
    assert bucket.get("f7") == b"\7" * MIB


def test_abandoned_writer_leaves_no_upload_pending(parts, bucket):
    p = subprocess.Popen(["sh", "-c", f"cat > '{parts}/f'"], stdin=subprocess.PIPE)
    p.stdin.write(blob(2 * PART))
    p.stdin.flush()
    p.kill()
    p.wait(5)
    p.stdin.close()
    wait_for(lambda: not bucket.uploads(), 10, "no upload is left pending")


def test_fallocate_is_refused(mnt):
    with opened(mnt / "f", os.O_CREAT | os.O_WRONLY) as fd:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
        assert libc.fallocate(fd, 0, 0, 4096) == -1
        assert ctypes.get_errno() == errno.EOPNOTSUPP


def test_statfs_has_room(mnt):
    st = os.statvfs(mnt)
    assert st.f_bavail * st.f_frsize > 1 << 50 and st.f_namemax >= 255
    assert st.f_ffree > 1 << 32


def test_times_of_an_open_new_file_can_be_set(mnt):
    with opened(mnt / "f", os.O_CREAT | os.O_WRONLY) as fd:
        os.write(fd, b"1")
        os.utime(fd, (1000000000, 1100000000))
        assert (os.fstat(fd).st_atime, os.fstat(fd).st_mtime) == (1000000000, 1100000000)
