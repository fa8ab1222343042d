# SPDX-License-Identifier: Apache-2.0
"""Running mount-s3 for a test: start, wait, look, end, and find its traces.

Every wait has a deadline. SLOW stretches them for sanitizer builds.
"""

import ctypes
import os
import pathlib
import re
import signal
import subprocess
import time

from servers import REGION, REPO, aws_environment
from watchdog import stacks, start_time

SLOW = float(os.environ.get("MOUNT_S3_TEST_SLOW", "1"))
PR_SET_CHILD_SUBREAPER = 36

# What no log may hold, whatever the test.
FATAL = re.compile(
    r"ERROR: (Address|Leak|Thread|Undefined\w*)Sanitizer|WARNING: ThreadSanitizer"
    r"|SUMMARY: \w+Sanitizer|: runtime error: |Assertion .* failed|stack smashing detected")


def binary():
    return os.environ.get("MOUNT_S3_BIN") or str(REPO / "build/src/mount-s3")


def adopt_orphans():
    """Make daemons that went into the background our children to wait for."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def unescape(text):
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), text)


def mounts():
    """{mount point: (type, source)} of this mount name space."""
    found = {}
    with open("/proc/self/mountinfo", errors="surrogateescape") as f:
        for line in f:
            left, _, right = line.partition(" - ")
            kind, source = right.split()[:2]
            found[unescape(left.split()[4])] = (kind, unescape(source))
    return found


def is_mounted(path):
    return str(path) in mounts()


def wait_for(what, seconds, text, step=0.01):
    """Poll what() until it is true; the value, or AssertionError with text."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds * SLOW:g} s: {text}")
        time.sleep(step)


def run(*argv, timeout=60, check=False, text=True, **kw):
    """subprocess.run in a session of its own that is killed when time is up."""
    kw.setdefault("stdin", subprocess.DEVNULL)
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.PIPE)
    argv = [str(a) for a in argv]
    process = subprocess.Popen(argv, text=text, errors="replace" if text else None,
                               start_new_session=True, **kw)
    try:
        out, err = process.communicate(timeout=timeout * SLOW)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            pass
        raise AssertionError(f"not within {timeout * SLOW:g} s: {' '.join(argv)}") from None
    done = subprocess.CompletedProcess(argv, process.returncode, out, err)
    if check:
        assert done.returncode == 0, \
            f"{' '.join(argv)} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


def unmount(path, lazy=False, timeout=10):
    """The unmount of an outsider; true if it worked."""
    for argv in ([["fusermount3", "-u"]] if not lazy else [["fusermount3", "-uz"]]) + \
            [["umount", "-l"] if lazy else ["umount"]]:
        if run(*argv, path, timeout=timeout).returncode == 0:
            return True
    return False


