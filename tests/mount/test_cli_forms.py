# SPDX-License-Identifier: Apache-2.0
"""Ways to name and to make the mount, who may use it, and what ends it.

Mount points of all kinds, `-o` as mount(8) and fstab give it, a FUSE device that
the caller mounted, other users, signals, and a daemon that dies.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import re
import signal
import stat

import pytest

import mountlib
from check import fails_with
from mountlib import is_mounted, mounts, run, unmount, wait_for
from servers import REGION, aws_environment

pytestmark = pytest.mark.once
NOBODY = 65534
MS_NOSUID, MS_NODEV = 2, 4
libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def point(folder):
    path = folder / "a mount\\point\twith blanks"
    path.mkdir()
    (path / "below").write_text("hidden while something is mounted")
    yield path
    if is_mounted(path):
        unmount(path, lazy=True)


@pytest.fixture
def start(server, bucket, folder):
    """start(*argv) -> run mount-s3 into the background on the bucket; (code, out, err)."""
    bucket.put("f", b"content")
    bucket.put("d/x", b"1")

    def call(*argv, plain=True, name=bucket.name, **kw):
        options = ["--endpoint-url", server.endpoint, "--force-path-style", "--region", REGION]
        kw.setdefault("env", aws_environment())
        done = run(mountlib.binary(), *(options if plain else []), name, *argv, timeout=20,
                   cwd=folder, **kw)
        return done.returncode, done.stdout, done.stderr
    return call


def ends(path):
    """Unmount it and wait until that is seen."""
    assert unmount(path)
    wait_for(lambda: not is_mounted(path), 5, "it is unmounted")


# mount points


@pytest.mark.parametrize("form", ["plain", "relative", "slash", "link", "dots"])
def test_one_mount_point_by_any_name(start, point, folder, form):
    """However it is written, it is mounted once; what was in it is there again afterwards."""
    os.symlink(point, folder / "link")
    name = {"plain": point, "relative": point.name, "slash": f"{point}/", "link": folder / "link",
            "dots": f"{point}/../{point.name}"}[form]
    code, out, err = start(name)
    assert (code, err) == (0, "") and out.endswith(f"is mounted at {name}\n")
    assert sorted(os.listdir(point)) == ["d", "f"]
    for again in (point, folder / "link", f"{point}/"):
        code, out, err = start(again)
        assert code == 1 and "already mounted" in err
    ends(point)
    assert os.listdir(point) == ["below"]


# -o, as from mount(8) and fstab


def as_options(server, *more):
    return ",".join([f"endpoint-url={server.endpoint}", "force-path-style", f"region={REGION}",
                     *more])


def test_fstab_form(start, server, point):
    code, out, err = start(point, "-o", as_options(server, "rw", "_netdev", "nosuid", "nodev",
                                                   "x-systemd.automount", "allow-delete",
                                                   "prefix=d/"), plain=False)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("Using 'fstab' style options")
    assert os.listdir(point) == ["x"]
    os.unlink(point / "x")
    ends(point)


def test_fstab_form_read_only(start, server, point):
    code, _, err = start(point, "-o", as_options(server, "ro"), plain=False)
    assert (code, err) == (0, "")
    with fails_with(errno.EROFS):
        os.mkdir(point / "new")
    ends(point)


@pytest.mark.parametrize("options", ["typo", "ro,rw", "foreground", "read-only", "--read-only",
                                     "dev", "defaults", "a\\b", 'a"b', "x\\", "region"])
def test_fstab_form_with_bad_options(start, point, options):
    code, out, err = start(point, "-o", options, plain=False)
    assert code == 2 and err.startswith("error:") and not is_mounted(point)


# a device that the caller mounted


@pytest.fixture
def device(point):
    """A FUSE mount of ours without a daemon; its descriptor."""
    fd = os.open("/dev/fuse", os.O_RDWR)
    data = f"fd={fd},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
    if libc.mount(b"mountpoint-s3", os.fsencode(point), b"fuse", MS_NOSUID | MS_NODEV,
                  data.encode()) < 0:
        raise OSError(ctypes.get_errno(), "mount")
    yield fd
    with contextlib.suppress(OSError):
        os.close(fd)


@pytest.mark.root
def test_device_of_the_caller(start, device, point, bucket, work, folder):
    """Usable; only its owner is served; a signal ends the daemon, not the mount."""
    mountlib.adopt_orphans()
    code, out, err = start(f"/dev/fd/{device}", "-l", folder / "logs", pass_fds=[device])
    assert (code, err) == (0, "") and f"is mounted at /dev/fd/{device}\n" in out
    os.close(device)
    assert (point / "f").read_bytes() == b"content"
    (point / "new").write_bytes(b"1")
    assert bucket.get("new") == b"1"
    for path in (work, folder):
        path.chmod(0o755)
    assert run("cat", point / "f", user=NOBODY, group=NOBODY).returncode != 0
    pid = int(run("pgrep", "-f", f"mount-s3 .*{bucket.name} /dev/fd/{device}").stdout.split()[0])
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(wait_for(lambda: os.waitpid(pid, os.WNOHANG)[1:] if
                                              os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG |
                                                        os.WNOWAIT) else None, 10, "it ends")[0]) == 0
    assert is_mounted(point)
    with fails_with(errno.ENOTCONN, errno.ECONNABORTED):
        os.listdir(point)


@pytest.mark.root
def test_device_options_and_kinds_that_are_refused(start, device, folder):
    for option in ("--read-only", "--auto-unmount"):
        code, _, err = start(f"/dev/fd/{device}", option, pass_fds=[device])
        assert code == 1 and "are ignored with FUSE fd mount point" in err
    r, w = os.pipe()
    with open(folder / "file", "w+") as f:
        for fd in (r, f.fileno()):
            code, _, err = start(f"/dev/fd/{fd}", pass_fds=[fd])
            assert code == 1 and "to be a /dev/fuse device file descriptor but got" in \
                re.sub(r" open for\s+reading and writing", "", err)
    os.close(r)
    os.close(w)
    for name in ("/dev/fd/77", "/dev/fd/x", "/dev/fd/"):
        code, _, err = start(name)
        assert code == 1 and "is not a valid file descriptor" in err


# other users


@pytest.mark.root
def test_allow_root_lets_in_root_and_the_owner_only(mount, bucket, work, folder):
    bucket.put("f", b"1")
    m = mount("--allow-root")
    for path in (work, folder, m.folder):
        path.chmod(0o755)
    assert (m.path / "f").read_bytes() == b"1"
    for argv in (["cat", m.path / "f"], ["ls", m.path], ["stat", m.path / "f"],
                 ["touch", m.path / "new"], ["df", m.path]):
        done = run(*argv, user=NOBODY, group=NOBODY)
        assert done.returncode != 0 and "Permission denied" in done.stderr, (argv, done)


@pytest.mark.root
def test_modes_decide_with_allow_other(mount, bucket, work, folder):
    bucket.put("f", b"1")
    m = mount("--allow-other", "--file-mode", "600", "--dir-mode", "711")
    for path in (work, folder, m.folder):
        path.chmod(0o755)
    old = os.umask(0o777)       # no say in modes that the options give
    try:
        (m.path / "new").write_bytes(b"2")
        os.mkdir(m.path / "dir")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(m.path / "new").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(m.path / "dir").st_mode) == 0o711
    for argv, code in ((["stat", m.path / "f"], 0), (["cat", m.path / "f"], 1),
                       (["ls", m.path], 2), (["touch", m.path / "mine"], 1)):
        assert run(*argv, user=NOBODY, group=NOBODY).returncode == code, argv


# signals and death


def test_usr2_changes_the_verbosity(mount):
    m = mount(background=True)
    levels = []
    for n in range(1, 5):
        m.send(signal.SIGUSR2)
        wait_for(lambda: m.log().count("Changed log verbosity to") == n, 5, "it says so")
        os.listdir(m.path)
        levels.append(re.findall(r"Changed log verbosity to (\w+)", m.log())[-1])
    assert levels == ["debug", "trace", "info", "debug"]
    assert "DEBUG" in m.log()
    m.send(signal.SIGTERM)
    assert m.wait_end(5) == 0


@pytest.mark.s3d_only
def test_debug_of_the_client_only(mount, bucket, server):
    bucket.put("f", b"1")
    m = mount("--debug-crt")
    server.fault("status", op="GetObject", code=503, s3code="SlowDown", count=1)
    assert (m.path / "f").read_bytes() == b"1"
    assert re.search(r"DEBUG \[\d+\] s3: ", m.log()) and "fuse: lookup" not in m.log()


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
def test_auto_unmount_after_a_kill(mount, bucket, background):
    bucket.put("f", b"1")
    m = mount("--auto-unmount", background=background)
    m.expected = (-9,)
    assert (m.path / "f").read_bytes() == b"1"
    m.send(signal.SIGKILL)
    m.wait_end(5)
    wait_for(lambda: not is_mounted(m.path), 10, "it is unmounted")
    assert os.listdir(m.path) == []


def test_auto_unmount_holds_nothing_of_the_caller(start, point):
    """A caller that reads our output to its end waits for nobody; a normal end works too."""
    code, out, err = start("--auto-unmount", point)
    assert (code, err) == (0, "") and "is mounted at" in out
    assert sorted(os.listdir(point)) == ["d", "f"]
    ends(point)
    assert os.listdir(point) == ["below"]
    wait_for(lambda: run("pgrep", "-f", "^unmount-guard .*with blanks$").returncode, 5, "it ends")


def test_auto_unmount_leaves_a_newer_mount_alone(mount, start):
    """Killed and cleaned up by somebody, who mounted again: that is not the guard's business."""
    m = mount("--auto-unmount")
    m.expected = (-9,)
    guard = int(run("pgrep", "-f", f"^unmount-guard {m.path}$").stdout)
    os.kill(guard, signal.SIGSTOP)
    m.send(signal.SIGKILL)
    m.wait_end(5)
    assert unmount(m.path)
    assert start(m.path)[0] == 0
    os.kill(guard, signal.SIGCONT)
    wait_for(lambda: run("pgrep", "-f", f"^unmount-guard {m.path}$").returncode, 5, "it ends")
    assert is_mounted(m.path) and sorted(os.listdir(m.path)) == ["d", "f"]
    ends(m.path)


