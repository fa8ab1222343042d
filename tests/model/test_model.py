# SPDX-License-Identifier: Apache-2.0
"""Random steps on a mount against the model; see steps.py and model.py.

    ./test model -- --steps 1000000 --seed 7
"""

import errno
import os
import random
import threading
import time

import pytest

from mountlib import SLOW
from model import Model
from steps import Runner, content, make_steps, run_steps, script, shrink

pytestmark = [pytest.mark.s3d_only, pytest.mark.limit(86400)]
SLACK = 0.3
# options, TTL and negative TTL in seconds
MOUNTS = {
    "minimal": ([], 1, 0),
    "ttl": (["--metadata-ttl", "1", "--negative-metadata-ttl", "1"], 1, 1),
    "directory": (["--bucket-type", "directory", "--incremental-upload"], 1, 0),
    "mixed": (["--metadata-ttl", "2", "--negative-metadata-ttl", "minimal"], 2, 0),
    "far": ([], 1, 0),
}
FAR_MS = 5  # a server that takes 4 is far


@pytest.fixture
def seed(request):
    return request.config.getoption("--seed") or random.SystemRandom().getrandbits(32)


@pytest.fixture
def steps_wanted(request):
    return request.config.getoption("--steps")


@pytest.fixture
def start(mount, server):
    """start(way) -> a runner on a fresh mount of a fresh bucket."""
    def make(way, m=None):
        options, ttl, negative = MOUNTS[way]
        server.tell("quirk", name="directory", on=int(way == "directory"))
        server.set(ttfb_ms=FAR_MS if way == "far" else 0)
        if m is None:
            m = mount("--allow-delete", "--allow-overwrite", *options, bucket=server.new_bucket())
        name = m.bucket.name
        r = Runner(m.path, lambda k, d: server.tell("put", d, bucket=name, key=k),
                   lambda k: server.tell("delete", bucket=name, key=k),
                   Model(ttl * SLOW, negative * SLOW, way in ("minimal", "directory", "far"),
                         way == "directory"), SLACK * SLOW)
        r.mount = m
        return r
    yield make
    server.tell("quirk", name="directory", on=0)
    server.set(ttfb_ms=0)


def report(request, start, way, seed, steps, found):
    """Shorten what failed, and say how to repeat it."""
    n, why = found
    tries = []

    def fails(some):
        if len(tries) >= 200:
            return None
        r = start(way)
        again = run_steps(r, some)
        r.close()
        r.mount.stop()
        tries.append(1)
        return again[0] if again else None

    short = steps[:n + 1]
    if fails(short) is None:
        return f"step {n}, seed {seed}, {way}: {why}\n(it does not fail when it is repeated)"
    short = shrink(short, fails, request.config.getoption("--shrink"))
    r = start(way)
    again = run_steps(r, short)
    r.close()
    return (f"step {n}, seed {seed}, {way}: {why}\n{len(short)} steps are enough:\n"
            f"{script(short)}\nthen: {again[1] if again else 'nothing, this time'}")


@pytest.mark.parametrize("way", MOUNTS)
def test_random_operations(request, start, way, seed, steps_wanted):
    rng = random.Random(f"{seed}/{way}")
    steps = make_steps(rng, steps_wanted // (2 * len(MOUNTS)), ["p", "q"])
    r = start(way)
    begun = time.monotonic()
    found = run_steps(r, steps)
    r.close()
    if found:
        pytest.fail(report(request, start, way, seed, steps, found), pytrace=False)
    took = time.monotonic() - begun
    print(f"{r.done} steps, {r.skipped} not foreseeable, {r.done / took:.0f} per s, seed {seed}")
    assert r.done > len(steps) // 3


def test_random_operations_by_threads(start, seed, steps_wanted):
    """Each thread has top-level names of its own on the one mount."""
    first = start("minimal")
    runners = [first] + [start("minimal", first.mount) for _ in range(3)]
    count = steps_wanted // (4 * len(runners))
    failed, made = [], []

    def work(n):
        rng = random.Random(f"{seed}/thread{n}")
        steps = make_steps(rng, count, [f"t{n}"])
        found = run_steps(runners[n], steps, lambda: bool(failed))
        runners[n].close()
        made.append(runners[n].done)
        if found:
            tail = script(steps[max(0, found[0] - 20):found[0] + 1])
            failed.append(f"thread {n}, step {found[0]}, seed {seed}: {found[1]}\n{tail}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(runners))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, "\n".join(failed)
    assert sum(made) > count * len(runners) // 3


# Threads that share names: which of them wins is open, but nothing else is.
MAY_FAIL = {errno.ENOENT, errno.EPERM, errno.EEXIST, errno.ENOTEMPTY, errno.ESTALE}


def test_random_operations_on_shared_names(start, seed, steps_wanted):
    r = start("minimal")
    root, bucket = r.mount.path, r.mount.bucket
    os.mkdir(root / "d")
    names = [f"f{i}" for i in range(6)]
    written = {n: set() for n in names}
    lock, bad = threading.Lock(), []

    def whole(name, data):
        with lock:
            return data in written[name]

    def one(rng, number):
        name = rng.choice(names)
        path = root / "d" / name
        op = rng.choice(["write", "write", "read", "read", "read", "stat", "unlink", "listdir"])
        if op == "write":
            data = content(name, rng.choice([0, 50, 5000, 140000]), rng.getrandbits(60))
            with lock:
                written[name].add(data)
            path.write_bytes(data)
        elif op == "read":
            data = path.read_bytes()
            if not whole(name, data):
                bad.append(f"{name}: {len(data)} bytes that nobody wrote: {data[:60]!r}")
        elif op == "stat":
            os.stat(path)
        elif op == "unlink":
            os.unlink(path)
        else:
            found = os.listdir(root / "d")
            if not set(found) <= set(names) or len(set(found)) != len(found):
                bad.append(f"listing {found}")

    def work(number):
        rng = random.Random(f"{seed}/shared{number}")
        for _ in range(steps_wanted // (4 * 6)):
            if bad:
                return
            try:
                one(rng, number)
            except OSError as e:
                if e.errno not in MAY_FAIL:
                    bad.append(f"{errno.errorcode.get(e.errno, e.errno)}: {e}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad, f"seed {seed}: " + "\n".join(bad[:5])
    time.sleep(1.2 * SLOW)
    here = {n: (root / "d" / n).read_bytes() for n in os.listdir(root / "d")}
    assert here == {k[2:]: bucket.get(k) for k in bucket.keys()}
