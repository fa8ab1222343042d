# SPDX-License-Identifier: Apache-2.0
"""Bar charts by gnuplot: one per server and figure, as SVG and as PNG.

Speed is drawn relative to the best of each workload and CPU relative to the
worst, because MB/s of a large file and operations per second of small ones do
not share an axis; the values themselves are in the tables.
"""

import pathlib
import shutil
import tempfile

from . import procs, report

CHARTS = (
    ("speed", "speed, share of the best", None),
    ("cpu", "CPU of the daemon, share of the worst", "daemon_cpu_per"),
    ("memory", "peak RSS of the daemon, MiB", "peak_rss_mib"),
)

TERMINALS = {
    "svg": "svg size {width},420 font 'sans,11' background 'white'",
    "png": "pngcairo size {width},420 font 'sans,10'",
}


def _value(cells, peer, figure):
    cell = cells.get(peer)
    if cell is None or "failed" in cell:
        return None
    return cell["median"].get(figure)


def _scaled(kind, values, figure):
    known = [v for v in values if v]
    if not known or kind == "memory":
        return values
    if kind == "speed" and figure == "p50_us":
        return [min(known) / v if v else None for v in values]
    return [v / max(known) if v else None for v in values]


def _data(rows, peers, kind, figure):
    lines = []
    for workload, cells in rows:
        name = figure or workload.figure
        values = [_value(cells, peer, name) for peer in peers]
        if not any(values):
            continue
        shown = _scaled(kind, values, name)
        lines.append("\t".join([f'"{workload.name}"', *(f"{v:.4f}" if v else "0" for v in shown)]))
    return lines


def _script(title, data, peers, target, terminal):
    width = max(700, 60 + 22 * len(peers) * len(data))
    columns = ", ".join(
        f"$data using {i + 2}:xtic(1) title '{peer.replace('_', ' ')}'"
        for i, peer in enumerate(peers))
    return "\n".join([
        "$data << EOD", *data, "EOD",
        "set terminal " + TERMINALS[terminal].format(width=width),
        f"set output '{target}'", f"set title '{title}'", "set style data histograms",
        "set style histogram cluster gap 1", "set style fill solid 0.85 border -1",
        "set datafile separator '\\t'", "set xtics rotate by -35 scale 0", "set yrange [0:*]",
        "set grid ytics", "set key outside top center horizontal", "set border 3",
        "set tics nomirror", f"plot {columns}", ""])


def draw(document, workloads, directory):
    """Write the charts; the list of files, or an empty one without gnuplot."""
    if not shutil.which("gnuplot"):
        return []
    drawn = []
    peers = list(document["peers"])
    for place in report.places(document["results"]):
        rows = report.rows_of(document["results"], place, workloads)
        for kind, title, figure in CHARTS:
            shown = [p for p in peers if figure is None or p != "raw"]
            data = _data(rows, shown, kind, figure)
            if not data or not shown:
                continue
            for terminal in TERMINALS:
                target = directory / f"{report.file_name(*place)}-{kind}.{terminal}"
                with tempfile.NamedTemporaryFile("w", suffix=".gp") as script:
                    script.write(_script(f"{report.place_name(*place)}: {title}", data, shown,
                                         target, terminal))
                    script.flush()
                    procs.output(["gnuplot", script.name], seconds=60)
                drawn.append(pathlib.Path(target))
    return drawn
