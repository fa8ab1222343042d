# SPDX-License-Identifier: Apache-2.0
"""Uploads: what they carry, what becomes of them when something dies, odd servers."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pytest

from check import KIB, MIB, blob, fails_with, opened, sha256, sha256_file, write_all
from mountlib import SLOW, binary, run, wait_for
from servers import S3d, aws_environment

PART = 5 * MIB
ALL = ("--allow-delete", "--allow-overwrite")


SAVER = r"""
import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
left = int(sys.argv[2])
while left:
    left -= os.write(fd, b"x" * min(left, 1 << 20))
os.close(fd)
"""


def save(path, data, block=MIB):
    """Written and on the server: of an empty file close() does not say so, fsync does."""
    with opened(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY) as fd:
        write_all(fd, data, block)
        if not data:
            os.fsync(fd)


def tags(bucket, key):
    answer = bucket.s3.get_object_tagging(Bucket=bucket.name, Key=key)
    return {t["Key"]: t["Value"] for t in answer["TagSet"]}


# headers


@pytest.mark.parametrize("size", [100, 2 * PART + 1])
def test_headers_of_new_objects(mount, bucket, size):
    """The same on PutObject and on a multipart upload."""
    m = mount("--part-size", PART, "--metadata", "Colour=deep blue", "--metadata=n=1",
              "--tag", "team=a/b c", "--tag", "k=v", "--cache-control", "max-age=60",
              "--infer-content-type", *ALL)
    save(m.path / "page.html", blob(size))
    head = bucket.head("page.html")
    assert head["Metadata"] == {"colour": "deep blue", "n": "1"}
    assert head["CacheControl"] == "max-age=60"
    assert head["ContentType"] == "text/html"
    assert tags(bucket, "page.html") == {"team": "a/b c", "k": "v"}
    save(m.path / "no-ending", b"1")
    assert bucket.head("no-ending")["ContentType"] != "text/html"


@pytest.mark.once
@pytest.mark.parametrize("options, words", [
    (["--tag", "novalue"], "--tag"),
    (["--tag", "=v"], "--tag"),
    (["--metadata", "a b=c"], "--metadata"),
    (["--metadata", "a=\n"], "--metadata"),
    (["--metadata", "a=" + "x" * 2048], "2 KiB"),
])
def test_bad_headers_are_refused_at_start(server, folder, options, words):
    done = run(binary(), "-f", *options, "bucket", folder, env=aws_environment())
    assert done.returncode == 1 and words in done.stderr


@pytest.mark.s3d_only
@pytest.mark.parametrize("size", [100, 2 * PART])
def test_encryption_that_was_not_asked_for_fails(mount, bucket, server, size):
    m = mount("--part-size", PART, "--sse", "aws:kms", "--sse-kms-key-id",
              "arn:aws:kms:us-east-1:1:key/a", *ALL)
    save(m.path / "f", blob(size))
    head = bucket.head("f")
    assert head["ServerSideEncryption"] == "aws:kms"


@pytest.mark.parametrize("kind", ["crc32c", "crc64nvme", "off"])
@pytest.mark.parametrize("size", [0, 1000, 3 * PART + 17])
def test_checksums(mount, bucket, kind, size):
    m = mount("--part-size", PART, "--upload-checksums", kind, *ALL)
    data = blob(size)
    save(m.path / "f", data, 123457)
    assert sha256(bucket.get("f")) == sha256(data)
    head = bucket.s3.head_object(Bucket=bucket.name, Key="f", ChecksumMode="ENABLED")
    found = {k for k in head["ResponseMetadata"]["HTTPHeaders"] if k.startswith("x-amz-checksum-c")}
    if kind != "off":
        assert found == {f"x-amz-checksum-{kind}"}
    elif bucket.server.name == "s3d":
        assert not found


def test_if_none_match_does_not_replace(mount, bucket):
    m = mount("--part-size", PART, "--if-none-match", *ALL)
    for name, size in (("small", 10), ("large", 2 * PART + 1)):
        fd = os.open(m.path / name, os.O_CREAT | os.O_WRONLY)
        write_all(fd, blob(size))
        bucket.put(name, b"another client's")
        with fails_with(errno.EEXIST, errno.EIO):
            os.close(fd)
        assert bucket.get(name) == b"another client's"
        save(m.path / name, b"on purpose")
        assert bucket.get(name) == b"on purpose"
    assert bucket.uploads() == []


# what dies


def test_upload_of_a_killed_daemon_is_aborted_by_the_next(mount, bucket, folder):
    """And only that one: somebody else's stays."""
    env = {"XDG_STATE_HOME": str(folder / "state")}
    other = bucket.s3.create_multipart_upload(Bucket=bucket.name, Key="other")["UploadId"]
    m = mount("--part-size", PART, *ALL, env=env)
    m.expected = (-9,)
    fd = os.open(m.path / "f", os.O_CREAT | os.O_WRONLY)
    write_all(fd, blob(3 * PART))
    wait_for(lambda: pending(bucket, "f"), 10, "the upload has begun")
    m.send(signal.SIGKILL)
    m.wait_end(5)
    with fails_with(errno.ENOTCONN, errno.ECONNABORTED):
        os.close(fd)
    assert pending(bucket, "f")
    alive = mount("--part-size", PART, *ALL, env=env)
    wait_for(lambda: not pending(bucket, "f"), 15, "the next mount has aborted it")
    assert pending(bucket, "other") and not bucket.exists("f")
    bucket.s3.abort_multipart_upload(Bucket=bucket.name, Key="other", UploadId=other)
    assert alive.terminate()[0] == 0
    assert os.listdir(folder / "state" / "mount-s3") == []


