# SPDX-License-Identifier: Apache-2.0
"""Ordinary programs on a mount."""

import os
import random
import subprocess
import sys

import pytest

from check import MIB, blob, sha256, sha256_file, tree_files
from mountlib import run

FILES = 2000


def make_tree(root, files, seed=7):
    """A folder like a source tree: nested, small files, some larger."""
    rng = random.Random(seed)
    dirs = [root]
    for i in range(files // 25):
        d = rng.choice(dirs[-12:]) / f"dir{i:03d}"
        d.mkdir(parents=True, exist_ok=True)
        dirs.append(d)
    for i in range(files):
        size = rng.choice([0, 10, 500, 2000, 8000, 20000])
        (rng.choice(dirs) / f"file{i:04d}.c").write_bytes(rng.randbytes(size))
    return root


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("source") / "tree", FILES)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("small") / "tree", 120)


def upload_tree(bucket, root, prefix="tree/"):
    bucket.put_many((prefix + k, v) for k, v in tree_files(root).items())


@pytest.mark.limit(150)
@pytest.mark.long
def test_tar_extracts_a_source_tree(mnt, source, folder):
    run("tar", "-C", source.parent, "-cf", folder / "t.tar", "tree", check=True)
    run("tar", "-C", mnt, "-xf", folder / "t.tar", "--no-same-owner", "--no-same-permissions", "-m",
        check=True, timeout=120)
    run("diff", "-r", source, mnt / "tree", check=True, timeout=60)


def test_tar_extracts_with_times(mnt, small, folder, bucket):
    """Without flags tar also sets times and modes; the files are whole all the same."""
    run("tar", "-C", small.parent, "-cf", folder / "t.tar", "tree", check=True)
    run("tar", "-C", mnt, "-xf", folder / "t.tar", timeout=60)
    run("diff", "-r", small, mnt / "tree", check=True)


def test_tar_reads_a_tree(mnt, bucket, small, folder):
    upload_tree(bucket, small)
    run("tar", "-C", mnt, "-cf", folder / "t.tar", "tree", check=True)
    run("tar", "-C", folder, "-xf", folder / "t.tar", check=True)
    assert tree_files(folder / "tree") == tree_files(small)


@pytest.mark.limit(90)
def test_cp_a_tree_in_and_out(mnt, small, folder):
    run("cp", "-r", small, mnt / "tree", check=True, timeout=60)
    run("cp", "-r", mnt / "tree", folder / "back", check=True, timeout=60)
    run("diff", "-r", small, folder / "back", check=True)


@pytest.mark.limit(90)
def test_rsync_into_the_mount(mnt, small, bucket):
    run("rsync", "-r", "--inplace", f"{small}/", mnt / "tree", check=True, timeout=60)
    assert tree_files(mnt / "tree") == tree_files(small)


@pytest.mark.limit(90)
def test_rsync_with_temporary_names(mnt, small, bucket):
    """rsync renames what it has written; EXDEV makes it copy and delete."""
    run("rsync", "-r", f"{small}/", mnt / "tree", check=True, timeout=60)
    assert tree_files(mnt / "tree") == tree_files(small)
    assert sorted(bucket.keys("tree/")) == sorted("tree/" + k for k in tree_files(small))


def test_rsync_out_of_the_mount(mnt, bucket, small, folder):
    upload_tree(bucket, small)
    run("rsync", "-rt", f"{mnt}/tree/", folder / "back", check=True)
    assert tree_files(folder / "back") == tree_files(small)
    again = run("rsync", "-rtni", f"{mnt}/tree/", folder / "back", check=True)
    assert [line for line in again.stdout.splitlines() if line.startswith(">f")] == []


@pytest.mark.limit(90)
def test_find_du_and_md5sum_agree(mnt, bucket, small):
    upload_tree(bucket, small)

    def lines(where, *argv):
        return sorted(run(*argv, cwd=where, check=True).stdout.splitlines())
    for argv in (["find", ".", "-type", "f", "-printf", "%p %s\n"], ["find", ".", "-type", "d"],
                 ["find", ".", "-size", "+5k", "-name", "*1*.c"],
                 ["sh", "-c", "find . -type f | xargs md5sum"],
                 ["sh", "-c", "find . -type f -print0 | xargs -0 du -b"],
                 ["grep", "-rlc", "a"], ["sh", "-c", "find . -type f | xargs wc -c"]):
        assert lines(mnt / "tree", *argv) == lines(small, *argv), argv
    assert int(run("du", "-s", "--apparent-size", "-B1", mnt / "tree", check=True)
               .stdout.split()[0]) == sum(map(len, tree_files(small).values()))


