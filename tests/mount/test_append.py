# SPDX-License-Identifier: Apache-2.0
"""--incremental-upload: files of directory buckets are appended to, and grow while they are written."""

import contextlib
import errno
import os
import subprocess
import sys
import threading

import pytest

from check import MIB, blob, fails_with, opened, write_all
from mountlib import run, wait_for

pytestmark = pytest.mark.s3d_only
PART = 5 * MIB
APPEND = os.O_WRONLY | os.O_APPEND


@pytest.fixture
def bucket(directory_bucket):
    directory_bucket.put("f", b"line 1\n")
    return directory_bucket


@pytest.fixture
def appending(directory_mount, bucket):
    """A factory of mounts that append."""
    return lambda *options: directory_mount("--incremental-upload", "--write-part-size", PART,
                                            *options)


@pytest.fixture
def path(appending):
    return appending().path


def append(path, data):
    with opened(path, APPEND | os.O_CREAT) as fd:
        write_all(fd, data)


# what it does


def test_append_adds_to_the_object(path, bucket, server):
    with server.counting() as n:
        append(path / "f", b"line 2\n")
    assert n["PutObject"] == 1 and not n["GetObject"] and not n["CreateMultipartUpload"]
    assert bucket.get("f") == b"line 1\nline 2\n"
    assert os.stat(path / "f").st_size == 14
    assert (path / "f").read_bytes() == b"line 1\nline 2\n"
    for i in range(3, 10):
        run("sh", "-c", f"echo line {i} >> '{path}/f'", check=True)
    assert (path / "f").read_text() == "".join(f"line {i}\n" for i in range(1, 10))
    assert bucket.get("f") == (path / "f").read_bytes()


def test_append_makes_the_object_that_is_not_there(path, bucket, server):
    with server.counting() as n:
        append(path / "new", b"1")
    assert n["PutObject"] == 1 and bucket.get("new") == b"1"
    append(path / "new", b"2")
    assert bucket.get("new") == b"12"


def test_object_grows_while_it_is_written(path, bucket, server):
    """One part after another, each seen by others at once."""
    data = blob(3 * PART + 1000)
    sizes = []
    with server.counting() as n, opened(path / "big", os.O_CREAT | os.O_WRONLY) as fd:
        for part in range(3):
            write_all(fd, data[part * PART:(part + 1) * PART])
            wait_for(lambda p=part: bucket.exists("big") and
                     bucket.head("big")["ContentLength"] == (p + 1) * PART, 5, "the part arrives")
            sizes.append(bucket.head("big")["ContentLength"])
            assert os.fstat(fd).st_size == (part + 1) * PART
        write_all(fd, data[3 * PART:])
    assert sizes == [PART, 2 * PART, 3 * PART]
    assert n["PutObject"] == 4 and not n["CreateMultipartUpload"]
    assert bucket.get("big") == data and (path / "big").read_bytes() == data


def test_append_of_several_parts(path, bucket):
    data = blob(2 * PART + 77)
    append(path / "f", data)
    assert bucket.get("f") == b"line 1\n" + data
    append(path / "f", data)
    assert bucket.get("f") == b"line 1\n" + data + data
    assert os.stat(path / "f").st_size == 7 + 2 * len(data)


def test_fsync_commits_and_writing_goes_on(path, bucket):
    for name, had in (("f", b"line 1\n"), ("new", b"")):
        with opened(path / name, APPEND | os.O_CREAT) as fd:
            for i in range(5):
                os.write(fd, b"%d" % i)
                os.fsync(fd)
                os.fsync(fd)
                assert bucket.get(name) == had + b"01234"[:i + 1]
            os.write(fd, b"5")
            assert bucket.get(name) == had + b"01234"
        assert bucket.get(name) == had + b"012345"


def test_fsync_of_nothing(path, bucket, server):
    with opened(path / "new", APPEND | os.O_CREAT) as fd:
        os.fsync(fd)
        assert bucket.get("new") == b""
        os.write(fd, b"1")
        os.fsync(fd)
        assert bucket.get("new") == b"1"
    with server.counting() as n:
        with opened(path / "f", APPEND) as fd:
            os.fsync(fd)
    assert not n["PutObject"] and bucket.get("f") == b"line 1\n"


def test_empty_files(path, bucket, server):
    with server.counting() as n:
        run("touch", path / "empty", check=True)
        with opened(path / "empty", os.O_RDONLY) as fd:
            assert os.read(fd, 10) == b""
    assert n["PutObject"] == 1 and bucket.get("empty") == b""
    append(path / "empty", b"1")
    append(path / "empty", b"2")
    assert bucket.get("empty") == b"12"


