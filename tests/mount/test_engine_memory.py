# SPDX-License-Identifier: Apache-2.0
"""What reading costs in memory and in bytes: bounds that do not depend on speed."""

import concurrent.futures
import hashlib
import mmap
import os
import resource

import pytest

from check import KIB, MIB, opened

pytestmark = pytest.mark.s3d_only
READERS = 256


def peak_rss(m):
    with open(f"/proc/{m.pid}/status") as f:
        return next(int(line.split()[1]) * KIB for line in f if line.startswith("VmHWM:"))


def clear_peak(m):
    with open(f"/proc/{m.pid}/clear_refs", "w") as f:
        f.write("5")


def read_in_order(path, block):
    with open(path, "rb", buffering=0) as f:
        return sum(iter(lambda: len(f.read(block)), 0))


@pytest.mark.limit(180)
@pytest.mark.long       # a sanitizer's memory is not ours
def test_a_small_budget_holds_for_256_readers(mount, bucket, server):
    """All finish, and memory stays within 64 MiB and what the daemon itself needs."""
    size = 8 * MIB
    server.generate(bucket, "f", READERS, size)
    m = mount("--memory-target", "64")
    names = sorted(os.listdir(m.path))
    clear_peak(m)
    with concurrent.futures.ThreadPoolExecutor(READERS) as threads:
        got = list(threads.map(lambda n: read_in_order(m.path / n, 128 * KIB), names))
    assert got == [size] * READERS
    assert peak_rss(m) <= (64 + 6.4 + 16) * MIB, peak_rss(m) / MIB


@pytest.mark.limit(120)
@pytest.mark.long       # a sanitizer's memory is not ours
def test_ten_thousand_open_files_cost_little(mount, bucket, server):
    """Less than 1 KiB each; half of them have been read from."""
    count = 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 1000, hard), hard))
    server.generate(bucket, "f", 100, 64 * KIB)
    m = mount("--metadata-ttl", "indefinite")
    names = sorted(os.listdir(m.path))
    for name in names:
        read_in_order(m.path / name, MIB)
    fds = []
    try:
        before = m.rss()
        for i in range(count):
            fds.append(os.open(m.path / names[i % 100], os.O_RDONLY))
            if i % 2:
                os.pread(fds[-1], 4096, 4096)
        assert m.rss() - before < count * KIB, (m.rss() - before) / count
    finally:
        for fd in fds:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.limit(60)
@pytest.mark.parametrize("flags", [0, os.O_DIRECT], ids=["buffered", "direct"])
def test_interleaved_threads_fetch_no_byte_twice(mnt, bucket, server, flags):
    """Eight threads, each its own eighth of one descriptor in order."""
    size, parts = 64 * MIB, 8
    server.generate(bucket, "f", 1, size)
    name = os.listdir(mnt)[0]

    def read(part):
        step, h, buffer = size // parts, hashlib.sha256(), memoryview(bytearray(128 * KIB))
        if flags:
            buffer = memoryview(mmap.mmap(-1, 128 * KIB))
        for at in range(part * step, (part + 1) * step, 128 * KIB):
            assert os.preadv(fd, [buffer], at) == 128 * KIB
            h.update(buffer)
        return h.digest()

    before = server.bytes_out()
    with opened(mnt / name, os.O_RDONLY | flags) as fd, \
            concurrent.futures.ThreadPoolExecutor(parts) as threads:
        found = list(threads.map(read, range(parts)))
    fetched = server.bytes_out() - before
    assert len(set(found)) > 1
    assert size <= fetched <= size * 1.01, fetched / size