def test_ls_in_all_forms(mnt, bucket, small):
    upload_tree(bucket, small)
    for flags in ("-l", "-la", "-lR", "-i", "-1U", "-lt", "-F"):
        assert run("ls", flags, mnt / "tree", check=True).stdout


@pytest.mark.limit(90)
def test_git_clones_out_of_the_mount(mnt, bucket, small, folder):
    repo = folder / "repo"
    env = {**os.environ, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1",
           "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
           "GIT_COMMITTER_EMAIL": "a@b"}
    run("cp", "-r", small, repo, check=True)
    for argv in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"], ["gc", "-q"]):
        run("git", "-C", repo, *argv, env=env, check=True)
    run("git", "clone", "-q", "--bare", repo, folder / "bare.git", env=env, check=True)
    bucket.put_many(("bare.git/" + k, v) for k, v in tree_files(folder / "bare.git").items())
    bucket.put("bare.git/refs/")        # git wants this directory even when it is empty
    env["GIT_CONFIG_COUNT"] = "1"
    env["GIT_CONFIG_KEY_0"], env["GIT_CONFIG_VALUE_0"] = "safe.directory", "*"
    run("git", "clone", "-q", "--no-local", mnt / "bare.git", folder / "clone", env=env, check=True,
        timeout=60)
    run("diff", "-r", "-x", ".git", small, folder / "clone", check=True)


def test_dd_with_fsync(mnt, bucket, folder):
    (folder / "in").write_bytes(blob(9 * MIB + 5))
    run("dd", f"if={folder}/in", f"of={mnt}/f", "bs=64k", "conv=fsync", check=True)
    assert sha256(bucket.get("f")) == sha256(blob(9 * MIB + 5))
    run("dd", f"if={mnt}/f", f"of={folder}/out", "bs=1M", "skip=2", check=True)
    assert (folder / "out").read_bytes() == blob(9 * MIB + 5)[2 * MIB:]


def test_dd_notrunc_on_an_object_is_refused(mnt, bucket, folder):
    bucket.put("f", b"x" * 100)
    assert run("dd", "if=/dev/zero", f"of={mnt}/f", "bs=10", "count=1", "conv=notrunc").returncode
    assert bucket.get("f") == b"x" * 100


def test_python_maps_a_file(mnt, bucket):
    bucket.put("f", blob(3 * MIB))
    code = ("import hashlib, mmap, sys\nwith open(sys.argv[1], 'rb') as f:\n"
            "    m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n"
            "    print(hashlib.sha256(m).hexdigest())\n")
    assert run("python3", "-c", code, mnt / "f", check=True).stdout.strip() == sha256(blob(3 * MIB))


NUMPY = """
import sys
import numpy as np
a = np.random.default_rng(5).standard_normal((512, 1024))
b = np.arange(300_000, dtype=np.int32)
name = sys.argv[1]
np.save(name + "/a.npy", a)
np.save(name + "/f.npy", np.asfortranarray(a))
with open(name + "/two.npy", "wb") as f:
    np.save(f, a)
    np.save(f, b)
a.tofile(name + "/raw")
np.savetxt(name + "/b.txt", b[:1000], fmt="%d")
assert np.array_equal(np.load(name + "/a.npy"), a)
assert np.array_equal(np.load(name + "/f.npy"), a)
assert np.array_equal(np.load(name + "/a.npy", mmap_mode="r")[100:200], a[100:200])
with open(name + "/two.npy", "rb") as f:
    assert np.array_equal(np.load(f), a) and np.array_equal(np.load(f), b)
assert np.array_equal(np.fromfile(name + "/raw").reshape(a.shape), a)
assert np.array_equal(np.memmap(name + "/raw", dtype=a.dtype, mode="r", shape=a.shape)[7], a[7])
assert np.array_equal(np.loadtxt(name + "/b.txt", dtype=np.int32), b[:1000])
try:
    np.savez(name + "/z.npz", a=a, b=b)
except OSError as e:
    print("savez", e.errno)
"""


