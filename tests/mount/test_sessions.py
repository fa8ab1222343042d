# SPDX-License-Identifier: Apache-2.0
"""Mounts of buckets named --x-s3: all requests are signed by sessions."""

import os
import pathlib
import threading
import time

import pytest

pytestmark = pytest.mark.s3d_only
MIB = 1 << 20


@pytest.fixture
def express(server):
    name = f"s-{os.getpid()}-{time.monotonic_ns()}--use1-az1--x-s3"
    server.tell("create", bucket=name)
    return name


@pytest.fixture
def express_mount(mount, express):
    return lambda *options, **kw: mount(*options, bucket=express, **kw)


def test_one_session_serves_all(server, express_mount):
    with server.counting() as n:
        m = express_mount("--allow-delete", "--allow-overwrite")
        path = pathlib.Path(m.path)
        for i in range(20):
            (path / f"f{i}").write_bytes(b"x" * i)
        assert (path / "f7").read_bytes() == b"x" * 7
        (path / "big").write_bytes(os.urandom(9 * MIB))
        assert len((path / "big").read_bytes()) == 9 * MIB
        assert len(os.listdir(path)) == 21
        os.unlink(path / "f3")
    assert n["CreateSession"] == 1
    refused = [r for r in server.requests() if r["status"] in (400, 403)]
    assert not refused


def read_and_write(path, until, errors, done):
    """What a program does: small and large files, listings."""
    me = threading.get_ident()
    data = os.urandom(256 * 1024)
    try:
        for i in range(1 << 30):
            if time.monotonic() > until:
                break
            p = path / f"{me}-{i % 50}"
            p.write_bytes(data)
            if p.read_bytes() != data:
                raise OSError("other bytes than were written")
            os.listdir(path)
            done.append(i)
    except OSError as e:
        errors.append(e)


@pytest.mark.limit(60)
def test_refresh_under_load(server, express_mount):
    """Sessions of three seconds: renewed before their end, and nobody notices."""
    server.set(session_ms=3000)
    errors, done = [], []
    with server.counting() as n:
        m = express_mount("--allow-delete", "--allow-overwrite")
        until = time.monotonic() + 10
        threads = [threading.Thread(target=read_and_write,
                                    args=(pathlib.Path(m.path), until, errors, done))
                   for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    print(f"{n.total()} requests, {n['CreateSession']} sessions, {len(done)} rounds")
    assert not errors
    assert len(done) > 50
    # A session a second at most, and never two at a time.
    assert 3 <= n["CreateSession"] <= 15
    # Renewed in time: the server refused nothing.
    assert [r for r in server.requests() if r["status"] in (400, 403)] == []


def test_sessions_revoked(server, express_mount):
    """The server forgets the session: one round trip more, no error."""
    path = pathlib.Path(express_mount("--allow-delete", "--metadata-ttl", "minimal").path)
    for i in range(3):
        server.tell("sessions/clear")
        (path / f"f{i}").write_bytes(b"data")
        server.tell("sessions/clear")
        assert (path / f"f{i}").read_bytes() == b"data"
        server.tell("sessions/clear")
        assert os.listdir(path) == [f"f{i}"]
        server.tell("sessions/clear")
        os.unlink(path / f"f{i}")


def test_idle_longer_than_a_session(server, express_mount):
    server.set(session_ms=2000)
    path = pathlib.Path(express_mount().path)
    (path / "f").write_bytes(b"data")
    with server.counting() as n:
        time.sleep(2.5)
        assert (path / "f").read_bytes() == b"data"
    assert n["CreateSession"] == 1


def test_create_session_slow(server, express_mount):
    """While the next one is asked for, the old one serves."""
    server.set(session_ms=6000)
    path = pathlib.Path(express_mount("--metadata-ttl", "minimal").path)
    (path / "f").write_bytes(b"data")
    server.fault("delay", op="CreateSession", arg=1500)
    end = time.monotonic() + 4.5
    slowest = 0
    while time.monotonic() < end:
        begun = time.monotonic()
        (path / "f").stat()
        slowest = max(slowest, time.monotonic() - begun)
        time.sleep(0.02)
    assert slowest < 1
