# SPDX-License-Identifier: Apache-2.0
"""The measuring itself: each workload, on each server, run by run, peer by peer.

Within one run of a workload the peers take turns, and the one that begins
changes from run to run, so that a slow minute of the machine does not fall on
one of them. Every measurement has its own mount; a peer that fails, hangs or
gives wrong bytes gets a note in the result, never a figure.
"""

import hashlib
import json
import pathlib
import shlex
import signal
import sys
import time

from . import dataset, measure, procs, report, servers
from .procs import BenchError

GIB = 1 << 30


class Progress:
    """One line on the terminal that says how far we are, and the last result."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.begin = time.monotonic()
        self.live = sys.stderr.isatty()

    def step(self, text):
        self.done += 1
        share = self.done / max(self.total, 1)
        left = (time.monotonic() - self.begin) / share * (1 - share)
        bar = "#" * int(20 * share)
        line = (f"[{bar:<20}] {self.done}/{self.total} "
                f"{int(left) // 60}:{int(left) % 60:02d} left  {text}")
        if self.live:
            print(f"\r\033[K{line[:150]}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self):
        if self.live:
            print(file=sys.stderr)


class Meter:
    """What server, daemon and everybody else used while the load ran."""

    def __init__(self, server, daemon):
        self.server = server
        self.daemon = daemon

    def _read(self):
        return {"server": measure.cpu_s(self.server.child.pid),
                "daemon": measure.cpu_s(self.daemon) if self.daemon else 0.0,
                "self": time.process_time(), "machine": measure.machine_cpu_s(),
                "time": time.monotonic()}

    def __enter__(self):
        self.server.reset()
        self.before = self._read()
        return self

    def __exit__(self, *_):
        after = self._read()
        self.used = {name: after[name] - self.before[name] for name in after}
        self.counters = self.server.counters()

    def put(self, figures):
        used = self.used
        figures["server_cpu_s"] = used["server"]
        if self.daemon:
            figures["daemon_cpu_s"] = used["daemon"]
        known = (used["server"] + used["daemon"] + used["self"] + figures["user_s"] +
                 figures["system_s"])
        figures["foreign_cpus"] = max(0.0, used["machine"] - known) / used["time"]
        figures["counters"] = self.counters
        if self.counters is not None:
            figures["requests"] = self.counters["requests"]


class Campaign:
    def __init__(self, options, peers, workloads, places):
        self.options = options
        self.peers = peers
        self.workloads = workloads
        self.places = places  # [(kind of server, servers.Line)]
        self.sets = dataset.sets(options)
        self.raw = options.build / "bench/raw"
        self.load = options.build / "bench/load"
        self.seed = int(time.time())
        self.results = []
        total = sum(1 for w in workloads for p in peers if self._fits(w, p))
        self.progress = Progress(total * options.runs * len(places))

    def run(self):
        """Measure everything. When it is cut short, self.results has what there is."""
        kinds = dict.fromkeys(kind for kind, _ in self.places)
        for kind in kinds:
            server = servers.make(kind, self.options)
            server.start()
            try:
                self._fill(server)
                bad = self._verify(server)
                for line in [x for k, x in self.places if k == kind]:
                    server.set_line(line)
                    for workload in self.workloads:
                        self._workload(server, line, workload, bad)
                    server.set_line(servers.Line())
            finally:
                server.stop()
        self.progress.end()

    @staticmethod
    def _fits(workload, peer):
        return peer.mounts or bool(workload.raw)

    def _fill(self, server):
        needed = {"cold", *(w.data for w in self.workloads if w.data)}
        for name in sorted(needed):
            print(f"{server.name}: data set {name}", file=sys.stderr, flush=True)
            dataset.fill(server, self.sets[name], self.raw)

    def _verify(self, server):
        """Names of peers that do not read right bytes here."""
        key = self.sets["cold"].keys()[0]
        right = hashlib.sha256(server.client().get(key)).digest()
        bad = {}
        for peer in self.peers:
            if not peer.mounts:
                continue
            try:
                mount = peer.mount(server, self.options.work)
                try:
                    text = procs.output(["sha256sum", mount.directory / key], seconds=60)
                finally:
                    mount.close()
                if bytes.fromhex(text.split()[0]) != right:
                    bad[peer.name] = "wrong bytes"
            except BenchError as e:
                bad[peer.name] = str(e)
            if peer.name in bad:
                print(f"{server.name}: {peer.name} is left out: {bad[peer.name]}",
                      file=sys.stderr, flush=True)
        return bad

    def _workload(self, server, line, workload, bad):
        cells = {}
        try:
            self._runs(server, line, workload, bad, cells)
        finally:
            for name, runs in cells.items():
                self.results.append({"server": server.name, "latency_ms": line.ms,
                                     "connection_mb_s": line.mb_s,
                                     "workload": workload.name, "peer": name, "runs": runs})

    def _runs(self, server, line, workload, bad, cells):
        for run in range(self.options.runs):
            turn = run % len(self.peers)
            for peer in self.peers[turn:] + self.peers[:turn]:
                if not self._fits(workload, peer):
                    continue
                try:
                    if peer.name in bad:
                        raise BenchError(bad[peer.name])
                    figures = self._measure(server, peer, workload)
                except BenchError as e:
                    figures = {"failed": str(e)}
                if not workload.data:  # the next one finds the server as this one did
                    server.client().delete("w")
                cells.setdefault(peer.name, []).append(figures)
                self.progress.step(self._describe(server, line, workload, peer, figures))

    @staticmethod
    def _describe(server, line, workload, peer, figures):
        place = f"{report.place_name(server.name, line)} {workload.name} {peer.name}"
        if "failed" in figures:
            return f"{place}: {figures['failed']}"
        return f"{place}: {figures[workload.figure]:.0f} {workload.figure}"

    def _measure(self, server, peer, workload):
        self.seed += 1
        if self.options.quiet:
            measure.wait_for_quiet(self.options.quiet)
        measure.warm_memory()
        figures = (self._mounted if peer.mounts else self._plain)(server, peer, workload)
        amount = figures["bytes"] / GIB if workload.unit == "GiB" else figures["ops"]
        if figures["ops"] == 0 or amount == 0:
            raise BenchError("nothing was done in time")
        if "daemon_cpu_s" in figures:
            figures["daemon_cpu_per"] = figures["daemon_cpu_s"] / amount
        figures["reader_cpu_per"] = (figures["user_s"] + figures["system_s"]) / amount
        if "requests" in figures:
            figures["requests_per"] = figures["requests"] / amount
            if workload.data and figures["bytes"]:
                fetched = figures["counters"]["bytes_out"]
                figures["fetched_per_asked"] = fetched / figures["bytes"]
        return figures

    def _mounted(self, server, peer, workload):
        mount = peer.mount(server, self.options.work)
        try:
            with Meter(server, mount.pid) as meter:
                figures = self._drive(mount, workload)
            meter.put(figures)
            figures["peak_rss_mib"] = measure.peak_rss_mib(mount.pid)
        finally:
            mount.close()
        return figures

    def _fields(self):
        size = self.options.size
        return {"size": size, "quarter": size // 4}

    def _drive(self, mount, workload):
        args = shlex.split(workload.load.format(**self._fields()))
        argv = [self.load, *args, "-r", self.seed if not workload.data else 7,
                "-D", self.options.deadline]
        if workload.timed:
            argv += ["-s", self.options.seconds]
        if workload.data:
            names = pathlib.Path(self.options.work) / "paths"
            names.write_text("".join(f"{mount.directory}/{p}\n" for p in self._paths(workload)))
            argv += ["-f", names]
        else:
            argv.append(mount.directory)
        return self._json(argv, None)

    def _paths(self, workload):
        data = self.sets[workload.data]
        if workload.paths == "directories":
            return [prefix for prefix, _ in data.directories()]
        return data.keys()[:workload.files or None]

    def _plain(self, server, peer, workload):
        args = shlex.split(workload.raw.format(**self._fields()))
        argv = [peer.program, *args, "-e", server.host, "-D", self.options.deadline]
        if not workload.data:
            argv.append(f"/{servers.BUCKET}/w{self.seed:x}-raw")
        else:
            data = self.sets[workload.data]
            names = pathlib.Path(self.options.work) / "paths"
            names.write_text("".join(f"/{servers.BUCKET}/{k}\n" for k in self._paths(workload)))
            argv += ["-f", names]
            if "-p" in args and "-S" not in args:
                argv += ["-S", data.size]
            if "-R" in args:
                argv += ["-n", 2000]
        with Meter(server, None) as meter:
            figures = self._json(argv, procs.clean_env(server.keys))
        meter.put(figures)
        return figures

    def _json(self, argv, env):
        text = procs.output(argv, env, self.options.deadline + 30,
                            codes=(0, 1, -signal.SIGALRM))
        if not text:
            raise BenchError(f"not done in {self.options.deadline} s")
        try:
            figures = json.loads(text)
        except ValueError as e:
            raise BenchError(f"{argv[0]}: no result") from e
        if figures["errors"]:
            raise BenchError(f"{figures['errors']} operations failed, errno "
                             f"{figures['first_errno']}")
        return figures
