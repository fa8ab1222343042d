# SPDX-License-Identifier: Apache-2.0
"""Reading: right bytes by every way to ask for them, and never a mixture."""

import ctypes
import errno
import mmap
import os
import random
import re
import subprocess
import threading
import time

import pytest

from check import KIB, MIB, blob, fails_with, opened, sha256, sha256_file
from mountlib import run, wait_for

SIZES = [0, 1, 511, 4095, 4096, 4097, 128 * KIB - 1, 128 * KIB, 128 * KIB + 1, MIB - 1, MIB,
         MIB + 1, 8 * MIB - 1, 8 * MIB + 1, 20 * MIB + 3]
BIG = 20 * MIB + 3


@pytest.fixture(scope="module")
def library(server):
    """One bucket for the module, with an object per size."""
    b = server.new_bucket("read")
    b.put_many((f"size-{n}", blob(n)) for n in SIZES)
    return b


@pytest.fixture
def reading(mount, library):
    return mount("--read-only", bucket=library).path


@pytest.mark.parametrize("size", SIZES)
def test_whole_object(reading, size):
    path = reading / f"size-{size}"
    assert os.stat(path).st_size == size
    data = path.read_bytes()
    assert len(data) == size and sha256(data) == sha256(blob(size))


@pytest.mark.parametrize("block", [1000, 4096, 65537, 3 * MIB])
def test_block_sizes(reading, block):
    assert sha256_file(reading / f"size-{BIG}", block) == sha256(blob(BIG))


def test_programs_read_the_same(reading, folder):
    source, copy = reading / f"size-{BIG}", folder / "copy"
    run("cp", source, copy, check=True)
    run("cmp", source, copy, check=True)
    assert run("sha256sum", source, check=True).stdout.split()[0] == sha256(blob(BIG))


