# SPDX-License-Identifier: Apache-2.0
"""Command line, life cycle and bad input: exit codes, texts, time, leftovers."""

import contextlib
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

import mountlib
from mountlib import is_mounted, mounts, run, unmount, wait_for
from servers import ACCESS_KEY, REGION, SECRET_KEY, aws_environment

OPTIONS = """--prefix --region --endpoint-url --force-path-style --read-only --allow-delete
    --allow-overwrite --allow-other --uid --gid --dir-mode --file-mode --part-size --max-threads
    --memory-target --metadata-ttl --profile --no-sign-request --log-directory --debug --no-log
    --foreground --help --version""".split()


@pytest.fixture
def program(folder):
    """Run mount-s3 with arguments to its end: (code, stdout, stderr, seconds)."""
    def call(*argv, env=None, timeout=20):
        environment = aws_environment()
        environment.update(env or {})
        environment = {k: v for k, v in environment.items() if v is not None}
        begun = time.monotonic()
        done = run(mountlib.binary(), *argv, env=environment, timeout=timeout, cwd=folder)
        return done.returncode, done.stdout, done.stderr, time.monotonic() - begun
    if not os.access(mountlib.binary(), os.X_OK):
        pytest.skip("mount-s3 is not built")
    return call


@pytest.fixture
def point(folder):
    path = folder / "point"
    path.mkdir()
    yield path
    if is_mounted(path):
        unmount(path, lazy=True)


def plain(server):
    return ["--endpoint-url", server.endpoint, "--force-path-style", "--region", REGION]


# what needs no server


def test_version_is_on_stdout(program):
    for flag in ("--version", "-V"):
        code, out, err, _ = program(flag)
        assert (code, err) == (0, "")
        assert re.fullmatch(r"mount-s3 \d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?\n", out)


def test_help_names_every_option(program):
    code, out, err, _ = program("--help")
    assert (code, err) == (0, "")
    assert [o for o in OPTIONS if not re.search(rf"(?<![\w-]){o}(?![\w-])", out)] == []


def test_short_help_is_on_stdout(program):
    code, out, _, _ = program("-h")
    assert code == 0 and "--prefix" in out


USAGE = {
    "no arguments": [],
    "no directory": ["some-bucket"],
    "too many arguments": ["some-bucket", "{point}", "more"],
    "unknown flag": ["--no-such-flag", "some-bucket", "{point}"],
    "unknown short flag": ["-Z", "some-bucket", "{point}"],
    "abbreviated flag": ["--read", "some-bucket", "{point}"],
    "value missing": ["some-bucket", "{point}", "--prefix"],
    "value for a switch": ["--read-only=yes", "some-bucket", "{point}"],
    "option given twice": ["--region", "a", "--region", "b", "some-bucket", "{point}"],
    "bucket name too short": ["ab", "{point}"],
    "bucket name too long": ["b" * 256, "{point}"],
    "bucket name with a blank": ["some bucket", "{point}"],
    "bucket name with a slash": ["some-bucket/", "{point}"],
    "uri without bucket": ["s3://", "{point}"],
    "uri prefix without slash": ["s3://some-bucket/prefix", "{point}"],
    "uri with an arn": ["s3://arn:aws:s3:::some-bucket/p/", "{point}"],
    "prefix without slash": ["--prefix", "p", "some-bucket", "{point}"],
    "dir mode beyond permissions": ["--dir-mode", "7755", "some-bucket", "{point}"],
    "dir mode not octal": ["--dir-mode", "800", "some-bucket", "{point}"],
    "file mode beyond permissions": ["--file-mode", "7644", "some-bucket", "{point}"],
    "file mode not octal": ["--file-mode", "900", "some-bucket", "{point}"],
    "uid not a number": ["--uid", "me", "some-bucket", "{point}"],
    "uid zero": ["--uid", "0", "some-bucket", "{point}"],
    "gid negative": ["--gid=-1", "some-bucket", "{point}"],
    "part size not a number": ["--part-size", "big", "some-bucket", "{point}"],
    "part size zero": ["--part-size", "0", "some-bucket", "{point}"],
    "no threads": ["--max-threads", "0", "some-bucket", "{point}"],
    "memory target not a number": ["--memory-target", "much", "some-bucket", "{point}"],
    "ttl not a number": ["--metadata-ttl", "soon", "some-bucket", "{point}"],
    "ttl too long": ["--metadata-ttl", "3153600001", "some-bucket", "{point}"],
    "no log and debug": ["--no-log", "-d", "some-bucket", "{point}"],
    "no log and a log directory": ["--no-log", "-l", "{point}", "some-bucket", "{point}"],
}


