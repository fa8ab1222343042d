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


def fetched_by_open(server, path):
    before = server.bytes_out()
    with opened(path, os.O_RDONLY):
        return settled(server) - before


def fetched_by_first_read(server, path):
    """By a program that reads 128 KiB and no more."""
    before = server.bytes_out()
    with opened(path, os.O_RDONLY | os.O_DIRECT) as fd:
        os.preadv(fd, [mmap.mmap(-1, 128 * KIB)], 0)
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
    assert fetched_by_first_read(server, names[0]) < 3 * MIB
    read_through(names[1])
    assert fetched_by_first_read(server, names[2]) < 3 * MIB
    read_through(names[3])
    read_through(names[4])
    assert 16 * MIB <= fetched_by_first_read(server, names[5]) < 19 * MIB
    assert fetched_by_first_read(server, names[6]) < 3 * MIB
    read_through(names[7])
    read_through(names[8])
    assert 16 * MIB <= fetched_by_open(server, names[9]) < 17 * MIB
    assert fetched_by_open(server, names[10]) < MIB
