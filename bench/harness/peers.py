# SPDX-License-Identifier: Apache-2.0
"""The programs that are compared, and how each one mounts a bucket.

All run in the foreground with the settings that they have when a user gives
none; what is added is only what a local server needs (endpoint, path style,
keys, region) and the permission to write. A peer mounts afresh for each
measurement, so that nobody profits from what it cached before.
"""

import os
import pathlib
import shutil
import shlex

from . import procs
from .procs import BenchError
from .servers import ACCESS_KEY, BUCKET, SECRET_KEY

HERE = pathlib.Path(__file__).resolve().parents[1]


class Mount:
    """A mounted bucket: where it is, and the process that serves it."""

    def __init__(self, directory, child):
        self.directory = directory
        self.child = child

    @property
    def pid(self):
        return self.child.pid

    def close(self):
        procs.unmount(self.directory, self.child)


class Peer:
    """How to find, describe and start one program."""

    name = ""
    mounts = True

    def __init__(self, options):
        self.options = options
        self.program = None

    def find(self):
        """Set self.program, or raise BenchError."""
        raise NotImplementedError

    def version(self):
        return ""

    def command(self, server, directory, work):
        """(argument list, additional environment)"""
        raise NotImplementedError

    def mount(self, server, work):
        directory = pathlib.Path(work) / "mnt" / self.name
        directory.mkdir(parents=True, exist_ok=True)
        if procs.is_mounted(directory):
            raise BenchError(f"{directory} is still mounted")
        argv, extra = self.command(server, directory, work)
        env = procs.clean_env({**server.keys, "AWS_EC2_METADATA_DISABLED": "true",
                               "HOME": str(work), **extra})
        procs.register_mount(directory)
        child = procs.start(argv, env, pathlib.Path(work) / f"{self.name}.log")
        try:
            procs.wait_for(self.name, lambda: procs.is_mounted(directory), child)
            procs.output(["stat", directory], seconds=20)
        except BenchError:
            procs.unmount(directory, child)
            raise
        return Mount(directory, child)


class Ours(Peer):
    """mount-s3; a variant has a name of its own and more arguments, or is another build."""

    name = "mount-s3"

    def __init__(self, options, name="mount-s3", extra=""):
        super().__init__(options)
        self.name = name
        self.extra = shlex.split(extra)
        self.own = self.extra.pop(0) if extra.startswith("/") else None

    def find(self):
        usual = (self.options.ours, self.options.build / "src/mount-s3",
                 self.options.build / "mount-s3")
        for candidate in (self.own,) if self.own else usual:
            if candidate and os.access(candidate, os.X_OK) and os.path.isfile(candidate):
                self.program = candidate
                return
        raise BenchError(f"{self.own or 'mount-s3'} is not built")

    def version(self):
        return procs.output([self.program, "--version"]).strip()

    def command(self, server, directory, work):
        return [self.program, BUCKET, directory, "--foreground", "--endpoint-url", server.url,
                "--force-path-style", "--region", "us-east-1", *self.extra], {}


class Mountpoint(Peer):
    """AWS's, through its crates; see bench/peers/mountpoint."""

    name = "mountpoint"

    @staticmethod
    def target():
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        return pathlib.Path(cache) / "mount-s3/peers"

    def build(self):
        env = {**os.environ, "CARGO_TARGET_DIR": str(self.target())}
        print("building Mountpoint's crates, about 10 minutes on 2 cores", flush=True)
        procs.output(["nice", "cargo", "build", "--release", "--locked", "-j2",
                      "--manifest-path", HERE / "peers/mountpoint/Cargo.toml"], env, 7200)

    def find(self):
        program = self.target() / "release/mountpoint-peer"
        if not program.exists() and self.options.build_peers:
            self.build()
        if not program.exists():
            raise BenchError("Mountpoint is not built: add --build-peers")
        self.program = program

    def version(self):
        lines = (HERE / "peers/mountpoint/Cargo.lock").read_text().split("[[package]]")
        for block in lines:
            if 'name = "mountpoint-s3-fs"' in block:
                return "mountpoint-s3-fs " + block.split('version = "')[1].split('"')[0]
        return ""

    def command(self, server, directory, work):
        return [self.program, server.url, "path", BUCKET, directory, "us-east-1",
                pathlib.Path(work) / "mountpoint.messages"], {}


class S3fs(Peer):
    name = "s3fs"

    def find(self):
        self.program = shutil.which("s3fs")
        if not self.program:
            raise BenchError("s3fs is not installed")

    def version(self):
        return procs.output([self.program, "--version"]).splitlines()[0]

    def command(self, server, directory, work):
        keys = pathlib.Path(work) / "s3fs.keys"
        keys.touch(0o600)
        keys.chmod(0o600)
        keys.write_text(f"{ACCESS_KEY}:{SECRET_KEY}\n")
        argv = [self.program, BUCKET, directory, "-f", "-o", f"url={server.url}", "-o",
                "use_path_request_style", "-o", f"passwd_file={keys}", "-o", f"tmpdir={work}"]
        # Directories without an object of their own: the default until 1.91
        if "notsup_compat_dir" not in procs.output([self.program, "--help"]):
            argv += ["-o", "compat_dir"]
        return argv, {}


class Rclone(Peer):
    name = "rclone"

    def find(self):
        self.program = shutil.which("rclone")
        if not self.program:
            raise BenchError("rclone is not installed")

    def version(self):
        return procs.output([self.program, "version"]).splitlines()[0]

    def command(self, server, directory, work):
        return [self.program, "mount", f"peer:{BUCKET}", directory], {
            "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_PEER_TYPE": "s3",
            "RCLONE_CONFIG_PEER_PROVIDER": "Minio", "RCLONE_CONFIG_PEER_ENV_AUTH": "true",
            "RCLONE_CONFIG_PEER_ENDPOINT": server.url, "RCLONE_CONFIG_PEER_REGION": "us-east-1",
            "RCLONE_CONFIG_PEER_NO_CHECK_BUCKET": "true"}


class Raw(Peer):
    """Plain sockets: no mount, the limit of server and loopback."""

    name = "raw"
    mounts = False

    def find(self):
        self.program = self.options.build / "bench/raw"
        if not self.program.exists():
            raise BenchError("bench/raw is not built")


KNOWN = {"mount-s3": Ours, "mountpoint": Mountpoint, "s3fs": S3fs, "rclone": Rclone, "raw": Raw}


def choose(options):
    """The peers that were asked for; without --peers, all that are there."""
    variants = dict(v.partition("=")[::2] for v in options.variant)
    asked = options.peers.split(",") if options.peers else [*KNOWN, *variants]
    chosen = []
    for name in asked:
        if name in variants:
            peer = Ours(options, name, variants[name])
        elif name in KNOWN:
            peer = KNOWN[name](options)
        else:
            raise BenchError(f"unknown peer {name}: {', '.join([*KNOWN, *variants])}")
        try:
            peer.find()
        except BenchError as e:
            if options.peers:
                raise
            print(f"without {name}: {e}")
            continue
        chosen.append(peer)
    return chosen
