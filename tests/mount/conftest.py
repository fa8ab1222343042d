# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the mount tests: servers, buckets, mounts, and time limits.

    server   the S3 server, s3d and MinIO in turn (see the markers in pytest.ini)
    bucket   a fresh bucket on it
    mount    mount(*options, bucket=..., background=...) -> Mount, ended and
             checked after the test
    mnt      the path of a plain mount with --allow-delete --allow-overwrite

A test may call into its mount directly: when its time is up the watchdog kills
the daemon, so that the call returns with an error.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import shutil
import time
import types

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import mountlib     # noqa: E402
import servers      # noqa: E402
from watchdog import start_time     # noqa: E402

LIMIT = 30
MUST_RUN = os.environ.get("MOUNT_S3_TESTS_MUST_RUN") == "1"
NO_PARAMETERS = types.SimpleNamespace(params={})
KINDS = {"s3d": servers.S3d, "minio": servers.Minio}


def pytest_addoption(parser):
    parser.addoption("--servers", default=os.environ.get("MOUNT_S3_TEST_SERVERS", "s3d,minio"),
                     help="servers to run on, separated by commas: s3d, minio")
    parser.addoption("--keep", action="store_true", help="keep the work folder")


def pytest_generate_tests(metafunc):
    if "server" not in metafunc.fixturenames:
        return
    names = metafunc.config.getoption("--servers").split(",")
    marks = {m.name for m in metafunc.definition.iter_markers()}
    if "s3d_only" in marks:
        names = [n for n in names if n == "s3d"]
    elif "minio_only" in marks:
        names = [n for n in names if n == "minio"]
    elif "once" in marks:
        names = names[:1]
    if names:
        metafunc.parametrize("server", names, indirect=True, scope="session")


def pytest_collection_modifyitems(config, items):
    # A test that is only for a server which this run leaves out is not there:
    # it is neither skipped nor passed. The same holds for what only root can do.
    items[:] = [i for i in items if has_server(i) and
                (os.getuid() == 0 or not i.get_closest_marker("root"))]
    for item in items:
        # The second net under the watchdog, for what hangs outside a mount.
        item.add_marker(pytest.mark.timeout(limit_of(item) * 2 + 60))


def has_server(item):
    return "server" not in item.fixturenames or \
        "server" in getattr(item, "callspec", NO_PARAMETERS).params


def limit_of(item):
    mark = item.get_closest_marker("limit")
    return (mark.args[0] if mark else LIMIT) * mountlib.SLOW


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"report_{report.when}", report)
    if MUST_RUN and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although all tests must run: {report.longrepr}"


# the session's parts


@pytest.fixture(scope="session")
def work(request):
    path = pathlib.Path(tempfile.mkdtemp(prefix="mount-s3-test-"))
    yield path
    if request.config.getoption("--keep"):
        print(f"\nwork folder: {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


class Watchdog:
    def __init__(self, work):
        self.report = work / "watchdog.txt"
        self.process = subprocess.Popen(
            [sys.executable, str(HERE.parent / "lib" / "watchdog.py"), str(work)],
            stdin=subprocess.PIPE, start_new_session=True)

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def arm(self, seconds, name):
        self.say(f"arm {seconds} {name}")

    def watch(self, pid, start):
        self.say(f"watch {pid} {start}")

    def disarm(self):
        self.say("disarm")

    def keep(self, pid):
        self.say(f"keep {pid} {start_time(pid)}")

    def take_report(self):
        """What it wrote when a time was up, or nothing; once."""
        try:
            text = self.report.read_text(errors="replace")
        except OSError:
            return ""
        self.report.unlink()
        return text

    def close(self):
        self.say("bye")
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


@pytest.fixture(scope="session")
def watchdog(work):
    dog = Watchdog(work)
    yield dog
    dog.close()


@pytest.fixture(autouse=True)
def time_limit(request, watchdog):
    seconds = limit_of(request.node)
    watchdog.arm(seconds, request.node.name.replace(" ", "_"))
    yield
    watchdog.disarm()
    text = watchdog.take_report()
    if text:
        pytest.fail(f"not done within {seconds:g} s; the daemon was killed\n{text}", pytrace=False)


@pytest.fixture(scope="session")
def server_pool(work):
    pool = {}
    yield pool
    for s in pool.values():
        s.stop()


@pytest.fixture(scope="session")
def server(request, server_pool, work, watchdog):
    """The server named by the parameter, started once for the session."""
    name = request.param
    if name not in server_pool:
        try:
            server_pool[name] = KINDS[name](work / name).start()
        except servers.Missing as e:
            pytest.skip(str(e))
        watchdog.keep(server_pool[name].process.pid)
    return server_pool[name]


@pytest.fixture(autouse=True)
def quiet_server(request):
    """s3d begins each test without faults, latency and counts."""
    if "server" not in request.fixturenames:
        yield
        return
    server = request.getfixturevalue("server")
    if server.name == "s3d":
        server.calm()
    yield
    if server.name == "s3d":
        server.calm()


# the test's parts


@pytest.fixture
def bucket(server):
    return server.new_bucket()


@pytest.fixture
def directory_bucket(server):
    """One that lists without order, renames and appends; s3d only."""
    server.tell("quirk", name="directory", on=1)
    yield server.new_bucket()
    server.tell("quirk", name="directory", on=0)


@pytest.fixture
def directory_mount(mount, directory_bucket):
    """A factory of mounts of it."""
    return lambda *options: mount("--bucket-type", "directory", *options, bucket=directory_bucket)


@pytest.fixture
def folder(work, request):
    """A folder of this test on the local disk."""
    number = getattr(request.config, "_folders", 0)
    request.config._folders = number + 1
    path = work / f"{number:04d}"
    path.mkdir()
    yield path
    if not request.config.getoption("--keep"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def mount(request, server, folder, watchdog):
    """A factory of mounts, ended and checked when the test is over.

    A test that ends a daemon itself in an unusual way says so:
    m.expected = (0, -9).
    """
    if not os.access(mountlib.binary(), os.X_OK):
        pytest.skip(f"mount-s3 is not built: {mountlib.binary()}")
    mountlib.adopt_orphans()
    made = []

    def make(*options, bucket=None, **kw):
        if bucket is None:
            bucket = request.getfixturevalue("bucket")
        m = mountlib.Mount(server, bucket, folder / f"mount{len(made)}", options, **kw)
        m.expected = (0,)
        made.append(m)
        m.folder.mkdir()
        return m.begin(on_pid=watchdog.watch)

    yield make
    late = watchdog.take_report()
    bad = [f"time was up; the daemon was killed\n{late}"] if late else []
    for m in reversed(made):
        m.stop()
        text = m.check(m.expected)
        if text:
            bad.append(text)
    report = getattr(request.node, "report_call", None)
    if bad or (report and report.failed):
        for m in made:
            print(f"\n--- {' '.join(m.command())}\n{m.log()[-20000:]}")
    if bad:
        pytest.fail("\n".join(bad), pytrace=False)


@pytest.fixture
def mounted(mount):
    """A mount on which everything is allowed."""
    return mount("--allow-delete", "--allow-overwrite")


@pytest.fixture
def mnt(mounted):
    return mounted.path


@pytest.fixture
def stopwatch():
    """Seconds since the test began."""
    begun = time.monotonic()
    return lambda: time.monotonic() - begun
