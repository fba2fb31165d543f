"""The files that inputs name: files, folders, patterns and addresses, listed as they come and in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO

from attnviz.batch.filesystems import FileSystem, is_web
from attnviz.batch.input.stream import why

_MAGIC = re.compile(r"[*?\[]")
_MAGIC_OF_THE_WEB = re.compile(r"[*\[]")


@dataclass(frozen=True)
class Entry:
    """A file: its ``path`` in its file system ``files``, its ``source`` as the user names it, and its ``key``, the same
    for all names of it. ``named`` where the user has named it, and not only a folder around it. With a ``reason`` it is
    a folder that could not be listed.
    """

    files: FileSystem
    path: str
    source: str
    key: str
    named: bool = True
    reason: str = ""

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Its bytes. Raises OSError."""
        return self.files.open(self.path)

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.source.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Folder:
    """Where a walk begins: as ``Entry`` has them, each ending in a slash or empty."""

    files: FileSystem
    path: str
    source: str
    key: str

    def entry(self, below: str, *, named: bool = False, reason: str = "") -> Entry:
        """What lies ``below`` it."""
        return Entry(self.files, self.path + below, self.source + below, self.key + below, named, reason)


class Pattern:
    """A glob pattern, followed name by name: what its parts have matched so far is a set of places in it.

    ``**`` stands for any number of folders. Hidden names match only what begins with a dot itself.
    """

    def __init__(self, pattern: str) -> None:
        self._parts = [part for part in pattern.split("/") if part]

    @property
    def named(self) -> bool:
        """Whether it says what the files are called, as ``*.log`` does, and ``*`` does not."""
        return self._parts[-1] not in ("*", "**")

    def start(self) -> frozenset[int]:
        """The state before the first name."""
        return self._open({0})

    def step(self, state: frozenset[int], name: str) -> frozenset[int]:
        """The state after one more name; empty where nothing can match any more."""
        ahead = [place for place in state if place < len(self._parts)]
        return self._open(
            {
                place if self._parts[place] == "**" else place + 1
                for place in ahead
                if fnmatchcase(name, self._parts[place]) and (name[0] != "." or self._parts[place][0] == ".")
            }
        )

    def matched(self, state: frozenset[int]) -> bool:
        """Whether the names so far are what the pattern means."""
        return len(self._parts) in state

    def _open(self, places: set[int]) -> frozenset[int]:
        for place in sorted(places):
            while place < len(self._parts) and self._parts[place] == "**":
                place += 1
                places.add(place)
        return frozenset(places)


EVERYTHING = Pattern("**")
"""The pattern of a folder: whatever lies below it."""


def split_pattern(name: str) -> tuple[str, Pattern] | None:
    """The folder in front of a glob pattern, ending in a slash or empty, and the pattern; None where it is none."""
    magic = _MAGIC_OF_THE_WEB if is_web(name) else _MAGIC  # there a question mark is part of the address
    found = magic.search(name)
    if not found:
        return None
    cut = name.rfind("/", 0, found.start()) + 1
    return name[:cut], Pattern(name[cut:])


def walk(folder: Folder, pattern: Pattern, wanted: Callable[[Entry], bool], without: str = "") -> Iterator[Entry]:
    """The ``wanted`` files below a folder that a pattern matches, or a folder that it does, sorted by path.

    Hidden ones are left out, and what lies in the folder whose key is ``without``. Of each folder on the way the
    names are held, and no more. A folder that can't be listed is an entry with its reason.
    """
    stack: list[tuple[str, Iterator[str], Pattern, frozenset[int]]] = []

    def enter(below: str, pattern: Pattern, state: frozenset[int]) -> Iterator[Entry]:
        try:
            stack.append((below, iter(folder.files.names(folder.path + below)), pattern, state))
        except OSError as error:
            yield folder.entry(below, reason=why(error))

    yield from enter("", pattern, pattern.start())
    while stack:
        below, names, pattern, state = stack[-1]
        name = next(names, None)
        if name is None:
            stack.pop()
            continue
        after = pattern.step(state, name.rstrip("/"))
        entry = folder.entry(below + name, named=pattern.named)
        if not after or (without and entry.key.startswith(without)):
            continue
        if not name.endswith("/"):
            if pattern.matched(after) and wanted(entry):
                yield entry
        elif pattern.matched(after):
            yield from enter(below + name, EVERYTHING, EVERYTHING.start())
        else:
            yield from enter(below + name, pattern, after)
