# SPDX-License-Identifier: Apache-2.0
"""What a process used: CPU time with all its threads and children, peak memory.

/proc/PID/stat counts a thread that has ended too, but in ticks of 10 ms;
schedstat of the living threads counts nanoseconds. Where both agree within
three ticks the finer one is taken.
"""

import mmap
import os
import pathlib
import time

_TICK = os.sysconf("SC_CLK_TCK")
QUIET_CPUS = 0.25  # what others may use while we measure
WARM = 3 << 29     # bytes: the data of one measurement, and half as much again


def _stat(pid):
    """Fields of /proc/PID/stat behind the name, or None when the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _threads_s(pid):
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                text = pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text()
            except OSError:
                continue
            total += int(text.split()[0])
    except OSError:
        return 0.0
    return total / 1e9


def family(pid):
    """A process and all that descend from it."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found = [pid]
    for parent in found:
        found.extend(children.get(parent, []))
    return found


def cpu_s(pid):
    """CPU seconds of a process and its descendants so far."""
    total = 0.0
    for one in family(pid):
        fields = _stat(one)
        if not fields:
            continue
        coarse = (int(fields[11]) + int(fields[12])) / _TICK
        fine = _threads_s(one)
        total += fine if abs(fine - coarse) <= 3.0 / _TICK else coarse
    return total


def peak_rss_mib(pid):
    """The most memory that the process ever held (VmHWM), its descendants' added."""
    total = 0
    for one in family(pid):
        try:
            text = pathlib.Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith("VmHWM:"):
                total += int(line.split()[1])
    return total / 1024


def warm_memory():
    """Touch memory that is free, so that no peer pays for its first touch.

    A virtual machine may have given it back to its host, and a page that comes
    from there costs more than the data that are read into it.
    """
    text = pathlib.Path("/proc/meminfo").read_text()
    available = int(text.split("MemAvailable:")[1].split()[0]) * 1024
    with mmap.mmap(-1, min(WARM, available // 2),
                   flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE):
        pass


def machine_cpu_s():
    """CPU seconds that the whole machine has spent on anything but waiting."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(f) for f in fields)
    return (user + nice + system + irq + softirq + steal) / _TICK


def wait_for_quiet(seconds):
    """Wait until the machine has little else to do, but no longer than that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = machine_cpu_s()
        time.sleep(0.5)
        if machine_cpu_s() - before < 0.5 * QUIET_CPUS:
            return