def test_seek_to_the_end_appends(path, bucket):
    with opened(path / "f", os.O_WRONLY) as fd:
        assert os.lseek(fd, 0, os.SEEK_END) == 7
        os.write(fd, b"2")
    assert bucket.get("f") == b"line 1\n2"


# open


def test_write_handles(appending, bucket):
    path = appending("--allow-overwrite").path
    with opened(path / "f", os.O_RDWR | os.O_APPEND) as fd:
        with fails_with(errno.EBADF):
            os.pread(fd, 10, 0)
        os.write(fd, b"2")
    assert bucket.get("f") == b"line 1\n2"
    bucket.put("empty", b"")
    with opened(path / "empty", os.O_RDWR | os.O_APPEND) as fd, fails_with(errno.EBADF):
        os.pread(fd, 10, 0)
    assert bucket.get("empty") == b""
    with opened(path / "f", os.O_RDWR) as fd:
        assert os.read(fd, 100) == b"line 1\n2"
        with fails_with(errno.EBADF):
            os.write(fd, b"3")
    with opened(path / "f", os.O_RDWR | os.O_TRUNC) as fd:
        os.write(fd, b"new")
        os.fsync(fd)
        os.write(fd, b"er")
    assert bucket.get("f") == b"newer"
    with opened(path / "f", APPEND | os.O_TRUNC):
        pass
    assert bucket.get("f") == b""


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, APPEND, os.O_RDWR | os.O_APPEND])
def test_truncation_needs_allow_overwrite(path, bucket, flags):
    with fails_with(errno.EPERM):
        os.open(path / "f", flags | os.O_TRUNC)
    with fails_with(errno.EPERM):
        os.truncate(path / "f", 0)
    with opened(path / "f", APPEND) as fd:
        with fails_with(errno.EPERM):
            os.ftruncate(fd, 0)
        os.write(fd, b"2")
    assert bucket.get("f") == b"line 1\n2"


def test_write_at_the_beginning_is_refused(path, bucket):
    fd = os.open(path / "f", os.O_WRONLY)
    for _ in range(2):
        with fails_with(errno.EINVAL):
            os.write(fd, b"x")
    with fails_with(errno.EINVAL):
        os.close(fd)
    assert bucket.get("f") == b"line 1\n"
    append(path / "f", b"2")
    assert bucket.get("f") == b"line 1\n2"


def test_one_writer_and_no_reader_at_a_time(path, bucket):
    with opened(path / "f", APPEND) as fd:
        os.write(fd, b"2")
        for flags in (os.O_RDONLY, APPEND):
            with fails_with(errno.EPERM):
                os.open(path / "f", flags)
        with fails_with(errno.EPERM):
            os.rename(path / "f", path / "g")
    with opened(path / "f", os.O_RDONLY):
        with fails_with(errno.EPERM):
            os.open(path / "f", APPEND)


def test_without_the_option(directory_mount, bucket):
    path = directory_mount("--allow-overwrite").path
    with fails_with(errno.EPERM):
        os.open(path / "f", APPEND)
    append(path / "new", b"1")
    assert bucket.get("f") == b"line 1\n" and bucket.get("new") == b"1"


def test_general_purpose_bucket(mount, server):
    """The option changes nothing there: such servers would put the tail in the object's place."""
    bucket = server.new_bucket()
    bucket.put("f", b"line 1\n")
    m = mount("--incremental-upload", "--write-part-size", PART, bucket=bucket)
    assert "no effect" in m.log()
    with fails_with(errno.EPERM):
        os.open(m.path / "f", APPEND)
    data = blob(2 * PART + 1)
    append(m.path / "new", data)
    assert bucket.get("new") == data and bucket.get("f") == b"line 1\n"
    assert not any("write-offset" in str(r) for r in server.requests())


def test_open_sees_what_another_client_added(appending, bucket):
    """Also while the size that is known may be trusted."""
    for ttl in ("minimal", "60"):
        bucket.put("g", b"1")
        path = appending("--metadata-ttl", ttl).path
        assert os.stat(path / "g").st_size == 1
        bucket.put("g", b"123")
        append(path / "g", b"4")
        assert bucket.get("g") == b"1234"
        bucket.put("g", b"1")
        bucket.delete("g")
        append(path / "g", b"new")
        assert bucket.get("g") == b"new"


# close