AS_A_USER = """
set -e
mknod fuse c 10 229 && chmod 666 fuse && mount --make-rprivate / && mount --bind fuse /dev/fuse
point=$1; shift
user() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
user "$@" "$point"
user cat "$point/f"
user stat -c ' %u %g' "$point/f"
! ls "$point"
user fusermount3 -u "$point"
ls "$point"
"""


@pytest.mark.root
@pytest.mark.parametrize("auto", [[], ["--auto-unmount"]], ids=["plain", "auto-unmount"])
def test_mounted_by_a_user(server, bucket, work, folder, auto):
    """Without privileges, through fusermount3: readable by its owner alone, who may unmount it.

    In a mount name space of its own, with a device that users may open.
    """
    bucket.put("f", b"content")
    path = folder / "theirs"
    path.mkdir()
    for d in (work, folder):
        d.chmod(0o755)
    os.chown(path, NOBODY, NOBODY)
    done = run("unshare", "-m", "sh", "-c", AS_A_USER, "sh", path, mountlib.binary(), "--endpoint-url", server.endpoint,
               "--force-path-style", "--region", REGION, *auto, bucket.name,
               cwd=folder, env=aws_environment())
    assert done.returncode == 0, done
    assert done.stdout.endswith(f"is mounted at {path}\ncontent {NOBODY} {NOBODY}\n"), done


def test_dead_mount_is_named_and_can_be_replaced(mount, start):
    m = mount()
    m.expected = (-9,)
    m.send(signal.SIGKILL)
    m.wait_end(5)
    with fails_with(errno.ENOTCONN, errno.ECONNABORTED):
        os.listdir(m.path)
    code, _, err = start(m.path)
    assert code == 1 and "process is gone" in err and "umount" in err
    assert unmount(m.path)
    assert start(m.path)[0] == 0
    ends(m.path)


def test_working_directory_inside_survives_a_lazy_end(mount, bucket):
    """A busy mount goes away at once; who is inside gets errors, not a hang."""
    bucket.put("d/x", b"1")
    m = mount()
    here = os.getcwd()
    os.chdir(m.path / "d")
    try:
        code, seconds = m.terminate()
        assert code == 0 and seconds < 5 * mountlib.SLOW and not is_mounted(m.path)
        with pytest.raises(OSError):
            os.stat("x")
    finally:
        os.chdir(here)
    assert pathlib.Path(m.path).is_dir() and str(m.path) not in mounts()