@pytest.mark.parametrize("case", USAGE, ids=lambda c: c.replace(" ", "-"))
def test_usage_error(program, point, case):
    argv = [a.format(point=point) for a in USAGE[case]]
    code, out, err, seconds = program(*argv)
    assert code == 2, f"code {code}: {out}{err}"
    assert err.startswith("error:"), err
    assert len(err) < 1000 and out == ""
    assert seconds < 5 and not is_mounted(point)


def test_mode_errors_name_flag_and_reason(program, point):
    _, _, err, _ = program("--dir-mode", "7755", "some-bucket", point)
    assert "--dir-mode" in err and "only user/group/other permissions are supported" in err
    _, _, err, _ = program("--file-mode", "900", "some-bucket", point)
    assert "--file-mode" in err and "must be a valid octal number" in err


def test_part_size_out_of_range_is_refused(program, point):
    for size in (5242879, 5368709121):
        code, _, err, _ = program("--part-size", size, "some-bucket", point)
        assert code == 1 and "5MiB and 5GiB" in err.replace(" ", "").replace("and", " and ")


def test_prefix_beside_a_uri_is_refused(program, point):
    code, _, err, seconds = program("--prefix", "a/", "s3://some-bucket/b/", point)
    assert code == 1 and "prefix" in err and seconds < 5


# bad input: exit 1, one line with the cause, within 5 s, nothing left mounted


@pytest.fixture(params=["foreground", "background"])
def refuses(request, program, work):
    """Check that mount-s3 refuses these arguments, for the reason named."""
    def ours():
        return {p for p in mounts() if p.startswith(str(work))}

    def check(*argv, names=(), env=None):
        mode = ["-f"] if request.param == "foreground" else []
        before = ours()
        code, out, err, seconds = program(*mode, *argv, env=env)
        assert code == 1, f"code {code}: {out}{err}"
        assert seconds < 5 * mountlib.SLOW, f"it took {seconds:.1f} s"
        assert "Error:" in err and "is mounted at" not in out
        assert all(len(line) < 500 for line in err.splitlines()), err
        assert any(n.lower() in err.lower() for n in names), f"none of {names} in: {err}"
        assert ours() == before
        assert SECRET_KEY not in out + err
    return check


@pytest.mark.once
def test_missing_mount_point(refuses, server, bucket, folder):
    refuses(*plain(server), bucket.name, folder / "nowhere", names=["does not exist"])


@pytest.mark.once
def test_file_as_mount_point(refuses, server, bucket, folder):
    path = folder / "file"
    path.write_text("x")
    refuses(*plain(server), bucket.name, path, names=["is not a directory"])
    assert path.read_text() == "x"


@pytest.mark.once
def test_mount_point_already_mounted(refuses, server, mount, bucket):
    m = mount()
    before = mounts()[str(m.path)]
    refuses(*plain(server), bucket.name, m.path, names=["already mounted"])
    assert mounts()[str(m.path)] == before and os.listdir(m.path) == []


def test_unknown_bucket(refuses, server, point):
    refuses(*plain(server), "no-such-bucket-here", point, names=["no-such-bucket-here"])


def test_wrong_secret_key(refuses, server, bucket, point):
    refuses(*plain(server), bucket.name, point, env={"AWS_SECRET_ACCESS_KEY": "wrong"},
            names=["SignatureDoesNotMatch", "Forbidden", "signature"])


def test_unknown_access_key(refuses, server, bucket, point):
    refuses(*plain(server), bucket.name, point, env={"AWS_ACCESS_KEY_ID": "nobody"},
            names=["InvalidAccessKeyId", "Forbidden", "access key"])