@pytest.mark.s3d_only
@pytest.mark.limit(90)
def test_aborts_that_fail_are_tried_rarely_and_all_end_soon(mount, bucket, server):
    """One pause for all of them: a server in trouble is not asked the more, the more wait."""
    m = mount("--part-size", PART, *ALL)
    server.fault(op="CompleteMultipartUpload", kind="status", code=403, s3code="AccessDenied")
    server.fault(op="AbortMultipartUpload", kind="status", code=403, s3code="AccessDenied")
    for i in range(12):
        with fails_with(errno.EIO, errno.EACCES):
            save(m.path / f"f{i}", b"x" * (PART + 1))
    with server.counting() as n:
        time.sleep(6)
    assert 1 <= n["AbortMultipartUpload"] <= 6, n
    assert len(bucket.uploads()) == 12
    server.clear_faults()
    wait_for(lambda: bucket.uploads() == [], 20, "all are aborted after one pause")


KILLED = [(op, size, kind) for op, size in (("PutObject", 100), ("CreateMultipartUpload", 2 * PART),
                                            ("UploadPart", 2 * PART),
                                            ("CompleteMultipartUpload", 2 * PART),
                                            ("AbortMultipartUpload", 2 * PART))
          for kind in ("stall", "after-success")]


@pytest.mark.s3d_only
@pytest.mark.limit(90)
@pytest.mark.parametrize("op, size, kind", KILLED, ids=lambda v: str(v))
def test_daemon_killed_during_any_request(mount, bucket, server, folder, op, size, kind):
    """Before the server has done it, and after: close fails, nothing half, nothing is left."""
    env = {"XDG_STATE_HOME": str(folder / "state")}
    m = mount("--part-size", PART, *ALL, env=env)
    m.expected = (-9,)
    if op == "AbortMultipartUpload":
        server.fault(op="CompleteMultipartUpload", kind="status", code=403, s3code="AccessDenied")
    server.fault(op=op, kind=kind, arg=3000 if kind == "after-success" else 0)
    writer = subprocess.Popen([sys.executable, "-c", SAVER, m.path / "f", str(size)])
    wait_for(lambda: server.counts()[op] > 0, 20, op + " is at the server")
    m.send(signal.SIGKILL)
    m.wait_end(5)
    assert writer.wait(20) != 0
    server.clear_faults()
    alive = mount("--part-size", PART, *ALL, env=env)
    wait_for(lambda: bucket.uploads() == [], 60, "the next mount has aborted it")
    if bucket.exists("f"):
        assert bucket.get("f") == b"x" * size
        assert op in ("PutObject", "CompleteMultipartUpload")
    assert alive.terminate()[0] == 0
    # A Create may be on its way for some time: the mount after this one would look, too.
    if op != "CreateMultipartUpload":
        assert os.listdir(folder / "state" / "mount-s3") == []


