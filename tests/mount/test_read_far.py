# SPDX-License-Identifier: Apache-2.0
"""What the read engine asks a server for that is far."""

import mmap
import os
import time

import pytest

from check import KIB, MIB, opened

pytestmark = pytest.mark.s3d_only
SIZE = 24 * MIB


def settled(server):
    """Bytes that the server has sent when it sends no more."""
    last = -1
    while (now := server.bytes_out()) != last:
        last = now
        time.sleep(0.4)
    return now


def fetched(server, path, read):
    """Bytes that come for a program that has a file open and reads so much of it."""
    before = server.bytes_out()
    with opened(path, os.O_RDONLY | os.O_DIRECT) as fd:
        if read:
            os.preadv(fd, [mmap.mmap(-1, read)], 0)
        return settled(server) - before


def read_through(path):
    with opened(path, os.O_RDONLY) as fd:
        while os.read(fd, MIB):
            pass


def test_where_files_are_read_through_the_next_one_starts_at_once(mount, bucket, server):
    server.generate(bucket, "o", 11, SIZE)
    server.set(ttfb_ms=20)
    m = mount()
    names = [m.path / f"o{i:06d}" for i in range(11)]
    assert fetched(server, names[0], 128 * KIB) < 3 * MIB
    read_through(names[1])
    assert fetched(server, names[2], 128 * KIB) < 3 * MIB
    read_through(names[3])
    read_through(names[4])
    assert 16 * MIB <= fetched(server, names[5], 128 * KIB) < 19 * MIB
    assert fetched(server, names[6], 128 * KIB) < 3 * MIB
    read_through(names[7])
    read_through(names[8])
    assert 16 * MIB <= fetched(server, names[9], 0) < 17 * MIB
    assert fetched(server, names[10], 0) < MIB
