"""The documents of a corpus, read from all of its inputs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count, pairwise
from typing import BinaryIO

from attnviz.batch.document import Document
from attnviz.batch.input.formats import FORMATS, Reader, by_ending, endings, find_format
from attnviz.batch.input.formats.rows import failed_row
from attnviz.batch.input.formats.text import read_plain_text
from attnviz.batch.input.listing import EVERYTHING, Entry, Pattern, StandardInput, WalkRoot, split_pattern, walk
from attnviz.batch.input.options import InputRow, ReadOptions, Unreadable
from attnviz.batch.input.stream import Stream, why
from attnviz.batch.storage.addresses import file_system_of, is_remote, is_web
from attnviz.batch.storage.errors import reason
from attnviz.batch.storage.filesystem import with_slash
from attnviz.errors import AttnvizError, InputError, UsageError

STANDARD_INPUT = "-"


def read_documents(
    inputs: Sequence[str],
    reading: ReadOptions,
    *,
    stdin: BinaryIO | None = None,
    leave_out: str | None = None,
    meter: Callable[[int], None] | None = None,
) -> Iterator[Document]:
    """Read the documents of files, folders, glob patterns, addresses and standard input (``-``), numbered from 0.

    They come in the order of the inputs. The files of folders and patterns are sorted by path; hidden files, links to
    folders and, in folders, files with an unknown suffix are left out. A file that several inputs name is read once. A
    document that can't be read has a reason. The inputs are looked up at once, and read as the documents are taken.

    Args:
        inputs: what to read; a path that exists is not a pattern.
        reading: how files are cut into documents.
        stdin: standard input, if it may be read.
        leave_out: the output folder, whose files are not read.
        meter: called with the number of bytes of each read, before decompression; they add up to ``total_size``.

    Raises:
        UsageError: an input does not exist or matches nothing, or the format is unknown.
        InputError: a folder has no texts, an address can't be reached, or standard input is closed.
    """
    default = find_format(reading.format) if reading.format else read_plain_text
    return _documents(_entries(inputs, reading, stdin, leave_out), reading, default, meter)


def total_size(
    inputs: Sequence[str], reading: ReadOptions, *, stdin: BinaryIO | None = None, leave_out: str | None = None
) -> int | None:
    """The bytes of all files that ``read_documents`` reads; None if they are not known before.

    Raises:
        UsageError, InputError: as ``read_documents``.
    """
    if any(name == STANDARD_INPUT or is_remote(name) for name in inputs):
        return None
    total = 0
    for entry in _entries(inputs, reading, stdin, leave_out):
        size = _size(entry)
        if size is None:
            return None
        total += size
    return total


def _size(entry: Entry) -> int | None:
    """The bytes of a file; 0 if it can't be read, and None if they are not known or asking would take long."""
    if is_remote(entry.source):
        return None
    try:
        return 0 if entry.reason else entry.files.size(entry.path)
    except OSError:
        return 0


def _documents(
    entries: Iterator[Entry], reading: ReadOptions, default: Reader, meter: Callable[[int], None] | None
) -> Iterator[Document]:
    number = count()
    for entry in entries:
        # Names of files are bytes: what is no UTF-8 in them can't be written anywhere.
        source = entry.source.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        for at, row in _rows(entry, reading, default, meter):
            yield Document(
                next(number), source, row.line, row.text, row.reason, row.note, at, row.kept, row.columns, row.target
            )


def _rows(
    entry: Entry, reading: ReadOptions, default: Reader, meter: Callable[[int], None] | None
) -> Iterator[tuple[int | None, InputRow]]:
    """Yield the rows of a file with their numbers (None for a whole file); if it breaks off, the last row says why."""
    if entry.reason:
        yield None, failed_row(None, entry.reason)
        return
    known, packing = by_ending(_ending_of(entry))
    done = 0
    try:
        sniff = None if known is None and not packing else packing
        opened = entry.files.open(entry.path)
        with opened as raw, Stream(raw, sniff, meter=meter, size=_size(entry) or 0) as stream:
            for row in (known or default)(stream, reading):
                done += 1
                yield None if row.whole else done, row
    except (Unreadable, OSError) as error:
        wrong = why(error) if isinstance(error, OSError) else str(error)
        after = f", after {done:,} {'document' if done == 1 else 'documents'}" if done else ""
        yield None, failed_row(None, wrong + after)


