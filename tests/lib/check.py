# SPDX-License-Identifier: Apache-2.0
"""Small things that many mount tests use."""

import contextlib
import errno
import hashlib
import os
import random

KIB = 1 << 10
MIB = 1 << 20


def blob(size, seed=0):
    """Bytes that look random and are the same each time."""
    return random.Random(f"{seed}/{size}").randbytes(size)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def sha256_file(path, block=MIB):
    h = hashlib.sha256()
    with open(path, "rb", buffering=0) as f:
        while chunk := f.read(block):
            h.update(chunk)
    return h.hexdigest()


@contextlib.contextmanager
def fails_with(*expected):
    """The block must raise OSError with one of these errnos."""
    names = " or ".join(errno.errorcode[e] for e in expected)
    try:
        yield
    except OSError as e:
        assert e.errno in expected, \
            f"expected {names}, got {errno.errorcode.get(e.errno, e.errno)}: {e}"
    else:
        raise AssertionError(f"expected {names}, but it succeeded")


@contextlib.contextmanager
def opened(path, flags, mode=0o644):
    """A raw descriptor; a failing close is the caller's to see."""
    fd = os.open(path, flags, mode)
    try:
        yield fd
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(fd)
        raise
    os.close(fd)


def write_all(fd, data, block=MIB):
    view = memoryview(data)
    while view:
        n = os.write(fd, view[:block])
        view = view[n:]


def tree_files(root):
    """{relative path: bytes} of a folder."""
    found = {}
    for base, _, names in os.walk(root):
        for name in names:
            path = os.path.join(base, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, root)] = f.read()
    return found
