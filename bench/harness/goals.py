# SPDX-License-Identifier: Apache-2.0
"""What mount-s3 wants to reach, as a table, and whether a result reaches it.

A goal compares a figure of ours with a factor times the same figure of a base:
another peer, another workload of ours, or nothing (then the factor is the limit
itself). A goal whose data were not measured does not appear.
"""

import dataclasses

from .report import number, place_name, place_of
from .servers import Line

OURS = "mount-s3"


@dataclasses.dataclass(frozen=True)
class Goal:
    workloads: str  # comma-separated names
    servers: str    # comma-separated; NAME alone is without delay, NAME:MS with it
    figure: str
    relation: str   # ">=" or "<="
    factor: float
    base: str = "mountpoint"  # a peer, "=WORKLOAD" of ours, or empty

    def holds(self, value, limit):
        return value >= limit if self.relation == ">=" else value <= limit


SEQ = ("seq-1x-buffered-128K,seq-1x-direct-1M,seq-4x-buffered-128K,seq-4x-direct-1M")
RANDOM = "rand-4K-4t,rand-4K-16t,rand-128K-4t,rand-128K-16t"
RANDOM_4K = "rand-4K-1t,rand-4K-4t,rand-4K-16t"
LISTED = "small-listed-1r,small-listed-8r,small-listed-32r"
S3D = "s3d,s3d:2,s3d:20"

TABLE = [
    Goal(SEQ, "minio", "mb_s", ">=", 2),
    Goal(SEQ, "s3d", "mb_s", ">=", 3),
    Goal(SEQ, "minio,s3d", "daemon_cpu_per", "<=", 0.35),
    Goal(SEQ, "minio,s3d", "peak_rss_mib", "<=", 128, ""),
    Goal(RANDOM, "minio", "ops_s", ">=", 4),
    Goal(RANDOM, "s3d", "ops_s", ">=", 8),
    Goal(RANDOM_4K, "s3d", "fetched_per_asked", "<=", 32, ""),
    Goal("rand-1M-4t,rand-1M-16t", "minio,s3d", "ops_s", ">=", 1.5),
    Goal("small-unlisted-8r", "minio", "ops_s", ">=", 5),
    Goal("small-unlisted-8r", "minio", "daemon_cpu_per", "<=", 0.2),
    Goal("small-unlisted-1r", "minio", "ops_s", ">=", 4),
    # one GET a file, one LIST per 100 files, and the LIST that ls itself needs
    Goal(LISTED, S3D, "requests_per", "<=", 1.02, ""),
    Goal("interleave-1fd", "minio,s3d", "mb_s", ">=", 0.8, "=interleave-8fd"),
    Goal("seq-1x-mmap-128K", "minio,s3d", "mb_s", ">=", 1 / 1.3, "=seq-1x-buffered-128K"),
    Goal("seq-1x-buffered-128K", "s3d:20", "mb_s", ">=", 0.8, "raw"),
    Goal("open-latency", "s3d:20", "p50_us", "<=", 24000, ""),
    Goal("seq-1x-direct-1M", "s3d", "mb_s", ">=", 0.85, "raw"),
    Goal("list-10k", "minio", "ops_s", ">=", 1.4),
    Goal("list-10k", "s3d:20", "ops_s", ">=", 3),
    Goal("write-1", "minio", "mb_s", ">=", 1.2),
    Goal("write-1", "s3d", "mb_s", ">=", 2.5),
    Goal("write-1", "minio,s3d", "daemon_cpu_per", "<=", 0.45),
    Goal("write-small-8w", "minio,s3d", "ops_s", ">=", 2.5),
]


def _median(results, place, workload, peer, figure):
    for r in results:
        if (place_of(r), r["workload"], r["peer"]) == (place, workload, peer):
            return r["median"].get(figure)
    return None


def judge(results):
    """(goal, place, workload, value of ours, limit) of each goal that can be judged."""
    judged = []
    for goal in TABLE:
        for server in goal.servers.split(","):
            name, _, delay = server.partition(":")
            place = (name, Line(int(delay or 0)))
            for workload in goal.workloads.split(","):
                ours = _median(results, place, workload, OURS, goal.figure)
                base = 1.0
                if goal.base.startswith("="):
                    base = _median(results, place, goal.base[1:], OURS, goal.figure)
                elif goal.base:
                    base = _median(results, place, workload, goal.base, goal.figure)
                if ours is not None and base is not None:
                    judged.append((goal, place, workload, ours, goal.factor * base))
    return judged


def markdown(results):
    lines = []
    for goal, place, workload, value, limit in judge(results):
        base = goal.base.lstrip("=")
        wanted = f"{goal.relation} {number(goal.factor)}" + (f" x {base}" if base else "")
        scale = 1e6 if goal.figure == "daemon_cpu_per" and limit < 0.01 else 1
        lines.append(f"| {place_name(*place)} | {workload} | {goal.figure} | {wanted} | "
                     f"{number(limit * scale)} | {number(value * scale)} | "
                     f"{'yes' if goal.holds(value, limit) else '**no**'} |")
    if not lines:
        return ""
    return "\n".join(["### Goals", "",
                      "| place | workload | figure | wanted | limit | mount-s3 | reached |",
                      "|" + " --- |" * 7, *lines, ""])