def test_no_credentials(refuses, server, bucket, point):
    refuses(*plain(server), bucket.name, point, names=["credentials"],
            env={"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None})


@pytest.mark.s3d_only
def test_wrong_region(refuses, server, bucket, point):
    refuses("--endpoint-url", server.endpoint, "--force-path-style", "--region", "eu-north-1",
            bucket.name, point, names=["region"])


def test_anonymous_where_signing_is_needed(refuses, server, bucket, point):
    refuses(*plain(server), "--no-sign-request", bucket.name, point,
            names=["AccessDenied", "Forbidden", "denied"])


@pytest.mark.s3d_only
def test_create_session_refused(refuses, server, point):
    name = f"refused-{time.monotonic_ns()}--use1-az1--x-s3"
    server.tell("create", bucket=name)
    server.fault("status", op="CreateSession", code=403, s3code="AccessDenied")
    refuses(*plain(server), name, point, names=["AccessDenied"])


# Sentences of endpoint rules; no request is made.
ENDPOINTS = {
    "bucket arn": (["arn:aws:s3:::some-bucket"], "by their name"),
    "wrong partition": (["arn:aws-cn:s3:us-east-1:123456789012:accesspoint/abc"], "partition"),
    "multi-region dual stack": (["--dual-stack", "arn:aws:s3::123456789012:accesspoint/a.mrap"],
                                "multi-region"),
    "accelerate with dots": (["--transfer-acceleration", "some.bucket"], "acceleration"),
    "accelerate in the path": (["--transfer-acceleration", "--force-path-style", "some-bucket"],
                               "acceleration"),
    "accelerate elsewhere": (["--transfer-acceleration", "--endpoint-url", "http://h.example",
                              "some-bucket"], "acceleration"),
    "accelerate a directory bucket": (["--transfer-acceleration", "b--use1-az1--x-s3"],
                                      "acceleration"),
    "dual stack elsewhere": (["--dual-stack", "--endpoint-url", "http://h.example",
                              "some-bucket"], "dual stack"),
}


@pytest.mark.parametrize("case", ENDPOINTS, ids=lambda c: c.replace(" ", "-"))
def test_endpoint_rules(refuses, point, case):
    argv, word = ENDPOINTS[case]
    refuses("--region", "us-east-1", *argv, point, names=[word])


@pytest.mark.once
def test_unknown_profile(refuses, server, bucket, point):
    refuses(*plain(server), "--profile", "nobody", bucket.name, point,
            names=["profile", "credentials"])


def test_refused_connection(refuses, point):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    refuses("--endpoint-url", f"http://127.0.0.1:{port}", "--force-path-style", "--region", REGION,
            "some-bucket", point, names=["connect", "refused"])


def test_endpoint_that_never_answers(refuses, point):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        refuses("--endpoint-url", f"http://127.0.0.1:{s.getsockname()[1]}", "--force-path-style",
                "--region", REGION, "some-bucket", point, names=["time", "answer", "respon"])


def test_endpoint_that_is_no_s3(refuses, point):
    """A web server that answers everything with a page."""
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\nConnection: close\r\n\r\n<html>hi</html>\r\n"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        s.settimeout(0.2)
        over = threading.Event()

        def serve():
            while not over.is_set():
                try:
                    c, _ = s.accept()
                except TimeoutError:
                    continue
                with c:
                    c.settimeout(2)
                    try:
                        c.recv(65536)
                        c.sendall(page)
                    except OSError:
                        pass
        t = threading.Thread(target=serve)
        t.start()
        try:
            refuses("--endpoint-url", f"http://127.0.0.1:{s.getsockname()[1]}",
                    "--force-path-style", "--region", REGION, "some-bucket", point,
                    names=["ListObjectsV2", "answer", "respon", "xml"])
        finally:
            over.set()
            t.join()


def test_unknown_host(refuses, point):
    refuses("--endpoint-url", "http://s3.invalid:9000", "--force-path-style", "--region", REGION,
            "some-bucket", point, names=["resolve", "s3.invalid"])


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/", "http://", "http://127.0.0.1:99999"])
def test_endpoint_that_is_no_url(program, point, url):
    code, out, err, seconds = program("--endpoint-url", url, "--force-path-style",
                                      "--region", REGION, "some-bucket", point)
    assert code in (1, 2) and err and seconds < 5 and not is_mounted(point), out + err


@pytest.mark.once
def test_log_directory_that_cannot_be_made(refuses, server, bucket, point, folder):
    (folder / "file").write_text("x")
    refuses(*plain(server), "-l", folder / "file" / "logs", bucket.name, point, names=["log"])


# mounting and ending


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
def test_success_line(mount, bucket, background):
    m = mount(background=background)
    assert f"bucket {bucket.name} is mounted at {m.path}\n" in m.output.read_text()


def test_success_line_with_prefix(mount, bucket):
    m = mount("--prefix", "some/where/", background=True)
    assert m.output.read_text() == \
        f"prefix some/where/ of bucket {bucket.name} is mounted at {m.path}\n"


def test_background_mount_is_usable_at_once(server, bucket, program, point, folder):
    bucket.put("f", b"content")
    mountlib.adopt_orphans()
    m = mountlib.Mount(server, bucket, folder, background=True)
    m.path = point
    code, out, err, _ = program(*m.command()[1:])
    data = (point / "f").read_bytes() if code == 0 else None
    m.pid = m.find_daemon() if code == 0 else None
    m.stop()
    assert (code, err) == (0, "") and "is mounted at" in out
    assert data == b"content" and m.check() == ""


def test_background_daemon_holds_no_terminal(mount):
    """A caller reading our stdout to its end must not wait for the daemon."""
    m = mount(background=True)
    links = [os.readlink(f"/proc/{m.pid}/fd/{n}") for n in (0, 1, 2)
             if os.path.lexists(f"/proc/{m.pid}/fd/{n}")]
    assert str(m.output) not in links


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.once
def test_signal_ends_it_cleanly(mount, name, background):
    m = mount(background=background)
    os.listdir(m.path)
    code, seconds = m.terminate(signum=getattr(signal, name))
    assert code == 0 and seconds < 5 * mountlib.SLOW and not is_mounted(m.path)
    assert m.path.is_dir() and os.listdir(m.path) == []


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
def test_outside_unmount_ends_it_cleanly(mount, bucket, background):
    bucket.put("f", b"1")
    m = mount(background=background)
    assert (m.path / "f").read_bytes() == b"1"
    assert unmount(m.path)
    assert m.wait_end(5) == 0


def test_busy_mount_is_not_unmounted(mount, bucket):
    bucket.put("f", b"123")
    m = mount()
    with open(m.path / "f", "rb") as f:
        assert not unmount(m.path)
        assert f.read() == b"123"
    assert unmount(m.path)
    assert m.wait_end(5) == 0


def test_signal_ends_it_while_files_are_open(mount, bucket):
    bucket.put("f", b"123")
    m = mount("--allow-delete", "--allow-overwrite")
    fds = [os.open(m.path / "f", os.O_RDONLY), os.open(m.path / "new", os.O_CREAT | os.O_WRONLY)]
    os.read(fds[0], 1)
    os.write(fds[1], b"unfinished")
    code, seconds = m.terminate()
    for fd in fds:
        with contextlib.suppress(OSError):      # the mount is gone
            os.close(fd)
    assert code == 0 and seconds < 5 * mountlib.SLOW and not is_mounted(m.path)


def test_mount_again_after_the_end(mount, bucket):
    bucket.put("f", b"123")
    for _ in range(3):
        m = mount()
        assert os.listdir(m.path) == ["f"]
        assert unmount(m.path)
        assert m.wait_end(5) == 0


def test_many_mounts_of_one_bucket(mount, bucket):
    bucket.put("f", b"123")
    several = [mount("--allow-delete") for _ in range(3)]
    assert [(m.path / "f").read_bytes() for m in several] == [b"123"] * 3
    (several[0].path / "g").write_bytes(b"456")
    assert (several[1].path / "g").read_bytes() == b"456"


# what options do


@pytest.mark.parametrize("form", ["option", "equals", "uri"])
def test_prefix_shows_what_is_below(mount, bucket, form):
    for key in ("p/q/a", "p/q/d/b", "p/x", "y"):
        bucket.put(key, key.encode())
    if form == "uri":
        m = mount(target=f"s3://{bucket.name}/p/q/")
    else:
        m = mount(*(["--prefix", "p/q/"] if form == "option" else ["--prefix=p/q/"]))
    assert sorted(os.listdir(m.path)) == ["a", "d"]
    assert (m.path / "d" / "b").read_bytes() == b"p/q/d/b"
    assert not (m.path / "x").exists()


def test_writing_below_a_prefix(mount, bucket):
    m = mount("--prefix", "deep/er/")
    (m.path / "f").write_bytes(b"1")
    assert bucket.keys() == ["deep/er/f"]


def test_uri_without_prefix(mount, bucket):
    bucket.put("f")
    assert os.listdir(mount(target=f"s3://{bucket.name}").path) == ["f"]
    assert os.listdir(mount(target=f"s3://{bucket.name}/").path) == ["f"]


@pytest.mark.once
def test_options_after_the_arguments(server, bucket, mount):
    bucket.put("f", b"1")
    m = mount(base_options=False, target=bucket.name,
              options_after=[*plain(server), "--read-only"])
    assert (m.path / "f").read_bytes() == b"1"
    assert "ro" in mount_options(m.path)


@pytest.mark.once
def test_double_dash_ends_the_options(bucket, mount):
    bucket.put("f", b"1")
    assert os.listdir(mount("--").path) == ["f"]


def mount_options(path):
    with open("/proc/mounts") as f:
        for line in f:
            if line.split()[1] == str(path):
                return line.split()[3].split(",")
    return []


@pytest.mark.once
def test_kernel_sees_source_type_and_options(mount):
    m = mount()
    kind, source = mounts()[str(m.path)]
    options = mount_options(m.path)
    assert source == "mountpoint-s3" and kind.startswith("fuse")
    assert {"nosuid", "nodev", "rw", "noatime", "default_permissions"} <= set(options)
    assert "allow_other" not in options


@pytest.mark.once
@pytest.mark.root
def test_allow_other_reaches_the_kernel(mount):
    assert "allow_other" in mount_options(mount("--allow-other").path)


@pytest.mark.once
@pytest.mark.root
@pytest.mark.parametrize("allowed", [False, True], ids=["default", "allow-other"])
def test_other_users_need_allow_other(mount, bucket, allowed, work, folder):
    bucket.put("f", b"1")
    m = mount(*(["--allow-other"] if allowed else []))
    for path in (work, folder, m.folder):
        path.chmod(0o755)
    done = run("cat", m.path / "f", user=65534, group=65534)
    assert (done.returncode == 0) == allowed, done.stderr
    assert done.stdout == ("1" if allowed else "")


@pytest.mark.once
def test_uid_gid_and_modes(mount, bucket):
    bucket.put("d/f", b"1")
    m = mount("--uid", "1234", "--gid", "2345", "--dir-mode", "0750", "--file-mode=640")
    for path, kind, mode in ((m.path, stat.S_IFDIR, 0o750), (m.path / "d", stat.S_IFDIR, 0o750),
                             (m.path / "d/f", stat.S_IFREG, 0o640)):
        st = os.stat(path)
        assert (st.st_uid, st.st_gid) == (1234, 2345)
        assert st.st_mode == kind | mode


@pytest.mark.once
def test_default_owner_and_modes(mount, bucket):
    bucket.put("d/f", b"12345")
    m = mount()
    st = os.stat(m.path / "d/f")
    assert (st.st_uid, st.st_gid, st.st_mode) == (os.getuid(), os.getgid(), stat.S_IFREG | 0o644)
    assert (st.st_size, st.st_nlink, st.st_blocks, st.st_blksize) == (5, 1, 1, 4096)
    assert os.stat(m.path / "d").st_mode == stat.S_IFDIR | 0o755


def test_file_time_is_the_objects(mount, bucket):
    bucket.put("f", b"1")
    wanted = bucket.head("f")["LastModified"].timestamp()
    st = os.stat(mount().path / "f")
    assert st.st_mtime == wanted == st.st_ctime


@pytest.mark.once
def test_log_directory(mount, folder):
    logs = folder / "a" / "logs"
    m = mount("-l", logs)
    os.listdir(m.path)
    names = os.listdir(logs)
    assert len(names) == 1
    assert re.fullmatch(r"mountpoint-s3-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.\w{6}\.log", names[0])
    assert stat.S_IMODE(os.stat(logs / names[0]).st_mode) == 0o640
    assert (logs / names[0]).stat().st_size > 0


@pytest.mark.once
def test_debug_log_shows_requests_and_no_secret(mount, bucket, folder):
    bucket.put("some-key", b"1")
    m = mount("-d", "-l", folder / "logs")
    (m.path / "some-key").read_bytes()
    text = "".join(f.read_text() for f in (folder / "logs").iterdir()) + m.log()
    assert "some-key" in text and SECRET_KEY not in text


@pytest.mark.once
def test_secret_is_not_in_the_arguments(mount):
    m = mount()
    with open(f"/proc/{m.pid}/cmdline") as f:
        assert SECRET_KEY not in f.read()


@pytest.mark.once
def test_no_log_writes_none(mount):
    m = mount("--no-log")
    os.listdir(m.path)
    assert m.output.read_text().strip().splitlines() == [
        f"bucket {m.target} is mounted at {m.path}"]


@pytest.mark.once
def test_profile_from_the_credentials_file(mount, folder):
    creds = folder / "credentials"
    creds.write_text("[default]\naws_access_key_id = nobody\naws_secret_access_key = wrong\n\n"
                     f"[some one]\naws_access_key_id={ACCESS_KEY}\n"
                     f"aws_secret_access_key = {SECRET_KEY}\n")
    m = mount("--profile", "some one", env={
        "AWS_SHARED_CREDENTIALS_FILE": str(creds), "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert os.listdir(m.path) == []


@pytest.mark.once
def test_default_profile_of_the_credentials_file(mount, folder):
    creds = folder / "credentials"
    creds.write_text(f"[default]\naws_access_key_id = {ACCESS_KEY}\n"
                     f"aws_secret_access_key = {SECRET_KEY}\n")
    m = mount(env={"AWS_SHARED_CREDENTIALS_FILE": str(creds), "AWS_PROFILE": "",
                   "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert os.listdir(m.path) == []


@pytest.mark.minio_only
def test_no_sign_request_on_a_public_bucket(mount, bucket, server):
    bucket.put("f", b"public")
    server.s3.put_bucket_policy(Bucket=bucket.name, Policy="""{"Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["*"]},
        "Action": ["s3:ListBucket", "s3:GetObject"],
        "Resource": ["arn:aws:s3:::%s", "arn:aws:s3:::%s/*"]}]}""" % (bucket.name, bucket.name))
    m = mount("--no-sign-request", env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert (m.path / "f").read_bytes() == b"public"


@pytest.mark.once
@pytest.mark.long
def test_idle_memory_is_small(mount):
    m = mount()
    os.listdir(m.path)
    assert m.rss() < 12 << 20


@pytest.mark.once
@pytest.mark.parametrize("threads", [1, 2, 16])
def test_any_number_of_threads_works(mount, bucket, threads):
    bucket.put("f", b"x" * 300000)
    m = mount("--max-threads", threads, "--memory-target", "512")
    out = [subprocess.Popen(["cat", m.path / "f"], stdout=subprocess.PIPE) for _ in range(8)]
    assert [len(p.communicate(timeout=20)[0]) for p in out] == [300000] * 8


@pytest.mark.once
@pytest.mark.parametrize("ttl", ["0", "5", "minimal", "indefinite"])
def test_metadata_ttl_values(mount, bucket, ttl):
    bucket.put("f", b"1")
    m = mount("--metadata-ttl", ttl)
    assert (m.path / "f").read_bytes() == b"1"


@pytest.mark.once
def test_descriptors_are_given_back(mount, bucket):
    """1,000 opens leave as many descriptors in the daemon as before."""
    bucket.put("f", b"1")
    m = mount()
    (m.path / "f").read_bytes()
    before = len(os.listdir(f"/proc/{m.pid}/fd"))
    for _ in range(1000):
        with open(m.path / "f", "rb") as f:
            f.read()
    wait_for(lambda: len(os.listdir(f"/proc/{m.pid}/fd")) <= before + 8, 5, "descriptors close")
