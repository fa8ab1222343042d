# SPDX-License-Identifier: Apache-2.0
"""Trouble at the server: right bytes or an error in time, never a hang.

s3d makes the trouble (tests/s3d/fault.tbl).
"""

import contextlib
import errno
import os
import signal
import subprocess
import threading
import time

import pytest

from check import KIB, MIB, blob, fails_with, opened, sha256, sha256_file, write_all
from mountlib import SLOW, is_mounted, run, unmount, wait_for
from servers import S3d

pytestmark = pytest.mark.s3d_only
SIZE = 12 * MIB + 5
PART = 5 * MIB
DEADLINE = 60       # the longest that one operation may take


@pytest.fixture
def big(bucket):
    bucket.put("big", blob(SIZE))
    return bucket


@pytest.fixture
def parts(mount):
    return mount("--part-size", str(PART), "--allow-delete", "--allow-overwrite")


# what a retry mends


@pytest.mark.parametrize("fault", [
    dict(kind="status", code=503, s3code="SlowDown"), dict(kind="status", code=500),
    dict(kind="status", code=502), dict(kind="status", code=504), dict(kind="status", code=429),
    dict(kind="status", code=400, s3code="RequestTimeout"), dict(kind="reset"),
    dict(kind="reset-body", arg=70000), dict(kind="short", arg=70000)],
    ids=["503", "500", "502", "504", "429", "request-timeout", "reset", "reset-body", "short"])
def test_read_mends_a_passing_fault(mnt, big, server, fault):
    server.fault(op="GetObject", count=2, **fault)
    assert sha256_file(mnt / "big") == sha256(blob(SIZE))
    assert server.fired() >= 1


@pytest.mark.parametrize("op", ["ListObjectsV2", "HeadObject"])
@pytest.mark.parametrize("fault", [dict(kind="status", code=503), dict(kind="reset")],
                         ids=["503", "reset"])
def test_lookup_mends_a_passing_fault(mnt, big, server, op, fault):
    server.fault(op=op, count=2, **fault)
    assert os.listdir(mnt) == ["big"]
    assert os.stat(mnt / "big").st_size == SIZE
    assert not os.path.exists(mnt / "nothing")


@pytest.mark.parametrize("op", ["PutObject", "CreateMultipartUpload", "UploadPart",
                                "CompleteMultipartUpload"])
@pytest.mark.parametrize("fault", [dict(kind="status", code=503), dict(kind="reset"),
                                   dict(kind="after-success")],
                         ids=["503", "reset", "after-success"])
def test_write_mends_a_passing_fault(parts, bucket, server, op, fault):
    data = blob(1000 if op == "PutObject" else 2 * PART + 9)
    server.fault(op=op, count=1, **fault)
    (parts.path / "f").write_bytes(data)
    assert sha256(bucket.get("f")) == sha256(data)
    assert server.fired() >= 1
    if (op, fault["kind"]) != ("CreateMultipartUpload", "after-success"):
        # An upload whose id was lost on the way is nobody's: only the server can drop it.
        assert bucket.uploads() == []


def test_complete_with_an_error_in_a_200(parts, bucket, server):
    data = blob(2 * PART + 9)
    server.fault(op="CompleteMultipartUpload", kind="status200error", s3code="InternalError", count=1)
    (parts.path / "f").write_bytes(data)
    assert sha256(bucket.get("f")) == sha256(data)


# answers that must not be believed


@pytest.mark.parametrize("fault", [
    dict(kind="ignore-range"), dict(kind="bad-content-range"), dict(kind="wrong-etag"),
    dict(kind="status200error", s3code="InternalError"), dict(kind="short", arg=1000),
    dict(kind="reset-body", arg=1000)],
    ids=["whole-object-for-a-range", "shifted-range", "other-etag", "error-in-a-200", "short",
         "reset"])
@pytest.mark.limit(90)
def test_read_never_returns_wrong_bytes(mnt, big, server, fault):
    """Half of the answers are bad: right bytes or an error."""
    want = blob(SIZE)
    server.fault(op="GetObject", rate=50, **fault)
    with opened(mnt / "big", os.O_RDONLY) as fd:
        for at in list(range(0, 6 * MIB, MIB)) + [SIZE - 5000, 3, 7 * MIB + 1]:
            try:
                got = os.pread(fd, 300000, at)
            except OSError as e:
                assert e.errno in (errno.EIO, errno.ESTALE)
                continue
            assert got == want[at:at + 300000], at
    server.clear_faults()
    assert sha256_file(mnt / "big") == sha256(want)


