#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the drivers say must be what they did: each workload on a plain
directory, each raw command against s3d when that is built.

usage: drivers.py LOAD RAW [S3D]        (TAP on standard output)
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import procs, servers  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
BIG = 4 * MIB + 1000  # no multiple of any block
COUNT = 20
results = []


def drive(argv, env=None, status=0):
    done = subprocess.run([str(a) for a in argv], env=env, capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode != status:
        raise AssertionError(f"status {done.returncode}: {done.stderr.strip()[:200]}")
    return json.loads(done.stdout) if done.stdout else {}


def expect(name, argv, env=None, status=0, **wanted):
    problem = ""
    try:
        figures = drive(argv, env, status)
        for key, value in wanted.items():
            if figures.get(key) != value:
                problem += f" {key} is {figures.get(key)}, not {value};"
        if figures and figures["errors"] == 0:
            seconds = figures["seconds"]
            if abs(figures["mb_s"] - figures["bytes"] / seconds / 1e6) > 0.01 * figures["mb_s"]:
                problem += " mb_s does not follow from bytes and seconds;"
            if figures["p50_us"] > figures["p99_us"] or figures["p99_us"] > figures["max_us"]:
                problem += " percentiles are not in order;"
    except (AssertionError, ValueError, KeyError, subprocess.TimeoutExpired) as e:
        problem = f" {e}"
    results.append((name, problem))


def on_directory(load, top):
    big, other, small = top / "big", top / "other", top / "small"
    for path in (big, other):
        path.write_bytes(os.urandom(BIG))
    small.mkdir()
    for i in range(COUNT):
        (small / f"f{i}").write_bytes(os.urandom(100 * KIB))
    names = top / "names"
    names.write_text("".join(f"{p}\n" for p in sorted(small.iterdir())))
    both = [big, other]
    reads = -(-BIG // (128 * KIB))
    expect("seqread", [load, "seqread", *both], bytes=2 * BIG, ops=2 * reads)
    expect("seqread, 2 threads, 1M", [load, "seqread", "-t2", "-b1M", *both], bytes=2 * BIG,
           ops=2 * 5)
    expect("seqread direct", [load, "seqread", "-m", "direct", big], bytes=BIG, ops=reads)
    expect("seqread mmap", [load, "seqread", "-m", "mmap", big], bytes=BIG, ops=reads)
    expect("randread", [load, "randread", "-b4K", "-t3", "-n1000", big], bytes=1000 * 4 * KIB,
           ops=1000)
    expect("randread mmap", [load, "randread", "-b4K", "-n100", "-m", "mmap", big], ops=100)
    for extra in ([], ["-1"]):
        expect(f"interleave {extra}", [load, "interleave", "-t3", *extra, big], bytes=BIG)
    expect("small", [load, "small", "-t4", "-f", names], bytes=COUNT * 100 * KIB, ops=COUNT)
    expect("small after ls", [load, "small", "-l", "-b64K", "-f", names], ops=COUNT,
           bytes=COUNT * 100 * KIB)
    expect("openlat", [load, "openlat", "-T", "-b4K", "-f", names], bytes=COUNT * 4 * KIB,
           ops=COUNT)
    samples = (BIG - 128) // 41953 * 2  # without the header one more would fit
    for mode in ("buffered", "mmap"):
        expect(f"loader {mode}", [load, "loader", "-S41953", "-t3", "-m", mode, *both],
               ops=samples, bytes=samples * 41953)
    expect("slices", [load, "slices", "-t2", "-H1000", big], bytes=BIG)
    expect("list", [load, "list", small], ops=COUNT, bytes=0)
    expect("list without stat", [load, "list", "-N", small], ops=COUNT)
    target = top / "written"
    target.mkdir()
    expect("write", [load, "write", "-t3", "-c10", "-S300K", target], ops=10,
           bytes=10 * 300 * KIB)
    sizes = [p.stat().st_size for p in target.iterdir()]
    results.append(("what was written is there", "" if sizes == [300 * KIB] * 10 else f" {sizes}"))
    expect("a missing file is an error", [load, "small", top / "none", *both], status=1, errors=1,
           first_errno=2, ops=2)
    expect("no such workload", [load, "nothing", big], status=2)
    expect("O_DIRECT wants whole blocks", [load, "seqread", "-m", "direct", "-b1000", big],
           status=2)
    expect("a time limit ends it", [load, "randread", "-s", "0.1", "-b4K", big], errors=0)


def on_server(raw, s3d, top):
    server = servers.S3d(s3d, top)
    server.start()
    try:
        common = ["-e", server.host, "-k", "4"]
        env = procs.clean_env(server.keys)
        bucket = f"/{servers.BUCKET}"
        expect("raw put", [raw, "put", *common, "-p100K", "-S250K", f"{bucket}/p/o"], env, ops=3,
               bytes=250 * KIB)
        keys = server.client().list("p/")
        wanted = [(f"p/o-{i:06d}", n * KIB) for i, n in enumerate((100, 100, 50))]
        results.append(("the objects are there", "" if keys == wanted else f" {keys}"))
        expect("raw multipart", [raw, "multipart", *common, "-p5M", "-S12M", f"{bucket}/m"], env,
               ops=3, bytes=12 * MIB)
        expect("raw get", [raw, "get", *common, "-p1M", "-S12M", f"{bucket}/m"], env, ops=12,
               bytes=12 * MIB)
        expect("raw get whole", [raw, "get", *common, f"{bucket}/p/o-000000"], env, ops=1,
               bytes=100 * KIB)
        server.reset()
        expect("raw get random", [raw, "get", *common, "-R", "-n50", "-p4K", "-S12M",
                                  f"{bucket}/m"], env, ops=50, bytes=50 * 4 * KIB)
        counted = server.counters()
        fine = counted["requests"] == 50 and counted["bytes_out"] >= 50 * 4 * KIB
        results.append(("the server counted the same", "" if fine else f" {counted}"))
        expect("a missing object is an error", [raw, "get", *common, f"{bucket}/none"], env,
               status=1, errors=1)
        expect("keys that are wrong are refused", [raw, "get", *common, f"{bucket}/m"],
               {**env, "AWS_SECRET_ACCESS_KEY": "wrong"}, status=1, errors=1)
    finally:
        server.stop()


def main():
    load, raw, *s3d = sys.argv[1:]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
        on_directory(load, pathlib.Path(top))
        if s3d:
            on_server(raw, s3d[0], pathlib.Path(top))
    for number, (name, problem) in enumerate(results, 1):
        print(f"{'not ok' if problem else 'ok'} {number} - {name}")
        if problem:
            print(f"#{problem}")
    print(f"1..{len(results)}")
    return any(problem for _, problem in results)


if __name__ == "__main__":
    sys.exit(main())
