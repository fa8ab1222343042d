# SPDX-License-Identifier: Apache-2.0
"""How many requests things cost, counted by s3d."""

import concurrent.futures
import errno
import mmap
import os
import random
import time

import pytest

from check import KIB, MIB, blob, opened, sha256, sha256_file, write_all
from mountlib import SLOW, run, wait_for

pytestmark = pytest.mark.s3d_only
LIST, HEAD, GET = "ListObjectsV2", "HeadObject", "GetObject"
PUT, CREATE, PART, COMPLETE, ABORT = ("PutObject", "CreateMultipartUpload", "UploadPart",
                                      "CompleteMultipartUpload", "AbortMultipartUpload")


@pytest.mark.limit(120)
def test_listing_ten_thousand_is_ten_lists(mnt, bucket, server):
    server.generate(bucket, "d/f", 10000)
    with server.counting() as n:
        out = run("ls", "-l", mnt / "d", check=True, timeout=60).stdout
    assert out.count("\n") == 10001
    # One more may have looked up the directory itself.
    assert 10 <= n[LIST] <= 11 and n[HEAD] <= 1 and n[GET] == 0, n


@pytest.mark.limit(120)
def test_listing_an_open_directory_is_ten_lists_and_no_head(mnt, bucket, server):
    server.generate(bucket, "f", 10000)
    with server.counting() as n:
        out = run("ls", "-l", mnt, check=True, timeout=60).stdout
    assert out.count("\n") == 10001
    assert (n[LIST], n[HEAD], n[GET]) == (10, 0, 0), n


@pytest.mark.limit(90)
def test_reading_a_thousand_listed_files_is_a_thousand_gets(mnt, bucket, server):
    """The GET at open is the revalidation: no HEAD, hardly a LIST."""
    bucket.put_many((f"d/f{i:04d}", b"%d" % i) for i in range(1000))
    run("ls", "-l", mnt / "d", check=True)
    with server.counting() as n:
        out = run("sh", "-c", f"cat '{mnt}'/d/*", check=True, timeout=60).stdout
    assert out == "".join(str(i) for i in range(1000))
    # The shell's pattern lists the directory again: that page counts too.
    assert n[GET] == 1000 and n[HEAD] == 0 and n[LIST] <= 6, n


def test_reading_one_unlisted_file(mnt, bucket, server):
    bucket.put("a/b/f", b"1")
    with server.counting() as n:
        assert (mnt / "a/b/f").read_bytes() == b"1"
    assert n[GET] == 1 and n[HEAD] == 0 and n[LIST] <= 3, n


def test_directories_beside_each_other_are_learnt_from(mount, bucket, server):
    """Where lookups came thick in one directory, the next is listed at its first one."""
    bucket.put_many((f"t/d{d}/f{i}", b"1") for d in range(10) for i in range(20))
    m = mount("--metadata-ttl", "60")
    with server.counting() as n:
        for d in range(10):
            for i in range(20):
                assert (m.path / f"t/d{d}/f{i}").read_bytes() == b"1"
    # t and each directory are looked up, the first one's files until it is listed.
    assert n[GET] == 200 and n[HEAD] == 0 and n[LIST] <= 1 + 2 * 10 + 2, n


def read_all(folder, names):
    for name in names:
        assert (folder / name).read_bytes() == name.encode() * 1000, name


@pytest.mark.limit(60)
def test_files_read_in_order_are_fetched_ahead(mount, bucket, server):
    """Where names are trusted for a time: each file once, many on their way at a time."""
    names = [f"f{i:03d}" for i in range(200)]
    bucket.put_many((f"d/{name}", name.encode() * 1000) for name in names)
    m = mount("--metadata-ttl", "60")
    assert os.listdir(m.path / "d") == names
    server.set(ttfb_ms=50)
    with server.counting() as n:
        begun = time.monotonic()
        read_all(m.path / "d", names)
        took = time.monotonic() - begun
    server.set(ttfb_ms=0)
    assert (n[GET], n[HEAD], n[LIST]) == (200, 0, 0), n
    assert took < 200 * 0.05 / 3 * SLOW, took


