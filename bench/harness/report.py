# SPDX-License-Identifier: Apache-2.0
"""From single runs to what a person reads: medians, spread, Markdown, JSON."""

import json
import os
import pathlib
import platform
import statistics

from .servers import Line

NOISE_CPUS = 0.3

FIGURES = ("mb_s", "ops_s", "p50_us", "p99_us", "first_us", "daemon_cpu_per", "reader_cpu_per",
           "server_cpu_s", "peak_rss_mib", "requests", "requests_per", "fetched_per_asked")


def summarise(results):
    """Add medians and relative spread (half the range over the median) to each result."""
    for result in results:
        good = [run for run in result["runs"] if "failed" not in run]
        result["median"], result["spread"] = {}, {}
        for figure in FIGURES:
            values = [run[figure] for run in good if run.get(figure) is not None]
            if not values:
                continue
            middle = statistics.median(values)
            result["median"][figure] = middle
            if middle:
                result["spread"][figure] = (max(values) - min(values)) / 2 / abs(middle)
        if not good:
            result["failed"] = result["runs"][-1]["failed"]


def machine():
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"kernel": platform.release(), "cpu": model, "cpus": os.cpu_count(),
            "memory_gib": round(pages / (1 << 30), 1)}


def number(value):
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _cell(result, figure, spread=False, scale=1.0):
    if result is None:
        return ""
    if "failed" in result:
        return "failed" if spread else ""
    value = result["median"].get(figure)
    if value is None:
        return ""
    text = number(value * scale)
    if spread and len(result["runs"]) > 1 and figure in result["spread"]:
        text += f" ±{100 * result['spread'][figure]:.0f}%"
    return text


def _table(title, head, rows):
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |",
             "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _ratio(cells, figure, ours, reference):
    a, b = cells.get(ours), cells.get(reference)
    if not a or not b or "failed" in a or "failed" in b:
        return ""
    x, y = a["median"].get(figure), b["median"].get(figure)
    return f"{number(x / y)}x" if x and y else ""


UNITS = {"mb_s": "MB/s", "ops_s": "op/s", "p50_us": "µs"}


def _place(title, rows, peers, ours, reference, brief):
    """The tables of one server: speed, latency, CPU, memory, requests."""
    def table(name, figure_of, spread=False, scale_of=lambda w: 1.0, unit_of=None,
              compared=False):
        body = []
        for workload, cells in rows:
            texts = [_cell(cells.get(p), figure_of(workload), spread, scale_of(workload))
                     for p in peers]
            if not any(texts):
                continue
            unit = f" ({unit_of(workload)})" if unit_of else ""
            line = [workload.title + unit, *texts]
            if compared and ours:
                line.append(_ratio(cells, figure_of(workload), ours, reference))
            body.append(line)
        head = ["workload", *peers]
        if compared and ours:
            head.append(f"{ours} / {reference}")
        return _table(f"{title}: {name}", head, body) if body else ""

    per = {"GiB": "s/GiB", "op": "µs/op"}
    scale = {"GiB": 1.0, "op": 1e6}
    speed = table("speed (median ± half the range)", lambda w: w.figure, True,
                  unit_of=lambda w: UNITS[w.figure], compared=True)
    if brief:
        return speed
    parts = [
        speed,
        table("latency of one operation, µs, p50", lambda w: "p50_us"),
        table("latency of one operation, µs, p99", lambda w: "p99_us"),
        table("CPU of the daemon", lambda w: "daemon_cpu_per",
              scale_of=lambda w: scale[w.unit], unit_of=lambda w: per[w.unit], compared=True),
        table("CPU of the program that reads or writes", lambda w: "reader_cpu_per",
              scale_of=lambda w: scale[w.unit], unit_of=lambda w: per[w.unit]),
        table("peak RSS of the daemon, MiB", lambda w: "peak_rss_mib", compared=True),
        table("S3 requests", lambda w: "requests_per", unit_of=lambda w: f"per {w.unit}"),
        table("bytes fetched per byte asked for", lambda w: "fetched_per_asked"),
    ]
    return "\n".join(part for part in parts if part)


def place_name(server, line):
    return f"{server}, {line}" if str(line) else server


def file_name(server, line):
    return f"{server}-{line.ms}ms" + (f"-{line.mb_s}mb" if line.mb_s else "")


def place_of(result):
    return result["server"], Line(result["latency_ms"], result["connection_mb_s"])


def places(results):
    return list(dict.fromkeys(place_of(r) for r in results))


def rows_of(results, place, workloads):
    rows = []
    for workload in workloads:
        cells = {r["peer"]: r for r in results
                 if place_of(r) == place and r["workload"] == workload.name}
        if cells:
            rows.append((workload, cells))
    return rows


def _noise(results):
    """How often other programs of the machine were in the way."""
    runs = [run for r in results for run in r["runs"] if "foreign_cpus" in run]
    noisy = sum(1 for run in runs if run["foreign_cpus"] > NOISE_CPUS)
    return [f"In {noisy} of {len(runs)} measurements other programs used more than "
            f"{NOISE_CPUS} of a CPU.", ""]


def markdown(document, workloads, brief=False):
    """All tables, or with `brief` only those of speed."""
    results = document["results"]
    peers = list(document["peers"])
    ours = "mount-s3" if {"mount-s3", "mountpoint"} <= set(peers) else None
    info = document["machine"]
    lines = [
        "# Benchmark", "",
        f"`{document['command']}` on {document['date']}; {info['cpus']} CPUs ({info['cpu']}), "
        f"{info['memory_gib']} GiB, Linux {info['kernel']}; {document['runs']} runs each, "
        "peers taking turns. MB = 10^6 bytes, GiB = 2^30.", ""]
    lines += [f"- {name}: {version}" for name, version in document["peers"].items() if version]
    lines.append("")
    for place in places(results):
        rows = rows_of(results, place, workloads)
        lines.append(_place(place_name(*place), rows, peers, ours, "mountpoint", brief))
    lines += _noise(results)
    failed = [r for r in results if "failed" in r]
    if failed:
        lines += ["### What failed", ""]
        lines += [f"- {place_name(*place_of(r))}, {r['workload']}, {r['peer']}: "
                  f"{r['failed']}" for r in failed]
        lines.append("")
    return "\n".join(lines)


def write(document, workloads, goals, directory):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    (directory / "results.md").write_text(markdown(document, workloads) + "\n" + goals)
