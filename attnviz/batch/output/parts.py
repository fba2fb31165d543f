"""The files of a run's parts: the tables of some consecutive documents, in each format that was asked for.

The file of the documents is written last and lists what belongs to it, so that a run that is killed leaves behind a
whole part, or one that counts as none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from attnviz.batch.output.columns import TABLE_NAMES
from attnviz.batch.output.storage import Storage
from attnviz.batch.output.tables import PartTables, table_schema
from attnviz.batch.output.writers import WRITERS, open_parquet
from attnviz.errors import UsageError, count_of

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = re.compile(r"part-(\d{8,})\.(\w+)")
_FACTS, _SUM = b"attnviz.part", b"attnviz.part.sha256"
"""The metadata keys of the facts in a part of the documents, and of a digest of these facts and the columns."""
_AGAIN = "Delete it and give the same command again: it is made anew."


@dataclass(frozen=True)
class PartFacts:
    """The facts of a part: the ``digest`` of its texts, and the counts of what it holds.

    ``heads`` and ``links`` are rows. ``sizes`` are the bytes of the files that belong to it, by their folder; ``check``
    is what the check of its documents found, empty where none was made.
    """

    number: int
    digest: str
    documents: int
    failed: int
    tokens: int
    heads: int
    links: int
    seconds: float
    sizes: Mapping[str, int]
    check: Mapping[str, Any]


@dataclass(frozen=True)
class PartFiles:
    """The parts in a ``storage``, in Parquet and in ``formats`` beside it. Any process may write any of them.

    ``ended`` is the number of parts of a run that has ended, to which none are added.
    """

    storage: Storage
    formats: tuple[str, ...] = ()
    ended: int | None = None

    def finished(self, number: int, digest: str) -> PartFacts | None:
        """The facts of the part ``number``; None if it is not complete.

        Raises:
            UsageError: it is of texts with another ``digest``, or damaged, or the run ended without it.
        """
        if self.ended is not None and number >= self.ended:
            raise UsageError(
                f"there are more texts than when {self.storage.where} was made: its parts are {self.ended:,}",
                hint="Texts can't be changed or added. Begin anew with `overwrite`, or give another folder.",
            )
        facts = self.facts(number)
        if facts is not None and facts.digest != digest:
            raise UsageError(
                f"the texts are not those that {self.storage.where} was begun with: "
                f"part {number}, of {count_of(facts.documents, 'document')}, is of others",
                hint="Texts can't be changed or added. Begin anew with `overwrite`, or give another folder.",
            )
        return facts

    def facts(self, number: int) -> PartFacts | None:
        """The facts of the part ``number``; None if it, or a file that belongs to it, is missing.

        Raises:
            UsageError: its facts or its columns were changed.
        """
        name = _name("documents", "parquet", number)
        file = self.storage.open(name)
        if file is None:
            return None
        try:
            facts = _read_facts(file, number)
        except ValueError as error:
            raise self._damaged(name, str(error)) from None
        if facts is None:
            return None
        whole = all(
            self.storage.size(f"{folder}/{_file(number, folder.rpartition('.')[2])}") == size
            for folder, size in facts.sizes.items()
        )
        return facts if whole else None

    def write(self, number: int, digest: str, tables: PartTables, check: Mapping[str, Any] | None = None) -> PartFacts:
        """Write or replace the part ``number``, with the verdict of the ``check``.

        Raises:
            UsageError: it can't be written.
        """
        sizes: dict[str, int] = {}
        for name, table in tables.items():
            for suffix in (*self.formats, "parquet"):
                if name == "documents" and suffix == "parquet":
                    continue
                content = memoryview(WRITERS[suffix](table))
                self.storage.write(_name(name, suffix, number), content)
                sizes[f"{name}.{suffix}"] = content.nbytes
        facts = _facts(number, digest, tables, sizes, check or {})
        said = json.dumps(asdict(facts)).encode()
        about = {**(tables.documents.schema.metadata or {}), _FACTS: said, _SUM: _sum(said, tables.documents.schema)}
        documents = WRITERS["parquet"](tables.documents.replace_schema_metadata(about))
        self.storage.write(_name("documents", "parquet", number), memoryview(documents))
        return facts

    def numbers(self) -> list[int]:
        """The numbers of all parts, in order."""
        return sorted(number for number, _ in _parts(self.storage.names("documents.parquet"), "parquet"))

    def read(self, number: int) -> PartTables:
        """The tables of a part.

        Raises:
            UsageError: it is not there, or damaged.
        """
        facts = self.facts(number)
        found = {table: self._read(_name(table, "parquet", number)) for table in TABLE_NAMES}
        for name in ("heads", "links"):
            if _columns(found[name].schema) != _columns(table_schema(name)):
                raise self._damaged(_name(name, "parquet", number), "its columns are not those that a run writes")
        for name, table in found.items():
            if facts is None or table.num_rows != getattr(facts, name):
                raise self._damaged(_name(name, "parquet", number), "it has other rows than were written")
        return PartTables(**found)

    def _read(self, name: str) -> pa.Table:
        import pyarrow as pa

        file = self.storage.open(name)
        if file is None:
            where = f"{self.storage.where}/{name}"
            raise UsageError(f"{where} is missing", hint="Give the same command again: it is made anew.")
        with file:
            try:
                table = open_parquet(file).read()
            except (pa.ArrowException, OSError) as error:
                raise self._damaged(name, str(error).splitlines()[0]) from None
        about = {key: value for key, value in (table.schema.metadata or {}).items() if key not in (_FACTS, _SUM)}
        return table.replace_schema_metadata(about)

    def _damaged(self, name: str, why: str) -> UsageError:
        return UsageError(f"{self.storage.where}/{name} is damaged ({why})", hint=_AGAIN)

    def measured(self) -> bool:
        """Whether any document was measured, in any part."""
        found = (self.facts(number) for number in self.numbers())
        return any(facts is not None and facts.documents > facts.failed for facts in found)

    def sweep(self) -> None:
        """Delete what processes that were killed left half-written."""
        for folder in ("", *self.folders()):
            self.storage.sweep(folder)

    def folders(self) -> list[str]:
        """The folders of the parts."""
        return [f"{table}.{suffix}" for suffix in ("parquet", *self.formats) for table in TABLE_NAMES]


def clear(storage: Storage, folders: tuple[str, ...], parts: int) -> None:
    """Delete the first ``parts`` parts in the ``folders``, and the folders if they are empty then.

    The documents in Parquet go first, since without them the rest of a part does not count.
    """
    for folder in sorted(folders, key=lambda name: name != "documents.parquet"):
        for number, name in _parts(storage.names(folder), folder.rpartition(".")[2]):
            if number < parts:
                storage.delete(f"{folder}/{name}")
        storage.delete(folder)


def strangers(storage: Storage, folder: str, parts: int) -> list[str]:
    """The files in the ``folder`` that have the name of a part, but not of one of the first ``parts`` parts."""
    found = _parts(storage.names(folder), folder.rpartition(".")[2])
    return [f"{folder}/{name}" for number, name in found if number >= parts]


def _parts(names: list[str], suffix: str) -> Iterator[tuple[int, str]]:
    for name in names:
        match = _NAME.fullmatch(name)
        if match and match[2] == suffix:
            yield int(match[1]), name


def _file(number: int, suffix: str) -> str:
    return f"part-{number:08}.{suffix}"


def _name(table: str, suffix: str, number: int) -> str:
    return f"{table}.{suffix}/{_file(number, suffix)}"


def _facts(
    number: int, digest: str, tables: PartTables, sizes: Mapping[str, int], check: Mapping[str, Any]
) -> PartFacts:
    import pyarrow.compute as pc

    documents = tables.documents
    return PartFacts(
        number=number,
        digest=digest,
        documents=documents.num_rows,
        failed=pc.sum(pc.equal(documents["status"], "failed")).as_py() or 0,
        tokens=pc.sum(documents["tokens"]).as_py() or 0,
        heads=tables.heads.num_rows,
        links=tables.links.num_rows,
        seconds=pc.sum(documents["seconds"]).as_py() or 0.0,
        sizes=sizes,
        check=check,
    )


def _read_facts(file: BinaryIO, number: int) -> PartFacts | None:
    """The facts in a part of the documents; None if it is not a complete Parquet file.

    Raises:
        ValueError: the file is complete, and its facts are not those that were written; the message says why.
    """
    import pyarrow as pa

    with file:
        try:
            opened = open_parquet(file)
            found, rows = opened.schema_arrow, opened.metadata.num_rows
        except (pa.ArrowException, OSError):
            return None
    about = found.metadata or {}
    said = about.get(_FACTS)
    if said is None or about.get(_SUM) != _sum(said, found):
        raise ValueError("its columns, or what it says of its part, are not those that were written")
    try:
        facts = PartFacts(**json.loads(said))
    except TypeError:
        raise ValueError("another version of attnviz has written it") from None
    if (facts.number, facts.documents) != (number, rows):
        raise ValueError("it is of another part, or has other rows than were written")
    return facts


def _sum(said: bytes, kind: pa.Schema) -> bytes:
    """The digest of a part's facts and columns."""
    return hashlib.sha256(said + repr(_columns(kind)).encode()).hexdigest().encode()


def _columns(kind: pa.Schema) -> list[tuple[str, str]]:
    return [(field.name, str(field.type)) for field in kind]
