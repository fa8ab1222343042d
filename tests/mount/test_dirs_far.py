# SPDX-License-Identifier: Apache-2.0
"""Large directories on a server that is far: pages are asked for with guessed starts."""

import hashlib
import os
import random

import pytest

from test_dirs import Stream
from mountlib import run

pytestmark = [pytest.mark.s3d_only, pytest.mark.once, pytest.mark.limit(120)]
LIST = "ListObjectsV2"
MANY = 6000


@pytest.fixture
def far(mount, server):
    """A mount whose server takes 20 ms to answer, known to it from three listings."""
    def make(*options):
        server.set(ttfb_ms=20)
        m = mount(*options)
        for _ in range(3):
            os.listdir(m.path)
        return m
    return make


def guessed(server):
    return [r for r in server.requests() if r["op"] == LIST and "start-after" in (r["query"] or "")]


def listed(server, path):
    """The names in the order of readdir, and the LISTs it took."""
    with server.counting() as n, os.scandir(path) as entries:
        names = [e.name for e in entries]
    return names, n[LIST]


def test_numbered_names_need_hardly_more_requests(far, bucket, server):
    server.generate(bucket, "d/f", 10000)
    names, lists = listed(server, far().path / "d")
    assert names == [f"f{i:06d}" for i in range(10000)]
    assert len(guessed(server)) >= 6 and lists <= 10 + 8 + 1, lists


def test_hashed_names_are_all_there_once(far, bucket, server):
    names = sorted(hashlib.sha256(b"%d" % i).hexdigest() for i in range(MANY))
    bucket.put_many((f"d/{name}", b"") for name in names)
    found, lists = listed(server, far().path / "d")
    assert found == names
    assert len(guessed(server)) >= 3 and lists <= MANY // 1000 + 9, lists


def test_wrong_guesses_lose_and_double_nothing(far, bucket, server):
    """The first page promises numbers without gaps; then come gaps, crowds, directories."""
    rng = random.Random(7)
    names = {f"n{i:06d}" for i in range(1100)}
    names |= {f"n{rng.randrange(1100, 100000):06d}" for _ in range(800)}
    names |= {f"n003{i:03d}.{k}" for i in range(600) for k in range(4)}
    dirs = {f"n{i:06d}" for i in range(4000, 5000, 3)}
    bucket.put_many((f"d/{n}/x" if n in dirs else f"d/{n}", b"") for n in sorted(names | dirs))
    found, _ = listed(server, far().path / "d")
    assert found == sorted(names | dirs)
    assert guessed(server)


def test_places_stay_where_they_were(far, bucket, server):
    server.generate(bucket, "d/f", 9000)
    with Stream(far().path / "d") as s:
        places, names = [s.tell()], []
        while entry := s.read():
            names.append(entry[0])
            places.append(s.tell())
        assert len(names) == 9002 == len(set(names)) and guessed(server)
        for at in (8000, 10, 4001, 0, 5999, 9001, 3003):
            s.seek(places[at])
            assert s.read()[0] == names[at]
        s.seek(places[2500])
        again = []
        while entry := s.read():
            again.append(entry[0])
        assert again == names[2500:]


def test_a_guess_that_fails_is_not_an_error(far, bucket, server):
    server.generate(bucket, "d/f", 5000)
    m = far()
    os.stat(m.path / "d")
    server.fault("status", op=LIST, code=403, s3code="AccessDenied", skip=2, count=2)
    names = os.listdir(m.path / "d")
    assert sorted(names) == [f"f{i:06d}" for i in range(5000)]


def test_a_near_server_is_asked_page_by_page(mount, bucket, server):
    server.generate(bucket, "d/f", 10000)
    m = mount()
    out = run("ls", m.path / "d", check=True, timeout=60).stdout
    assert out.count("\n") == 10000 and not guessed(server)
