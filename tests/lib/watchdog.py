# SPDX-License-Identifier: Apache-2.0
"""Keeps a dead mount from hanging the tests: a process beside pytest.

A thread would not do: a page fault on a mapped file holds Python's lock. The
watchdog reads lines from its stdin:

    arm SECONDS NAME      a test begins
    watch PID START       a daemon of this test (START: its start time, so that
                          a recycled pid is never hit)
    disarm                the test is over
    keep PID START        a server of the session
    bye                   the session has ended by itself

When pytest dies without a bye, all of these processes are killed and what is
mounted below the work folder is unmounted. When the time is up it writes the stacks of the watched daemons to the file
`watchdog.txt` in the work folder and kills them: every call waiting on their mounts then
returns with an error, and the test fails instead of hanging.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time


def start_time(pid):
    """The start time of a process in clock ticks, None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[19]
    except OSError:
        return None


def stacks(pid):
    """Where each thread of a process is, in user space and in the kernel."""
    out = []
    try:
        gdb = subprocess.run(
            ["gdb", "-p", str(pid), "-batch", "-nx", "-ex", "set pagination off",
             "-ex", "thread apply all bt 24"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=20, text=True, errors="replace")
        out.append(gdb.stdout)
    except (OSError, subprocess.TimeoutExpired):
        out.append("(no gdb here, or it did not finish)\n")
    try:
        tasks = sorted(os.listdir(f"/proc/{pid}/task"), key=int)
    except OSError:
        tasks = []
    for tid in tasks:
        for name in ("comm", "wchan", "stack"):
            try:
                with open(f"/proc/{pid}/task/{tid}/{name}", errors="replace") as f:
                    out.append(f"{tid} {name}: {f.read().strip()}\n")
            except OSError:
                pass
    return "".join(out)


def fire(report, name, watched):
    with open(report, "a") as f:
        f.write(f"=== {name}: time is up\n")
        for pid, start in watched:
            if start_time(pid) != start:
                continue
            f.write(f"--- stacks of the daemon, pid {pid}\n{stacks(pid)}\n")
            f.flush()
            if start_time(pid) == start:
                os.kill(pid, signal.SIGKILL)


def kill(processes):
    for pid, start in processes:
        if start_time(pid) == start:
            os.kill(pid, signal.SIGKILL)


def clean_up(work, processes):
    """pytest is gone without a word: leave nothing running or mounted."""
    kill(processes)
    with open("/proc/self/mounts", errors="surrogateescape") as f:
        points = [line.split()[1] for line in f]
    for point in points:
        if point.startswith(work + "/"):
            for argv in (["fusermount3", "-uz", point], ["umount", "-l", point]):
                if subprocess.run(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  timeout=10, check=False).returncode == 0:
                    break
    shutil.rmtree(work, ignore_errors=True)


def main(work):
    report = os.path.join(work, "watchdog.txt")
    name, deadline, watched, kept = "", None, [], []
    pending, bye = b"", False
    while True:
        wait = None if deadline is None else max(0, deadline - time.monotonic())
        ready, _, _ = select.select([0], [], [], wait)
        if not ready:
            fire(report, name, watched)
            deadline = None
            continue
        chunk = os.read(0, 4096)
        if not chunk:
            if not bye:
                clean_up(work, watched + kept)
            return
        pending += chunk
        *lines, pending = pending.split(b"\n")
        for line in lines:
            word, *rest = line.decode().split(" ", 2)
            if word == "arm":
                deadline, name, watched = time.monotonic() + float(rest[0]), rest[1], []
            elif word == "watch":
                watched.append((int(rest[0]), rest[1]))
                if deadline is None:    # a mount made after the time was up
                    deadline = time.monotonic()
            elif word == "disarm":
                deadline, watched = None, []
            elif word == "keep":
                kept.append((int(rest[0]), rest[1]))
            elif word == "bye":
                bye = True


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    main(sys.argv[1])
