# SPDX-License-Identifier: Apache-2.0
"""The objects that the workloads read, and how they come into a bucket.

Names follow from the numbers below, so that nobody needs to list. MinIO keeps
its objects between runs; a set is sent again only when its first or last key
is not there with the right size.
"""

import dataclasses

from . import procs
from .procs import BenchError
from .servers import BUCKET

KIB, MIB = 1 << 10, 1 << 20


@dataclasses.dataclass(frozen=True)
class Set:
    name: str
    count: int
    size: int
    per_directory: int = 0  # 0: all in one directory

    def directories(self):
        """(prefix, number of objects) of each directory."""
        step = self.per_directory or self.count
        return [(f"{self.name}/{i // step:03d}/", min(step, self.count - i))
                for i in range(0, self.count, step)]

    def keys(self):
        return [f"{prefix}o-{i:06d}" for prefix, n in self.directories() for i in range(n)]


def sets(options):
    """All sets, by name, in the sizes that the options ask for."""
    quick = options.quick
    small = 1000 if quick else 5000
    rows = [
        Set(f"big{options.size // MIB}", 4, options.size),
        Set(f"small{small}", small, 100 * KIB, 100),
        Set("scattered", 400 if quick else 2000, 100 * KIB, 2),
        Set("shard", 8, (16 if quick else 64) * MIB),
        Set("cold", 40, 4 * MIB),
        Set("list10k", 10000, 16),
        Set("list100k", 100000, 16),
    ]
    names = ("big", "small", "scattered", "shard", "cold", "list10k", "list100k")
    return dict(zip(names, rows))


def _present(client, data):
    keys = data.keys()
    for key in (keys[0], keys[-1]):
        if client.list(key)[:1] != [(key, data.size)]:
            return False
    return True


def _send(server, data, raw):
    env = procs.clean_env(server.keys)
    for prefix, count in data.directories():
        procs.output(
            [raw, "put", "-e", server.host, "-k", min(16, count), "-p", data.size,
             "-S", data.size * count, f"/{BUCKET}/{prefix}o"], env, 1200)


def fill(server, data, raw):
    """Make sure that a set is in the bucket of a server."""
    client = server.client()
    if _present(client, data):
        return
    for prefix, count in data.directories():
        if not server.generate(prefix + "o-", count, data.size):
            _send(server, data, raw)
            break
    if not _present(client, data):
        raise BenchError(f"{server.name}: the objects of {data.name} are not as expected")