def test_shell_appends_by_many_commands(path, bucket):
    """dup and fork: none of them ends the file for the others."""
    run("sh", "-c", f"{{ echo 2; (echo 3); echo 4 | cat; sh -c 'echo 5'; echo 6; }} >> '{path}/f'",
        check=True)
    assert bucket.get("f") == b"line 1\n2\n3\n4\n5\n6\n"


def test_close_of_a_dup_commits(path, bucket):
    with opened(path / "f", APPEND) as fd:
        os.write(fd, b"2")
        os.close(os.dup(fd))
        assert bucket.get("f") == b"line 1\n2"
        os.write(fd, b"3")
    assert bucket.get("f") == b"line 1\n23"


def test_close_by_a_child_commits(path, bucket):
    with opened(path / "f", APPEND) as fd:
        subprocess.run([sys.executable, "-c", f"import os; os.write({fd}, b'child')"], pass_fds=[fd],
                       check=True)
        assert bucket.get("f") == b"line 1\nchild"
        os.write(fd, b"parent")
    assert bucket.get("f") == b"line 1\nchildparent"


def test_parent_closes_first(path, bucket):
    """Without having written; its close after a write would be the end, as elsewhere."""
    fd = os.open(path / "f", APPEND)
    child = subprocess.Popen(["sh", "-c", "read x; printf '%s' child"], stdout=fd,
                             stdin=subprocess.PIPE)
    os.close(fd)
    child.communicate(b"go\n", timeout=10)
    assert child.returncode == 0
    wait_for(lambda: bucket.get("f") == b"line 1\nchild", 5, "the child's bytes arrive")
    assert (path / "f").read_bytes() == b"line 1\nchild"