@pytest.mark.limit(60)
@pytest.mark.parametrize("order", ["shuffled", "backward", "slow", "some"])
def test_files_read_otherwise_are_fetched_once(mount, bucket, server, order):
    names = [f"f{i:03d}" for i in range(100)]
    bucket.put_many((f"d/{name}", name.encode() * 1000) for name in names)
    m = mount("--metadata-ttl", "60")
    assert os.listdir(m.path / "d") == names
    chosen = {"shuffled": random.Random(3).sample(names, 100), "backward": names[::-1],
              "slow": names[:7], "some": names[:10]}[order]
    with server.counting() as n:
        for name in chosen:
            read_all(m.path / "d", [name])
            if order == "slow":
                time.sleep(1.5)
    if order == "some": # who stops has some more
        assert 10 <= n[GET] <= 10 + 32, n
    else:
        assert len(chosen) <= n[GET] <= len(chosen) + 2, n


def test_file_fetched_ahead_and_replaced_is_no_mixture(mount, bucket, server):
    """What was fetched has the version that the listing had, and is only given as that."""
    bucket.put_many((f"d/f{i:02d}", b"old %02d" % i) for i in range(40))
    m = mount("--metadata-ttl", "60")
    os.listdir(m.path / "d")
    bucket.put_many((f"d/f{i:02d}", b"newer %02d" % i) for i in range(20, 40))
    for i in range(40):
        for _ in range(3):
            try:
                got = (m.path / f"d/f{i:02d}").read_bytes()
                break
            except OSError as e:
                assert e.errno == errno.ESTALE, e
        assert got == (b"old %02d" % i if i < 20 else b"newer %02d" % i)


def test_open_without_trusted_names_fetches_nothing_ahead(mnt, bucket, server):
    bucket.put_many((f"d/f{i:02d}", b"1") for i in range(40))
    os.listdir(mnt / "d")
    with server.counting() as n:
        for i in range(20):
            assert (mnt / f"d/f{i:02d}").read_bytes() == b"1"
    assert n[GET] == 20, n


def test_empty_object_needs_no_body(mnt, bucket, server):
    bucket.put("f", b"")
    os.listdir(mnt)
    os.stat(mnt / "f")
    with server.counting() as n:
        assert (mnt / "f").read_bytes() == b""
    assert n[GET] + n[HEAD] + n[LIST] <= 2, n


def test_sequential_read_gets_each_byte_once(mnt, bucket, server):
    size = 40 * MIB
    bucket.put("f", blob(size))
    with server.counting() as n:
        assert sha256_file(mnt / "f") == sha256(blob(size))
    assert n[GET] <= 40, n


def test_sixteen_readers_cost_one_download(mnt, bucket, server):
    size = 16 * MIB
    bucket.put("f", blob(size))
    with server.counting() as n:
        run("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do "
            f"cat '{mnt}/f' > /dev/null & done; wait", check=True)
    assert n[GET] <= 48, n


def test_small_file_is_one_put(mnt, server):
    with server.counting() as n:
        (mnt / "f").write_bytes(b"x" * 100000)
    assert (n[PUT], n[CREATE], n[PART], n[COMPLETE], n[GET]) == (1, 0, 0, 0, 0), n
    assert n[HEAD] + n[LIST] <= 1, n


def test_new_names_cost_one_list_of_few_keys_each(mnt, bucket, server):
    """However many there are already: nobody lists the directory to find that a name is new."""
    bucket.put_many((f"d/old{i:03d}", b"1") for i in range(300))
    with server.counting() as n:
        for i in range(100):
            (mnt / f"d/new{i:03d}").write_bytes(b"1")
    # one each until files are seen to be made, then a few each second
    assert n[PUT] == 100 and n[HEAD] == 0 and n[LIST] <= 30, n
    assert n["bytes_out"] < 50 * KIB, n


@pytest.mark.limit(60)
def test_four_hundred_files_by_eight_writers_are_a_put_each(mnt, server):
    os.mkdir(mnt / "d")

    def save(k):
        for i in range(50):
            (mnt / f"d/w{k}-{i:03d}").write_bytes(b"x" * 100 * KIB)

    begin = time.monotonic()
    with server.counting() as n:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(save, range(8)))
    seconds = time.monotonic() - begin
    assert n[PUT] == 400 and n[CREATE] == n[HEAD] == 0, n
    assert n[LIST] <= 24 + 12 * seconds, n


