# SPDX-License-Identifier: Apache-2.0
"""Rows of docs/SEMANTICS.md about signals: only a fatal one ends a call."""

import errno
import os
import signal
import subprocess
import time

import pytest

from check import MIB, blob, sha256
from mountlib import SLOW, run, wait_for

STORM = """
import hashlib, os, signal, sys
signal.signal(signal.SIGALRM, lambda *a: None)
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
"""


def storm(folder, code, *args, timeout=60):
    """Run C-level calls under a 1 kHz SIGALRM without SA_RESTART; the errnos met."""
    source = folder / "storm.c"
    program = folder / "storm"
    source.write_text(r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
static volatile long ticks;
static void tick(int n) { ticks++; }
static void die(const char *what) { printf("%s: %s\n", what, strerror(errno)); exit(1); }
int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = tick};
	struct itimerval t = {{0, 1000}, {0, 1000}};
	static char buf[1 << 20];
	long long total = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	if (argv[1][0] == 'r') {
		int fd = open(argv[2], O_RDONLY);
		ssize_t n;
		if (fd < 0) die("open");
		while ((n = read(fd, buf, sizeof(buf))) > 0) total += n;
		if (n < 0) die("read");
		if (close(fd)) die("close");
	} else if (argv[1][0] == 'w') {
		int fd = open(argv[2], O_WRONLY | O_CREAT, 0644);
		if (fd < 0) die("open");
		for (int i = 0; i < 64; i++) {
			ssize_t n = write(fd, buf, sizeof(buf));
			if (n != sizeof(buf)) die("write");
			total += n;
		}
		if (close(fd)) die("close");
	} else {
		for (int i = 0; i < 50; i++) {
			char name[4096];
			struct stat st;
			struct dirent *e;
			DIR *d = opendir(argv[2]);
			if (!d) die("opendir");
			errno = 0;
			while ((e = readdir(d))) total++;
			if (errno) die("readdir");
			closedir(d);
			snprintf(name, sizeof(name), "%s/f%06d", argv[2], i);
			if (stat(name, &st)) die("stat");
			snprintf(name, sizeof(name), "%s/missing%d", argv[2], i);
			if (!stat(name, &st) || errno != ENOENT) die("stat of nothing");
		}
	}
	printf("%lld bytes, %ld ticks\n", total, ticks);
	return 0;
}
""")
    run("cc", "-O1", "-o", program, source, check=True)
    return run(program, code, *args, timeout=timeout)


@pytest.mark.s3d_only
@pytest.mark.limit(120)
@pytest.mark.long
def test_reader_under_a_storm_of_signals(mnt, bucket, server, folder):
    server.generate(bucket, "f", 1, size=1 << 30)
    done = storm(folder, "r", mnt / "f000000", timeout=100)
    assert done.returncode == 0 and done.stdout.startswith(f"{1 << 30} bytes"), done.stdout
    assert int(done.stdout.split()[2]) > 20, done.stdout


@pytest.mark.s3d_only
@pytest.mark.limit(60)
def test_waiting_reader_under_a_storm_of_signals(mnt, bucket, server, folder):
    """Each answer takes longer than many ticks."""
    server.generate(bucket, "f", 1, size=16 * MIB)
    server.set(ttfb_ms=100)
    done = storm(folder, "r", mnt / "f000000")
    assert done.returncode == 0 and done.stdout.startswith(f"{16 * MIB} bytes"), done.stdout


@pytest.mark.s3d_only
@pytest.mark.limit(60)
def test_writer_under_a_storm_of_signals(mnt, bucket, server, folder):
    server.set(ttfb_ms=20)
    done = storm(folder, "w", mnt / "f")
    assert done.returncode == 0, done.stdout
    assert bucket.head("f")["ContentLength"] == 64 * MIB


@pytest.mark.s3d_only
@pytest.mark.limit(60)
def test_lister_under_a_storm_of_signals(mnt, bucket, server, folder):
    server.generate(bucket, "d/f", 100)
    server.set(ttfb_ms=5)
    done = storm(folder, "l", mnt / "d")
    assert done.returncode == 0, done.stdout


@pytest.mark.s3d_only
@pytest.mark.parametrize("call", ["read", "stat", "listdir", "close", "unlink"])
def test_fatal_signal_frees_a_waiting_process_at_once(mnt, bucket, server, call):
    bucket.put("d/f", b"1" * 1000)
    code = {"read": "open(p + '/d/f', 'rb').read()", "stat": "os.stat(p + '/d/g')",
            "listdir": "os.listdir(p + '/d')", "unlink": "os.unlink(p + '/d/f')",
            "close": "f = open(p + '/n', 'wb'); f.write(b'1'); f.close()"}[call]
    os.stat(mnt / "d/f")
    ops = {"read": ["GetObject"], "stat": ["HeadObject", "ListObjectsV2"],
           "listdir": ["ListObjectsV2"], "close": ["PutObject"], "unlink": ["DeleteObject"]}[call]
    for op in ops:
        server.fault("stall", op=op)
    with subprocess.Popen(["python3", "-c", "import os, sys\np = sys.argv[1]\n" + code, mnt],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
        wait_for(lambda: server.fired() > 0, 5, "the request is stalled")
        time.sleep(0.1)
        begun = time.monotonic()
        p.kill()
        assert p.wait(5 * SLOW) == -signal.SIGKILL
        took = time.monotonic() - begun
    server.clear_faults()
    assert took < 1.0 * SLOW, took


@pytest.mark.minio_only
@pytest.mark.long
@pytest.mark.limit(240)
def test_go_program_is_executed_from_the_mount(mount, bucket, server):
    """Its runtime sends itself signals all the time."""
    with open(server.binary(), "rb") as f:
        bucket.s3.upload_fileobj(f, bucket.name, "go-program")
    m = mount("--file-mode", "755")
    for _ in range(100):
        out = run(m.path / "go-program", "--version", check=True, timeout=60).stdout
        assert "minio" in out.lower()