def test_listing_with_an_error_in_a_200(mnt, big, server):
    server.fault(op="ListObjectsV2", kind="status200error", s3code="InternalError", count=1)
    try:
        assert os.listdir(mnt) == ["big"]
    except OSError as e:
        assert e.errno == errno.EIO
    assert os.listdir(mnt) == ["big"]


# refusals


@pytest.mark.parametrize("code,s3code,expected", [
    (403, "AccessDenied", {errno.EACCES, errno.EIO, errno.EPERM}),
    (403, "ExpiredToken", {errno.EACCES, errno.EIO, errno.EPERM}),
    (400, "InvalidRequest", {errno.EIO, errno.EINVAL})])
def test_refused_read_is_an_error_at_once(mnt, big, server, code, s3code, expected):
    os.listdir(mnt)
    server.fault(op="GetObject", kind="status", code=code, s3code=s3code)
    begun = time.monotonic()
    with fails_with(*expected):
        (mnt / "big").read_bytes()
    assert time.monotonic() - begun < 5 * SLOW
    server.clear_faults()
    assert sha256_file(mnt / "big") == sha256(blob(SIZE))


@pytest.mark.parametrize("code,s3code", [(403, "AccessDenied"), (418, "Teapot")])
def test_refused_read_is_explained(mount, big, server, code, s3code):
    m = mount("--metadata-ttl", "60")
    with opened(m.path / "big", os.O_RDONLY) as fd:
        server.fault(op="GetObject", kind="status", code=code, s3code=s3code)
        with fails_with(errno.EIO):
            os.read(fd, 10)
    assert f"GET big from 0 failed: {code} {s3code}: " in m.log()


def test_refused_lookup_is_not_enoent(mnt, big, server):
    server.fault(op="HeadObject", kind="status", code=403, s3code="AccessDenied")
    server.fault(op="ListObjectsV2", kind="status", code=403, s3code="AccessDenied")
    with fails_with(errno.EACCES, errno.EIO):
        os.stat(mnt / "big")
    server.clear_faults()
    assert os.stat(mnt / "big").st_size == SIZE


@pytest.mark.parametrize("op", ["PutObject", "CreateMultipartUpload", "UploadPart",
                                "CompleteMultipartUpload"])
def test_refused_write_fails_close_and_leaves_nothing(parts, bucket, server, op):
    server.fault(op=op, kind="status", code=403, s3code="AccessDenied")
    data = blob(1000 if op == "PutObject" else 2 * PART + 9)
    fd = os.open(parts.path / "f", os.O_CREAT | os.O_WRONLY)
    try:
        write_all(fd, data)
    except OSError as e:    # a part may fail while the next is written
        assert e.errno in (errno.EIO, errno.EACCES, errno.EPERM)
    with fails_with(errno.EIO, errno.EACCES, errno.EPERM):
        os.close(fd)
    server.clear_faults()
    wait_for(lambda: bucket.uploads() == [], 10, "the upload is aborted")
    assert not bucket.exists("f")
    wait_for(lambda: not os.path.exists(parts.path / "f"), 3, "the name is gone")
    (parts.path / "f").write_bytes(b"again")
    assert bucket.get("f") == b"again"


def test_refused_delete_keeps_the_file(mnt, big, server):
    server.fault(op="DeleteObject", kind="status", code=403, s3code="AccessDenied")
    with fails_with(errno.EIO, errno.EACCES, errno.EPERM):
        os.unlink(mnt / "big")
    server.clear_faults()
    assert big.exists("big") and sha256_file(mnt / "big") == sha256(blob(SIZE))


# many at once, for a while


@pytest.mark.limit(90)
@pytest.mark.parametrize("seconds", [8])
def test_half_of_all_requests_fail_under_readers_and_writers(mount, bucket, server, seconds):
    m = mount("--part-size", str(PART), "--allow-delete", "--allow-overwrite")
    contents = {f"in/f{i}": blob(200 * KIB + i * 100 * KIB, i) for i in range(8)}
    bucket.put_many(contents.items())
    bad, done, over = [], [0] * 16, threading.Event()

    def reader(k):
        name = f"in/f{k}"
        while not over.is_set():
            if (m.path / name).read_bytes() != contents[name]:
                bad.append(f"wrong bytes in {name}")
            done[k] += 1

    def writer(k):
        n = 0
        while not over.is_set():
            data = blob(150 * KIB if n % 3 else PART + 1000, (k, n))
            (m.path / f"out{k}-{n}").write_bytes(data)
            if sha256(bucket_get(f"out{k}-{n}")) != sha256(data):
                bad.append(f"wrong object out{k}-{n}")
            done[8 + k] += 1
            n += 1

    def bucket_get(key):
        for _ in range(40):     # the checker meets the same faults
            with contextlib.suppress(Exception):
                return bucket.get(key)
        raise AssertionError(f"{key} cannot be had from the server")

    def guarded(job, k):
        try:
            job(k)
        except Exception as e:
            bad.append(f"{job.__name__} {k}: {e!r}")
    server.fault(kind="status", code=503, s3code="SlowDown", rate=25)
    server.fault(kind="reset", rate=34)
    threads = [threading.Thread(target=guarded, args=(job, k))
               for k in range(8) for job in (reader, writer)]
    for t in threads:
        t.start()
    time.sleep(seconds)
    over.set()
    for t in threads:
        t.join()
    server.clear_faults()
    assert bad == []
    assert min(done) >= 1, done