def test_numpy_saves_and_loads(mnt, bucket):
    """savez goes back to fill in a header, which no object can: EINVAL, and nothing is left."""
    said = run(sys.executable, "-c", NUMPY, mnt, check=True, timeout=60).stdout.split()
    assert said in (["savez", "22"], []), said
    assert bucket.head("a.npy")["ContentLength"] == 128 + 4 * MIB
    assert ("z.npz" in bucket.keys()) == (not said)


def test_zip_archive_is_read(mnt, bucket, small, folder):
    """Reads the end first, then jumps: a zip reader's order."""
    import shutil
    import zipfile
    name = shutil.make_archive(str(folder / "z"), "zip", small)
    with open(name, "rb") as f:
        bucket.put("z.zip", f.read())
    with zipfile.ZipFile(mnt / "z.zip") as z:
        assert z.testzip() is None
        assert len([n for n in z.namelist() if not n.endswith("/")]) == 120


def test_compressors(mnt, bucket):
    bucket.put("f", b"line of text\n" * 50000)
    run("sh", "-c", f"gzip -c '{mnt}/f' > '{mnt}/f.gz' && gunzip -t '{mnt}/f.gz'", check=True)
    assert run("sh", "-c", f"gunzip -c '{mnt}/f.gz' | sha256sum", check=True).stdout.split()[0] == \
        sha256(b"line of text\n" * 50000)


def test_head_and_tail(mnt, bucket):
    bucket.put("f", b"".join(b"line %d\n" % i for i in range(200000)))
    assert run("head", "-n1", mnt / "f", check=True).stdout == "line 0\n"
    assert run("tail", "-n1", mnt / "f", check=True).stdout == "line 199999\n"
    assert run("tail", "-c", "+1", mnt / "f", check=True).stdout.endswith("line 199999\n")


def test_tee_and_pipes(mnt, bucket):
    run("sh", "-c", f"seq 100000 | tee '{mnt}/f' | sha256sum > /dev/null", check=True)
    assert bucket.get("f") == b"".join(b"%d\n" % i for i in range(1, 100001))


def test_sort_writes_its_output(mnt, bucket):
    bucket.put("in", b"c\nb\na\n")
    run("sort", "-o", mnt / "out", mnt / "in", check=True)
    assert bucket.get("out") == b"a\nb\nc\n"


def test_install_and_cp_options(mnt, bucket, folder):
    (folder / "f").write_bytes(b"123")
    run("cp", "--sparse=never", folder / "f", mnt / "a", check=True)
    run("cp", "-f", folder / "f", mnt / "a", check=True)
    run("cp", "--reflink=auto", mnt / "a", mnt / "b", check=True)
    assert bucket.get("b") == b"123"


@pytest.mark.limit(90)
def test_fio_verifies_what_it_wrote(mnt, folder):
    common = ["--ioengine=psync", "--bs=128k", "--size=12m", "--verify=crc32c", "--minimal",
              f"--filename={mnt}/f", "--name=v", "--fallocate=none", "--verify_fatal=1"]
    run("fio", "--rw=write", "--do_verify=0", "--create_on_open=1", "--end_fsync=1",
        "--file_append=0", *common, cwd=folder, check=True)
    done = run("fio", "--rw=read", "--readonly", *common, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.limit(60)
def test_sixteen_programs_at_once(mnt, bucket, small):
    """Readers, writers, listers and removers together."""
    upload_tree(bucket, small)
    jobs = []
    for i in range(4):
        jobs += [f"cp -r '{mnt}/tree/' /dev/null 2>/dev/null || tar -C '{mnt}' -cf /dev/null tree",
                 f"cp -r '{small}' '{mnt}/copy{i}' && diff -r '{small}' '{mnt}/copy{i}'",
                 f"for n in 1 2 3; do ls -lR '{mnt}/tree' > /dev/null || exit 1; done",
                 f"for n in 1 2 3 4 5; do echo $n > '{mnt}/t{i}' && rm '{mnt}/t{i}' || exit 1; done"]
    running = [subprocess.Popen(["sh", "-c", j], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
               for j in jobs]
    for job, p in zip(jobs, running):
        out = p.communicate(timeout=50)[0]
        assert p.returncode == 0, f"{job}\n{out.decode()[-2000:]}"
    assert sha256_file(mnt / "copy3" / next(iter(tree_files(small)))) == \
        sha256_file(small / next(iter(tree_files(small))))
