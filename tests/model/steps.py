# SPDX-License-Identifier: Apache-2.0
"""Random steps on a mount, each checked against the model.

A step is a tuple ("write", path, size) and so on, so that a sequence of them can be
repeated and shortened. A step that the model cannot foresee now does nothing.
"""

import contextlib
import errno
import os
import random
import time

from model import DIR, FILE, NONE, parents

NAMES = ["a", "b", "a-", "a.x", "é"]
DEPTH = 3
WEIGHTS = {"write": 14, "append": 4, "create": 4, "read": 14, "stat": 14, "listdir": 10, "unlink": 9, "mkdir": 9,
           "rmdir": 7, "rename": 5, "truncate": 2, "utime": 2, "begin": 3, "more": 4, "finish": 4,
           "xattr": 2, "put": 2, "remove": 2, "marker": 1, "odd": 1}
SETTLE = 400
MODIFIERS = {"put", "remove", "marker", "odd"}


def content(path, size, salt):
    """Every version is another one, told by its bytes; the salt is never repeated."""
    head = f"{path}|{size}|{salt}|".encode()
    return (head * (size // len(head) + 1))[:size] if size > len(head) else head[:size]


def make_steps(rng, count, tops):
    """Random steps, and now and then one that waits and looks at everything."""
    return [make_step(rng, tops) if n % SETTLE else ("settle",) for n in range(1, count + 1)]


def make_step(rng, tops, others=True):
    """One random step below one of the top-level names."""
    kinds = [k for k in WEIGHTS if others or k not in MODIFIERS]
    kind = rng.choices(kinds, [WEIGHTS[k] for k in kinds])[0]

    def path():
        parts = [rng.choice(tops)]
        parts += [rng.choice(NAMES) for _ in range(rng.randint(0, DEPTH))]
        return "/".join(parts)

    size = rng.choice([0, 1, 100, 5000, 140000])
    salt = rng.getrandbits(40)
    if kind in ("write", "append", "create", "begin", "put", "more"):
        return kind, path(), size, salt
    if kind == "rename":
        return kind, path(), path()
    if kind == "truncate":
        return kind, path(), rng.choice([0, 1, 100])
    if kind == "remove":
        return kind, rng.getrandbits(16)
    return kind, path()


class Difference(Exception):
    """What the mount did is not what the model allows."""


class Runner:
    """Steps on one mount, by one thread, below names that are its own."""

    def __init__(self, root, bucket_put, bucket_delete, model, window_slack):
        self.root = str(root)
        self.put, self.delete = bucket_put, bucket_delete
        self.m = model
        self.slack = window_slack
        self.fds = {}
        self.history = []       # what was done, for a report
        self.changed = set()    # by another client, since the last settling
        self.done = self.skipped = 0

    def full(self, path):
        return os.path.join(self.root, path) if path else self.root

    def close(self):
        for fd in self.fds.values():
            with contextlib.suppress(OSError):
                os.close(fd)
        self.fds.clear()

    def step(self, step):
        now = time.monotonic()
        self.m.forget_past(now)
        did = getattr(self, "do_" + step[0])(*step[1:], now)
        if did is not False:
            self.history.append((round(now, 3), step))
        self.done += did is not False
        self.skipped += did is False

    def expect(self, what, allowed, got):
        if got not in allowed:
            def show(x):
                if isinstance(x, bytes):
                    return f"{len(x)} bytes {x[:40]!r}"
                return errno.errorcode.get(x, x) if isinstance(x, int) else repr(x)
            raise Difference(f"{what}: {show(got)}, not {' or '.join(str(show(a)) for a in allowed)}")

    @staticmethod
    def call(f):
        """0, or the errno."""
        try:
            f()
        except OSError as e:
            return e.errno
        return 0

    # observations

    def do_stat(self, path, now):
        allowed = self.m.stat(path, now)
        try:
            s = os.stat(self.full(path))
            got = DIR if (s.st_mode & 0o170000) == 0o040000 else (FILE, s.st_size)
        except OSError as e:
            got = e.errno
        self.expect(f"stat {path}", allowed, got)

    def do_read(self, path, now):
        allowed = self.m.read(path, now)
        try:
            fd = os.open(self.full(path), os.O_RDONLY)
            try:
                got = b""
                while chunk := os.read(fd, 1 << 17):
                    got += chunk
            finally:
                os.close(fd)
        except OSError as e:
            got = e.errno
        self.expect(f"read {path}", allowed, got)
        if isinstance(got, bytes):
            self.m.opened[path] = time.monotonic() + self.slack

    def do_listdir(self, path, now):
        # Of the top nothing is known but our own names; a step never lists it.
        allowed, must, may = self.m.listing(path, now)
        try:
            names = os.listdir(self.full(path))
        except OSError as e:
            self.expect(f"listdir {path}", allowed, e.errno)
            return
        self.expect(f"listdir {path}", allowed, DIR)
        if len(names) != len(set(names)):
            raise Difference(f"listdir {path}: a name comes twice: {sorted(names)}")
        if not must <= set(names) <= may:
            odd = {n: self.kind_of(f"{path}/{n}") for n in set(names) ^ may}
            raise Difference(f"listdir {path}: {sorted(names)}, not {sorted(may)}; {odd}")

    def kind_of(self, path):
        try:
            return oct(os.stat(self.full(path)).st_mode)
        except OSError as e:
            return errno.errorcode[e.errno]

    def do_xattr(self, path, now):
        sure = self.m.sure(path, now)
        if sure is None:
            return False
        err, kind = sure
        wanted = {err} if err else {errno.ENOENT} if kind == NONE else \
            {path + "/"} if kind == DIR else {path}
        try:
            got = os.getxattr(self.full(path), "user.s3.key").decode()
        except OSError as e:
            got = e.errno
        self.expect(f"key of {path}", wanted, got)
        return True

    # changes

    def opening(self, path, now):
        """Errnos of an open for writing with O_CREAT | O_TRUNC; None: cannot be foreseen."""
        sure = self.m.sure(path, now)
        if sure is None:
            return None
        err, kind = sure
        if err:
            return {err}
        if kind == DIR:
            return {errno.EISDIR}
        return {errno.EPERM} if path in self.m.writing else {0}

    def save(self, path, flag, data):
        def run():
            fd = os.open(self.full(path), os.O_WRONLY | os.O_CREAT | flag, 0o644)
            try:
                if data:
                    os.write(fd, data)
            finally:
                os.close(fd)

        return self.call(run)

    def do_write(self, path, size, salt, now):
        allowed = self.opening(path, now)
        if allowed is None:
            return False
        data = content(path, size, salt)
        got = self.save(path, os.O_TRUNC, data)
        self.expect(f"write {path}", allowed, got)
        if got == 0:
            self.m.uploaded(path, data)
        return True

    def do_append(self, path, size, salt, now):
        allowed, sure = self.opening(path, now), self.m.sure(path, now)
        if allowed is None:
            return False
        if sure == (0, FILE) and not self.m.directory:
            # what the mount remembers to have made empty itself may be filled
            if path not in self.m.truth:    # deleted by another client
                allowed = allowed | {errno.EPERM, errno.ENOENT, errno.ESTALE}
            else:
                allowed = {errno.EPERM} if self.m.truth[path] else {errno.EPERM, 0}
        data = content(path, size, salt)
        got = self.save(path, os.O_APPEND, data)
        self.expect(f"append to {path}", allowed, got)
        if got == 0:
            self.m.uploaded(path, self.m.truth.get(path, b"") + data)
        return True

    def do_create(self, path, size, salt, now):
        sure = self.m.sure(path, now)
        if sure is None:
            return False
        err, kind = sure
        data = content(path, size, salt)

        def run():
            fd = os.open(self.full(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                os.write(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)

        got = self.call(run)
        self.expect(f"create {path}", {err or (0 if kind == NONE else errno.EEXIST)}, got)
        if got == 0:
            self.m.uploaded(path, data)
        return True

    def do_begin(self, path, size, salt, now):
        """Opens a file and leaves it open."""
        allowed = self.opening(path, now)
        if allowed is None or len(self.fds) >= 3:
            return False
        try:
            fd = os.open(self.full(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError as e:
            self.expect(f"begin {path}", allowed, e.errno)
            return True
        self.fds[path] = fd
        self.expect(f"begin {path}", allowed, 0)
        self.m.writing[path] = b""
        return self.add(path, content(path, size, salt))

    def add(self, path, data):
        if data:
            self.expect(f"add to {path}", {0}, self.call(lambda: os.write(self.fds[path], data)))
            self.m.writing[path] += data
        return True

    def do_more(self, path, size, salt, now):
        return self.add(path, content(path, size, salt)) if path in self.fds else False

    def do_finish(self, path, now):
        """Closes the one that is open longest."""
        if not self.fds:
            return False
        path = next(iter(self.fds))
        got = self.call(lambda: os.close(self.fds.pop(path)))
        self.expect(f"close {path}", {0}, got)
        self.m.uploaded(path, self.m.writing.pop(path))
        return True

    def do_unlink(self, path, now):
        sure = self.m.sure(path, now)
        if sure is None:
            return False
        err, kind = sure
        want = err or {NONE: errno.ENOENT, DIR: errno.EISDIR, FILE: 0}[kind]
        if want == 0 and path in self.m.writing:
            want = errno.EPERM
        got = self.call(lambda: os.unlink(self.full(path)))
        self.expect(f"unlink {path}", {want}, got)
        if got == 0:
            self.m.everywhere(lambda t: t.pop(path, None))
            self.m.keep(path)
        return True

    def do_mkdir(self, path, now):
        sure = self.m.sure(path, now)
        if sure is None:
            return False
        err, kind = sure
        got = self.call(lambda: os.mkdir(self.full(path)))
        self.expect(f"mkdir {path}", {err or (errno.EEXIST if kind != NONE else 0)}, got)
        if got == 0:
            self.m.local.add(path)
        return True

    def do_rmdir(self, path, now):
        sure = self.m.sure(path, now)
        if sure is None:
            return False
        m = self.m
        err, kind = sure
        marker = path + "/"
        below = [k for k in m.truth if k.startswith(marker)]
        if err or kind != DIR:
            want = {err or (errno.ENOENT if kind == NONE else errno.ENOTDIR)}
        elif m.children_here(path):
            want = {errno.ENOTEMPTY} | ({errno.EPERM} if below else set())
        elif below not in ([], [marker]):
            # the upload of an empty file may still be under way after its close
            want = {errno.EPERM, errno.ENOTEMPTY}
        else:
            want = {0}
        got = self.call(lambda: os.rmdir(self.full(path)))
        self.expect(f"rmdir {path}", want, got)
        if got == 0:
            m.local.discard(path)
            m.kept.discard(path)
            m.keep(path)
            if below == [marker]:
                m.truth.pop(marker)
            # what was below it in an older view is nobody's concern any more
            for _, t in m.past:
                for k in [k for k in t if k.startswith(marker)]:
                    t.pop(k)
        return True

    def do_rename(self, old, new, now):
        a, b = self.m.sure(old, now), self.m.sure(new, now)
        if a is None or b is None or old == new:
            return False
        if a[0] or b[0]:
            want = {x for x in (a[0], b[0]) if x} | ({errno.ENOENT} if a[1] == NONE else set())
        elif new.startswith(old + "/"):
            want = {errno.EINVAL, errno.ENOENT}
        elif old.startswith(new + "/"):
            want = {errno.ENOTEMPTY, errno.ENOENT}
        elif a[1] == NONE:
            want = {errno.ENOENT}
        elif b[1] != NONE and a[1] != b[1]:
            want = {errno.ENOTDIR if a[1] == DIR else errno.EISDIR}
        elif old in self.m.writing:
            want = {errno.EPERM}
        elif not self.m.directory:
            want = {errno.EXDEV}
        else:
            want = {errno.EPERM if a[1] == DIR or new in self.m.writing else 0}
        got = self.call(lambda: os.rename(self.full(old), self.full(new)))
        self.expect(f"rename {old} {new}", want, got)
        if got == 0:
            self.m.renamed(old, new)
        return True

    def do_truncate(self, path, size, now):
        sure = self.m.sure(path, now)
        if sure is None or path in self.m.writing:
            return False
        sizes = {len(t[path]) for t in self.m.views(now, self.m.ttl) if path in t}
        err, kind = sure
        if err or kind != FILE:
            want = {err or (errno.ENOENT if kind == NONE else errno.EISDIR)}
        else:
            want = {0 if n == size else errno.EPERM for n in sizes}
        got = self.call(lambda: os.truncate(self.full(path), size))
        self.expect(f"truncate {path} {size}", want, got)
        return True

    def do_utime(self, path, now):
        sure = self.m.sure(path, now)
        if sure is None:
            return False
        err, kind = sure
        got = self.call(lambda: os.utime(self.full(path), (1, 1)))
        self.expect(f"utime {path}", {err or (errno.ENOENT if kind == NONE else 0)}, got)
        return True

    # another client

    def theirs(self, path):
        """Whether another client may work there: what is seen of a local directory
        between two of its changes would decide what it becomes."""
        m = self.m
        ways = set(parents(path)) | {path}
        return not (ways & (m.local | set(m.writing))) and \
            not any(w.startswith(path + "/") for w in m.writing)

    def change(self, path, call, change):
        if not self.theirs(path):
            return False
        if self.m.truth.get(path) == b"" and not odd(path):
            # its upload may still be under way after the close: an open waits for it
            self.do_read(path, time.monotonic())
        now = time.monotonic()
        if not odd(path):
            self.do_stat(path, now)     # so that there is something to be believed
            self.changed.add(path)
        self.m.replace(change, now)
        call()
        # what is believed is believed until a TTL after the change was done
        self.m.past[-1] = (time.monotonic() + self.slack, self.m.past[-1][1])
        return True

    def do_put(self, path, size, salt, now):
        data = content(path, size, salt)
        return self.change(path, lambda: self.put(path, data),
                           lambda t: t.__setitem__(path, data))

    def do_remove(self, number, now):
        keys = sorted(self.m.truth)
        if not keys:
            return False
        path = keys[number % len(keys)]
        return self.change(path, lambda: self.delete(path), lambda t: t.pop(path, None))

    def do_marker(self, path, now):
        return self.change(path, lambda: self.put(path + "/", b""),
                           lambda t: t.__setitem__(path + "/", b""))

    def do_odd(self, path, now):
        """A key that makes its directory but is not shown."""
        key = path + "//x"
        return self.change(path, lambda: self.put(key, b"1"), lambda t: t.__setitem__(key, b"1"))


    def do_settle(self, *args):
        """Waits until nothing old may be believed, then looks at all there is."""
        while self.m.past or self.m.opened:
            now = time.monotonic()
            self.m.forget_past(now)
            self.m.opened = {p: t for p, t in self.m.opened.items() if now - t < self.m.ttl}
            time.sleep(0.02)
        paths = set(self.m.truth) | self.m.local | self.m.kept | set(self.m.writing) | self.changed
        for path in sorted({q for p in paths for q in [*parents(p), p] if not odd(q)}):
            now = time.monotonic()
            self.do_stat(path, now)
            if self.m.kind(path, self.m.truth) == DIR:
                self.do_listdir(path, now)
            else:
                self.do_read(path, now)
        self.changed.clear()


def odd(path):
    """A key that is no path."""
    return "//" in path or path.endswith("/")


def run_steps(runner, steps, stop=lambda: False):
    """Number of the step that differed and why, or None."""
    for n, step in enumerate(steps):
        if stop():
            return None
        try:
            runner.step(step)
        except Difference as e:
            return n, str(e)
    return None


def shrink(steps, fails, seconds):
    """A shorter sequence that still fails; fails(steps) -> number of the step or None."""
    end = time.monotonic() + seconds
    size = max(1, len(steps) // 2)
    while size >= 1:
        at = 0
        while at < len(steps) - 1 and time.monotonic() < end:
            fewer = steps[:at] + steps[at + size:]
            n = fails(fewer)
            if n is None:
                at += size
            else:
                steps = fewer[:n + 1]
        size //= 2
    return steps


def script(steps):
    return "\n".join(f"    {s!r}," for s in steps)