@pytest.mark.limit(60)
def test_tree_copied_into_the_mount_costs_few_lists(mnt, server, tmp_path):
    for k in range(20):
        os.mkdir(tmp_path / f"d{k}")
        for i in range(10):
            (tmp_path / f"d{k}/f{i}").write_bytes(b"%d" % i)
    begin = time.monotonic()
    with server.counting() as n:
        run("cp", "-r", tmp_path, mnt / "t", check=True, timeout=40)
    seconds = time.monotonic() - begin
    # one for each directory, some for the first ones, more when its second is over
    assert n[PUT] == 200 and n[HEAD] == 0 and n[LIST] <= 20 + 20 + 21 * seconds, n


@pytest.mark.limit(60)
def test_names_at_random_places_cost_one_list_of_few_keys_each(mnt, bucket, server):
    bucket.put_many((f"d/{i:04d}", b"1") for i in range(0, 3000, 3))
    names = [f"d/{i:04d}" for i in range(1, 3000, 3)]
    random.Random(1).shuffle(names)
    with server.counting() as n:
        for name in names[:200]:
            (mnt / name).write_bytes(b"1")
    assert n[PUT] == 200 and n[HEAD] == 0 and n[LIST] <= 220, n
    assert n["bytes_out"] < 600 * KIB, n


def test_where_files_are_made_others_are_seen_at_once(mnt, bucket, server):
    for i in range(20):
        (mnt / f"d{i:02d}").write_bytes(b"1")
    for i in range(20):
        with server.counting() as n:
            (mnt / f"e{i:02d}").write_bytes(b"1")
            (mnt / f"f{i:02d}").write_bytes(b"1")
        assert n[LIST] < 2, n  # what is not made is asked for, not what is
        bucket.put(f"n{i:02d}", b"1")
        bucket.put(f"o{i:02d}", b"12")
        assert (mnt / f"n{i:02d}").read_bytes() == b"1"
        assert os.stat(mnt / f"o{i:02d}").st_size == 2


def test_in_a_directory_made_a_moment_ago_others_are_seen_within_a_second(mnt, bucket):
    os.mkdir(mnt / "d")
    for i in range(20):
        (mnt / f"d/d{i:02d}").write_bytes(b"1")
    bucket.put("d/other", b"1")
    begin = time.monotonic()
    while not os.path.exists(mnt / "d/other"):
        (mnt / f"d/e{time.monotonic_ns()}").write_bytes(b"1")
    assert time.monotonic() - begin < 2


def test_who_waits_for_a_file_of_others_sees_it_at_once(mnt, bucket):
    """Files were made beside it, and then it was looked for, again and again."""
    os.mkdir(mnt / "d")
    for i in range(20):
        (mnt / f"d/d{i:02d}").write_bytes(b"1")
    for _ in range(20):
        assert not os.path.exists(mnt / "d/other")
    bucket.put("d/other", b"1")
    assert os.path.exists(mnt / "d/other")


@pytest.mark.parametrize("siblings", [0, 3, 20])
def test_one_list_tells_file_from_directory(mnt, bucket, server, siblings):
    """`x-1` and `x.1` come between `x` and `x/`, `x1` behind them."""
    bucket.put_many((f"{name}{tail}{i:02d}", b"12") for name in ("file", "dir", "none")
                    for tail in ("-", ".", "1") for i in range(siblings))
    bucket.put("file", b"123")
    bucket.put("dir/f", b"1")
    bucket.put("both", b"1234")
    bucket.put("both/f", b"1")
    with server.counting() as n:
        assert os.stat(mnt / "file").st_size == 3 and os.path.isfile(mnt / "file")
        assert os.path.isdir(mnt / "dir")
        assert not os.path.exists(mnt / "none")
        assert os.path.isdir(mnt / "both")
    # who has more siblings than a short page is asked a second time
    assert n[HEAD] == 0 and n[LIST] <= (4 if siblings == 0 else 8), n


def test_empty_file_is_one_put(mnt, bucket, server):
    with server.counting() as n:
        run("touch", mnt / "f", check=True)
        wait_for(lambda: server.counts()[PUT] >= 1, 5, "the empty object is sent")
    assert bucket.get("f") == b""
    assert (n[PUT], n[CREATE]) == (1, 0), n


def test_what_fits_in_one_part_is_one_put(mount, server):
    m = mount("--part-size", str(5 * MIB))
    with server.counting() as n:
        (m.path / "f").write_bytes(blob(5 * MIB))
    assert (n[PUT], n[CREATE], n[PART]) == (1, 0, 0), n


