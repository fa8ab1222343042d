# SPDX-License-Identifier: Apache-2.0
"""The rules of docs/SEMANTICS.md as a small file system in memory.

A Model knows the bucket (`truth`: key -> bytes), what only this mount has
(`local`: directories made here, `kept`: emptied here, `writing`: open files), and
what the mount may still believe of another client's doings: `past`, the bucket as
it was, for one TTL each. An operation whose outcome depends on what is believed
has several outcomes that are allowed; a change of that kind is not tried.
"""

import errno
import time

NONE, FILE, DIR = "none", "file", "dir"


def valid(name):
    return name not in ("", ".", "..") and len(name.encode()) <= 1024


def under(keys, path):
    """Something in the bucket makes `path` a directory."""
    start = path + "/"
    return any(k.startswith(start) for k in keys)


def parents(path):
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


class Model:
    def __init__(self, ttl, negative_ttl, revalidate, directory=False):
        self.truth = {}
        self.local, self.kept = set(), set()
        self.writing = {}       # path -> bytes so far
        self.past = []          # (when it was replaced, truth of before)
        self.opened = {}        # path -> when it was last read: an open vouches for a TTL
        self.ttl, self.negative_ttl = ttl, negative_ttl
        self.revalidate = revalidate    # every open asks
        self.directory = directory      # a directory bucket: rename, append

    # what may be believed

    def forget_past(self, now):
        self.past = [p for p in self.past if now - p[0] < max(self.ttl, self.negative_ttl)]

    def views(self, now, window):
        return [self.truth] + [t for when, t in self.past if now - when < window]

    def kind(self, path, truth):
        """Directory in the bucket, then what is local, then file in the bucket."""
        if path == "" or under(truth, path):
            return DIR
        if path in self.local or path in self.kept or under(self.local, path) or \
                under(self.writing, path):
            return DIR
        if path in self.writing or path in truth:
            return FILE
        return NONE

    def kinds(self, path, now):
        found = {self.kind(path, t) for t in self.views(now, self.ttl)}
        if path in self.truth and now - self.opened.get(path, -1e9) < self.ttl and \
                not self.children_here(path) | {path} & (self.local | self.kept):
            found.add(FILE)
        actual = self.kind(path, self.truth)
        if actual != NONE:
            # A miss is believed for the negative TTL only.
            found = {k for k in found if k != NONE}
            if NONE in {self.kind(path, t) for t in self.views(now, self.negative_ttl)}:
                found.add(NONE)
        return found

    def reach(self, path, now):
        """Errnos with which the way to `path` may end, and whether it may be reached."""
        ways, on = set(), True
        for p in parents(path):
            kinds = self.kinds(p, now)
            ways |= {errno.ENOENT} if NONE in kinds else set()
            ways |= {errno.ENOTDIR} if FILE in kinds else set()
            if DIR not in kinds:
                on = False
                break
        return ways, on

    def sure(self, path, now):
        """(errno of the way or 0, kind), or None where that is open."""
        for p in parents(path):
            kinds = self.kinds(p, now)
            if len(kinds) > 1:
                return None
            if kinds == {NONE}:
                return errno.ENOENT, NONE
            if kinds == {FILE}:
                return errno.ENOTDIR, NONE
        kinds = self.kinds(path, now)
        return (0, kinds.pop()) if len(kinds) == 1 else None

    # own changes reach every view

    def everywhere(self, change):
        for t in [self.truth] + [t for _, t in self.past]:
            change(t)

    def uploaded(self, path, data):
        self.everywhere(lambda t: t.__setitem__(path, data))
        self.local -= set(parents(path))

    def renamed(self, old, new):
        """What is known of the object, right or not, is known of it under its new name."""
        def move(t):
            if old in t:
                t[new] = t.pop(old)

        self.everywhere(move)
        self.local -= set(parents(new))
        self.keep(old)
        if old in self.opened:
            self.opened[new] = self.opened.pop(old)
        else:
            self.opened.pop(new, None)

    def keep(self, path):
        self.kept |= set(parents(path))

    def children_here(self, path):
        """Names in a directory that are there whatever the bucket has."""
        start = path + "/"
        return {p[len(start):].split("/")[0] for p in self.local | self.kept | set(self.writing)
                if p.startswith(start)}

    # another client's changes

    def replace(self, change, now):
        self.forget_past(now)
        self.past.append((now, dict(self.truth)))
        change(self.truth)

    # observations: sets of allowed outcomes

    def stat(self, path, now):
        out, on = self.reach(path, now)
        if on:
            for kind in self.kinds(path, now):
                if kind == NONE:
                    out.add(errno.ENOENT)
                elif kind == DIR:
                    out.add(DIR)
                elif path in self.writing:
                    out.add((FILE, len(self.writing[path])))
                else:
                    out |= {(FILE, len(t[path])) for t in self.views(now, self.ttl) if path in t}
        return out

    def read(self, path, now):
        """The newest version; with a TTL that was given, one that is believed in."""
        out, on = self.reach(path, now)
        if not on:
            return out
        kinds = self.kinds(path, now)
        out |= {errno.ENOENT} if NONE in kinds else set()
        out |= {errno.EISDIR} if DIR in kinds else set()
        if FILE in kinds and path in self.writing:
            out.add(errno.EPERM)
        elif FILE in kinds:
            # A file believed in and found to be gone or a directory now: asked again.
            actual = self.kind(path, self.truth)
            out |= {self.truth[path]} if path in self.truth else {errno.ENOENT}
            out |= {errno.EISDIR} if actual == DIR else set()
            views = self.views(now, self.ttl)
            out |= {errno.ESTALE} if len(views) > 1 else set()
            if not self.revalidate:
                out |= {t[path] for t in views if path in t}
        return out

    def names(self, path, truth):
        found = set()
        start = path + "/" if path else ""
        for key in truth:
            if key.startswith(start) and key != start:
                name = key[len(start):].split("/")[0]
                if valid(name):
                    found.add(name)
        return found | self.children_here(path)

    def listing(self, path, now):
        """(errnos, names that must be there, names that may be) for a listing."""
        out, on = self.reach(path, now)
        if not on:
            return out, set(), set()
        kinds = self.kinds(path, now)
        out |= {errno.ENOENT} if NONE in kinds else set()
        out |= {errno.ENOTDIR} if FILE in kinds else set()
        if DIR not in kinds:
            return out, set(), set()
        names = self.names(path, self.truth)    # readdir always asks the server
        return out | {DIR}, names, names
