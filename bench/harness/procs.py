# SPDX-License-Identifier: Apache-2.0
"""Child processes, each with a deadline, ended by its own pid and no other.

Everything that a benchmark starts is registered here, so that an exception, a
Ctrl-C or a SIGTERM leaves no daemon and no mount behind (see `cleanup`). When we
are killed outright the kernel sends SIGTERM to our daemons.
"""

import atexit
import ctypes
import fcntl
import os
import pathlib
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_children = []
_mounts = []
_locks = []


class BenchError(Exception):
    """Something that the user must hear of in one line."""


def clean_env(extra=None):
    """Our environment without what would steer an S3 client."""
    keep = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "RCLONE_", "MINIO_", "MOUNT_S3_", "S3FS"))
        and name.lower() not in ("http_proxy", "https_proxy", "all_proxy")
    }
    keep.update(extra or {})
    return keep


def _end_with_parent():
    """Runs in the child, between fork and exec."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(argv, env, log):
    """Start a daemon in the foreground; its output goes to the file `log`."""
    with open(log, "ab") as out:
        child = subprocess.Popen(
            [str(a) for a in argv], env=env, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_end_with_parent)
    _children.append(child)
    return child


def stop(child, seconds=10.0):
    """SIGTERM, then SIGKILL when it does not end in time."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)
    if child in _children:
        _children.remove(child)


def output(argv, env=None, seconds=60.0, codes=(0,)):
    """Run to the end and return what it wrote to its standard output."""
    try:
        done = subprocess.run(
            [str(a) for a in argv], env=env, stdin=subprocess.DEVNULL, timeout=seconds,
            capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired as e:
        raise BenchError(f"{argv[0]}: no end after {seconds:.0f} s") from e
    except OSError as e:
        raise BenchError(f"{argv[0]}: {e.strerror}") from e
    if done.returncode not in codes:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or [""]
        raise BenchError(f"{argv[0]}: status {done.returncode}: {last[0]}")
    return done.stdout


def wait_for(what, probe, child=None, seconds=30.0):
    """Poll until probe() is true; fail when the child ends or time is over."""
    deadline = time.monotonic() + seconds
    while not probe():
        if child is not None and child.poll() is not None:
            raise BenchError(f"{what}: ended with status {child.returncode}")
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not ready after {seconds:.0f} s")
        time.sleep(0.01)


def is_mounted(directory):
    """Whether a mount sits at `directory`, without touching the mount itself."""
    wanted = str(directory)
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == wanted for line in lines)


def own(work):
    """Make `work` ours until we end, and clear mounts that a killed run left there."""
    handle = open(pathlib.Path(work) / "lock", "w")  # noqa: SIM115 (held until exit)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        raise BenchError(f"another benchmark is running in {work}") from e
    _locks.append(handle)
    for directory in (pathlib.Path(work) / "mnt").glob("*"):
        if is_mounted(directory):
            unmount(directory, None)


def register_mount(directory):
    _mounts.append(directory)


def unmount(directory, child, seconds=20.0):
    """Take the mount away and see its daemon end; by force if need be."""
    if is_mounted(directory):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        tool = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
        try:
            subprocess.run([*tool, str(directory)], timeout=seconds, check=False, **quiet)
        except subprocess.TimeoutExpired:
            pass
        if is_mounted(directory):
            tool = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
            subprocess.run([*tool, str(directory)], timeout=seconds, check=False, **quiet)
    if child is not None:
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        stop(child)
    if directory in _mounts:
        _mounts.remove(directory)


def cleanup():
    for directory in list(_mounts):
        unmount(directory, None, 5.0)
    for child in list(_children):
        stop(child, 5.0)


def _on_sigterm(*_):
    raise KeyboardInterrupt


def handle_signals():
    """Let a SIGTERM end us as Ctrl-C does, with everything cleaned up."""
    signal.signal(signal.SIGTERM, _on_sigterm)


atexit.register(cleanup)