# a server that is gone or silent


@pytest.fixture
def own_server(folder, server, watchdog):
    """An s3d of this test's own, to be stopped and started again."""
    s = S3d(folder / "own", extra=["--bucket", "own"]).start()
    watchdog.keep(s.process.pid)
    yield s
    s.process.send_signal(signal.SIGCONT)
    s.stop()


@pytest.fixture
def own_mount(mount, own_server):
    bucket_name = "own"
    own_server.s3.put_object(Bucket=bucket_name, Key="big", Body=blob(SIZE))
    m = mount("--allow-delete", "--endpoint-url", own_server.endpoint, base_options=False,
              target=bucket_name, options_after=["--force-path-style", "--region", "us-east-1"])
    return m


@pytest.mark.limit(150)
@pytest.mark.long
def test_server_dies_and_comes_back(own_mount, own_server, folder):
    """EIO at the deadline while it is away; all is well when it is back."""
    path = own_mount.path
    with opened(path / "big", os.O_RDONLY) as fd:
        assert os.pread(fd, 100, 0) == blob(SIZE)[:100]
    port = own_server.port
    own_server.stop(signal.SIGKILL)
    found = {}

    def attempt(name, call):
        try:
            found[name] = call()
        except OSError as e:
            found[name] = e.errno
    threads = [threading.Thread(target=attempt, args=a) for a in (
        ("list", lambda: os.listdir(path)), ("read", lambda: (path / "big").read_bytes()),
        ("stat", lambda: os.stat(path / "other")))]
    for t in threads:
        t.start()
    for t in threads:
        t.join(DEADLINE)
    assert found == {"list": errno.EIO, "read": errno.EIO, "stat": errno.EIO}
    again = S3d(folder / "own", port=port, extra=["--bucket", "own"]).start()
    try:
        again.s3.put_object(Bucket="own", Key="big", Body=blob(SIZE))
        wait_for(lambda: quietly(lambda: os.listdir(path)) == ["big"], 15, "it lists again")
        assert sha256_file(path / "big") == sha256(blob(SIZE))
        (path / "new").write_bytes(b"1")
        assert again.s3.get_object(Bucket="own", Key="new")["Body"].read() == b"1"
    finally:
        again.stop()


def quietly(call):
    try:
        return call()
    except OSError:
        return None


def stalled_reader(mount_path):
    """A cat that hangs in a read, its state checked in /proc."""
    p = subprocess.Popen(["cat", mount_path / "big"], stdout=subprocess.DEVNULL)
    wait_for(lambda: waiting(p.pid), 5, "the reader waits in the kernel")
    return p


def waiting(pid):
    try:
        with open(f"/proc/{pid}/wchan") as f, open(f"/proc/{pid}/stat") as g:
            return "fuse" in f.read() or "folio" in f.read() or g.read().split(")")[1].split()[0] in "SD"
    except OSError:
        return False


@pytest.mark.parametrize("where", ["before-the-answer", "in-the-body"])
def test_killed_reader_of_a_stalled_server_is_gone_at_once(mounted, big, server, where):
    os.listdir(mounted.path)
    if where == "in-the-body":
        server.fault(kind="stall-body", op="GetObject", arg=100000)
    else:
        server.fault(kind="stall", op="GetObject")
    p = stalled_reader(mounted.path)
    begun = time.monotonic()
    p.kill()
    p.wait(10)
    assert time.monotonic() - begun < 1 * SLOW
    server.clear_faults()
    assert sha256_file(mounted.path / "big") == sha256(blob(SIZE))