def test_two_parts_are_one_multipart_upload(mount, server):
    m = mount("--part-size", str(5 * MIB))
    with server.counting() as n:
        (m.path / "f").write_bytes(blob(5 * MIB + 1))
    assert (n[PUT], n[CREATE], n[PART], n[COMPLETE], n[ABORT]) == (0, 1, 2, 1, 0), n


def test_first_part_is_sent_before_close(mount, server):
    m = mount("--part-size", str(5 * MIB))
    with opened(m.path / "f", os.O_CREAT | os.O_WRONLY) as fd:
        write_all(fd, blob(11 * MIB))
        wait_for(lambda: server.counts()[PART] >= 2, 5, "two parts are sent")
        assert server.counts()[COMPLETE] == 0
    assert server.counts()[COMPLETE] == 1


def test_refused_write_aborts_the_upload(mount, server):
    m = mount("--part-size", str(5 * MIB))
    fd = os.open(m.path / "f", os.O_CREAT | os.O_WRONLY)
    write_all(fd, blob(11 * MIB))
    for call in (lambda: os.pwrite(fd, b"x", 0), lambda: os.close(fd)):
        with pytest.raises(OSError):
            call()
    wait_for(lambda: server.counts()[ABORT] >= 1, 5, "the upload is aborted")
    assert server.counts()[COMPLETE] == 0


def test_many_small_files_are_a_put_each(mnt, server):
    os.mkdir(mnt / "d")
    with server.counting() as n:
        for i in range(100):
            (mnt / f"d/f{i}").write_bytes(b"%d" % i)
    assert n[PUT] == 100 and n[CREATE] == 0, n


def test_unlink_is_one_delete(mnt, bucket, server):
    bucket.put_many((f"f{i}", b"") for i in range(50))
    os.listdir(mnt)
    with server.counting() as n:
        for i in range(50):
            os.unlink(mnt / f"f{i}")
    assert n["DeleteObject"] == 50 and n[GET] == 0, n


def test_mkdir_and_rmdir_write_nothing(mnt, server):
    with server.counting() as n:
        os.mkdir(mnt / "d")
        os.rmdir(mnt / "d")
    assert n[PUT] == 0 and n["DeleteObject"] == 0, n


def test_idle_mount_sends_nothing(mnt, server):
    os.listdir(mnt)
    with server.counting() as n:
        run("sleep", "1")
    assert sum(n.values()) == 0, n


def test_stat_within_the_ttl_asks_nothing(mount, bucket, server):
    bucket.put_many((f"d/f{i}", b"") for i in range(20))
    m = mount("--metadata-ttl", "60")
    os.listdir(m.path / "d")
    for i in range(20):
        os.stat(m.path / f"d/f{i}")
    with server.counting() as n:
        for _ in range(5):
            for i in range(20):
                os.stat(m.path / f"d/f{i}")
    assert sum(n.values()) == 0, n


def test_random_reads_fetch_little(mnt, bucket, server):
    """4 KiB here and there of a large object: one range each, no read-ahead."""
    size = 64 * MIB
    bucket.put("f", bytes(size))
    with server.counting() as n, opened(mnt / "f", os.O_RDONLY) as fd:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        before = server.bytes_out()
        for i in range(40):
            os.pread(fd, 4096, (i * 7919 * 4099) % size // 4096 * 4096)
        fetched = server.bytes_out() - before
    assert n[GET] <= 60 and fetched <= 40 * 4096 * 64, (n, fetched)


def test_direct_reads_that_come_back_fetch_once(mnt, bucket, server):
    """Past the kernel's page cache nobody else keeps the bytes: 64 MiB in lone reads, twice."""
    block, blocks = 128 * KIB, 512
    data = blob(blocks * block)
    bucket.put("f", data)
    with opened(mnt / "f", os.O_RDONLY | os.O_DIRECT) as fd, mmap.mmap(-1, block) as m:
        before = server.bytes_out()
        for i in range(2 * blocks):
            at = i * 301 % blocks * block
            assert os.preadv(fd, [m], at) == block
            assert m[:] == data[at:at + block]
        fetched = server.bytes_out() - before
    assert fetched < blocks * block * 1.1, fetched


def test_no_rename_request_reaches_the_server(mnt, bucket, server):
    bucket.put("f", b"1")
    with server.counting() as n:
        with pytest.raises(OSError):
            os.rename(mnt / "f", mnt / "g")
    assert n[PUT] == 0, n