def pending(bucket, key):
    """MinIO lists uploads by their exact key only."""
    answer = bucket.s3.list_multipart_uploads(Bucket=bucket.name, Prefix=key)
    return [u["UploadId"] for u in answer.get("Uploads", ()) if u["Key"] == key]


def test_two_mounts_do_not_abort_each_others_uploads(mount, bucket, folder):
    env = {"XDG_STATE_HOME": str(folder / "state")}
    a = mount("--part-size", PART, *ALL, env=env)
    with opened(a.path / "f", os.O_CREAT | os.O_WRONLY) as fd:
        write_all(fd, blob(3 * PART))
        wait_for(lambda: pending(bucket, "f"), 10, "the upload has begun")
        b = mount("--part-size", PART, *ALL, env=env)
        save(b.path / "g", b"1")
        time.sleep(2.5)
        assert pending(bucket, "f")
    assert sha256(bucket.get("f")) == sha256(blob(3 * PART))


@pytest.mark.once
@pytest.mark.parametrize("what", ["link", "writable", "file"])
def test_state_folder_that_cannot_be_trusted_is_not_used(mount, bucket, folder, what):
    state = folder / "state"
    state.mkdir()
    if what == "link":
        (folder / "elsewhere").mkdir()
        (state / "mount-s3").symlink_to(folder / "elsewhere")
    elif what == "writable":
        (state / "mount-s3").mkdir()
        (state / "mount-s3").chmod(0o777)
    else:
        (state / "mount-s3").write_text("")
    m = mount(*ALL, env={"XDG_STATE_HOME": str(state)})
    save(m.path / "f", blob(100))
    assert bucket.get("f") == blob(100)
    assert "no journal of uploads" in m.log()
    if what != "file":
        assert os.listdir(state / "mount-s3") == []


@pytest.mark.s3d_only
@pytest.mark.limit(90)
def test_sigterm_finishes_what_its_writer_has_closed(mount, bucket, server):
    m = mount("--part-size", PART, *ALL)
    server.set(bandwidth=4 * MIB)
    fd = os.open(m.path / "f", os.O_CREAT | os.O_WRONLY)
    write_all(fd, blob(2 * PART))
    closer = threading.Thread(target=os.close, args=(fd,))
    closer.start()
    time.sleep(0.5)
    code, seconds = m.terminate(40)
    closer.join(10)
    assert code == 0 and seconds < 32 * SLOW
    server.set(bandwidth=0)
    assert sha256(bucket.get("f")) == sha256(blob(2 * PART))
    assert bucket.uploads() == []


@pytest.mark.s3d_only
def test_sigterm_aborts_what_is_still_open(mount, bucket, server):
    m = mount("--part-size", PART, *ALL)
    fd = os.open(m.path / "f", os.O_CREAT | os.O_WRONLY)
    write_all(fd, blob(2 * PART + 1))
    code, seconds = m.terminate(10)
    with fails_with(errno.EIO, errno.ENOTCONN, errno.ECONNABORTED):
        os.close(fd)
    assert code == 0 and seconds < 5 * SLOW
    assert bucket.uploads() == [] and not bucket.exists("f")


# the promise, through the kernel

FAULTS = [("PutObject", 100), ("CreateMultipartUpload", 2 * PART), ("UploadPart", 2 * PART),
          ("CompleteMultipartUpload", 2 * PART)]


@pytest.mark.s3d_only
@pytest.mark.parametrize("rule", [{"kind": "status", "code": 403, "s3code": "AccessDenied"},
                                  {"kind": "status", "code": 507, "s3code": "InsufficientStorage"},
                                  {"kind": "after-success", "count": 1},
                                  {"kind": "reset", "count": 2}], ids=lambda r: r["kind"])
