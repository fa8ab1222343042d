# SPDX-License-Identifier: Apache-2.0
"""--verify-checksums: what is read whole is what the server has, or EIO.

Objects are put by boto3, as the AWS CLI would, and by a mount. A flipped bit is made
by s3d on the way; nothing else of HTTP would notice it.
"""

import errno
import mmap
import os
import threading

import pytest

from check import KIB, MIB, blob, fails_with, opened, sha256, sha256_file
from mountlib import run

HEAD, GET = "HeadObject", "GetObject"
LARGE = 20 * MIB + 77
PART = 8 * MIB
ON = "--verify-checksums"
FLIP = dict(kind="flip", op=GET)


def put_by_parts(bucket, key, data, algorithm, sizes=None):
    """A multipart upload whose checksum is one of its parts' checksums."""
    where = dict(Bucket=bucket.name, Key=key)
    upload = bucket.s3.create_multipart_upload(ChecksumAlgorithm=algorithm, **where)["UploadId"]
    parts, at = [], 0
    sizes = sizes or [PART] * ((len(data) + PART - 1) // PART)
    for number, size in enumerate(sizes, 1):
        r = bucket.s3.upload_part(UploadId=upload, PartNumber=number, Body=data[at:at + size],
                                  ChecksumAlgorithm=algorithm, **where)
        name = f"Checksum{algorithm}"
        parts.append({"PartNumber": number, "ETag": r["ETag"], name: r[name]})
        at += size
    bucket.s3.complete_multipart_upload(UploadId=upload, MultipartUpload={"Parts": parts}, **where)


def checksum_of(bucket, key):
    """(header, value), as the server tells it."""
    head = bucket.s3.head_object(Bucket=bucket.name, Key=key, ChecksumMode="ENABLED")
    return {k: v for k, v in head["ResponseMetadata"]["HTTPHeaders"].items()
            if k.startswith("x-amz-checksum-") and not k.endswith("-type")}


def verified(m):
    return [line for line in m.log().splitlines() if line.endswith(" verified")]


def read_until_error(path):
    """What a reader from start to end got, and the errno that ended it or 0."""
    got = bytearray()
    with open(path, "rb", buffering=0) as f:
        try:
            while chunk := f.read(128 * KIB):
                got += chunk
        except OSError as e:
            return got, e.errno
    return got, 0


# right ones


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
@pytest.mark.parametrize("size", [1, 100 * KIB, MIB, LARGE])
def test_single_put(mount, bucket, algorithm, size):
    data = blob(size)
    bucket.put("f", data, ChecksumAlgorithm=algorithm)
    m = mount(ON, "-d")
    assert sha256_file(m.path / "f") == sha256(data)
    assert len(verified(m)) == 1 and algorithm in verified(m)[0]


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_parts_of_one_size(mount, bucket, algorithm):
    data = blob(40 * MIB)
    put_by_parts(bucket, "f", data, algorithm)
    assert "-" in list(checksum_of(bucket, "f").values())[0]
    m = mount(ON, "-d")
    assert sha256_file(m.path / "f") == sha256(data)
    assert len(verified(m)) == 1


@pytest.mark.parametrize("sizes", [[6, 7, 11], [8, 9, 7], [8, 8, 8, 0]])
def test_parts_of_different_sizes_are_not_verified(mount, bucket, sizes):
    data = blob(24 * MIB)
    put_by_parts(bucket, "f", data, "CRC32", [n * MIB for n in sizes])
    m = mount(ON, "-d")
    assert sha256_file(m.path / "f") == sha256(data)
    assert not verified(m) and "not verified" in m.log()


@pytest.mark.parametrize("kind", ["crc32c", "crc64nvme"])
@pytest.mark.parametrize("size", [0, 1, 100 * KIB, LARGE, 40 * MIB])
def test_what_a_mount_wrote(mount, bucket, kind, size):
    """By parts that grow too: the checksum is of the bytes, not of the parts."""
    data = blob(size)
    m = mount("--part-size", str(5 * MIB), "--upload-checksums", kind, ON, "-d")
    (m.path / "f").write_bytes(data)
    if size:
        assert not any("-" in v for v in checksum_of(bucket, "f").values())
    assert sha256_file(m.path / "f") == sha256(data)
    assert len(verified(m)) == (size > 0)


def test_no_checksum_is_told_once(mount, bucket, server):
    for name in "abc":
        (mount("--upload-checksums", "off").path / name).write_bytes(blob(3 * MIB))
    if checksum_of(bucket, "a"):
        pytest.skip("this server makes checksums by itself")
    m = mount(ON)
    for name in "abc":
        assert sha256_file(m.path / name) == sha256(blob(3 * MIB))
    assert m.log().count("not verified") == 1


@pytest.mark.parametrize("direct", [0, os.O_DIRECT])
def test_two_readers(mount, bucket, direct):
    data = blob(LARGE)
    bucket.put("f", data, ChecksumAlgorithm="CRC32")
    m = mount(ON, "-d", "--memory-target", "64")
    found = []

    def read():
        with opened(m.path / "f", os.O_RDONLY | direct) as fd:
            buffer = mmap.mmap(-1, MIB)
            got = bytearray()
            while n := os.readv(fd, [buffer]):
                got += buffer[:n]
            found.append(sha256(got))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [sha256(data)] * 2
    assert verified(m)


def test_random_reads(mount, bucket):
    data = blob(LARGE)
    bucket.put("f", data, ChecksumAlgorithm="SHA256")
    m = mount(ON, "-d")
    with opened(m.path / "f", os.O_RDONLY) as fd:
        for i in range(200):
            at = i * 7919 * 4096 % LARGE
            assert os.pread(fd, 5000, at) == data[at:at + 5000]
    assert sha256_file(m.path / "f") == sha256(data)


# wrong ones


@pytest.mark.s3d_only
@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_flipped_bit_is_eio_before_the_end(mount, bucket, server, algorithm, place):
    data = blob(LARGE)
    bucket.put("f", data, ChecksumAlgorithm=algorithm)
    m = mount(ON, "-d")
    os.stat(m.path / "f")
    with server.counting() as n:
        assert sha256_file(m.path / "f") == sha256(data)
    skip = {"first": 0, "middle": n[GET] // 2, "last": n[GET] - 1}[place]
    m2 = mount(ON, "-d")
    server.fault(arg=1000, skip=skip, count=1, **FLIP)
    with opened(m2.path / "f", os.O_RDONLY | os.O_DIRECT) as fd:
        got, err = read_until_error(m2.path / "f")
        assert err == errno.EIO and len(got) < LARGE
        assert server.fired() == 1
        with fails_with(errno.EIO):
            os.preadv(fd, [mmap.mmap(-1, 4096)], 0)
    log = [line for line in m2.log().splitlines() if "the server's object has" in line]
    assert len(log) == 1 and "f: " in log[0] and list(checksum_of(bucket, "f").values())[0] in log[0]
    # Another open gets other bytes, from the server and not from the page cache.
    assert sha256_file(m2.path / "f") == sha256(data)


@pytest.mark.s3d_only
def test_flipped_bit_in_a_small_file_is_fetched_again(mount, bucket, server):
    data = blob(100 * KIB)
    bucket.put("f", data, ChecksumAlgorithm="SHA1")
    m = mount(ON, "-d")
    os.stat(m.path / "f")
    server.fault(arg=99999, count=1, **FLIP)
    with server.counting() as n:
        assert (m.path / "f").read_bytes() == data
    assert server.fired() == 1
    assert n[GET] == 2 and n[HEAD] == 0, n


@pytest.mark.s3d_only
def test_flipped_bits_in_a_small_file_are_eio_at_once(mount, bucket, server):
    data = blob(900 * KIB)
    bucket.put("f", data, ChecksumAlgorithm="CRC32")
    m = mount(ON, "-d")
    server.fault(arg=900 * KIB - 1, **FLIP)
    got, err = read_until_error(m.path / "f")
    assert err == errno.EIO and not got
    server.clear_faults()
    assert (m.path / "f").read_bytes() == data


@pytest.mark.s3d_only
def test_flipped_bit_under_a_map(mount, bucket, server):
    data = blob(LARGE)
    bucket.put("f", data, ChecksumAlgorithm="CRC32")
    m = mount(ON)
    server.fault(arg=5, count=1, **FLIP)
    script = ("import mmap, sys; f = open(sys.argv[1], 'rb'); "
              "m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); "
              "[m[i] for i in range(0, len(m), 4096)]")
    r = run("python3", "-c", script, m.path / "f", timeout=30)
    assert r.returncode == -7, r     # SIGBUS
    assert sha256_file(m.path / "f") == sha256(data)


@pytest.mark.s3d_only
def test_flipped_bit_is_delivered_without_the_option(mount, bucket, server):
    data = blob(LARGE)
    bucket.put("f", data, ChecksumAlgorithm="CRC32")
    m = mount()
    server.fault(arg=1000, count=1, **FLIP)
    got, err = read_until_error(m.path / "f")
    assert not err and len(got) == LARGE and got != data


@pytest.mark.s3d_only
def test_flipped_bit_and_two_readers(mount, bucket, server):
    data = blob(LARGE)
    bucket.put("f", data, ChecksumAlgorithm="CRC32")
    m = mount(ON)
    server.fault(arg=1000, count=1, skip=2, **FLIP)
    found = []
    threads = [threading.Thread(target=lambda: found.append(read_until_error(m.path / "f")))
               for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errno.EIO in [err for _, err in found]
    assert all(err == errno.EIO or got == data for got, err in found)


# what it costs


@pytest.mark.s3d_only
def test_requests(mount, bucket, server):
    """One HEAD for a file over 1 MiB, three if its checksum is one of parts."""
    bucket.put("empty", b"")
    bucket.put("small", blob(MIB), ChecksumAlgorithm="CRC32")
    bucket.put("large", blob(LARGE), ChecksumAlgorithm="CRC32")
    put_by_parts(bucket, "parts", blob(LARGE), "CRC32")
    costs = {}
    for name, options in (("off", []), ("on", [ON])):
        m = mount(*options)
        for key in ("empty", "small", "large", "parts"):
            os.stat(m.path / key)
            with server.counting() as n:
                with opened(m.path / key, os.O_RDONLY) as fd:
                    while os.read(fd, MIB):
                        pass
            costs[name, key] = dict(n)
    heads = {"empty": 0, "small": 0, "large": 1, "parts": 3}
    for key, count in heads.items():
        on, off = costs["on", key], costs["off", key]
        assert on.pop(HEAD, 0) == count and off.pop(HEAD, 0) == 0, costs
        if key != "large" and key != "parts":
            assert on == off, costs
        assert set(on) == set(off) == {GET}, costs


@pytest.mark.s3d_only
def test_trouble_with_the_question_fails_the_open(mount, bucket, server):
    bucket.put("f", blob(LARGE), ChecksumAlgorithm="CRC32")
    m = mount(ON)
    os.stat(m.path / "f")
    server.fault(kind="status", op=HEAD, code=403)
    with fails_with(errno.EACCES):
        os.open(m.path / "f", os.O_RDONLY)
    server.clear_faults()
    assert sha256_file(m.path / "f") == sha256(blob(LARGE))
