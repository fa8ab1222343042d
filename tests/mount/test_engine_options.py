# SPDX-License-Identifier: Apache-2.0
"""Options of the read engine: what they change is seen in bytes and requests."""

import concurrent.futures
import ctypes
import mmap
import os
import random

import pytest

from check import KIB, MIB, blob, opened, sha256, sha256_file

pytestmark = pytest.mark.s3d_only
SIZE = 48 * MIB


@pytest.fixture
def big(bucket):
    bucket.put("big", blob(SIZE))
    return bucket


@pytest.mark.parametrize("kib", [None, 512])
def test_random_read_block(mount, big, server, kib):
    """Each lone read fetches one whole block, no more."""
    m = mount(*(["--random-read-block", str(kib)] if kib else []))
    block = (kib or 128) * KIB
    places = random.Random(3).sample(range(8, SIZE // MIB, 2), 12)
    with opened(m.path / "big", os.O_RDONLY | os.O_DIRECT) as fd:
        os.preadv(fd, [mmap.mmap(-1, 4096)], 0)
        for mib in places[:4]:      # until it is taken for a random reader
            os.preadv(fd, [mmap.mmap(-1, 4096)], mib * MIB)
        before = server.bytes_out()
        for mib in places[4:]:
            os.preadv(fd, [mmap.mmap(-1, 4096)], mib * MIB)
        fetched = server.bytes_out() - before
    assert 8 * block <= fetched <= 8 * (block + 2 * KIB), fetched / 8


@pytest.mark.parametrize("mode", ["never", "auto", "always"])
def test_direct_io_gives_the_same_bytes(mount, big, mode):
    m = mount("--direct-io", mode)
    assert sha256_file(m.path / "big", 100 * KIB + 1) == sha256(blob(SIZE))
    with open(m.path / "big", "rb") as f, \
            mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as view:
        assert sha256(view) == sha256(blob(SIZE))


def cached_pages(f, size):
    """How many pages of a file the kernel has."""
    with mmap.mmap(f.fileno(), size, flags=mmap.MAP_PRIVATE) as view:
        anchor = ctypes.c_char.from_buffer(view)
        seen = (ctypes.c_ubyte * (size // mmap.PAGESIZE))()
        failed = ctypes.CDLL(None, use_errno=True).mincore(
            ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(size), seen)
        del anchor
    assert failed == 0
    return sum(page & 1 for page in seen)


def test_direct_io_keeps_large_files_out_of_the_page_cache(mount, bucket):
    pages = {}
    for name, size in (("large", 4 * MIB), ("small", 64 * KIB)):
        bucket.put(name, blob(size))
        for mode in ("never", "auto", "always"):
            with open(mount("--direct-io", mode).path / name, "rb", buffering=0) as f:
                assert f.read() == blob(size)
                pages[name, mode] = cached_pages(f, size)
    assert pages == {("large", "never"): 1024, ("large", "auto"): 0, ("large", "always"): 0,
                     ("small", "never"): 16, ("small", "auto"): 16, ("small", "always"): 0}


@pytest.mark.parametrize("options, most", [((), 64), (("--maximum-throughput-gbps", "1"), 10)])
def test_maximum_throughput_bounds_connections(mount, big, server, options, most):
    """1 Gbps: ten connections in all, however many reads wait."""
    def read(mib):
        with opened(m.path / "big", os.O_RDONLY | os.O_DIRECT) as fd:
            os.preadv(fd, [mmap.mmap(-1, 4096)], mib * MIB)

    m = mount(*options)
    server.set(ttfb_ms=100)
    with concurrent.futures.ThreadPoolExecutor(24) as threads:
        list(threads.map(read, range(1, 25)))
    used = {r["conn"] for r in server.requests() if r["op"] == "GetObject"}
    assert len(used) <= most and (options or len(used) > 10), used