def _ending_of(entry: Entry) -> str:
    return entry.name.split("?")[0] if is_web(entry.source) else entry.name


_Input = tuple[str, Iterator[Entry]]
"""One input: the common prefix of the keys of its files, and its files."""


def _entries(
    inputs: Sequence[str], reading: ReadOptions, stdin: BinaryIO | None, leave_out: str | None
) -> Iterator[Entry]:
    """The files of all inputs, each once."""

    def wanted(entry: Entry) -> bool:
        known = by_ending(_ending_of(entry))[0]
        if reading.trees:
            return entry.named or known is FORMATS["conllu"]
        return entry.named or reading.format is not None or known is not None

    without = ""
    if leave_out is not None:
        with _reaching(leave_out):
            files, path = file_system_of(leave_out)
        without = with_slash(files.key(path))
    found = [_look_up(name, wanted, stdin, without) for name in dict.fromkeys(inputs)]
    keys = sorted(key for key, _ in found)
    # Only where one input is in another can a file come twice, and only then all names are kept in mind.
    overlap = any(after.startswith(before) for before, after in pairwise(keys))
    entries = chain.from_iterable(entries for _, entries in found)
    return _once(entries) if overlap else entries


def _once(entries: Iterator[Entry]) -> Iterator[Entry]:
    seen: set[str] = set()
    for entry in entries:
        if entry.key not in seen:
            seen.add(entry.key)
            yield entry


def _look_up(name: str, wanted: Callable[[Entry], bool], stdin: BinaryIO | None, without: str) -> _Input:
    if name == STANDARD_INPUT:
        return _standard(stdin)
    with _reaching(name):
        files, path = file_system_of(name)
        kind = files.kind(path)
    if kind == "file":
        folder, slash, own = path.rpartition("/")
        key = with_slash(files.key(folder + slash)) + own
        if without and key.startswith(without):
            raise UsageError(f"{name} lies in the output folder", hint="Read it from, or write to, another folder.")
        return key, iter([Entry(files, path, name, key)])
    if kind == "folder":
        return _walked(
            name, WalkRoot(files, with_slash(path), with_slash(name), with_slash(files.key(path))), wanted, without
        )
    split = split_pattern(name)
    if split is None:
        hint = "Give files, folders, patterns ('texts/*.txt') or - ."
        if is_remote(name):
            hint = "Is the address right? What is private is found only by who is logged in to its store."
        raise UsageError(f"there is no file or folder {name!r}", hint=hint)
    return _matched(name, *split, wanted, without)


def _standard(stdin: BinaryIO | None) -> _Input:
    if stdin is None:
        raise InputError("standard input is closed", hint="Pipe texts into it: cat FILE | attnviz batch - …")
    return STANDARD_INPUT, iter([Entry(StandardInput(stdin), STANDARD_INPUT, STANDARD_INPUT, STANDARD_INPUT)])


def _walked(name: str, folder: WalkRoot, wanted: Callable[[Entry], bool], without: str) -> _Input:
    none = InputError(
        f"there are no texts in {name}",
        hint=f"Of folders, these files are read: {endings()}; hidden ones and the output folder are not.",
    )
    return folder.key, _some(walk(folder, EVERYTHING, wanted, without), none)


def _matched(name: str, prefix: str, pattern: Pattern, wanted: Callable[[Entry], bool], without: str) -> _Input:
    with _reaching(prefix):
        files, path = file_system_of(prefix)
        is_folder = files.kind(path or ".") == "folder"
    folder = WalkRoot(files, path and with_slash(path), prefix, with_slash(files.key(path)))
    entries = walk(folder, pattern, wanted, without) if is_folder else iter(())
    none = UsageError(
        f"no file matches {name!r}", hint="Patterns are *, ? and [abc] within a name, and ** for any folders."
    )
    return folder.key, _some(entries, none)


def _some(entries: Iterator[Entry], none: AttnvizError) -> Iterator[Entry]:
    """The ``entries``; the first is looked up at once, and if there is none, the error ``none`` is raised."""
    first = next(entries, None)
    if first is None:
        raise none
    return chain([first], entries)


@contextlib.contextmanager
def _reaching(name: str) -> Iterator[None]:
    """Turn an OSError inside into the error that ``name`` can't be reached."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{name} can't be reached ({reason(error)})",
            hint="Check the network, the address and your right to read; or download the files and give their folder.",
        ) from None