@pytest.mark.parametrize("op, size", FAULTS, ids=[f[0] for f in FAULTS])
def test_close_tells_the_truth(mount, bucket, server, op, size, rule):
    m = mount("--part-size", PART, *ALL)
    server.fault(op=op, **rule)
    try:
        save(m.path / "f", blob(size))
        whole = True
    except OSError as e:
        assert e.errno in (errno.EIO, errno.EACCES)
        whole = False
    server.clear_faults()
    assert whole == (rule["kind"] != "status")
    if whole:
        assert sha256(bucket.get("f")) == sha256(blob(size))
    else:
        assert not bucket.exists("f")
        said = [l for l in m.log().splitlines() if " ERROR " in l]
        assert len(said) == 1 and f"upload of f failed at {op}: " in said[0], m.log()
        assert rule["s3code"] in said[0] and " bytes written)" in said[0]
    if op != "CreateMultipartUpload":   # a lost one is found after some time
        wait_for(lambda: bucket.uploads() == [], 5, "nothing is left")


@pytest.mark.s3d_only
@pytest.mark.limit(90)
def test_upload_of_a_lost_create_is_found(mount, bucket, server):
    m = mount("--part-size", PART, *ALL)
    server.fault(op="CreateMultipartUpload", kind="after-success", count=1)
    save(m.path / "f", blob(2 * PART))
    assert sha256(bucket.get("f")) == sha256(blob(2 * PART))
    assert bucket.uploads() == ["f"]
    wait_for(lambda: bucket.uploads() == [], 60, "it was found and aborted")


# odd servers

QUIRKS = ["no-aws-chunked", "unknown-checksum", "no-content-length-0", "complete-no-checksum",
          "etag-no-quotes", "strict-signed-headers", "equal-parts"]


@pytest.fixture(params=QUIRKS)
def odd_server(request, folder, watchdog):
    s = S3d(folder / "odd", extra=["--quirk", request.param]).start()
    watchdog.keep(s.process.pid)
    yield s
    s.stop()


@pytest.mark.s3d_only
def test_write_suite_on_odd_servers(mount, odd_server):
    """No flag but the endpoint."""
    b = odd_server.new_bucket()
    m = mount(*ALL, "--endpoint-url", odd_server.endpoint, base_options=False, target=b.name)
    for name, size, block in (("empty", 0, 1), ("small", 1000, 7), ("one", 8 * MIB, MIB),
                              ("many", 30 * MIB + 5, 3 * MIB)):
        save(m.path / name, blob(size), block)
        assert sha256(b.get(name)) == sha256(blob(size))
        assert sha256_file(m.path / name) == sha256(blob(size))
    save(m.path / "many", blob(20 * MIB, 1))
    assert sha256(b.get("many")) == sha256(blob(20 * MIB, 1))
    os.unlink(m.path / "one")
    assert sorted(b.keys()) == ["empty", "many", "small"]
    assert b.uploads() == []


@pytest.mark.s3d_only
def test_unknown_checksum_is_told_once(mount, bucket, folder, watchdog):
    s = S3d(folder / "odd", extra=["--quirk", "unknown-checksum"]).start()
    watchdog.keep(s.process.pid)
    try:
        b = s.new_bucket()
        m = mount(*ALL, "--endpoint-url", s.endpoint, base_options=False, target=b.name)
        for i in range(5):
            save(m.path / f"f{i}", blob(1000))
        assert m.log().count("does not know this checksum") == 1
    finally:
        s.stop()


# memory


@pytest.mark.once
def test_parts_larger_than_half_the_memory(mount, bucket):
    m = mount("--memory-target", "64", "--write-part-size", 1024 * MIB, *ALL)
    save(m.path / "f", blob(70 * MIB))
    assert sha256(bucket.get("f")) == sha256(blob(70 * MIB))
    assert "parts of uploads have 32 MiB" in m.log()


