# SPDX-License-Identifier: Apache-2.0
"""Keys and paths: what is found under which name, and what hides what."""

import errno
import os
import unicodedata

import pytest

from check import fails_with
from mountlib import run, wait_for

ODD = ["with space", " leading", "trailing ", "plus+sign", "per%cent", "per%2Fcent", "quote'quote",
       'double"quote', "back\\slash", "new\nline", "tab\tname", "star*", "question?", "hash#tag",
       "and&and", "semi;colon", "equal=sign", "at@sign", "dollar$HOME", "tilde~", "-dash", ".hidden",
       "...", "a" * 255, "umlaut-ä", "nihongo-日本語", "emoji-🙂", "comma,", "colon:",
       "pipe|", "<angle>", "{brace}", "[bracket]", "caret^", "back`tick", "(paren)", "é" * 100]


def listing(path):
    names = os.listdir(path)
    assert len(names) == len(set(names)), "a name is listed twice"
    return sorted(names)


def test_keys_become_a_tree(mnt, bucket):
    for key in ("a", "d/b", "d/e/c", "d/e/f/g", "z"):
        bucket.put(key, key.encode())
    found = {os.path.relpath(os.path.join(base, n), mnt) for base, _, names in os.walk(mnt)
             for n in names}
    assert found == {"a", "d/b", "d/e/c", "d/e/f/g", "z"}
    assert all((mnt / key).read_bytes() == key.encode() for key in found)


def test_empty_bucket(mnt):
    assert listing(mnt) == []


def test_lookup_without_listing(mnt, bucket):
    bucket.put("d/e/f", b"1")
    assert os.path.isfile(mnt / "d/e/f") and os.path.isdir(mnt / "d/e")
    assert not os.path.exists(mnt / "d/e/g") and not os.path.exists(mnt / "e")
    with fails_with(errno.ENOTDIR):
        os.stat(mnt / "d/e/f/g")


def test_prefix_of_a_name_is_not_the_name(mnt, bucket):
    bucket.put("name-long", b"1")
    bucket.put("dir-long/x", b"1")
    for wrong in ("name", "name-", "dir", "dir-", "name-long-er"):
        assert not os.path.exists(mnt / wrong)


def test_names_are_case_sensitive(mnt, bucket):
    bucket.put("File", b"1")
    bucket.put("file", b"22")
    assert listing(mnt) == ["File", "file"]
    assert os.stat(mnt / "file").st_size == 2 and not os.path.exists(mnt / "FILE")


@pytest.mark.parametrize("way", ["listed", "looked-up"])
def test_odd_names_read(mnt, bucket, way):
    bucket.put_many((f"odd/{n}", n.encode()) for n in ODD)
    if way == "listed":
        assert listing(mnt / "odd") == sorted(ODD)
    for name in ODD:
        assert (mnt / "odd" / name).read_bytes() == name.encode()


def test_odd_names_written(mnt, bucket):
    (mnt / "dir with + and ä").mkdir()
    for name in ODD:
        (mnt / "dir with + and ä" / name).write_bytes(name.encode())
    assert sorted(bucket.keys()) == sorted(f"dir with + and ä/{n}" for n in ODD)
    assert listing(mnt / "dir with + and ä") == sorted(ODD)


def test_odd_names_deleted(mnt, bucket):
    bucket.put_many((n, b"1") for n in ODD)
    for name in ODD:
        os.unlink(mnt / name)
    assert bucket.keys() == []


def test_odd_directories(mnt, bucket):
    bucket.put_many((f"{n}/inside", b"1") for n in ODD)
    for name in ODD:
        assert listing(mnt / name) == ["inside"], name


def test_unicode_is_not_normalised(mnt, bucket):
    forms = [unicodedata.normalize(f, "é") for f in ("NFC", "NFD")]
    for i, name in enumerate(forms):
        bucket.put(name, b"%d" % i)
    assert listing(mnt) == sorted(forms)
    assert [(mnt / n).read_bytes() for n in forms] == [b"0", b"1"]


def test_name_that_is_not_utf8_is_refused(mnt):
    for call in (os.stat, os.listdir, lambda p: os.open(p, os.O_CREAT | os.O_WRONLY), os.mkdir):
        with fails_with(errno.EINVAL):
            call(os.fsencode(mnt) + b"/bad-\xff\xfe")


def test_name_that_is_too_long_is_refused(mnt):
    for call in (os.stat, lambda p: os.open(p, os.O_CREAT | os.O_WRONLY), os.mkdir):
        with fails_with(errno.ENAMETOOLONG):
            call(mnt / ("n" * 1100))


def test_deep_path_up_to_the_key_limit(mnt, bucket):
    key = "/".join(["d" * 100] * 10)
    bucket.put(key, b"deep")
    assert (mnt / key).read_bytes() == b"deep"


# conflicts


@pytest.mark.s3d_only      # MinIO does not list what is below an object
def test_directory_hides_the_object_of_the_same_name(mnt, bucket):
    bucket.put("a", b"hidden")
    bucket.put("a/b", b"seen")
    assert listing(mnt) == ["a"]
    assert os.path.isdir(mnt / "a") and (mnt / "a/b").read_bytes() == b"seen"