def test_killed_writer_of_a_stalled_server_is_gone_soon(parts, bucket, server):
    server.fault(kind="stall", op="UploadPart")
    server.fault(kind="stall", op="PutObject")
    server.fault(kind="stall", op="CreateMultipartUpload")
    p = subprocess.Popen(["sh", "-c", f"head -c 300M /dev/zero > '{parts.path}/f'"],
                         start_new_session=True)
    time.sleep(1)
    begun = time.monotonic()
    os.killpg(p.pid, signal.SIGKILL)
    p.wait(10)
    assert time.monotonic() - begun < 1 * SLOW
    server.clear_faults()
    (parts.path / "g").write_bytes(b"1")
    assert bucket.get("g") == b"1"


def test_killed_lister_of_a_stalled_server_is_gone_at_once(mounted, big, server):
    server.fault(kind="stall", op="ListObjectsV2")
    p = subprocess.Popen(["ls", mounted.path], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    begun = time.monotonic()
    p.kill()
    p.wait(10)
    assert time.monotonic() - begun < 1 * SLOW
    server.clear_faults()
    assert os.listdir(mounted.path) == ["big"]


STATES = ["reading", "reading-the-body", "listing", "looking-up", "writing", "closing", "retrying"]


@pytest.mark.limit(60)
@pytest.mark.parametrize("state", STATES)
def test_sigterm_in_any_state(parts, big, server, state):
    """Unmounted and gone within 5 s, whatever it waits for; only what its writer has
    closed is given half a minute to reach the server."""
    path = parts.path
    script = {"reading": f"cat '{path}/big'", "reading-the-body": f"cat '{path}/big'",
              "listing": f"ls '{path}'", "looking-up": f"cat '{path}/nothing'",
              "writing": f"head -c 300M /dev/zero > '{path}/new'",
              "closing": f"echo text > '{path}/new'", "retrying": f"cat '{path}/big'"}[state]
    if state == "reading-the-body":
        server.fault(kind="stall-body", op="GetObject", arg=100000)
    elif state == "retrying":
        server.fault(kind="status", code=503)
    else:
        server.fault(kind="stall")
    p = subprocess.Popen(["sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    code, seconds = parts.terminate(40)
    p.wait(10)
    assert code == 0 and seconds < (36 if state == "closing" else 5) * SLOW and not is_mounted(path)
    server.clear_faults()


def test_outside_unmount_while_a_stalled_request_is_given_up(mounted, big, server):
    os.listdir(mounted.path)
    server.fault(kind="stall", op="GetObject")
    p = stalled_reader(mounted.path)
    p.kill()
    p.wait(5)
    wait_for(lambda: unmount(mounted.path), 5, "it unmounts")
    assert mounted.wait_end(5) == 0


@pytest.mark.limit(60)
def test_slow_server_is_waited_for(mnt, big, server):
    """Half a second per request is slow, not dead."""
    server.set(ttfb_ms=500)
    assert sha256_file(mnt / "big") == sha256(blob(SIZE))
    (mnt / "f").write_bytes(b"1")
    server.set(ttfb_ms=0)
    assert big.get("f") == b"1"


def test_error_of_one_file_does_not_touch_others(mnt, bucket, server):
    bucket.put("bad", b"1")
    bucket.put("good", b"2")
    server.fault(op="GetObject", key="*bad", kind="status", code=403, s3code="AccessDenied")
    for _ in range(3):
        with pytest.raises(OSError):
            (mnt / "bad").read_bytes()
        assert (mnt / "good").read_bytes() == b"2"


def test_stalled_read_does_not_hold_up_others(mnt, bucket, server):
    """A request that hangs leaves room for the rest: on one loop, and by one process."""
    bucket.put("slow", blob(MIB))
    bucket.put_many((f"f{i}", b"%d" % i) for i in range(20))
    os.listdir(mnt)
    server.fault(op="GetObject", key="*slow", kind="stall")
    stuck = [subprocess.Popen(["cat", mnt / "slow"], stdout=subprocess.DEVNULL) for _ in range(4)]
    begun = time.monotonic()
    assert run("sh", "-c", f"cat '{mnt}'/f* | wc -c", check=True).stdout.strip() == "30"
    (mnt / "new").write_bytes(b"1")
    os.listdir(mnt)
    assert time.monotonic() - begun < 5 * SLOW
    server.clear_faults()
    for p in stuck:
        assert p.wait(60) == 0


def test_killed_daemon_leaves_an_error_and_not_a_hang(mounted, big):
    mounted.expected = (-9,)
    fd = os.open(mounted.path / "big", os.O_RDONLY)
    mounted.send(signal.SIGKILL)
    mounted.wait_end(5)
    for call in (lambda: os.listdir(mounted.path), lambda: os.pread(fd, 10, 5 * MIB),
                 lambda: os.close(fd)):
        with fails_with(errno.ENOTCONN, errno.ECONNABORTED):
            call()