@pytest.mark.once
@pytest.mark.limit(120)
@pytest.mark.parametrize("size", [200 * KIB, 3 * MIB])
def test_hundreds_of_files_open_for_writing(mount, bucket, size):
    """Each holds a partial part, and none is closed before all are written."""
    m = mount("--memory-target", "64", *ALL)
    data = blob(size)
    fds = [os.open(m.path / f"f{i}", os.O_CREAT | os.O_WRONLY) for i in range(200)]
    for at in range(0, size, size // 4):
        for fd in fds:
            os.write(fd, data[at:at + size // 4])
    for fd in fds:
        os.close(fd)
    for i in range(0, 200, 20):
        assert sha256(bucket.get(f"f{i}")) == sha256(data)
    assert m.log().count("half-written files") == 1
    assert bucket.uploads() == []


# others meanwhile


METADATA = r"""
import os, sys, time
root, took = sys.argv[1], []
for i in range(200):
    begun = time.monotonic()
    if i % 10 == 0:
        os.listdir(root + "/d")
    else:
        os.stat(f"{root}/d/f{i % 50}")
    took.append(time.monotonic() - begun)
    time.sleep(0.01)
print(sorted(took)[-3])
"""
WRITER = r"""
import os, sys
data = os.urandom(1 << 20)
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
while True:
    os.write(fd, data)
"""


@pytest.mark.s3d_only
@pytest.mark.limit(120)
def test_stat_and_list_during_uploads(mounted, bucket, server):
    """Metadata does not queue behind data: no request waits for a part."""
    bucket.put_many((f"d/f{i}", b"1") for i in range(50))
    server.set(bandwidth=8 * MIB)

    def p99():
        return float(run(sys.executable, "-c", METADATA, mounted.path, check=True).stdout)
    idle = p99()
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, mounted.path / f"up{i}"])
               for i in range(8)]
    try:
        wait_for(lambda: len(bucket.uploads()) == 8, 20, "all upload")
        busy = p99()
    finally:
        for w in writers:
            w.kill()
            w.wait(10)
        server.set(bandwidth=0)
    # A part takes a second at that bandwidth; behind one it would show.
    assert busy <= max(2 * idle, 0.2 * SLOW), (idle, busy)


WORKER = r"""
import os, random, sys, errno
root, seed, loops = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rnd = random.Random(seed)
fine = {errno.EPERM, errno.ENOENT, errno.EEXIST, errno.ESTALE}
def text(name, n):
    return (f"{name} {n} " * (n % 50 + 1)).encode()
def whole(name, data):
    if not data:
        return True
    n = int(data.split()[1])
    return data == text(name, n)
for k in range(loops):
    name = f"n{rnd.randrange(100)}"
    path = f"{root}/{name}"
    what = rnd.choice(("create", "read", "overwrite", "touch", "stat", "unlink"))
    try:
        if what == "create":
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            os.write(fd, text(name, k))
            os.close(fd)
        elif what == "read":
            with open(path, "rb", buffering=0) as f:
                data = f.read()
            if not whole(name, data):
                sys.exit(f"{name}: wrong content {data[:60]!r}")
        elif what == "overwrite":
            fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.write(fd, text(name, k))
            os.close(fd)
        elif what == "touch":
            fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NONBLOCK)
            os.utime(fd)
            os.close(fd)
        elif what == "stat":
            os.stat(path)
        else:
            os.unlink(path)
    except OSError as e:
        if e.errno not in fine:
            sys.exit(f"{what} {name}: {e}")
"""


@pytest.mark.s3d_only
@pytest.mark.limit(240)
def test_eight_processes_on_a_hundred_names(mounted, bucket, server):
    """Create, close, open, read, overwrite, touch, stat, unlink, all at once."""
    loops = int(os.environ.get("UPLOAD_LOOPS", "400"))
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(mounted.path), str(i), str(loops)],
                                stderr=subprocess.PIPE, text=True) for i in range(8)]
    said = [w.communicate(timeout=200 * SLOW)[1] for w in workers]
    assert all(w.returncode == 0 for w in workers), "\n".join(s for s in said if s)
    wait_for(lambda: bucket.uploads() == [], 5, "nothing is left")


# programs