def test_killed_writer_has_appended_what_it_wrote(path, bucket):
    """A log's last lines are the ones that matter."""
    child = subprocess.Popen([sys.executable, "-c", "import os, sys, time\n"
                              f"fd = os.open('{path}/f', os.O_WRONLY | os.O_APPEND)\n"
                              "os.write(fd, b'last words')\n"
                              "print('written', flush=True)\ntime.sleep(100)"],
                             stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "written\n"
    child.kill()
    child.wait()
    wait_for(lambda: bucket.get("f") == b"line 1\nlast words", 5, "what it wrote arrives")


def test_sigterm_sends_what_was_appended(appending, bucket):
    m = appending()
    fd = os.open(m.path / "f", APPEND)
    os.write(fd, b"before the end")
    code, _ = m.terminate(20)
    assert code == 0 and bucket.get("f") == b"line 1\nbefore the end"
    with fails_with(errno.ENOTCONN, errno.EIO, errno.ECONNABORTED):
        os.write(fd, b"x")
        os.fsync(fd)
    with contextlib.suppress(OSError):
        os.close(fd)


# trouble


def test_another_clients_change_fails_the_append_for_good(path, bucket):
    fd = os.open(path / "f", APPEND)
    os.write(fd, b"2")
    os.fsync(fd)
    bucket.put("f", b"theirs, longer than before")
    os.write(fd, b"3")
    for _ in range(2):
        with fails_with(errno.EIO):
            os.fsync(fd)
    with fails_with(errno.EIO):
        os.write(fd, b"4")
    with fails_with(errno.EIO):
        os.close(fd)
    assert bucket.get("f") == b"theirs, longer than before"
    assert (path / "f").read_bytes() == b"theirs, longer than before"
    append(path / "f", b"!")
    assert bucket.get("f") == b"theirs, longer than before!"


def test_change_of_an_empty_object_is_noticed(path, bucket):
    bucket.put("empty", b"")
    fd = os.open(path / "empty", APPEND)
    os.write(fd, b"1")
    bucket.put("empty", b"theirs")
    with fails_with(errno.EIO):
        os.close(fd)
    assert bucket.get("empty") == b"theirs"


def test_object_deleted_by_another_client(path, bucket):
    fd = os.open(path / "f", APPEND)
    os.write(fd, b"2")
    bucket.delete("f")
    with fails_with(errno.EIO):
        os.close(fd)
    assert not bucket.exists("f") and not (path / "f").exists()


def test_failure_keeps_what_has_arrived(path, bucket, server):
    data = blob(3 * PART)
    server.fault("status", op="PutObject", code=400, s3code="InvalidRequest", skip=1)
    fd = os.open(path / "f", APPEND)
    with fails_with(errno.EIO):
        write_all(fd, data)
        os.fsync(fd)
    with fails_with(errno.EIO):
        os.write(fd, b"more")
    with fails_with(errno.EIO):
        os.close(fd)
    server.clear_faults()
    assert bucket.get("f") == b"line 1\n" + data[:PART]
    assert os.stat(path / "f").st_size == 7 + PART
    append(path / "f", b"end")
    assert bucket.get("f") == b"line 1\n" + data[:PART] + b"end"


def test_refused_append(path, bucket, server):
    server.fault("status", op="PutObject", code=403, s3code="AccessDenied")
    fd = os.open(path / "f", APPEND)
    os.write(fd, b"2")
    with fails_with(errno.EACCES, errno.EIO):
        os.close(fd)
    assert bucket.get("f") == b"line 1\n"


@pytest.mark.parametrize("kind, more", [
    ("status", {"code": 503, "s3code": "SlowDown"}), ("reset", {}), ("after-success", {})])
def test_passing_trouble_is_mended_and_nothing_is_added_twice(path, bucket, server, kind, more):
    data = blob(2 * PART + 5)
    server.fault(kind, op="PutObject", count=2, skip=1, **more)
    append(path / "f", data)
    assert bucket.get("f") == b"line 1\n" + data
    server.fault(kind, op="PutObject", count=1, **more)
    append(path / "new", b"1")
    append(path / "new", b"2")
    assert bucket.get("new") == b"12"


def checksum_kind(bucket, key):
    """boto3 may not know them all; the header does."""
    answer = bucket.s3.head_object(Bucket=bucket.name, Key=key, ChecksumMode="ENABLED")
    found = [h[len("x-amz-checksum-"):] for h in answer["ResponseMetadata"]["HTTPHeaders"]
             if h.startswith("x-amz-checksum-") and h != "x-amz-checksum-type"]
    return found[0] if found else "off"


@pytest.mark.parametrize("kind", ["crc32", "sha1", "sha256", "crc32c", "crc64nvme"])
def test_checksum_of_the_object_is_kept(appending, bucket, kind):
    if kind in ("crc32c", "crc64nvme"):
        append(appending("--upload-checksums", kind).path / "sum", b"one ")
    else:
        bucket.put("sum", b"one ", ChecksumAlgorithm=kind.upper())
    other = "crc64nvme" if kind == "crc32c" else "crc32c"
    m = appending("--upload-checksums", other)
    append(m.path / "sum", b"two ")
    with opened(m.path / "sum", APPEND) as fd:
        for word in (b"three ", b"four"):
            os.write(fd, word)
            os.fsync(fd)
    assert bucket.get("sum") == b"one two three four"
    assert checksum_kind(bucket, "sum") == kind
    assert "does not know" not in m.log()     # it was sent, and was the right one


@pytest.mark.parametrize("kind", ["crc32c", "crc64nvme", "off"])
def test_checksum_of_new_objects(appending, bucket, kind):
    path = appending("--upload-checksums", kind).path
    data = blob(PART + 100)
    with opened(path / "new", APPEND | os.O_CREAT) as fd:
        write_all(fd, data)
    append(path / "new", b"2")
    assert bucket.get("new") == data + b"2"
    assert checksum_kind(bucket, "new") == kind


@pytest.mark.limit(120)
def test_many_appenders_share_the_memory(directory_mount, bucket):
    """Forty files that are half-filled parts each, in 64 MiB."""
    m = directory_mount("--incremental-upload", "--memory-target", "64", "--write-part-size", PART)
    data = blob(PART + PART // 2)
    failed = []

    def work(i):
        try:
            append(m.path / f"n{i}", data)
            append(m.path / f"n{i}", b"end")
        except OSError as e:
            failed.append((i, e))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed
    for i in range(40):
        assert bucket.get(f"n{i}") == data + b"end"


def test_two_processes_append_lines(path, bucket):
    """A lock keeps them apart; each line is whole, none is lost."""
    code = ("import fcntl, os, sys\n"
            "lock = open(sys.argv[2], 'w')\n"
            "for i in range(20):\n"
            "    fcntl.flock(lock, fcntl.LOCK_EX)\n"
            "    with open(sys.argv[1], 'a') as f:\n"
            "        f.write(f'{sys.argv[3]} {i}\\n')\n"
            "    fcntl.flock(lock, fcntl.LOCK_UN)\n")
    lock = path.parent / "lock"
    jobs = [subprocess.Popen([sys.executable, "-c", code, str(path / "log"), str(lock), name])
            for name in "ab"]
    assert [j.wait(60) for j in jobs] == [0, 0]
    lines = bucket.get("log").decode().splitlines()
    assert sorted(lines) == sorted(f"{name} {i}" for name in "ab" for i in range(20))
    assert [x for x in lines if x[0] == "a"] == [f"a {i}" for i in range(20)]
