"""The files that inputs name, in a fixed order: files, folders, patterns and addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO, Protocol

from attnviz.batch.input.stream import why
from attnviz.batch.storage.addresses import is_web
from attnviz.batch.storage.filesystem import EntryKind, FileSystem, with_slash

_MAGIC = re.compile(r"[*?\[]")
_MAGIC_OF_THE_WEB = re.compile(r"[*\[]")


class Readable(Protocol):
    """What an input is read from: a file system, or standard input."""

    def size(self, path: str) -> int | None:
        """The bytes of a file; None if they are not known before it is read."""

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The bytes of a file."""


@dataclass(frozen=True)
class StandardInput:
    """Standard input, which stays open."""

    stream: BinaryIO

    def size(self, path: str) -> int | None:  # noqa: ARG002
        """Not known."""
        return None

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:  # noqa: ARG002
        """The stream."""
        return nullcontext(self.stream)


@dataclass(frozen=True)
class Entry:
    """A file that is to be read.

    Args:
        files: what it is read from.
        path: its path in ``files``.
        source: the name that the user gave it, or its path below the folder that the user named.
        key: the same for all names of the file.
        named: whether the user named the file itself, and not only a folder around it.
        reason: why a folder could not be listed; empty for a file.
    """

    files: Readable
    path: str
    source: str
    key: str
    named: bool = True
    reason: str = ""

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.source.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class WalkRoot:
    """The folder in which a walk begins: the fields of ``Entry``, each ending in a slash or empty."""

    files: FileSystem
    path: str
    source: str
    key: str

    def entry(self, below: str, *, named: bool = False, reason: str = "") -> Entry:
        """The entry of what lies ``below`` it."""
        return Entry(self.files, self.path + below, self.source + below, self.key + below, named, reason)


class Pattern:
    """A glob pattern that is matched name by name; its state is the set of positions that it may have reached.

    ``**`` stands for any number of folders. Hidden names match only what begins with a dot itself.
    """

    def __init__(self, pattern: str) -> None:
        self._parts = [part for part in pattern.split("/") if part]

    @property
    def named(self) -> bool:
        """Whether it says what the files are called: ``*.log`` does, ``*`` does not."""
        return self._parts[-1] not in ("*", "**")

    def start(self) -> frozenset[int]:
        """The state before the first name."""
        return self._open({0})

    def step(self, state: frozenset[int], name: str) -> frozenset[int]:
        """The state after one more name; empty if nothing can match any more."""
        ahead = [(at, self._parts[at]) for at in state if at < len(self._parts)]
        return self._open(
            {
                at if part == "**" else at + 1
                for at, part in ahead
                if fnmatchcase(name, part) and (name[0] != "." or part[0] == ".")
            }
        )

    def matched(self, state: frozenset[int]) -> bool:
        """Whether the names so far match the whole pattern."""
        return len(self._parts) in state

    def _open(self, state: set[int]) -> frozenset[int]:
        for at in sorted(state):
            while at < len(self._parts) and self._parts[at] == "**":
                at += 1
                state.add(at)
        return frozenset(state)


EVERYTHING = Pattern("**")
"""The pattern of a folder: all that lies below it."""


def split_pattern(name: str) -> tuple[str, Pattern] | None:
    """The folder before a glob pattern (with a slash at its end, or empty) and the pattern; None if it is not one."""
    magic = _MAGIC_OF_THE_WEB if is_web(name) else _MAGIC  # there a question mark is part of the address
    found = magic.search(name)
    if not found:
        return None
    cut = name.rfind("/", 0, found.start()) + 1
    return name[:cut], Pattern(name[cut:])


def walk(root: WalkRoot, pattern: Pattern, wanted: Callable[[Entry], bool], without: str = "") -> Iterator[Entry]:
    """The ``wanted`` files below a folder, sorted by path, that a pattern matches, or that lie in a folder it matches.

    Hidden files are left out, and what lies in the folder whose key is ``without``. Only the names in the folders on
    the way are held. A folder that can't be listed is an entry with its reason.
    """
    stack: list[tuple[str, Iterator[tuple[str, EntryKind | None]], Pattern, frozenset[int]]] = []

    def enter(below: str, pattern: Pattern, state: frozenset[int]) -> Iterator[Entry]:
        try:
            stack.append((below, iter(root.files.entries(root.path + below)), pattern, state))
        except OSError as error:
            yield root.entry(below, reason=why(error))

    yield from enter("", pattern, pattern.start())
    while stack:
        below, entries, pattern, state = stack[-1]
        name, kind = next(entries, ("", None))
        if not name:
            stack.pop()
            continue
        after = pattern.step(state, name)
        path = below + (with_slash(name) if kind == "folder" else name)
        found = root.entry(path, named=pattern.named)
        if not kind or not after or (without and found.key.startswith(without)):
            continue
        if kind == "file":
            if pattern.matched(after) and wanted(found):
                yield found
        elif pattern.matched(after):
            yield from enter(path, EVERYTHING, EVERYTHING.start())
        else:
            yield from enter(path, pattern, after)