def test_random_writers_fail_at_once_and_leave_nothing(mounted, bucket):
    with opened(mounted.path / "ok", os.O_CREAT | os.O_WRONLY) as fd:
        os.write(fd, b"1")
    with pytest.raises(OSError):
        with opened(mounted.path / "f", os.O_CREAT | os.O_WRONLY) as fd:
            os.write(fd, blob(100 * KIB))
            with fails_with(errno.EINVAL):
                os.pwrite(fd, b"header", 0)
            raise OSError
    out = run(sys.executable, "-c",
              "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('create table t(x)')",
              mounted.path / "data.db")
    assert out.returncode != 0
    with pytest.raises(OSError):
        with zipfile.ZipFile(mounted.path / "a.zip", "w") as z:
            z.writestr("a", blob(KIB))
    wait_for(lambda: bucket.uploads() == [], 5, "nothing is left")
    assert bucket.keys() == ["ok"] and os.listdir(mounted.path) == ["ok"]
    for name, rule in (("f", "are written in order"), ("a.zip", "are written in order"),
                       ("data.db", "can be read when it is closed")):
        lines = [l for l in mounted.log().splitlines() if " WARN " in l and f" of {name}," in l]
        assert len(lines) == 1 and rule in lines[0], mounted.log()


def test_refused_writes_are_explained_once(mounted, bucket):
    """As cp --sparse, sqlite and tar -r meet it; a look at the dropped name adds no line."""
    bucket.put("object", b"1")
    with opened(mounted.path / "object", os.O_RDWR) as fd, fails_with(errno.EBADF):
        os.write(fd, b"2")
    with opened(mounted.path / "synced", os.O_CREAT | os.O_WRONLY) as fd:
        os.write(fd, b"1")
        os.fsync(fd)
        with fails_with(errno.EIO):
            os.write(fd, b"2")
    fd = os.open(mounted.path / "hole", os.O_CREAT | os.O_WRONLY | os.O_EXCL)
    with fails_with(errno.EINVAL):
        os.pwrite(fd, b"1", MIB)
    with fails_with(errno.ENOENT):
        os.stat(mounted.path / "hole")
    with fails_with(errno.EINVAL):
        os.close(fd)
    with fails_with(errno.ENOENT):
        os.stat(mounted.path / "hole")
    for name, rule in (("object", "not changed in place"), ("synced", "takes no more"),
                       ("hole", "are written in order")):
        lines = [l for l in mounted.log().splitlines() if " WARN " in l and name in l]
        assert len(lines) == 1 and rule in lines[0], mounted.log()


def test_read_refused_then_written(mounted, bucket):
    """Who does not mind the refusal may go on."""
    fd = os.open(mounted.path / "f", os.O_CREAT | os.O_RDWR)
    with fails_with(errno.EBADF):
        os.read(fd, 10)
    os.write(fd, b"1")
    os.close(fd)
    assert bucket.get("f") == b"1"


def test_cp_with_times_rsync_and_tar(mounted, bucket, folder):
    source = folder / "source"
    source.mkdir()
    for i in range(20):
        (source / f"f{i}").write_bytes(blob(1000 * i + 1, i))
    run("cp", "-p", *source.iterdir(), mounted.path, check=True)
    (mounted.path / "r").mkdir()
    run("rsync", "-rt", f"{source}/", f"{mounted.path}/r/", check=True)
    run("tar", "cf", folder / "t.tar", "-C", source, ".", check=True)
    (mounted.path / "t").mkdir()
    run("tar", "xf", folder / "t.tar", "-C", mounted.path / "t", check=True)
    for i in range(20):
        for place in ("", "r/", "t/"):
            assert bucket.get(f"{place}f{i}") == blob(1000 * i + 1, i)
    assert len([k for k in bucket.keys() if not k.endswith("/")]) == 60


@pytest.mark.once
def test_strict_metadata(mount, bucket):
    bucket.put("f", b"1")
    m = mount("--strict-metadata", *ALL)
    for call in (lambda: os.utime(m.path / "f"), lambda: os.chmod(m.path / "f", 0o600),
                 lambda: os.chown(m.path / "f", os.getuid(), os.getgid())):
        with fails_with(errno.EPERM):
            call()
    m2 = mount(*ALL)
    os.utime(m2.path / "f")
    os.chmod(m2.path / "f", 0o600)
    assert bucket.get("f") == b"1"