@pytest.mark.long
@pytest.mark.minio_only
@pytest.mark.limit(150)
def test_one_gib_in_and_out(mounted, folder):
    """The round trip that the product is for, on the real server."""
    size = 1 << 30
    source = folder / "source"
    seed = blob(4 * MIB, "gib")
    with open(source, "wb") as f:
        for i in range(size // len(seed)):
            f.write(i.to_bytes(8, "little") + seed[8:])
    run("cp", source, mounted.path / "big", check=True, timeout=100)
    assert os.stat(mounted.path / "big").st_size == size
    run("cp", mounted.path / "big", folder / "back", check=True, timeout=100)
    assert sha256_file(folder / "back") == sha256_file(source)
    assert mounted.rss() < 700 << 20


def test_random_ranges(reading):
    want, rng = blob(BIG), random.Random(1)
    with opened(reading / f"size-{BIG}", os.O_RDONLY) as fd:
        for _ in range(300):
            at = rng.randrange(BIG)
            n = rng.choice([1, 100, 4096, 70000, MIB])
            assert os.pread(fd, n, at) == want[at:at + n], (at, n)


def test_backward(reading):
    want, block = blob(BIG), 256 * KIB
    with opened(reading / f"size-{BIG}", os.O_RDONLY) as fd:
        for at in range(BIG // block * block, -1, -block):
            assert os.pread(fd, block, at) == want[at:at + block]


def test_strided(reading):
    want = blob(BIG)
    with opened(reading / f"size-{BIG}", os.O_RDONLY) as fd:
        for at in range(0, BIG, 777 * KIB):
            assert os.pread(fd, 10 * KIB, at) == want[at:at + 10 * KIB]


def test_two_interleaved_streams_on_one_descriptor(reading):
    want, half = blob(BIG), BIG // 2
    with opened(reading / f"size-{BIG}", os.O_RDONLY) as fd:
        for at in range(0, half, 128 * KIB):
            for pos in (at, half + at):
                assert os.pread(fd, 128 * KIB, pos) == want[pos:pos + 128 * KIB]


def test_end_of_file(reading):
    with opened(reading / "size-4097", os.O_RDONLY) as fd:
        assert os.pread(fd, 100, 4096) == blob(4097)[4096:]
        assert os.pread(fd, 100, 4097) == b""
        assert os.pread(fd, 100, 10 * MIB) == b""
        assert os.lseek(fd, 0, os.SEEK_END) == 4097
        assert os.read(fd, 10) == b""


def test_empty_object(reading):
    with opened(reading / "size-0", os.O_RDONLY) as fd:
        assert os.read(fd, 10) == b"" and os.pread(fd, 10, 5) == b""


@pytest.mark.parametrize("order", ["forward", "random"])
def test_mmap(reading, order):
    want = blob(BIG)
    with open(reading / f"size-{BIG}", "rb") as f, \
            mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
        assert len(m) == BIG
        pages = list(range(0, BIG, 4096 * 7))
        if order == "random":
            random.Random(2).shuffle(pages)
            pages = pages[:300]
        for at in pages:
            assert m[at:at + 16] == want[at:at + 16]
        assert m[-3:] == want[-3:]


def read_direct(path, at, size):
    """pread into aligned memory, as O_DIRECT may ask for."""
    with opened(path, os.O_RDONLY | os.O_DIRECT) as fd, mmap.mmap(-1, size) as m:
        n = os.preadv(fd, [m], at)
        return m[:n]


@pytest.mark.parametrize("at,size", [(0, 4096), (MIB, MIB), (4096, 3 * MIB),
                                     (BIG // 4096 * 4096, 64 * KIB)])
def test_o_direct(reading, at, size):
    got = read_direct(reading / f"size-{BIG}", at, size)
    want = blob(BIG)[at:at + size]
    assert got == want[:len(got)] and len(got) > 0
    assert len(got) == len(want) or len(got) % 4096 == 0


def test_o_direct_whole(reading):
    path = reading / f"size-{BIG}"
    assert run("dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct", check=True)
    done = subprocess.run(f"dd if='{path}' bs=1M iflag=direct status=none | sha256sum",
                          shell=True, stdout=subprocess.PIPE, timeout=30, check=True)
    assert done.stdout.split()[0].decode() == sha256(blob(BIG))


def test_sixteen_readers_of_one_object(reading):
    path = reading / f"size-{BIG}"
    running = [subprocess.Popen(["sha256sum", path], stdout=subprocess.PIPE) for _ in range(16)]
    sums = {p.communicate(timeout=60)[0].split()[0].decode() for p in running}
    assert sums == {sha256(blob(BIG))}


def test_readers_of_many_objects(reading):
    running = {n: subprocess.Popen(["sha256sum", reading / f"size-{n}"], stdout=subprocess.PIPE)
               for n in SIZES}
    for n, p in running.items():
        assert p.communicate(timeout=60)[0].split()[0].decode() == sha256(blob(n)), n


def test_threads_on_one_descriptor(reading):
    want, wrong = blob(BIG), []
    with opened(reading / f"size-{BIG}", os.O_RDONLY) as fd:
        def reader(k):
            for at in range(k * 4096, BIG, 8 * 64 * KIB):
                if os.pread(fd, 4096, at) != want[at:at + 4096]:
                    wrong.append(at)
        threads = [threading.Thread(target=reader, args=(k,)) for k in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert wrong == []


def test_many_open_files(reading):
    fds = [os.open(reading / "size-4097", os.O_RDONLY) for _ in range(500)]
    try:
        assert {os.pread(fd, 5000, 0) for fd in fds} == {blob(4097)}
    finally:
        for fd in fds:
            os.close(fd)


def test_descriptor_without_reading(reading):
    for _ in range(100):
        with opened(reading / f"size-{BIG}", os.O_RDONLY):
            pass


def test_sendfile(reading, folder):
    with opened(reading / f"size-{8 * MIB + 1}", os.O_RDONLY) as src, \
            opened(folder / "out", os.O_CREAT | os.O_WRONLY) as dst:
        left = 8 * MIB + 1
        while left:
            n = os.sendfile(dst, src, None, left)
            assert n > 0
            left -= n
    assert sha256_file(folder / "out") == sha256(blob(8 * MIB + 1))


def test_copy_file_range(reading, folder):
    with opened(reading / f"size-{MIB + 1}", os.O_RDONLY) as src, \
            opened(folder / "out", os.O_CREAT | os.O_WRONLY) as dst:
        left = MIB + 1
        while left:
            try:
                n = os.copy_file_range(src, dst, left)
            except OSError as e:
                assert e.errno == errno.EXDEV   # the kernel's answer between file systems
                return
            left -= n
    assert sha256_file(folder / "out") == sha256(blob(MIB + 1))


def test_open_fd_keeps_its_place_after_fork(reading):
    want = blob(BIG)
    with opened(reading / f"size-{BIG}", os.O_RDONLY) as fd:
        os.read(fd, 1000)
        out = run("head", "-c", "500", stdin=fd, text=False, check=True).stdout
        assert out == want[1000:1500]


def test_small_memory_target_still_reads(mount, library):
    """Sixteen readers share a small budget: slower, never failing."""
    m = mount("--memory-target", "64", "--part-size", str(5 * MIB), bucket=library)
    running = [subprocess.Popen(["sha256sum", m.path / f"size-{BIG}"], stdout=subprocess.PIPE)
               for _ in range(16)]
    for p in running:
        assert p.communicate(timeout=60)[0].split()[0].decode() == sha256(blob(BIG))


# objects that others change


def test_open_sees_the_newest_version(mnt, bucket):
    """No version that is older than the last PUT before open() is ever served."""
    for i in range(20):
        data = b"%04d" % i * (100 + i)
        bucket.put("f", data)
        with open(mnt / "f", "rb") as f:
            assert f.read() == data


def test_open_sees_a_new_version_of_the_same_size(mnt, bucket):
    for i in range(10):
        data = bytes([65 + i]) * 5000
        bucket.put("f", data)
        assert (mnt / "f").read_bytes() == data


def versions(size):
    """Two contents that differ in every 16 bytes."""
    return b"A" * 16 * (size // 16), b"B" * 16 * (size // 16)


def test_overwritten_while_open_is_stale(mnt, bucket):
    a, b = versions(40 * MIB)
    bucket.put("f", a)
    with opened(mnt / "f", os.O_RDONLY) as fd:
        assert os.pread(fd, 4096, 0) == a[:4096]
        bucket.put("f", b)
        seen, at = b"", 0
        with fails_with(errno.ESTALE):
            while at < len(a):
                chunk = os.pread(fd, MIB, at)
                assert chunk == a[at:at + len(chunk)] and chunk
                seen += chunk[:1]
                at += len(chunk)
    assert (mnt / "f").read_bytes() == b


def test_deleted_while_open_is_an_error(mnt, bucket):
    a, _ = versions(40 * MIB)
    bucket.put("f", a)
    with opened(mnt / "f", os.O_RDONLY) as fd:
        assert os.pread(fd, 4096, 0) == a[:4096]
        bucket.delete("f")
        with fails_with(errno.EIO, errno.ESTALE):
            for at in range(0, len(a), MIB):
                chunk = os.pread(fd, MIB, at)
                assert chunk == a[at:at + len(chunk)] and chunk


def test_readers_under_an_overwriter_never_see_a_mixture(mount, bucket):
    """Each block names its version; a reader sees one version or ESTALE."""
    m = mount()
    size, block = 3 * MIB, 16

    def content(v):
        return (b"version %07d\n" % v) * (size // block)

    bucket.put("f", content(0))
    over, bad, whole = threading.Event(), [], [0]

    def reader():
        while not over.is_set():
            try:
                with open(m.path / "f", "rb", buffering=0) as f:
                    parts = []
                    while chunk := f.read(256 * KIB):
                        parts.append(chunk)
                data = b"".join(parts)
                if data != data[:block] * (len(data) // block) or len(data) != size:
                    seen = set(re.findall(rb"version (\d+)", data))
                    bad.append(f"{len(data)} bytes of versions {sorted(seen)}")
                whole[0] += 1
            except OSError as e:
                if e.errno != errno.ESTALE:
                    bad.append(str(e))
    threads = [threading.Thread(target=reader) for _ in range(6)]
    for t in threads:
        t.start()
    end, v = time.monotonic() + 4, 0
    while time.monotonic() < end:
        v += 1
        bucket.put("f", content(v))
        time.sleep(0.03)
    wait_for(lambda: whole[0] > 0 or bad, 10, "a reader sees a whole version")
    over.set()
    for t in threads:
        t.join()
    assert bad == []


def test_stat_follows_an_overwrite(mnt, bucket):
    bucket.put("f", b"1")
    assert os.stat(mnt / "f").st_size == 1
    bucket.put("f", b"four")
    wait_for(lambda: os.stat(mnt / "f").st_size == 4, 3, "the new size shows")


def test_reader_killed_while_reading(reading):
    """Its descriptors go, the daemon stays well."""
    for _ in range(5):
        p = subprocess.Popen(["cat", reading / f"size-{BIG}"], stdout=subprocess.PIPE)
        p.stdout.read(100000)
        p.kill()
        p.wait(5)
        p.stdout.close()
    assert sha256_file(reading / f"size-{BIG}") == sha256(blob(BIG))


def test_posix_fadvise_and_readahead(reading):
    with opened(reading / f"size-{BIG}", os.O_RDONLY) as fd:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        ctypes.CDLL(None).readahead(fd, ctypes.c_longlong(0), ctypes.c_size_t(MIB))
        assert os.pread(fd, 100, MIB) == blob(BIG)[MIB:MIB + 100]