class Mount:
    """One mount-s3 process and its mount point."""

    def __init__(self, server, bucket, folder, options=(), background=False, env=None,
                 base_options=True, target=None, options_after=()):
        self.server = server
        self.bucket = bucket
        self.folder = pathlib.Path(folder)
        self.path = self.folder / "mnt"
        self.options = [str(o) for o in options]
        self.options_after = [str(o) for o in options_after]
        self.background = background
        self.target = target or getattr(bucket, "name", bucket)
        self.base_options = base_options
        self.env_extra = env or {}
        self.output = self.folder / "daemon.out"
        self.log_folder = self.folder / "logs"
        self.process = None
        self.pid = None
        self.start = None
        self.exit_code = None
        self.problems = []

    # command line

    def command(self):
        argv = [binary()]
        if self.base_options:
            argv += ["--endpoint-url", self.server.endpoint, "--force-path-style",
                     "--region", REGION]
        argv += ["-l", str(self.log_folder)] if self.background else ["-f"]
        argv += os.environ.get("MOUNT_S3_TEST_OPTIONS", "").split()
        return argv + self.options + [self.target, str(self.path)] + self.options_after

    def environment(self):
        env = aws_environment() if self.server else dict(os.environ)
        traces = self.folder / "sanitizer"
        common = f"log_path={traces}:exitcode=99"
        env["ASAN_OPTIONS"] = f"{common}:detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1"
        env["UBSAN_OPTIONS"] = f"{common}:print_stacktrace=1:halt_on_error=1"
        env["TSAN_OPTIONS"] = f"{common}:halt_on_error=0:second_deadlock_stack=1"
        for name in ("LSAN_OPTIONS", "TSAN_SUPPRESSIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update(self.env_extra)
        return env

    # life

    def begin(self, on_pid=lambda pid, start: None, deadline=15):
        """Start it and wait until it is mounted and has said so."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.output, "ab") as out:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=self.environment(), start_new_session=True)
        if self.background:
            try:
                code = self.process.wait(deadline * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
                raise AssertionError(f"mount-s3 did not return:\n{self.log()}") from None
            assert code == 0, f"mount-s3 gave {code}:\n{self.log()}"
            self.pid = self.find_daemon()
        else:
            self.pid = self.process.pid
        self.start = start_time(self.pid)
        on_pid(self.pid, self.start)
        wait_for(lambda: self.ready() or not self.alive(), deadline,
                 f"mount-s3 is mounted\n{self.log()}")
        assert self.ready(), f"mount-s3 ended, code {self.reap()}:\n{self.log()}"
        return self

    def ready(self):
        return is_mounted(self.path) and "is mounted at" in self.log()

    def find_daemon(self):
        """The background daemon: by its argument, our folder, which is unique."""
        wanted = str(self.path).encode()
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    argv = f.read().split(b"\0")
            except OSError:
                continue
            if wanted in argv and os.path.basename(argv[0]) == b"mount-s3":
                return int(entry)
        raise AssertionError(f"no daemon found for {self.path}:\n{self.log()}")

    def alive(self):
        return self.reap() is None

    def reap(self):
        """Its exit code (negative: signal), None while it runs."""
        if self.exit_code is not None or not self.pid:
            return self.exit_code
        if not self.background:
            self.exit_code = self.process.poll()
            return self.exit_code
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:   # not adopted: only its absence can be seen
            if start_time(self.pid) != self.start:
                self.exit_code = 0
            return self.exit_code
        if pid:
            self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code

    def send(self, signum):
        if self.alive():
            os.kill(self.pid, signum)

    def wait_end(self, seconds=10):
        """Wait for the daemon's end; its exit code."""
        def ended():
            return self.reap() is not None
        wait_for(ended, seconds, f"mount-s3 ends\n{self.log()[-3000:]}")
        return self.exit_code

    def terminate(self, seconds=5, signum=signal.SIGTERM):
        """Signal it, wait for its end; (exit code, seconds it took)."""
        begun = time.monotonic()
        self.send(signum)
        code = self.wait_end(seconds)
        return code, time.monotonic() - begun

    def stop(self):
        """End it whatever its state is; note what went wrong in `problems`."""
        if not self.pid:
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait(5)
            self.clear_mount_point()
            return
        if self.alive() and is_mounted(self.path):
            try:
                unmount(self.path)
            except AssertionError as e:
                self.problems.append(str(e))
        for signum in (None, signal.SIGTERM, signal.SIGKILL):
            if signum is None and is_mounted(self.path):
                continue    # busy: files are still open
            if signum == signal.SIGKILL and self.alive():
                self.problems.append("SIGTERM did not end the daemon:\n" + stacks(self.pid))
            if signum is not None:
                self.send(signum)
            try:
                self.wait_end(5)
                break
            except AssertionError:
                if signum is None:
                    self.problems.append("the daemon stayed after the unmount:\n"
                                         + stacks(self.pid))
        self.clear_mount_point()

    def clear_mount_point(self):
        if is_mounted(self.path):
            if self.exit_code is not None and self.exit_code >= 0:
                self.problems.append("still mounted after the daemon's end")
            unmount(self.path, lazy=True)

    # traces

    def log(self):
        parts = []
        files = [self.output]
        if self.log_folder.is_dir():
            files += sorted(self.log_folder.iterdir())
        files += sorted(self.folder.glob("sanitizer*"))
        for f in files:
            try:
                parts.append(f.read_text(errors="replace"))
            except OSError:
                pass
        return "\n".join(parts)

    def traces(self):
        """The first lines of a sanitizer's report or failed assertion, or None."""
        log = self.log()
        found = FATAL.search(log)
        return log[max(0, found.start() - 200):found.start() + 6000] if found else None

    def check(self, expected=(0,)):
        """Problems of this daemon's life as one text, empty if there are none."""
        bad = list(self.problems)
        if self.exit_code is not None and self.exit_code not in expected:
            bad.append(f"the daemon's exit code is {self.exit_code}, not one of {expected}")
        trace = self.traces()
        if trace:
            bad.append("the daemon's log has:\n" + trace)
        return "\n".join(bad)

    # what it uses

    def rss(self):
        """Resident memory in bytes."""
        with open(f"/proc/{self.pid}/status") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0
