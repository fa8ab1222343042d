# SPDX-License-Identifier: Apache-2.0
"""The table of workloads: one row says what is run and what figure counts.

`load` holds the arguments of bench/load, `raw` those of bench/raw for the same
amount of S3 work (empty: there is no such thing). `paths` says which objects
of the set are used. Rows with `quick` are those of --quick.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    load: str
    data: str = ""        # a set of dataset.py; empty: the workload writes
    paths: str = "files"  # files, or directories
    files: int = 0        # how many of the set, 0: all
    raw: str = ""
    figure: str = "mb_s"  # the figure that counts: mb_s or ops_s
    unit: str = "GiB"     # CPU is given per this: GiB or op
    timed: bool = True    # ends after --seconds at the latest
    quick: bool = False


def _seq():
    rows = []
    for files in (1, 4):
        plural = "s" if files > 1 else ""
        for mode, block in (("buffered", "128K"), ("buffered", "1M"), ("direct", "128K"),
                            ("direct", "1M"), ("mmap", "128K")):
            rows.append(Workload(
                f"seq-{files}x-{mode}-{block}", f"{files} file{plural} in order, {mode}, {block}",
                f"seqread -t {files} -m {mode} -b {block}", "big", files=files, raw="get -k 32 -p 8M",
                timed=False, quick=(mode, block) in (("buffered", "128K"), ("direct", "1M"))
                or (files == 1 and mode == "mmap")))
    return rows


def _random():
    rows = []
    for block in ("4K", "128K", "1M"):
        for threads in (1, 4, 16):
            for mode in ("direct", "buffered"):
                if mode == "buffered" and (threads != 4 or block == "1M"):
                    continue
                rows.append(Workload(
                    f"rand-{block}-{threads}t" + ("-buffered" if mode == "buffered" else ""),
                    f"random {block}, {threads} thread{'s' if threads > 1 else ''}, {mode}",
                    f"randread -t {threads} -m {mode} -b {block}", "big", files=1,
                    raw=f"get -R -k {threads} -p {block}", figure="ops_s", unit="op",
                    quick=mode == "direct" and (block, threads) in
                    (("4K", 4), ("128K", 16), ("1M", 4))))
    return rows


def _small():
    rows = []
    for listed in (False, True):
        for readers in (1, 8, 32):
            rows.append(Workload(
                f"small-{'listed' if listed else 'unlisted'}-{readers}r",
                f"100 KiB files, {readers} readers, {'after ls' if listed else 'names unknown'}",
                f"small -b 128K -t {readers}{' -l' if listed else ''}", "small",
                raw=f"get -k {readers}", figure="ops_s", unit="op",
                quick=(listed, readers) in ((False, 1), (False, 8), (True, 8))))
    rows.append(Workload("scattered-8r", "100 KiB files, two of each directory, 8 readers",
                         "small -b 128K -t 8", "scattered", raw="get -k 8", figure="ops_s",
                         unit="op"))
    return rows


TABLE = [
    *_seq(),
    Workload("seq-shards", "8 files of 64 MiB one after another, direct, 1M",
             "seqread -m direct -b 1M", "shard", raw="get -k 32 -p 8M", timed=False),
    Workload("interleave-1fd", "8 regions, 8 threads, one descriptor",
             "interleave -t 8 -b 128K -1", "big", files=1, raw="get -k 32 -p 8M", quick=True),
    Workload("interleave-8fd", "8 regions, 8 threads, 8 descriptors",
             "interleave -t 8 -b 128K", "big", files=1, raw="get -k 32 -p 8M"),
    *_random(),
    *_small(),
    Workload("open-latency", "open and first 4 KiB, name known, cold 4 MiB files",
             "openlat -b 4K -T", "cold", raw="get -k 1 -p 4K -S 4K", figure="p50_us", unit="op",
             quick=True),
    Workload("open-latency-cold", "lookup, open and first 4 KiB of cold 4 MiB files",
             "openlat -b 4K", "cold", raw="get -k 1 -p 4K -S 4K", figure="p50_us", unit="op"),
    Workload("loader-pread", "150 KB samples from .npy shards, 4 workers",
             "loader -t 4 -S 150000", "shard", figure="ops_s", unit="op", quick=True),
    Workload("loader-mmap", "150 KB samples from .npy shards, 4 workers, mmap", "loader -t 4 -S 150000 -m mmap", "shard",
             figure="ops_s", unit="op"),
    Workload("slices", "model file: header, then slices, 4 threads",
             "slices -t 4 -b 1M -H 64K", "big", files=1, quick=True),
    Workload("list-10k", "readdir and lstat of 10,000 entries", "list", "list10k", "directories",
             figure="ops_s", unit="op", timed=False, quick=True),
    Workload("list-100k", "readdir and lstat of 100,000 entries", "list", "list100k",
             "directories", figure="ops_s", unit="op", timed=False),
    Workload("write-1", "write one large file", "write -b 1M -c 1 -S {size}",
             raw="multipart -k 8 -p 8M -S {size}", timed=False, quick=True),
    Workload("write-4", "write four large files at once", "write -b 1M -t 4 -c 4 -S {quarter}",
             raw="multipart -k 8 -p 8M -S {size}", timed=False),
    Workload("write-shards", "write 8 files of 64 MiB one after another", "write -b 1M -c 8 -S 64M",
             timed=False),
    Workload("write-small-8w", "write 100 KiB files, 8 writers", "write -t 8 -c 400 -S 100K",
             raw="put -k 8 -p 100K -S 40000K", figure="ops_s", unit="op", quick=True),
]


def choose(patterns, quick):
    """Rows whose name begins with, or is, one of the comma-separated patterns."""
    rows = [w for w in TABLE if not quick or w.quick]
    if not patterns:
        return rows
    wanted = patterns.split(",")
    return [w for w in TABLE if any(w.name == p or w.name.startswith(p) for p in wanted)]