@pytest.mark.s3d_only      # MinIO does not list what is below an object
@pytest.mark.parametrize("between", ["a-x", "a.x", "a!"])
def test_conflict_with_names_sorted_between(mnt, bucket, between):
    """`a` and `a/` are not neighbours in the server's order."""
    for key in ("a", between, "a/b"):
        bucket.put(key, b"1")
    assert listing(mnt) == sorted(["a", between])
    assert os.path.isdir(mnt / "a")


@pytest.mark.s3d_only      # MinIO does not list what is below an object
@pytest.mark.limit(60)
def test_conflict_over_a_page_border(mnt, bucket):
    """`a` on the first page of a listing, `a/` on a later one: one entry."""
    bucket.put("dir/a", b"hidden")
    bucket.put_many((f"dir/a-{i:04d}", b"") for i in range(1005))
    bucket.put("dir/a/b", b"seen")
    names = listing(mnt / "dir")
    assert len(names) == 1006 and "a" in names
    assert os.path.isdir(mnt / "dir/a")


def test_marker_makes_an_empty_directory(mnt, bucket):
    bucket.put("d/")
    assert listing(mnt) == ["d"] and os.path.isdir(mnt / "d")
    assert listing(mnt / "d") == []


def test_marker_with_content_is_a_directory(mnt, bucket):
    bucket.put("d/", b"some content")
    assert os.path.isdir(mnt / "d") and listing(mnt / "d") == []


def test_marker_and_object_is_a_directory(mnt, bucket):
    bucket.put("d", b"hidden")
    bucket.put("d/")
    assert listing(mnt) == ["d"] and os.path.isdir(mnt / "d")


def test_marker_is_not_listed_in_its_directory(mnt, bucket):
    bucket.put("d/")
    bucket.put("d/e/")
    bucket.put("d/f", b"1")
    assert listing(mnt / "d") == ["e", "f"]


@pytest.mark.s3d_only
def test_empty_and_dotted_components_are_hidden(mnt, bucket):
    for key in ("a//b", "a/c", "d/./e", "d/../f", "d/g", "h//"):
        bucket.put(key, b"1")
    assert listing(mnt) == ["a", "d", "h"]
    assert listing(mnt / "a") == ["c"] and listing(mnt / "d") == ["g"]
    assert listing(mnt / "h") == []
    assert (mnt / "d/../a/c").read_bytes() == b"1"


@pytest.mark.s3d_only
def test_prefix_reaches_a_leading_slash(mount, bucket):
    bucket.put("/x/f", b"1")
    assert listing(mount("--prefix", "/x/").path) == ["f"]
    assert listing(mount("--prefix", "/").path) == ["x"]


def test_local_directory_and_remote_object_of_one_name(mnt, bucket):
    (mnt / "d").mkdir()
    bucket.put("d", b"other")
    assert os.path.isdir(mnt / "d")
    (mnt / "d/f").write_bytes(b"1")
    assert bucket.get("d/f") == b"1"


def test_file_being_written_and_remote_object_of_one_name(mnt, bucket):
    fd = os.open(mnt / "f", os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"local")
    bucket.put("f", b"remote one")
    assert os.stat(mnt / "f").st_size == 5
    os.close(fd)
    assert bucket.get("f") == b"local"


# changes by others


def test_new_object_of_another_client_shows_at_once(mnt, bucket):
    for i in range(10):
        assert not os.path.exists(mnt / f"f{i}")
        bucket.put(f"f{i}", b"1")
        assert (mnt / f"f{i}").read_bytes() == b"1"


def test_deleted_object_of_another_client_goes(mnt, bucket):
    bucket.put("f", b"1")
    assert os.path.exists(mnt / "f")
    bucket.delete("f")
    wait_for(lambda: not os.path.exists(mnt / "f"), 3, "the name is gone")
    wait_for(lambda: listing(mnt) == [], 3, "the listing is empty")


def test_file_becomes_a_directory_and_back(mnt, bucket):
    bucket.put("x", b"1")
    assert os.path.isfile(mnt / "x")
    bucket.delete("x")
    bucket.put("x/y", b"2")
    wait_for(lambda: os.path.isdir(mnt / "x"), 3, "x is a directory")
    assert (mnt / "x/y").read_bytes() == b"2"
    bucket.delete("x/y")
    bucket.put("x", b"3")
    wait_for(lambda: os.path.isfile(mnt / "x"), 3, "x is a file")
    assert (mnt / "x").read_bytes() == b"3"


def test_inode_number_follows_the_version(mnt, bucket):
    bucket.put("f", b"1")
    first = os.stat(mnt / "f").st_ino
    bucket.put("f", b"22")
    wait_for(lambda: os.stat(mnt / "f").st_size == 2, 3, "the new version shows")
    assert os.stat(mnt / "f").st_ino != first


def test_inode_number_stays_while_the_version_does(mnt, bucket):
    bucket.put("f", b"1")
    with open(mnt / "f", "rb") as f:
        first = os.fstat(f.fileno()).st_ino
        os.listdir(mnt)
        assert os.stat(mnt / "f").st_ino == first
        assert run("stat", "-c", "%i", mnt / "f", check=True).stdout.strip() == str(first)
